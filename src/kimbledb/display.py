"""What the command line shows: with rich where it is installed and there is a terminal, else plain lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from kimbledb.events import Applied, Applying, Blocked, Event, Failed, Planned, RolledBack, RollingBack, Waiting
from kimbledb.plan import Plan, StepState
from kimbledb.reports import VerificationReport

if TYPE_CHECKING:
    from rich.console import Console

#: A mark and a colour for each state; the mark alone tells them apart, too.
_STYLES = {
    StepState.APPLIED: ("✓", "green"),
    StepState.PENDING: ("•", "cyan"),
    StepState.REPLACED: ("-", "dim"),
    StepState.ADOPTABLE: ("+", "blue"),
    StepState.PARTIAL: ("½", "yellow"),
    StepState.CONFLICTING: ("!", "red"),
    StepState.CHANGED: ("≠", "red"),
    StepState.FAILED: ("✗", "red"),
    StepState.UNKNOWN: ("?", "magenta"),
}


class Display:
    """Where the command line writes. It is a progress callable, too."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self._console = _console(self.stream)

    @property
    def is_rich(self) -> bool:
        """Whether there is a terminal, and rich to write to it."""
        return self._console is not None

    def line(self, text: str = "") -> None:
        """Write a line as it is."""
        print(text, file=self.stream, flush=True)

    def plan(self, plan: Plan) -> None:
        """Show a plan as a table."""
        if self._console is None:
            self.line(str(plan))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("#", justify="right")
        table.add_column("phase", justify="right")
        table.add_column("migration", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("why", overflow="fold")
        for step in plan.steps:
            mark, style = _STYLES[step.state]
            table.add_row(
                str(step.migration.number or ""),
                str(step.migration.phase or ""),
                Text(step.name),
                Text(f"{mark} {step.state}", style=style),
                Text(step.reason, style="" if step.selected else "dim"),
            )
        self._console.print(table)
        self._console.print(Text(plan.summary, style="bold"))

    def verification(self, report: VerificationReport) -> None:
        """Show what was verified: a line for each migration, every failure whole."""
        by_migration: dict[str, list[bool]] = {}
        for check in report.checks:
            by_migration.setdefault(check.migration or "the database", []).append(check.passed or check.informative)
        width = max((len(name) for name in by_migration), default=0)
        for name, results in by_migration.items():
            verdict = "ok" if all(results) else "FAILED"
            self.line(f"  {name:<{width}}  {sum(results):>2} of {len(results):>2} checks  {verdict}")
        for check in report.checks:
            if check.migration is None and check.passed:
                self.line(f"    {check.name}: {check.found}")
        self.line(str(report))

    def __call__(self, event: Event) -> None:
        """Show an event of a running call as a line."""
        text = _line_for(event)
        if text is not None:
            self.line(text)


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
            return f"        blocked for {seconds:.1f} s by {blockers[0]}"
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
