"""The progress of a call, and the locks that it waits for, as the command line shows them."""

from __future__ import annotations

from kimbledb import events
from kimbledb.events import Event


def doing(event: Event) -> str | None:
    """Return the current activity of the call after an event, or None if it is that of before."""
    match event:
        case events.OneOfMany(target, schema, inner):
            return f"{target} {schema}: {inner}"
        case events.Planned(plan):
            return plan.summary
        case events.Applying() | events.RollingBack():
            return str(event).partition(" (")[0]
        case (
            events.Applied()
            | events.RolledBack()
            | events.Failed()
            | events.Waiting()
            | events.Blocked()
            | events.Done()
            | events.Stopped()
        ):
            return None
        case _:
            return str(event)


def obstacle(event: Event) -> str | None:
    """Return the wait that an event reports, with the first blocker only; None for any other event."""
    match event:
        case events.Waiting(blockers, seconds):
            return f"waiting {seconds:.1f} s" + "".join(f": {blocker}" for blocker in blockers[:1])
        case events.Blocked(blockers, seconds):
            return f"blocked for {seconds:.1f} s by {''.join(blockers[:1])}"
        case _:
            return None
