"""What a terminal shows while a call runs, and what a file gets instead."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable

import asyncpg
import pytest
from rich.console import Console

import kimbledb
from kimbledb.cli.terminal import Display
from kimbledb.events import Blocked, Done, Event, OneOfMany, Planned, Stopped, Waiting
from tests.support.folders import Folder


@pytest.fixture
def console() -> Console:
    """A terminal of 100 columns that keeps every sign."""
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def shown(console: Console) -> str:
    """All that was ever written to the terminal, what was written over included, without colours."""
    file = console.file
    assert isinstance(file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())


def eager(display: Display) -> Callable[[Event], None]:
    """Have the picture drawn after each event, and not some times a second."""

    def show(event: Event) -> None:
        display(event)
        if display._live is not None and display._live._live.is_started:
            display._live._live.refresh()

    return show


async def test_a_terminal_keeps_a_line_for_each_migration(database: str, folder: Folder, console: Console) -> None:
    """Each migration leaves a line with its time and checks, and the bar is gone at the end."""
    folder.table(1, "people")
    folder.table(2, "things")

    await kimbledb.migrate(database, catalog=folder.catalog, progress=eager(Display(console=console)))

    done = re.findall(r"✓ (.*?)  .*?  (.*)\n", shown(console))
    assert done == [("1. people.sql", "1 check passed"), ("2. things.sql", "1 check passed")]
    assert "applying things.sql" in shown(console)
    assert "1/2" in shown(console)
    assert console._live_stack == []


async def test_a_failure_ends_the_picture(database: str, folder: Folder, console: Console) -> None:
    """The migration that failed leaves a line that says so, and the terminal is given back."""
    folder.table(1, "people")
    folder.add(2, "bad", "SELECT 1 / 0;")

    with pytest.raises(kimbledb.MigrationError):
        await kimbledb.migrate(database, catalog=folder.catalog, progress=Display(console=console))

    assert "✗ 2. bad.sql" in shown(console)
    assert console._live_stack == []


async def test_the_blocker_has_its_name(database: str, folder: Folder, console: Console) -> None:
    """While a run waits, the terminal says for whom."""
    folder.table(1, "people")
    await kimbledb.migrate(database, catalog=folder.catalog)
    folder.add(
        2,
        "more",
        "ALTER TABLE people ADD COLUMN IF NOT EXISTS name text;",
        rollback="ALTER TABLE people DROP COLUMN name",
    )
    holder = await asyncpg.connect(database, server_settings={"application_name": "the holder"})
    await holder.execute("BEGIN; LOCK TABLE people")
    show = eager(Display(console=console))
    named = asyncio.Event()

    def watch(event: Event) -> None:
        show(event)
        if isinstance(event, Waiting | Blocked) and "the holder" in str(event):
            named.set()

    options = kimbledb.Options(lock_timeout=0.3, attempts=1000)
    run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, progress=watch, options=options))
    await named.wait()
    await holder.execute("ROLLBACK")
    await run
    await holder.close()

    assert "the holder" in shown(console)
    assert "✓ 2. more.sql" in shown(console)


async def test_plain_lines_where_there_is_no_terminal(database: str, folder: Folder) -> None:
    """A file gets lines without colours or signs that move the cursor."""
    folder.table(1, "people")
    file = io.StringIO()

    await kimbledb.migrate(database, catalog=folder.catalog, progress=Display(file))

    assert "\x1b" not in file.getvalue()
    assert re.fullmatch(r"\[1/1\] applying people.sql: done in .* s, 1 checks? passed", file.getvalue().splitlines()[1])


def test_many_in_a_terminal(console: Console) -> None:
    """Many schemas have one bar, and each a line when it is at its end."""
    show = eager(Display(console=console))
    plan = kimbledb.Planner(kimbledb.Catalog.builtin()).plan()
    show(OneOfMany("host/db", "a", Planned(plan), 0, 2))
    show(OneOfMany("host/db", "a", Done(1.5), 1, 2))
    show(OneOfMany("host/db", "b", Stopped(kimbledb.ConfigurationError("no such host")), 2, 2))
    show(Done(2.0))

    assert "✓ host/db a  1.500 s\n" in shown(console)
    assert "✗ host/db b  stopped: no such host\n" in shown(console)
    assert "1/2" in shown(console)
    assert console._live_stack == []
