"""What every tool is given to apply, and how long a call of one takes."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol


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


class Driver(Protocol):
    """What a module of a tool offers, beside ``migrate``, which is called where the tool is installed."""

    __name__: str
    #: As it stands in the table.
    NAME: str
    #: The distribution whose version is shown.
    DISTRIBUTION: str
    #: What pip installs.
    REQUIREMENTS: tuple[str, ...]
    #: What pip then installs whatever Python it declares, without what it requires.
    UNCHECKED: tuple[str, ...]
    #: The function of ours that its ``clones`` stand beside; empty where it makes no databases for tests.
    CLONES_BESIDE: str

    def write(self, folder: Path, steps: Sequence[Step], /) -> None:
        """Write a project into an empty folder."""

    def command(self, folder: Path, dsn: str, /) -> tuple[str, ...]:
        """Return the command line that applies it, called in that folder with the DSN in DATABASE_URL."""


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
