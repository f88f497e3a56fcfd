"""The output of the command line: rich in a terminal, if it is installed, else plain lines."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from kimbledb.model.outputs import text as text_output
from kimbledb.model.presentation import Report
from kimbledb.model.tables import Table, in_order
from kimbledb.model.text import counted, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

    from kimbledb.cli.live import LiveProgress
    from kimbledb.events import Event

# ``events`` and ``progress_text`` are imported where an event arrives: `kimbledb plan` and `kimbledb status` send none.


class Display:
    """A stream of the command line. Also a progress callable: ``progress=Display(sys.stderr)``.

    Args:
        stream: The stream; None for standard output. Tables, colours and a bar are
            shown where it is a terminal and rich is installed (``kimbledb[cli]``).
        console: A rich console to write to instead.
        verbose: Whether each statement and check has a line, in a terminal too.
    """

    def __init__(self, stream: TextIO | None = None, *, console: Console | None = None, verbose: bool = False) -> None:
        self.stream = stream or sys.stdout
        self._console = console or _console(self.stream)
        self._live: LiveProgress | None = None
        self._width = _width(self.stream)
        self._is_verbose = verbose
        #: Whether the line of the current migration is printed without its result and its end of line.
        self._is_open = False
        #: The blockers of the current wait, or None while the call works.
        self._awaited: tuple[str, ...] | None = None
        #: The summary of the last report.
        self._summary: str | None = None

    def line(self, text: str) -> None:
        """Write a line, or several, without control characters."""
        self.close()
        print(printable(text), file=self.stream, flush=True)

    def close(self) -> None:
        """End the line of a migration that has no result yet."""
        if self._is_open:
            self._is_open = False
            print(file=self.stream)

    def show(self, report: Report, *, detail: bool = False) -> None:
        """Show a report, with its tables of detail (``Table.detail``) where ``detail`` is true."""
        self._summary = report.summary
        if self._console is None:
            self.line(text_output.write(report.as_tables(), detail=detail, width=self._width))
            return
        for table in in_order(report.as_tables(), detail=detail):
            _print_table(self._console, table)

    def __call__(self, event: Event) -> None:
        """Show an event of a running call: in a terminal with a bar for the whole, else as a line."""
        if self._console is not None and not self._is_verbose:
            if self._live is None:
                from kimbledb.cli.live import LiveProgress  # rich may not be installed

                self._live = LiveProgress(self._console)
            self._live.show(event)
            return
        from kimbledb import events

        if self._repeats(event):
            return
        text = _line_for(event)
        if text is None and self._is_verbose:
            text = f"        {event}"
        if text is None or (not self._is_verbose and isinstance(event, events.Statement | events.Building)):
            return
        text = one_line(text)
        if isinstance(event, events.Applied | events.RolledBack | events.Failed) and self._is_open:
            # Each migration has one line, printed in two parts: its name at the start, its result at the end.
            self._is_open = False
            print(f": {text.lstrip()}", file=self.stream, flush=True)
        elif isinstance(event, events.Applying | events.RollingBack):
            self.close()
            self._is_open = True
            print(text, end="", file=self.stream, flush=True)
        elif text != self._summary:  # the plan that was shown before begins with it
            self.line(text)

    def _repeats(self, event: Event) -> bool:
        """Return whether an event reports the wait of the last one: a line for each poll would fill the log."""
        from kimbledb import events

        before = self._awaited
        self._awaited = event.blockers if isinstance(event, events.Waiting) else None
        return before is not None and before == self._awaited and not self._is_verbose


def _print_table(console: Console, table: Table) -> None:
    from rich.text import Text

    from kimbledb.model.layout import laid_out  # rich alone is given lines

    for line in laid_out(table, width=console.width, signs=True):
        console.print(Text.assemble(*line), soft_wrap=True)


def _width(stream: TextIO) -> int | None:
    """Return the width of a terminal. A file has none: a row is one line there, for grep and for the log of a CI."""
    return shutil.get_terminal_size().columns if stream.isatty() and not is_ci() else None


def _line_for(event: Event) -> str | None:
    """Return the line for an event, or None where the next one says more."""
    from kimbledb import events
    from kimbledb.cli.progress_text import doing, obstacle

    match event:
        case events.Planned(plan):
            return plan.summary
        case events.Applying(_, place, total) | events.RollingBack(_, place, total):
            return f"[{place:>{len(str(total))}}/{total}] {doing(event)}"
        case events.Applied(_, seconds, checks):
            verified = f", {counted(range(checks), 'check')} passed" if checks else ""
            return f"        done in {seconds:.3f} s{verified}"
        case events.RolledBack(_, seconds):
            return f"        done in {seconds:.3f} s"
        case events.Failed(migration, _):
            return f"        {migration.name} failed and was rolled back"
        case events.Waiting() | events.Blocked():
            return f"        {obstacle(event)}"
        case events.Statement(_, place, total, text):
            return f"        statement {place} of {total}: {text}"
        case events.Building() | events.Verifying() | events.OneOfMany(_, _, events.Done() | events.Stopped()):
            return f"        {event}"
        case _:
            return None


def is_ci() -> bool:
    """Return whether a CI runs the command, which may give it a terminal that nobody sees: most set ``CI``."""
    return os.environ.get("CI", "").casefold() not in ("", "0", "false")


def _console(stream: TextIO) -> Console | None:
    if not stream.isatty() or is_ci():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False)
