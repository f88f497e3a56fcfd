from __future__ import annotations

import io

from kimbledb import events
from kimbledb.cli.terminal import Display


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
