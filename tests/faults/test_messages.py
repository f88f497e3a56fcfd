"""Several migrations in one message: each is whole or absent, and each is reported as if it had been sent alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Applied, Applying, Blocked, Event, Failed, Waiting
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder, Steps, names
from tests.support.invariant import OPTIONS, drained, holds, nothing_left, whole
from tests.support.processes import start_child
from tests.support.programs import pgbouncer
from tests.support.proxy import Proxy
from tests.support.waiting import SLEEP, eventually, gate

#: More than two seconds, by a client that notes the begin of a migration when it is told of it.
LONG = "SELECT pg_sleep(2.2);"
#: How the third of five migrations fails: the end of its script, a second check, and the error that it gives.
FAULTS: dict[str, tuple[str, str, type[kimbledb.KimbleDBError], str | None]] = {
    "syntax": ("SELEC 1;", "", kimbledb.MigrationError, "42601"),
    "name": ("SELECT nothing;", "", kimbledb.MigrationError, "42703"),
    "run time": ("SELECT 1 / 0;", "", kimbledb.MigrationError, "22012"),
    "statement timeout": ("SELECT pg_sleep(30);", "", kimbledb.MigrationError, "57014"),
    "check": ("", "SELECT false AS passed", kimbledb.VerificationError, None),
    "data loss": ("DELETE FROM a;", "", kimbledb.DataLossError, None),
    "table lost": ("DROP TABLE a;", "", kimbledb.DataLossError, None),
}


@pytest.fixture
async def behind(server: str) -> AsyncIterator[tuple[str, str]]:
    """A fresh database through PgBouncer with one server connection, and the same past it."""
    async with fresh_database(server) as direct:
        with pgbouncer(server, pool_size=1) as pooler:
            yield f"{pooler.rpartition('/')[0]}/{direct.rpartition('/')[2]}", direct


def _five(steps: Steps, fault: str) -> Folder:
    """Return a folder of five migrations, the third of which has a fault."""
    script, check, _, _ = FAULTS[fault]
    return steps("a", "b", "c", "d", "e", after={"c": script}, check={"c": check} if check else {})


async def _fails(dsn: Any, folder: Folder, fault: str, **more: Any) -> kimbledb.KimbleDBError:
    _, _, kind, sqlstate = FAULTS[fault]
    options = kimbledb.Options(deadline=60, statement_timeout=1.0 if fault == "statement timeout" else 30.0)
    with pytest.raises(kind) as caught:
        await kimbledb.migrate(dsn, catalog=folder.catalog, options=options, **more)
    error: Any = caught.value
    assert names(error.applied) == ["a.sql", "b.sql"]
    assert error.failed.name == "c.sql"
    if sqlstate is not None:
        assert error.sqlstate == sqlstate
        assert error.file.endswith("03_c/apply.sql")
        assert error.line == 3
    return caught.value


def _shown(told: Sequence[Event]) -> list[str]:
    """Return the events about single migrations, as words."""
    kinds = (Applying, Applied, Failed)
    return [f"{type(each).__name__} {each.migration.name}" for each in told if isinstance(each, kinds)]


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_third_of_five_fails(database: str, steps: Steps, fault: str) -> None:
    """Those before a failing migration stay, it is named with its place and recorded, and none after it runs."""
    folder = _five(steps, fault)
    told: list[Event] = []

    await _fails(database, folder, fault, progress=told.append)

    assert _shown(told) == [
        "Applying a.sql",
        "Applied a.sql",
        "Applying b.sql",
        "Applied b.sql",
        "Applying c.sql",
        "Failed c.sql",
    ]
    failures = await sql(database, "SELECT string_agg(migration_name, ' ') FROM migration_log WHERE event = 'failure'")
    assert failures == (None if FAULTS[fault][2] is kimbledb.DataLossError else "c.sql")
    assert await whole(database, folder.catalog) == ["a.sql", "b.sql"]
    (folder.path / "03_c" / "apply.sql").write_text("CREATE TABLE c (n integer);\nINSERT INTO c VALUES (1);\n")
    (folder.path / "03_c" / "verify.sql").write_text("-- name: one_row\nSELECT count(*) = 1 AS passed FROM c")
    assert names((await holds(database, folder.catalog)).applied) == ["c.sql", "d.sql", "e.sql"]


@pytest.mark.parametrize("ending", ["COMMIT;", "COMMIT;\nBEGIN;\nSELECT 1 / 0;"])
async def test_the_third_of_five_commits_a_part_of_itself(database: str, ending: str) -> None:
    """A script that ends its transaction is named with what that leaves, and those before it in its message stay."""
    scripts = {name: f"CREATE TABLE {name} (n integer);" + (f"\n{ending}" if name == "c" else "") for name in "abcde"}
    catalog = kimbledb.Catalog(
        kimbledb.Migration(name=f"{name}.sql", number=number, apply_sql=script, irreversible="a test")
        for number, (name, script) in enumerate(scripts.items(), 1)
    )

    with pytest.raises(kimbledb.MigrationError, match="committed and not recorded") as caught:
        await kimbledb.migrate(database, catalog=catalog, options=OPTIONS)

    assert names(caught.value.applied) == ["a.sql", "b.sql"]
    assert caught.value.failed is not None
    assert caught.value.failed.name == "c.sql"
    there = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname = ANY ('{a, b, c, d, e}')"
    assert await sql(database, there) == "a b c"


@pytest.mark.parametrize("fault", ["syntax", "run time", "check", "data loss"])
async def test_the_third_of_five_fails_behind_a_pooler(behind: tuple[str, str], steps: Steps, fault: str) -> None:
    """Through a transaction pooler with one server connection, too, and the connection is free afterwards."""
    through, direct = behind
    folder = _five(steps, fault)

    await _fails(through, folder, fault)

    assert await whole(direct, folder.catalog) == ["a.sql", "b.sql"]
    await drained(direct, busy=True)
    await nothing_left(direct)
    (folder.path / "03_c" / "apply.sql").write_text("CREATE TABLE c (n integer);\nINSERT INTO c VALUES (1);\n")
    (folder.path / "03_c" / "verify.sql").write_text("-- name: one_row\nSELECT count(*) = 1 AS passed FROM c")
    report = await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)
    assert names(report.applied) == ["c.sql", "d.sql", "e.sql"]


async def test_a_client_behind_a_pooler_is_killed(behind: tuple[str, str], steps: Steps) -> None:
    """Those before the statement at which the client behind a pooler was killed stay, and the next run does the rest."""
    through, direct = behind
    folder = steps("a", "b", "c", "d", after={"c": SLEEP})
    async with (
        gate(direct) as asleep,
        await start_child(through, folder.path, {"client_check_interval": 0.2}) as child,
    ):
        await asleep()
        child.kill()
        await drained(direct, busy=True)

        assert await whole(direct, folder.catalog) == ["a.sql", "b.sql"]

    report = await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)
    assert names(report.applied) == ["c.sql", "d.sql"]


@pytest.mark.parametrize("verify", [True, False])
async def test_events_come_while_the_message_runs(database: str, steps: Steps, verify: bool) -> None:
    """A migration is reported as applied while those after it in its message still run."""
    folder = steps("a", "b", "c", after={"c": SLEEP})
    told: list[Event] = []
    async with gate(database) as asleep:
        run = asyncio.create_task(
            kimbledb.migrate(database, catalog=folder.catalog, verify=verify, options=OPTIONS, progress=told.append)
        )
        pid = await asleep()

        async def announced() -> bool:
            return "Applying c.sql" in _shown(told)

        await eventually(announced)
        assert _shown(told)[:-1] == ["Applying a.sql", "Applied a.sql", "Applying b.sql", "Applied b.sql"]
        await sql(database, "SELECT pg_terminate_backend($1)", pid)

    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    assert len(report.verification.checks) == (3 if verify else 0)
    await holds(database, folder.catalog)


async def test_each_has_its_own_times(database: str, steps: Steps) -> None:
    """The seconds of a migration, and those of its locks, are its own, and not those of its message."""
    folder = steps("a", "b", "c", after={"b": LONG})

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    for step, slow in zip(report.applied, (False, True, False), strict=True):
        assert step.held is not None
        assert (step.held >= 2) is slow
        assert (step.seconds >= 2) is slow
    slow_ones = "SELECT string_agg(migration_name, ' ') FROM migration_history WHERE execution_time_ms >= 2000"
    assert await sql(database, slow_ones) == "b.sql"


async def test_a_message_carries_fifty(proxy: Proxy, folder: Folder) -> None:
    """A hundred and twenty migrations are three messages, and a large one does not go with many; one asks whose the session is."""
    for number in range(1, 121):
        folder.add(number, f"m{number}", f"CREATE TABLE m{number} (n integer);")
    await kimbledb.migrate(proxy.dsn, catalog=folder.catalog, to=1)
    before = proxy.round_trips

    await kimbledb.migrate(proxy.dsn, catalog=folder.catalog, to=2)
    one = proxy.round_trips - before
    before = proxy.round_trips
    await kimbledb.migrate(proxy.dsn, catalog=folder.catalog)

    assert proxy.round_trips - before == one + 3  # 118 of them
    folder.add(121, "m121", f"CREATE TABLE m121 (n integer);\n-- {'x' * 700_000}\n")
    folder.add(122, "m122", f"CREATE TABLE m122 (n integer);\n-- {'x' * 700_000}\n")
    before = proxy.round_trips
    await kimbledb.migrate(proxy.dsn, catalog=folder.catalog)
    assert proxy.round_trips - before == one + 2


async def test_a_lock_that_is_not_to_be_had(database: str, steps: Steps) -> None:
    """Where the third waits in vain for a lock, those before it count as applied, and it is tried again, alone."""
    folder = steps("a", "b", "c", "d", after={"c": "ALTER TABLE taken ADD COLUMN more integer;"})
    await sql(database, "CREATE TABLE taken ()")
    told: list[Event] = []
    connection = await asyncpg.connect(database)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE taken")

    run = asyncio.create_task(
        kimbledb.migrate(
            database,
            catalog=folder.catalog,
            options=kimbledb.Options(deadline=60, lock_timeout=0.3, attempts=50),
            progress=told.append,
        )
    )

    async def waiting() -> bool:
        return any(isinstance(each, Waiting) for each in told)

    await eventually(waiting)
    assert await whole(database, folder.catalog) == ["a.sql", "b.sql"]
    await transaction.rollback()
    await connection.close()
    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql", "d.sql"]
    shown = _shown(told)
    assert shown[:5] == ["Applying a.sql", "Applied a.sql", "Applying b.sql", "Applied b.sql", "Applying c.sql"]
    assert shown[-4:] == ["Applying c.sql", "Applied c.sql", "Applying d.sql", "Applied d.sql"]
    await nothing_left(database)


async def test_the_deadline_passes_in_the_middle(database: str, steps: Steps) -> None:
    """A call that ends at its deadline names the migration that ran, and leaves those before it whole."""
    folder = steps("a", "b", "c", "d", after={"c": SLEEP})
    async with gate(database):
        with pytest.raises(kimbledb.DeadlineExceededError, match=r"applying c\.sql"):
            await kimbledb.migrate(
                database, catalog=folder.catalog, options=kimbledb.Options(deadline=4, client_check_interval=0.2)
            )
        await drained(database)

        assert await whole(database, folder.catalog) == ["a.sql", "b.sql"]

    assert names((await holds(database, folder.catalog)).applied) == ["c.sql", "d.sql"]


async def test_a_rival_writes_in_the_middle(database: str, steps: Steps) -> None:
    """A migration that expects the entry of the one before it stops where another entry came between, and is planned anew."""
    folder = steps("a", "b", "c")
    await kimbledb.migrate(database, catalog=folder.catalog, to=1)
    # The next thing after the entry of b is an entry of somebody else's.
    await sql(
        database,
        "CREATE FUNCTION rival() RETURNS trigger LANGUAGE plpgsql AS $rival$ BEGIN "
        "INSERT INTO public.migration_log (event, migration_name, detail) "
        "VALUES ('failure', 'z.sql', '{}'); RETURN NULL; END $rival$;"
        "CREATE TRIGGER rival AFTER INSERT ON migration_log FOR EACH ROW "
        "WHEN (NEW.migration_name = 'b.sql' AND NEW.event = 'apply') EXECUTE FUNCTION rival()",
    )
    told: list[Event] = []

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS, progress=told.append)

    assert names(report.applied) == ["b.sql", "c.sql"]
    shown = _shown(told)
    assert shown == ["Applying b.sql", "Applied b.sql", "Applying c.sql", "Applying c.sql", "Applied c.sql"]
    await nothing_left(database)


async def test_two_runs_at_once(database: str, folder: Folder) -> None:
    """Of two runs that begin together each migration is applied by one, and both succeed."""
    for number in range(1, 41):
        folder.add(
            number,
            f"m{number}",
            f"CREATE TABLE m{number} (n integer);\nINSERT INTO m{number} VALUES (1);\nSELECT pg_sleep(0.02);",
        )

    reports = await asyncio.gather(
        *(kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS) for _ in range(2)),
        start_and_end(database, folder),
    )

    applied = [name for report in reports if report is not None for name in names(report.applied)]
    assert len(applied) == len(set(applied))
    await holds(database, folder.catalog)


async def start_and_end(database: str, folder: Folder) -> None:
    """Run another process on the database."""
    async with await start_child(database, folder.path) as child:
        await child.end()


async def test_a_lone_connection_is_lost_in_the_middle(database: str, proxy: Proxy, steps: Steps) -> None:
    """The outcome of all that was not acknowledged is unknown, by name, and what was acknowledged is applied."""
    folder = steps("a", "b", "c", after={"b": SLEEP})
    acknowledged = asyncio.Event()

    def told(event: Event) -> None:
        if isinstance(event, Applied):
            acknowledged.set()

    async with gate(database) as asleep:
        connection = await asyncpg.connect(proxy.dsn)
        run = asyncio.create_task(kimbledb.migrate(connection, catalog=folder.catalog, options=OPTIONS, progress=told))
        await asleep()
        await acknowledged.wait()
        proxy.links[-1].cut()

        with pytest.raises(kimbledb.OutcomeUnknownError) as caught:
            await run

        assert names(caught.value.applied) == ["a.sql"]
        assert (caught.value.migration, caught.value.after) == ("b.sql", ("c.sql",))
        await drained(database)

    assert names((await holds(database, folder.catalog)).applied) == ["b.sql", "c.sql"]


async def test_settings_that_the_lexer_depends_on(database: str, folder: Folder) -> None:
    """Where the session reads strings by other settings, each migration goes alone behind its settings, in order."""
    await sql(database, f'ALTER DATABASE "{database.rpartition("/")[2]}" SET standard_conforming_strings = off')
    for number, name in enumerate("abc", 1):
        folder.add(
            number,
            name,
            f"CREATE TABLE {name} AS SELECT 'C:\\' AS t;",
            verify=f"-- name: as_written\nSELECT length(t) = 3 AS passed FROM {name}",
        )

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]
    await nothing_left(database)


@pytest.mark.parametrize(
    "script",
    ["SAVEPOINT s; DROP TABLE c; ROLLBACK TO s;", "SELECT n AS m INTO more FROM c;", "SET TRANSACTION READ WRITE;"],
)
async def test_what_cannot_be_executed_in_a_block(database: str, steps: Steps, script: str) -> None:
    """A script with a statement that no block can execute is applied all the same, with those before and after it."""
    folder = steps("a", "b", "c", "d", "e", after={"c": script})

    report = await holds(database, folder.catalog)

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql", "d.sql", "e.sql"]


async def test_the_settings_of_the_database_are_those_of_a_script(database: str, server: str, steps: Steps) -> None:
    """Each script of a message may write and reads what is committed, and has the settings of the database else."""
    name = database.rpartition("/")[2]
    for setting in ("plan_cache_mode = force_custom_plan", "default_transaction_isolation = serializable"):
        await sql(database, f'ALTER DATABASE "{name}" SET {setting}')
    shown = "INSERT INTO {} SELECT 2 WHERE current_setting('transaction_isolation') = 'read committed' AND current_setting('plan_cache_mode') = 'force_custom_plan';"
    folder = steps("a", "b", "c", after={each: shown.format(each) for each in "abc"})
    for number, each in enumerate("abc", 1):
        (folder.path / f"0{number}_{each}" / "verify.sql").write_text(
            f"-- name: two\nSELECT count(*) = 2 AND current_setting('plan_cache_mode') = 'force_custom_plan' AS passed FROM {each}"
        )
    await kimbledb.declare(folder.path, server=server)  # so that each is proved, too

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]


async def test_a_limit_of_the_session_is_not_that_of_the_message(database: str, steps: Steps) -> None:
    """A statement timeout that a database sets, and that holds for the whole message, stops no migration."""
    await sql(database, f"ALTER DATABASE \"{database.rpartition('/')[2]}\" SET statement_timeout = '350ms'")
    folder = steps("a", "b", "c", "d", after=dict.fromkeys("abcd", "SELECT pg_sleep(0.2);"))

    report = await holds(database, folder.catalog)

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql", "d.sql"]


async def test_a_lock_of_the_session_does_not_outlive_a_failure(database: str, steps: Steps) -> None:
    """What a rollback does not take back is taken back before a script that failed among others runs again alone."""
    await sql(
        database,
        "CREATE FUNCTION take() RETURNS void LANGUAGE plpgsql AS $take$ BEGIN "
        "IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7) THEN RAISE 'it is held'; END IF; "
        "PERFORM pg_advisory_lock(7); END $take$",
    )
    folder = steps("a", "b", "c", after={"b": "SELECT take(); SELECT 1 / 0;"})

    with pytest.raises(kimbledb.MigrationError, match="division by zero"):
        await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)


async def test_a_value_of_an_enum_is_used_by_the_next(database: str, folder: Folder) -> None:
    """A value that one migration adds to an enum is used by the next one of the same message."""
    folder.add(1, "a", "CREATE TYPE mood AS ENUM ('sad');")
    folder.add(2, "b", "ALTER TYPE mood ADD VALUE 'ok';", facts='requires = ["a.sql"]')
    folder.add(3, "c", "CREATE TABLE c AS SELECT 'ok'::mood AS m;", facts='requires = ["b.sql"]')

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql"]


async def test_losses_belong_to_their_migration(database: str, folder: Folder) -> None:
    """What one migration deletes counts for it, and not for the next one of the same message."""
    folder.add(1, "a", "CREATE TABLE t (n integer);\nINSERT INTO t SELECT generate_series(1, 10);")
    folder.add(2, "b", "DELETE FROM t WHERE n <= 3;", facts='requires = ["a.sql"]\ndeletes = "why"')
    folder.add(3, "c", "DELETE FROM t WHERE n = 4;", facts='requires = ["b.sql"]\ndeletes = "why"')

    report = await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert [(loss.name, loss.count) for loss in report.losses] == [("t", 3), ("t", 1)]


async def test_who_blocks_the_third_is_named(database: str, steps: Steps) -> None:
    """Where a migration in the middle of a message waits for a lock, its holder is named, as if it had been sent alone."""
    folder = steps(
        "a", "b", "c", after={"a": "SELECT pg_sleep(1.2);", "c": "ALTER TABLE taken ADD COLUMN more integer;"}
    )
    await sql(database, "CREATE TABLE taken ()")
    told: list[Event] = []
    connection = await asyncpg.connect(database)
    await connection.execute("BEGIN; LOCK TABLE taken")

    with pytest.raises(kimbledb.LockUnavailableError) as caught:
        await kimbledb.migrate(
            database,
            catalog=folder.catalog,
            options=kimbledb.Options(deadline=60, lock_timeout=3.0, attempts=1),
            progress=told.append,
        )

    assert any(f"pid {connection.get_server_pid()}," in each for each in caught.value.blockers)
    assert all(each.seconds < 4 for each in told if isinstance(each, Blocked))
    await connection.close()
    assert names((await holds(database, folder.catalog)).applied) == ["c.sql"]


async def test_times_where_the_reply_is_lost(database: str, proxy: Proxy, steps: Steps) -> None:
    """Of migrations whose reply was lost history says how long each took."""
    folder = steps("a", "b", "c", "d", after={"c": LONG})
    hold = proxy.hold(b"CKD102", occurrence=1)
    run = asyncio.create_task(kimbledb.migrate(proxy.dsn, catalog=folder.catalog, options=OPTIONS))
    link = await hold.reach(run)

    async def all_of_them() -> bool:
        return len(await whole(database, folder.catalog)) == 4

    await eventually(all_of_them)
    link.cut()
    report = await run

    assert names(report.applied) == ["a.sql", "b.sql", "c.sql", "d.sql"]
    assert [step.seconds >= 2 for step in report.applied[1:]] == [False, True, False]
    assert report.lsn is not None


async def test_names_of_another_migration_show_no_value(behind: tuple[str, str], folder: Folder) -> None:
    """A value in the text of a RAISE is masked, though another migration of the message has a table of that name."""
    through, _ = behind
    folder.add(1, "a", "CREATE TABLE wombat (n integer);")
    folder.add(2, "b", "DO $$ BEGIN RAISE EXCEPTION 'the animal is %', 'wom' || 'bat'; END $$;")
    folder.add(3, "c", "CREATE TABLE wombats AS SELECT * FROM wombat;")

    with pytest.raises(kimbledb.MigrationError, match=r"the animal is \*\*\*") as caught:
        await kimbledb.migrate(through, catalog=folder.catalog, options=OPTIONS)

    assert "wombat" not in str(caught.value)
    assert (caught.value.line, names(caught.value.applied)) == (1, ["a.sql"])
