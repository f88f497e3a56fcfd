"""The lower end of a terminal while a call runs, drawn by rich."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kimbledb import events
from kimbledb.cli.progress_text import doing, obstacle
from kimbledb.events import Event
from kimbledb.model.clock import stopwatch
from kimbledb.model.text import counted, one_line


class LiveProgress:
    """The current step and a bar for the whole call, below a line for each migration that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._doing = "looking"
        self._obstacle = ""
        self._done = self._total = 0
        self._clock = stopwatch()
        self._live = Live(get_renderable=self._renderable, console=console, transient=True, refresh_per_second=8)

    def show(self, event: Event) -> None:
        """Show an event. The first one starts the display, the last one ends it."""
        is_last = isinstance(event, events.Done | events.Stopped)
        if not self._live.is_started and not is_last:
            self._clock = stopwatch()
            self._live.start()
        self._count(event)
        if (kept := _kept(event)) is not None:
            mark, style, name, rest = kept
            line = Text.assemble((mark, style), f" {one_line(name)}  ", (one_line(rest), "dim"))
            self._console.print(line, soft_wrap=True)
        self._doing = doing(event) or self._doing
        # These come while the statement may still be blocked.
        if not isinstance(event, events.Statement | events.Building):
            self._obstacle = obstacle(event) or ""
        if is_last:
            self._live.stop()

    def _count(self, event: Event) -> None:
        match event:
            case events.OneOfMany(done=done, total=total):
                self._done, self._total = done, total or 0
            case events.Planned(plan):
                self._done, self._total = 0, len(plan.pending)
            case events.Applying(place=place, total=total) | events.RollingBack(place=place, total=total):
                # A run that began anew counts the migrations that it has applied before.
                self._done, self._total = place - 1, max(total, self._total)
            case events.Applied() | events.RolledBack():
                self._done += 1

    def _renderable(self) -> Group:
        lines: list[Text | Table] = [Text(one_line(self._doing), style="cyan", no_wrap=True, overflow="ellipsis")]
        if self._obstacle:
            lines.append(Text(f"  {one_line(self._obstacle)}", style="yellow", no_wrap=True, overflow="ellipsis"))
        if self._total:
            bar = Table.grid(padding=(0, 1))
            counts = f"{self._done}/{self._total}"
            bar.add_row(ProgressBar(self._total, self._done, width=40), counts, f"{self._clock():.0f} s")
            lines.append(bar)
        return Group(*lines)


def _kept(event: Event) -> tuple[str, str, str, str] | None:
    """Return the line that stays for an event: mark, colour, name and the rest; None for no line."""
    match event:
        case events.Applied(migration, seconds, checks):
            passed = f"  {counted(range(checks), 'check')} passed" if checks else ""
            return "✓", "green", str(migration), f"{seconds:.3f} s{passed}"
        case events.RolledBack(migration, seconds):
            return "↶", "green", str(migration), f"{seconds:.3f} s"
        case events.Failed(migration, message):
            return "✗", "red", str(migration), message.partition("\n")[0]
        case events.OneOfMany(target, schema, events.Done(seconds=seconds)):
            return "✓", "green", f"{target} {schema}", f"{seconds:.3f} s"
        case events.OneOfMany(target, schema, events.Stopped() as stopped):
            return "✗", "red", f"{target} {schema}", str(stopped)
        case _:
            return None
