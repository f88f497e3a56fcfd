"""Observes a statement from a second connection: the sessions that block it, and the progress of its index build."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from kimbledb.errors import KimbleDBError
from kimbledb.events import Blocked, Building
from kimbledb.model.clock import stopwatch
from kimbledb.model.migration import Migration
from kimbledb.server import queries
from kimbledb.server.driver import ServerError
from kimbledb.server.locks import describe_holders
from kimbledb.server.notifications import notify
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session

#: Seconds between two observations; the first comes within the lock timeout.
_PAUSE = 5.0
#: Seconds between two observations while an index is built.
_PAUSE_WHILE_BUILDING = 1.0


class Observation:
    """The current activity of the observed session."""

    def __init__(self, migration: Migration | None) -> None:
        """Begin with a migration; None where no index build is notified."""
        self.migration = migration
        #: Seconds since it was begun.
        self.clock = stopwatch()
        self._turned = asyncio.Event()

    def turn_to(self, migration: Migration) -> None:
        """Note that the session begins another migration."""
        self.migration = migration
        self.clock = stopwatch()
        self._turned.set()

    async def turned_within(self, seconds: float) -> bool:
        """Wait, and return early and True where the session begins another migration."""
        try:
            async with asyncio.timeout(seconds):
                await self._turned.wait()
        except TimeoutError:
            return False
        self._turned.clear()
        return True


@asynccontextmanager
async def observed(runner: Runner, session: Session, migration: Migration | None = None) -> AsyncIterator[Observation]:
    """Observe a session during the block, and notify of its blockers and of the index that it builds.

    Where no second connection can be had, nothing is observed.

    Args:
        runner: The runner of the call; its ``blockers`` are kept current.
        session: The session that works.
        migration: The migration whose indexes are built, or None where no index build is notified.

    Yields:
        The observation; ``turn_to()`` is to be called where the session goes on to another migration.
    """
    observation = Observation(migration)
    if not runner.target.can_reconnect:
        yield observation
        return
    task = asyncio.create_task(_observe(runner, session, observation))
    try:
        yield observation
    finally:
        task.cancel()
        # The task ends at once: its cancellation terminates its connection and waits for nothing.
        await asyncio.wait([task])


async def _observe(runner: Runner, session: Session, observation: Observation) -> None:
    first = pause = min(1.0, runner.options.lock_timeout / 2)
    while True:
        if await observation.turned_within(pause):
            pause = first
            continue
        pause = _PAUSE
        # Best effort: an observation that fails is no failure of the session.
        with suppress(KimbleDBError, ServerError):
            if session.process_id is not None and await _look(runner, session.process_id, observation):
                pause = _PAUSE_WHILE_BUILDING


async def _look(runner: Runner, process_id: int, observation: Observation) -> bool:
    """Notify of a process's blockers and of its index build, and return whether it builds an index."""
    migration, seconds = observation.migration, observation.clock()
    async with runner.target.session(runner.options) as session:
        found = await session.ask(queries.question("watch", pid=str(process_id)))
    runner.blockers = tuple(describe_holders(found["blockers"]))
    if runner.blockers:
        notify(runner.progress, Blocked(runner.blockers, seconds))
    building = found["building"]
    if building is not None and migration is not None:
        notify(runner.progress, Building(migration, building["index"], building["phase"], building["percent"]))
    return building is not None
