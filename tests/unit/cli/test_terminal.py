from __future__ import annotations

import io

import pytest

from kimbledb import events
from kimbledb.cli import terminal
from kimbledb.cli.terminal import Display


class Terminal(io.StringIO):
    """A stream that says of itself that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_long_wait_is_one_line_of_the_log() -> None:
    """Where there is no terminal, what a call waits for is told once, and again when it changes or after something else."""
    stream = io.StringIO()
    display = Display(stream)

    for seconds in (0.1, 0.4, 2.0):
        display(events.Waiting(("the server is away",), seconds))
    display(events.Waiting(("another run is to apply 1 migration",), 2.0))
    display(events.Blocked(("a session",), 1.0))
    display(events.Waiting(("another run is to apply 1 migration",), 2.0))

    assert [line.partition(": ")[2] for line in stream.getvalue().splitlines() if "waiting" in line] == [
        "the server is away",
        "another run is to apply 1 migration",
        "another run is to apply 1 migration",
    ]


def test_no_color_takes_the_colours_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR in the environment a terminal is shown no colours; with CI it counts as a file."""
    pytest.importorskip("rich")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("CI", raising=False)
    console = terminal._console(Terminal())
    monkeypatch.setenv("CI", "true")

    assert console is not None
    assert console.no_color
    assert terminal._console(Terminal()) is None
