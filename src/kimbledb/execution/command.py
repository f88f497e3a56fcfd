"""The contract between the command line and the file of an operation.

A file of ``kimbledb.operations`` with these three is a command of the file's name:

* ``GROUPS``: the arguments that it shares with other commands, of ``database``, ``limits`` and ``backup``;
* ``add_arguments(parser)``: those of its own;
* ``async def command(call)``: the command. Its docstring is the line in ``kimbledb --help``.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractAsyncContextManager

    from kimbledb.catalog.catalog import Catalog
    from kimbledb.events import Watcher
    from kimbledb.model.presentation import Json, Report
    from kimbledb.server.options import Options


class ExitCode(enum.IntEnum):
    """The exit code of a command."""

    #: The command succeeded, or there was nothing to do.
    DONE = 0
    #: The database, a migration or a verification refused it.
    REFUSED = 1
    #: The arguments are wrong.
    MISUSED = 2
    #: ``plan --check`` found something to apply.
    PENDING = 3
    #: SIGINT, as Ctrl-C sends it.
    INTERRUPTED = 130
    #: SIGTERM, as what runs containers and units sends it.
    TERMINATED = 143


class Invocation(Protocol):
    """One call of a command."""

    @property
    def given(self) -> argparse.Namespace:
        """The arguments."""

    @property
    def catalog(self) -> Catalog:
        """The migrations that ``--catalog`` names, else the built-in ones.

        Raises:
            CatalogError: The folder has faults.
        """

    @property
    def folder(self) -> str:
        """The folder of the project's own migrations, of pyproject.toml, else ``migrations``."""

    @property
    def schema(self) -> str | None:
        """The target schema, or None for the default."""

    @property
    def options(self) -> Options:
        """The options of the call."""

    @property
    def watcher(self) -> Watcher | None:
        """Shows the progress; None where JSON is printed."""

    @property
    def can_ask(self) -> bool:
        """Whether somebody at a terminal can be asked, and has not answered before by ``--yes``."""

    def ask(self, question: str) -> str:
        """Ask at the terminal, and return the answer; an empty one where the input ends."""

    def target(self) -> AbstractAsyncContextManager[str | None]:
        """Return the DSN of the call, of an embedded server with ``--embedded``.

        Raises:
            ConfigurationError: No database is named, or two are.
        """

    def show(self, report: Report, *, detail: bool = False) -> None:
        """Print a report, as JSON where ``--json`` asks for it.

        Args:
            report: The report.
            detail: Whether a terminal shows the tables that a text leaves out, too.
        """

    def line(self, text: str) -> None:
        """Print a line, where JSON is not asked for."""

    def json(self, value: dict[str, Json]) -> None:
        """Print a value, where JSON is asked for."""

    def write(self, text: str, file: str | None) -> None:
        """Write a text to a file, or to standard output where ``file`` is None."""


def name_or_number(text: str) -> str | int:
    """Read an argument that names a migration."""
    return int(text) if text.isdigit() else text
