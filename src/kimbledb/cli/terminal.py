"""What the command line shows: with rich where it is installed and there is a terminal, else plain lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, TextIO

from kimbledb.events import (
    Applied,
    Applying,
    Blocked,
    Building,
    Done,
    Event,
    Failed,
    OneOfMany,
    Planned,
    RolledBack,
    RollingBack,
    Statement,
    Stopped,
    Verifying,
    Waiting,
)
from kimbledb.model.clock import stopwatch
from kimbledb.model.outputs import text as text_output
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Report
from kimbledb.model.tables import Table, in_order, is_numeric
from kimbledb.model.text import counted, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console, Group


class Display:
    """Where the command line writes. It is a progress callable, too: ``progress=Display(sys.stderr)``.

    Args:
        stream: Where to; standard output where None. Tables, colours and a bar are
            shown where it is a terminal and rich is installed (``kimbledb[cli]``).
        console: A rich console to write to instead.
    """

    def __init__(self, stream: TextIO | None = None, *, console: Console | None = None) -> None:
        self.stream = stream or sys.stdout
        self._console = console or _console(self.stream)
        self._live: _Live | None = None
        #: What the last plan that was shown ended with.
        self._summary: str | None = None

    @property
    def is_rich(self) -> bool:
        """Whether there is a terminal, and rich to write to it."""
        return self._console is not None

    def line(self, text: str = "") -> None:
        """Write a line, or several, with nothing in them that steers a terminal."""
        print(printable(text), file=self.stream, flush=True)

    def show(self, report: Report, *, detail: bool = False) -> None:
        """Show a report, with what :attr:`Table.detail` marks where ``detail`` is true."""
        if isinstance(report, Plan):
            self._summary = report.summary
        if self._console is None:
            self.line(text_output.write(report.as_tables(), detail=detail))
            return
        for table in in_order(report.as_tables(), detail=detail):
            _print_table(self._console, table)

    def __call__(self, event: Event) -> None:
        """Show an event of a running call: in a terminal with a bar for the whole, else as a line."""
        if self._console is not None:
            if self._live is None:
                self._live = _Live(self._console)
            self._live.show(event)
            return
        text = _line_for(event)
        text = None if text is None else one_line(text)
        if text is not None and text != self._summary:  # it stands under the plan that was shown before
            self.line(text)


class _Live:
    """The lower end of a terminal while a call runs: what it is at, and a bar for the whole.

    Above it stays a line for each migration that is done.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._doing = "looking"
        self._obstacle = ""
        self._done = self._total = 0
        self._clock = stopwatch()
        self._live = Live(get_renderable=self._picture, console=console, transient=True, refresh_per_second=8)

    def show(self, event: Event) -> None:
        """Take an event; the first one begins the picture, the last one ends it."""
        if not self._live.is_started and not isinstance(event, Done | Stopped):
            self._clock = stopwatch()
            self._live.start()
        obstacle, self._obstacle = self._obstacle, ""
        match event:
            case OneOfMany(target, schema, inner, done, total):
                self._done, self._total = done, total
                self._doing = f"{target} {schema}: {inner}"
                if isinstance(inner, Done):
                    self._keep("✓", "green", f"{target} {schema}", f"{inner.seconds:.3f} s")
                elif isinstance(inner, Stopped):
                    self._keep("✗", "red", f"{target} {schema}", str(inner))
            case Planned(plan):
                self._done, self._total = 0, len(plan.pending)
                self._doing = plan.summary
            case Applying(_, place, total) | RollingBack(_, place, total):
                # A run that began anew counts what it has done before.
                self._done, self._total = place - 1, max(total, self._total)
                self._doing = str(event).partition(" (")[0]
            case Applied(migration, seconds, checks):
                self._done += 1
                passed = f"  {counted(range(checks), 'check')} passed" if checks else ""
                self._keep("✓", "green", str(migration), f"{seconds:.3f} s{passed}")
            case RolledBack(migration, seconds):
                self._done += 1
                self._keep("↶", "green", str(migration), f"{seconds:.3f} s")
            case Failed(migration, message):
                self._keep("✗", "red", str(migration), message.partition("\n")[0])
            case Waiting(blockers, seconds) if not blockers:
                self._obstacle = f"waits {seconds:.1f} s"
            case Waiting(blockers, _):
                self._obstacle = f"waits for {blockers[0]}"
            case Blocked(blockers, seconds):
                self._obstacle = f"blocked for {seconds:.1f} s by {', '.join(blockers[:1])}"
            case Done() | Stopped():
                self._live.stop()
            case Statement() | Building():
                self._doing, self._obstacle = str(event), obstacle
            case _:
                self._doing = str(event)

    def _keep(self, mark: str, style: str, name: str, rest: str) -> None:
        """Write a line that stays."""
        from rich.text import Text

        self._live.console.print(
            Text.assemble((mark, style), f" {one_line(name)}  ", (one_line(rest), "dim")), soft_wrap=True
        )

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        lines: list[Text | Table] = [Text(one_line(self._doing), style="cyan", no_wrap=True, overflow="ellipsis")]
        if self._obstacle:
            lines.append(Text(f"  {one_line(self._obstacle)}", style="yellow", no_wrap=True, overflow="ellipsis"))
        if self._total:
            bar = Table.grid(padding=(0, 1))
            counts = f"{self._done}/{self._total}"
            bar.add_row(ProgressBar(self._total, self._done, width=40), counts, f"{self._clock():.0f} s")
            lines.append(bar)
        return Group(*lines)


def _print_table(console: Console, table: Table) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    from kimbledb.model.pictures import sign_of

    columns = table.columns()
    caption = Text(one_line(table.caption), style="bold")
    if table.caption and not table.below:
        console.print(caption)
    grid = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(table.headers))
    for place, (header, cells) in enumerate(columns, 1):
        justify: Literal["left", "right"] = "right" if is_numeric(cells) else "left"
        grid.add_column(header, justify=justify, no_wrap=place < len(columns), overflow="fold")
    for row in zip(*(cells for _, cells in columns), strict=True):
        texts = []
        for (header, _), cell in zip(columns, row, strict=True):
            text = "\n".join(one_line(line) for line in ((cell,) if isinstance(cell, str) else cell))
            sign, colour = sign_of(text) if header in {"state", "result"} else ("", "")
            texts.append(Text(f"{sign} {text}".strip(), style=colour))
        grid.add_row(*texts)
    if columns:
        console.print(grid)
    for note in table.notes:
        console.print(Text(f"note: {one_line(note)}", style="yellow"))
    if table.caption and table.below:
        console.print(caption)


def _line_for(event: Event) -> str | None:
    match event:
        case Planned(plan):
            return plan.summary
        case Applying(migration, place, total):
            return f"[{place:>{len(str(total))}}/{total}] applying {migration.name}"
        case Applied(_, seconds, checks):
            verified = f", {checks} checks passed" if checks else ""
            return f"        done in {seconds:.3f} s{verified}"
        case RollingBack(migration, place, total):
            return f"[{place:>{len(str(total))}}/{total}] rolling back {migration.name}"
        case RolledBack(_, seconds):
            return f"        done in {seconds:.3f} s"
        case Failed(migration, _):
            return f"        {migration.name} failed and was rolled back"
        case Waiting(blockers, seconds):
            who = f": {blockers[0]}" if blockers else ""
            return f"        waiting {seconds:.1f} s{who}"
        case Blocked(blockers, seconds):
            return f"        blocked for {seconds:.1f} s by {', '.join(blockers[:1])}"
        case Statement(_, place, total, text):
            return f"        statement {place} of {total}: {text}"
        case Building() | Verifying() | OneOfMany(_, _, Done() | Stopped()):
            return f"        {event}"
        case _:
            return None


def _console(stream: TextIO) -> Console | None:
    if not stream.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False)
