"""The progress of a call, and the locks that it waits for, as the command line shows them."""

from __future__ import annotations

from kimbledb import events
from kimbledb.events import Event


def doing(event: Event) -> str | None:
    """Return what the call is doing since an event, or None where that has not changed."""
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
    """Return what is in the way since an event, with the first blocker only; None where nothing is."""
    match event:
        case events.Waiting(blockers, seconds):
            return f"waiting {seconds:.1f} s" + "".join(f": {blocker}" for blocker in blockers[:1])
        case events.Blocked(blockers, seconds):
            return f"blocked for {seconds:.1f} s by {''.join(blockers[:1])}"
        case _:
            return None
