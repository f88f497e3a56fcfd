"""The contract between the command line and the file of an operation.

A file of ``kimbledb.operations`` with these four is a command of the file's name:

* ``GROUPS``: the groups of arguments that it shares with other commands, by the names in ``kimbledb.cli.arguments``;
* ``EXAMPLE``: a line that calls it;
* ``add_arguments(parser)``: the arguments of its own;
* ``async def command(call)``: the command. The first line of its docstring is its line in ``kimbledb --help``, and the
  whole docstring the head of its own help.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractAsyncContextManager

    from kimbledb.catalog.catalog import Catalog
    from kimbledb.events import Watcher
    from kimbledb.model.presentation import Json, Report
    from kimbledb.server.options import Options


class ExitCode(enum.IntEnum):
    """The exit code of a command. Of each comment the first paragraph is the meaning, the second what a script does then."""

    #: The command succeeded, or there was nothing to do.
    #:
    #: Continue.
    DONE = 0
    #: A migration failed, a call was refused, a check failed, a lock or the deadline was missed, or the server is away.
    #: For ``migrate`` also: everything was applied, and the verification that follows found a fault, such as drift.
    #:
    #: Try again a few times at most, then stop, and show the output to a person. With ``--json`` the key ``error`` names the
    #: class: ``LockUnavailableError``, ``DeadlineExceededError``, ``ConnectionLostError`` and ``OutcomeUnknownError`` are
    #: worth another try as they are. Another try never applies a migration twice.
    REFUSED = 1
    #: The call is wrong: an unknown command, option or migration, no DSN, a wrong password or database, or a folder that
    #: does not exist or has faults.
    #:
    #: Stop; the same call fails in the same way.
    MISUSED = 2
    #: ``plan --check`` found something to apply.
    #:
    #: Run ``kimbledb migrate``, or have the plan reviewed.
    PENDING = 3
    #: SIGINT stopped the command, as Ctrl-C sends it. Each migration is either applied and recorded, or absent.
    #:
    #: Run the same command again: it continues.
    INTERRUPTED = 130
    #: SIGTERM stopped the command, as the runtimes of containers and units send it. Each migration is either applied and
    #: recorded, or absent.
    #:
    #: Run the same command again: it continues.
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


def limits_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of the group ``limits``, by the parameters of the operations' functions."""
    return {name: getattr(given, name) for name in ("to", "phase", "prefer", "set_aside")}


def name_or_number(text: str) -> str | int:
    """Read an argument that names a migration."""
    return int(text) if text.isdigit() else text
