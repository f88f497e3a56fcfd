"""One call of the command line: what its arguments say, and where its output goes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path

from attrs import evolve

from kimbledb._embedded import embedded
from kimbledb.catalog.catalog import Catalog
from kimbledb.cli.terminal import Display
from kimbledb.errors import ConfigurationError, KimbleDBError
from kimbledb.model.outputs import json as json_output
from kimbledb.model.presentation import Json, Report, error_as_dict
from kimbledb.server.options import Options
from kimbledb.server.targets import target_of

#: The name of the built-in catalog on the command line; a folder of that name is written ``./builtin``.
_BUILTIN = "builtin"


class Call:
    """See ``kimbledb.execution.command.Invocation``."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self._prints_json = getattr(given, "json", False)
        self._display = Display(sys.stderr if self._prints_json else sys.stdout)

    @cached_property
    def catalog(self) -> Catalog:
        declared = getattr(self.given, "declared", None)
        names = self.given.catalog or [_BUILTIN]
        folders = [name for name in names if name != _BUILTIN]
        if declared is not None and len(folders) != 1:
            raise ConfigurationError("--declared is for the one folder of --catalog", hint="name both, or neither")
        joined: Catalog | None = None
        for name in names:
            if name == _BUILTIN:
                joined = Catalog.builtin() if joined is None else joined + Catalog.builtin()
            else:
                joined = Catalog.from_directory(name, base=joined, declared=declared)
        assert joined is not None
        return joined

    @property
    def schema(self) -> str | None:
        schema: str | None = self.given.schema
        return schema

    @property
    def options(self) -> Options:
        given = self.given
        options = Options(refuse_hazards=getattr(given, "refuse_hazard", ()), or_wait=getattr(given, "or_wait", False))
        if self.given.direct_dsn is not None:
            options = evolve(options, direct_dsn=self.given.direct_dsn)
        if self.given.deadline is not None:
            options = evolve(options, deadline=self.given.deadline)
        return options

    @property
    def watcher(self) -> Display | None:
        return None if self._prints_json else self._display

    @asynccontextmanager
    async def target(self) -> AsyncIterator[str | None]:
        # A deployment that lost its DSN must not succeed on a throwaway database.
        given = self.given
        if given.embedded is None:
            target_of(given.dsn)
            yield given.dsn
        elif given.dsn is not None:
            raise ConfigurationError("--dsn and --embedded exclude each other")
        else:
            async with embedded(given.embedded or None) as dsn:
                yield dsn

    def show(self, report: Report, *, detail: bool = False) -> None:
        if self._prints_json:
            self.json(report.as_dict())
        else:
            self._display.show(report, detail=detail)

    def line(self, text: str) -> None:
        if not self._prints_json:
            self._display.line(text)

    def json(self, value: dict[str, Json]) -> None:
        if self._prints_json:
            print(json_output.write(value))

    def write(self, text: str, file: str | None) -> None:
        if file is None:
            print(text, end="")
        else:
            Path(file).write_text(text, encoding="utf-8")

    def error(self, error: KimbleDBError) -> None:
        """Print an error as JSON, where JSON is asked for."""
        self.json(error_as_dict(error))
