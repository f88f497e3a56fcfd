"""One call of the command line: its arguments, its configuration, and its output."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from attrs import evolve

from kimbledb.catalog.catalog import Catalog, at
from kimbledb.cli import configuration
from kimbledb.cli.configuration import BUILTIN, Configuration
from kimbledb.cli.terminal import Display, is_ci
from kimbledb.errors import ConfigurationError, KimbleDBError
from kimbledb.model.outputs import json as json_output
from kimbledb.model.presentation import Json, Report, error_as_dict
from kimbledb.model.text import few, printable
from kimbledb.server.options import Options
from kimbledb.server.targets import target_of

#: The action of SIGINT and SIGTERM during a prompt: no work is under way that would need an orderly end.
_WHILE_ASKING: Final = ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))


class Call:
    """See ``kimbledb.execution.command.Invocation``."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self._prints_json = getattr(given, "json", False)
        self._is_quiet = getattr(given, "quiet", False)
        self._display = Display(
            sys.stderr if self._prints_json else sys.stdout, verbose=getattr(given, "verbose", False)
        )

    @cached_property
    def _configuration(self) -> Configuration:
        return configuration.read(Path.cwd())

    @cached_property
    def catalog(self) -> Catalog:
        declared = getattr(self.given, "declared", None)
        names = self.given.catalog or self._configuration.catalog
        if not names:
            names = [BUILTIN]
            # `new` and `declare` take this folder unless another is named, and the others do not.
            if Path(self.folder).is_dir():
                self._tell(
                    f"with the built-in migrations, since no catalog is named; for the folder {self.folder} pass "
                    f"--catalog {self.folder}, or set catalog in pyproject.toml"
                )
        folders = [name for name in names if name != BUILTIN]
        if declared is not None and len(folders) != 1:
            raise ConfigurationError("--declared is for the one folder of --catalog", hint="name both, or neither")
        if len(names) == 1 and folders and declared is None:
            return at(folders[0])
        joined: Catalog | None = None
        for name in names:
            if name == BUILTIN:
                joined = Catalog.builtin() if joined is None else joined + Catalog.builtin()
            else:
                joined = Catalog.from_directory(name, base=joined, declared=declared)
        assert joined is not None
        return joined

    @property
    def folder(self) -> str:
        return self._configuration.folder

    @property
    def schema(self) -> str | None:
        return self.schemas[0]

    @cached_property
    def schemas(self) -> list[str | None]:
        """The target schemas without duplicates: those of the call, else that of the project; None for the default."""
        return [*dict.fromkeys(self.given.schema or ())] or [self._configuration.schema]

    @property
    def options(self) -> Options:
        given = self.given
        options = self._configuration.options
        if refused := getattr(given, "refuse_hazard", ()):
            options = evolve(options, refuse_hazards=refused)
        if getattr(given, "or_wait", False):
            options = evolve(options, or_wait=True)
        if given.direct_dsn is not None:
            options = evolve(options, direct_dsn=given.direct_dsn)
        if given.deadline is not None:
            options = evolve(options, deadline=given.deadline)
        return options

    @property
    def watcher(self) -> Display | None:
        return None if self._prints_json or self._is_quiet else self._display

    @property
    def can_ask(self) -> bool:
        return not self._prints_json and not self.given.yes and is_at_terminal()

    def ask(self, question: str) -> str:
        # Standard output may be read by a program.
        sys.stderr.write(printable(question))
        sys.stderr.flush()
        # The loop's own handlers would wait for the answer.
        is_main = threading.current_thread() is threading.main_thread()
        before = [signal.signal(*each) for each in _WHILE_ASKING] if is_main else []
        try:
            return input().strip()
        except EOFError:
            return ""
        finally:
            for (number, _), handler in zip(_WHILE_ASKING, before, strict=False):
                signal.signal(number, handler)

    @asynccontextmanager
    async def target(self) -> AsyncIterator[str | None]:
        # A deployment that lost its DSN must not succeed on a throwaway database.
        given = self.given
        if given.embedded is None:
            label = target_of(given.dsn).label
        elif given.dsn is not None:
            raise ConfigurationError("--dsn and --embedded exclude each other")
        else:
            label = (
                f"a server of its own, with its data in {given.embedded}" if given.embedded else "a throwaway server"
            )
        schemas = [schema or "public" for schema in self.schemas]
        self._tell(f"on {label}, schema{'' if len(schemas) == 1 else 's'} {few(schemas)}")
        try:
            if given.embedded is None:
                yield given.dsn
            else:
                from kimbledb._embedded import embedded  # few commands start a server

                async with embedded(given.embedded or None) as dsn:
                    yield dsn
        finally:
            self._display.close()
            if given.embedded == "":
                self._tell("the throwaway server is gone with its data; --embedded DIR keeps them")

    def _tell(self, text: str) -> None:
        """Name the server, database and schema on standard error, since standard output may be a file."""
        if not self._is_quiet:
            print(f"kimbledb: {printable(text)}", file=sys.stderr)

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


def is_at_terminal() -> bool:
    """Return whether somebody can read a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not is_ci()
