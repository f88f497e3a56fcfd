"""docs/reference/events.md: each event with its name, its level and its fields, and the fields of the log's records."""

from __future__ import annotations

import inspect
import logging

from kimbledb import events
from kimbledb.events import Event
from tools.reference import sources


def classes() -> list[type[Event]]:
    """Return the events in the order of the module, which is that of a run."""
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    ]


def page() -> str:
    """Return the text of the page."""
    text, _, fields = (inspect.getdoc(events) or "").partition("- ``")
    _, callable_, order, log = sources.paragraphs(text)
    fields, _, handler = fields.partition("\n\n")
    lines = sources.head(
        "Events",
        "For programs that follow a call while it runs, and for readers of its log: each event, when it is sent, and its fields.",
    )
    lines += [
        *(sources.prose(callable_), ""),
        *(sources.prose(order), ""),
        "[`kimbledb.Progress`](api/events.md#kimbledb.Progress) gives the events to `async for`. How to log them, and traces and",
        "metrics made of them: [Set up logs, traces and metrics](../how-to/watching.md).",
        "",
        "![A trace: start-up holds kimbledb.migrate, which holds a wait and two migrations](../images/trace.svg)",
        "",
    ]
    for kind in classes():
        lines += _section(kind)
    lines += ["## Fields of a log record", "", sources.prose(log), ""]
    lines += [f"- {sources.prose(each)}" for each in sources.lines_of(f"- ``{fields}")]
    lines += ["", sources.prose(handler.strip()), "", "## Warnings in the log", ""]
    lines += [
        "These records are no events: `progress` does not get them. Their level is WARNING; an ignored parameter that",
        "demands nothing is INFO.",
        "",
    ]
    lines += [f"- `{name}`: {sources.prose(meaning)}" for name, meaning in events.WARNINGS.items()]
    return "\n".join([*lines, ""])


def _section(kind: type[Event]) -> list[str]:
    level = "not logged; the inner event is" if kind.level is None else logging.getLevelName(kind.level)
    lines = [f"## {kind.name}", "", sources.prose(inspect.getdoc(kind) or ""), ""]
    lines += [f"Class [`{kind.__name__}`](api/events.md#kimbledb.events.{kind.__name__}), level {level}.", ""]
    fields = {name: text for name, text in sources.comments_of(kind).items() if name not in ("name", "level")}
    lines += [f"- `{name}`: {sources.prose(' '.join(text.split()))}" for name, text in fields.items()]
    return [*lines, ""] if fields else lines
