"""What the benchmarks write, and how they count."""

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import table, trace
from tests.benchmarks.measuring import Figure
from tests.support.proxy import Link

_PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"
_READY = b"Z\x00\x00\x00\x05I"


def test_the_page_has_a_place_for_each_table() -> None:
    """Each section takes a new text, and what stands around it stays."""
    page = _PAGE.read_text(encoding="utf-8")
    sections = {name: f"new {name}\n" for name in ("figures", "trace", "growth", "others")}

    written = table.inserted(page, sections)

    assert all(text in written for text in sections.values())
    assert table.inserted(written, {"growth": "other\n"}).endswith(written[written.index("## Beside other tools") :])
    with pytest.raises(ValueError, match="no section unknown"):
        table.inserted(page, {"unknown": ""})


def test_a_stopped_tool_is_marked() -> None:
    """The ratio to a tool that was stopped is a bound."""
    figures = [
        Figure("a: fresh", "a 1", 1500, 3000, 1.0, tool="a 1"),
        Figure("b: fresh", "b 1", 1500, 30000, 1.0, tool="b 1", floor_stopped=True),
    ]

    assert table.beside(figures).splitlines()[-1] == "- **fresh** (kimbledb 1.5 s): a 0.50, b < 0.05"


def test_a_message_that_waits_is_a_round_trip_whatever_it_holds() -> None:
    """Parse and Flush wait for an answer as Query does; connecting and Terminate do not count."""
    unused: Any = None
    link = trace.Recorder(unused, unused)
    assert isinstance(link, Link)
    link.read("server", b"\x00\x00\x00\x08\x00\x03\x00\x00")
    link.read("client", _READY)

    link.read("server", b"Q\x00\x00\x00\x09SEL")
    link.read("server", b"EC\x00")
    link.read("client", b"SERROR\0VERROR\0C42601\0" + _READY)
    link.read("server", b"P\x00\x00\x00\x08\x00\x00\x00\x00H\x00\x00\x00\x04")
    link.read("client", b"1\x00\x00\x00\x04")
    link.read("server", b"X\x00\x00\x00\x04")

    assert link.round_trips == 2
    assert [(len(each.data), each.received, each.error) for each in link.messages] == [(11, 27, "42601"), (14, 5, "")]
