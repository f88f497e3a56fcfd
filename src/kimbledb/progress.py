"""A progress callable from which the events can also be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from kimbledb.events import Done, Event, Stopped


class Progress:
    """The events of a call, to be read while it runs.

    ::

        progress = kimbledb.Progress()
        run = asyncio.create_task(kimbledb.migrate(dsn, progress=progress))
        async for event in progress:
            print(event)
        report = await run

    The iteration begins with the first event, whenever it is begun, and ends with
    the call, also with one that fails: the error is raised where the call is
    awaited. It may be done by several at once. Nobody waits for those who read.
    A Progress that is given to another call begins anew.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if self._events and _is_last(self._events[-1]):
            self._events = []
        self._events.append(event)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            with suppress(RuntimeError):  # who waited is gone, and the loop with it
                each.get_loop().call_soon_threadsafe(_wake, each)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Give the events, those that happened already first."""
        events, place = self._events, 0
        while True:
            if place < len(events):
                event = events[place]
                place += 1
                yield event
                if _is_last(event):
                    return
            else:
                change = asyncio.get_running_loop().create_future()
                self._waiting.append(change)
                await change


def _is_last(event: Event) -> bool:
    return isinstance(event, Done | Stopped)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
