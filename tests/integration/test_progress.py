"""What a call tells while it runs: events to be read, and records of the log."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Applied, Applying, Done, Planned, Stopped, Waiting
from tests.support.folders import Folder


async def test_events_are_read_while_it_runs(database: str, folder: Folder) -> None:
    """The iteration gives every event of a run, in order, and ends with it; several may read."""
    folder.table(1, "people")
    folder.table(2, "things")
    progress = kimbledb.Progress()
    run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, progress=progress))

    kinds = [type(event) async for event in progress]

    assert kinds == [Planned, Applying, Applied, Applying, Applied, Done]
    report = await run
    assert len(report.applied) == 2
    assert [event.report async for event in progress if isinstance(event, Done)] == [report]


async def test_the_iteration_ends_with_a_failure(database: str, folder: Folder) -> None:
    """A run that fails, or cannot begin, ends the iteration; its error is raised where it is awaited."""
    folder.add(1, "bad", "SELECT 1 / 0;")
    for target, kinds in ((database, [Planned, Applying, kimbledb.events.Failed, Stopped]), ("nonsense", [Stopped])):
        progress = kimbledb.Progress()
        run = asyncio.create_task(kimbledb.migrate(target, catalog=folder.catalog, progress=progress))
        async with asyncio.timeout(60):
            assert [type(event) async for event in progress] == kinds
        with pytest.raises(kimbledb.KimbleDBError):
            await run


async def test_a_progress_serves_the_next_run(database: str, folder: Folder) -> None:
    """Given to another run it begins anew, and whoever waits gets each event when it happens."""
    folder.table(1, "people")
    progress = kimbledb.Progress()
    await kimbledb.migrate(database, catalog=folder.catalog, progress=progress)
    folder.table(2, "things")
    await kimbledb.migrate(database, catalog=folder.catalog, progress=progress)

    events = [event async for event in progress]

    assert [event.migration.name for event in events if isinstance(event, Applied)] == ["things.sql"]


async def test_who_waits_hears_for_whom(database: str, folder: Folder) -> None:
    """A run that waits for another one's lock says whose it is, while it waits."""
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
    progress = kimbledb.Progress()
    options = kimbledb.Options(lock_timeout=0.2, attempts=1000)
    run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, progress=progress, options=options))

    async for event in progress:
        if isinstance(event, Waiting) and any("the holder" in blocker for blocker in event.blockers):
            await holder.execute("ROLLBACK")
            break

    assert len((await run).applied) == 1
    await holder.close()


async def test_a_watcher_that_raises_breaks_nothing(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """What the callable raises is logged, and the run goes on."""
    folder.table(1, "people")

    def broken(_event: object) -> None:
        raise ZeroDivisionError

    assert len((await kimbledb.migrate(database, catalog=folder.catalog, progress=broken)).applied) == 1
    assert "the progress callable failed on Planned" in caplog.text


async def test_the_log_has_fields_and_no_secret(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Each record says its database, schema, migration and seconds in fields of its own; no password is in it."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "DROP ROLE IF EXISTS kimbledb_log; CREATE ROLE kimbledb_log SUPERUSER LOGIN PASSWORD 'hushhush'"
    )
    folder.table(1, "people")
    folder.add(2, "bad", "SELECT 'row value'::integer;")
    dsn = f"postgresql://kimbledb_log:hushhush@{database.rpartition('@')[2]}"
    try:
        with caplog.at_level(logging.DEBUG, "kimbledb"), pytest.raises(kimbledb.MigrationError):
            await kimbledb.migrate(dsn, catalog=folder.catalog, schema="tenant")
    finally:
        await connection.execute("DROP OWNED BY kimbledb_log CASCADE; DROP ROLE kimbledb_log")
        await connection.close()

    records = [record for record in caplog.records if record.name == "kimbledb"]
    [applied] = [record for record in records if record.getMessage().startswith("applied ")]
    assert (applied.levelno, of(applied, "migration"), of(applied, "schema")) == (logging.INFO, "people.sql", "tenant")
    assert of(applied, "database") == database.rpartition("@")[2]
    assert of(applied, "seconds") > 0
    [failed] = [
        record for record in records if "failed and was rolled back" in record.getMessage() and of(record, "migration")
    ]
    assert (failed.levelno, of(failed, "migration")) == (logging.ERROR, "bad.sql")
    assert (of(applied, "event_name"), of(applied, "operation"), of(applied, "outcome")) == ("applied", "migrate", "ok")
    assert (of(failed, "event_name"), of(failed, "outcome")) == ("failed", "failed")
    assert of(failed, "sqlstate") == of(failed, "error_type") == "22P02"
    [stopped] = [record for record in records if of(record, "event_name") == "stopped"]
    assert (of(stopped, "sqlstate"), of(stopped, "outcome")) == ("22P02", "failed")
    fields = {
        "event_name",
        "operation",
        "database",
        "schema",
        "migration",
        "seconds",
        "outcome",
        "error_type",
        "sqlstate",
    }
    assert fields <= set.intersection(*(set(vars(record)) for record in records))
    assert "hushhush" not in caplog.text + "".join(str(vars(record)) for record in records)


async def test_the_log_knows_the_call_of_a_lent_connection(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """The records of a run on a pool that was opened before have their fields, also those of migrations of one message."""
    folder.table(1, "people")
    folder.table(2, "things")
    async with asyncpg.create_pool(database, min_size=2, max_size=2) as pool:
        with caplog.at_level(logging.DEBUG, "kimbledb"):
            await kimbledb.migrate(pool, catalog=folder.catalog, schema="tenant")

    records = [record for record in caplog.records if record.name == "kimbledb"]
    place = database.rpartition("@")[2]
    assert {(of(record, "database"), of(record, "schema")) for record in records} == {(place, "tenant")}


async def test_each_function_ends_with_a_record(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is called, its last record says how it ended and after how many seconds, by fields alone."""
    folder.table(1, "people")
    calls = (kimbledb.plan, kimbledb.migrate, kimbledb.verify, kimbledb.status, kimbledb.adopt, kimbledb.wait)
    with caplog.at_level(logging.DEBUG, "kimbledb"):
        for call in calls:
            await call(database, catalog=folder.catalog)

    ends = [record for record in caplog.records if record.name == "kimbledb" and of(record, "event_name") == "done"]
    assert [of(record, "operation") for record in ends] == [call.__name__ for call in calls]
    assert {of(record, "outcome") for record in ends} == {"ok"}
    assert min(of(record, "seconds") for record in ends) > 0


def of(record: logging.LogRecord, field: str) -> Any:
    """A field of a record that was given as `extra`."""
    return vars(record)[field]


def test_logging_is_left_as_it_is() -> None:
    """An import adds no handler that writes, sets no level, and lets records through to the application's handlers."""
    program = (
        "import logging, kimbledb; kimbledb.migrate; mine = logging.getLogger('kimbledb'); "
        "print([type(each).__name__ for each in mine.handlers], mine.level, mine.propagate, logging.root.handlers, logging.root.level)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "['NullHandler'] 0 True [] 30"
