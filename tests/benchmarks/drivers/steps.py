"""What every tool is given to apply, and how long a call of one takes."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

#: A superuser with the usual number of SCRAM's iterations: Go's driver refuses the one of the embedded server.
STRONG = "strong"


class Step(NamedTuple):
    """A migration: the same SQL for every tool. Each needs the one before."""

    number: int
    title: str
    apply: str
    rollback: str

    @property
    def identifier(self) -> str:
        """The title as a name that files, modules and revisions may have."""
        return re.sub(r"\W+", "_", self.title).strip("_").lower()


class Package(NamedTuple):
    """Where a tool comes from. One that neither pip nor npm installs is a program of the system."""

    #: As it stands in the table.
    name: str
    #: The distribution whose version is shown.
    distribution: str
    #: The command line that prints the version (or the help, where there is no such option) and does nothing else.
    start: tuple[str, ...]
    #: What pip installs.
    pip: tuple[str, ...] = ()
    #: What pip then installs whatever Python it declares, without what it requires.
    unchecked: tuple[str, ...] = ()
    #: What npm installs.
    npm: tuple[str, ...] = ()
    #: The function of ours that the ``clones`` of its module stand beside; empty where it makes no databases for tests.
    clones_beside: str = ""


class Driver(Protocol):
    """What a module of a tool offers, beside ``migrate`` of a Python library, which is called where that is installed."""

    __name__: str
    PACKAGE: Package

    def write(self, folder: Path, steps: Sequence[Step], /) -> None:
        """Write a project into an empty folder."""

    def command(self, folder: Path, dsn: str, /) -> tuple[str, ...]:
        """Return the command line that applies it, called in that folder with the DSN in DATABASE_URL."""

    def status(self, folder: Path, dsn: str, /) -> tuple[str, ...]:
        """Return the command line that shows what is applied; empty where there is none."""

    def mark(self, folder: Path, steps: Sequence[Step], /) -> str:
        """Return the SQL that records all as applied, where the tool has applied the first."""


def values(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as ``VALUES``; texts without quotation marks, and numbers."""
    return "VALUES " + ", ".join("(" + ", ".join(_literal(each) for each in row) + ")" for row in rows)


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else "NULL" if value is None else str(value)


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


async def awaited(work: Awaitable[object]) -> float:
    """Return how many seconds something that is awaited takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start
