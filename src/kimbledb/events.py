"""What happens during a call, as values for whoever watches it.

``progress`` of :func:`kimbledb.migrate` and its like is any callable that
takes one of these. What it raises is logged and breaks nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import frozen

from kimbledb.model import Migration
from kimbledb.plan import Plan

logger = logging.getLogger("kimbledb")


@frozen
class Event:
    """The root of all events."""


@frozen
class Planned(Event):
    """The plan is made; ``plan.pending`` is what will be applied."""

    plan: Plan


@frozen
class Waiting(Event):
    """Another run or the application holds a lock, or the server takes no connection now."""

    #: Who is in the way, as far as the server tells, or why there is no connection.
    blockers: tuple[str, ...]
    #: Seconds until the next try.
    seconds: float


@frozen
class Blocked(Event):
    """What was sent waits on the server for a lock, or for an older transaction to end."""

    #: Who is in the way, as far as the server tells.
    blockers: tuple[str, ...]
    #: Seconds since it was sent.
    seconds: float


@frozen
class Applying(Event):
    """A migration was sent."""

    migration: Migration
    #: Its place in this run, from 1.
    place: int
    #: How many this run has to apply.
    total: int


@frozen
class Applied(Event):
    """A migration is committed and recorded."""

    migration: Migration
    seconds: float
    #: How many of its checks passed.
    checks: int


@frozen
class Failed(Event):
    """A migration was rolled back."""

    migration: Migration
    message: str


@frozen
class RollingBack(Event):
    """A migration is being taken back."""

    migration: Migration
    place: int
    total: int


@frozen
class RolledBack(Event):
    """A migration is taken back, and its history row is gone."""

    migration: Migration
    seconds: float


@frozen
class Done(Event):
    """The call is at its end."""

    seconds: float


#: What `progress` is.
Watcher = Callable[[Event], object]


def tell(watcher: Watcher | None, event: Event) -> None:
    """Tell a watcher; its fault is logged and stays its own."""
    if watcher is None:
        return
    try:
        watcher(event)
    except Exception:  # whatever a caller's callable raises must not stop a migration
        logger.warning("the progress callable failed on %s", type(event).__name__, exc_info=True)
