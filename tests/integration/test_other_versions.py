"""Other versions of a catalog on one database, edited files, and alternatives that others chose."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb import StepState
from tests.support.folders import Folder

TAKEN, OTHER = "create_user_tokens_table.sql", "supabase-migration-user_tokens.sql"


async def test_an_older_build_starts_on_a_newer_database_and_says_so(database: str, folder: Folder) -> None:
    """A build that does not know a migration in history starts, shows it, verifies, and takes nothing back."""
    folder.table(1, "one")
    folder.add(
        2,
        "two",
        "CREATE TABLE IF NOT EXISTS two (id integer);",
        facts='requires = ["one.sql"]',
        rollback="DROP TABLE IF EXISTS two;",
    )
    await folder.declared(database)
    folder.add(3, "three", "ALTER TABLE two ALTER id TYPE bigint;", facts='requires = ["two.sql"]')
    await kimbledb.migrate(database, catalog=folder.catalog)
    shutil.rmtree(folder.path / "03_three")
    older = folder.catalog

    report = await kimbledb.migrate(database, catalog=older)

    assert report.applied == ()
    assert [step.name for step in report.newer] == ["three.sql"]
    assert "three.sql: recorded by kimbledb " in str(report)
    assert report.plan.step("three.sql").state is StepState.UNKNOWN
    verification = await kimbledb.verify(database, catalog=older)
    assert verification.ok
    [drift] = [check for check in verification.checks if check.name == "column two.id"]
    assert (drift.passed, drift.informative) == (False, True)
    calls: list[dict[str, Any]] = [{"name": 2}, {"name": 1, "cascade": True}, {"to": 0}, {"to": 1}]
    for call in calls:
        with pytest.raises(kimbledb.RollbackRefusedError, match=r"three\.sql"):
            await kimbledb.rollback(database, catalog=older, allow_data_loss=True, **call)


async def test_names_that_another_hand_recorded_hinder_nothing(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A row without a version of ours and of no name of ours keeps nobody from migrating or rolling back."""
    folder.table(1, "one")
    await connection.execute("CREATE TABLE migration_history (migration_name text UNIQUE, success boolean)")
    await connection.execute("INSERT INTO migration_history VALUES ('00_extensions', true)")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert (len(report.applied), report.newer) == (1, ())
    assert len((await kimbledb.rollback(database, 1, catalog=folder.catalog)).rolled_back) == 1
    assert await connection.fetchval("SELECT migration_name FROM migration_history") == "00_extensions"


async def test_line_ends_are_no_edit_and_a_moved_line_break_is(database: str, folder: Folder) -> None:
    """A checkout with CRLF or a byte-order mark is the same text; a line break moved into a comment is another."""
    script = folder.add(1, "a", "-- a comment\nCREATE TABLE a (id integer);\n") / "apply.sql"
    await kimbledb.migrate(database, catalog=folder.catalog)
    applied = folder.catalog[1].checksum

    script.write_bytes("\ufeff-- a comment\r\nCREATE TABLE a (id integer);\r\n".encode())
    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()

    script.write_bytes(b"-- a comment CREATE TABLE a (id integer);\n\n")
    with pytest.raises(kimbledb.ChangedMigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert applied in str(caught.value)
    assert folder.catalog[1].checksum in str(caught.value)
    step = (await kimbledb.plan(database, catalog=folder.catalog)).step("a.sql")
    assert step.state is StepState.CHANGED
    assert applied[:12] in step.reason
    assert folder.catalog[1].checksum[:12] in step.reason


@pytest.mark.parametrize("name", [TAKEN, OTHER])
async def test_the_alternative_that_is_there_is_offered(empty_on_each: str, name: str) -> None:
    """What shows one alternative's shape is not offered the other, whatever the platform's default; the choice stays."""
    dsn = empty_on_each
    left = TAKEN if name == OTHER else OTHER
    await kimbledb.migrate(dsn, to=name, prefer=[name])
    assert (await kimbledb.plan(dsn)).step(left).state is StepState.REPLACED
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP TABLE migration_history, migration_log")

    plan = await kimbledb.plan(dsn)

    assert plan.step(name).state is StepState.ADOPTABLE
    assert plan.step(left).state is StepState.REPLACED
    assert plan.step(left).reason == f"{name} is used in its place: its objects exist"
    assert name in [step.name for step in (await kimbledb.adopt(dsn)).adopted]
    assert name not in [step.name for step in (await kimbledb.plan(dsn)).pending]
    with pytest.raises(kimbledb.AlternativesError, match=f"{left} is preferred, but {name} is applied in its place"):
        await kimbledb.migrate(dsn, prefer=[left])
    await connection.close()


async def test_each_platform_has_its_default(empty_on_each: str) -> None:
    """Where nothing is there, the hosted platform gets the third migration and others the second."""
    connection = await asyncpg.connect(empty_on_each)
    hosted = await connection.fetchval("SELECT to_regnamespace('auth') IS NOT NULL")
    await connection.close()

    replaced = [step.name for step in (await kimbledb.plan(empty_on_each)).steps if step.state is StepState.REPLACED]

    assert replaced == [TAKEN if hosted else OTHER]


async def test_two_replicas_with_different_choices(database: str) -> None:
    """Of two that prefer different alternatives at once one is applied, and the other is told so."""
    done = await asyncio.gather(
        *(kimbledb.migrate(database, to=name, prefer=[name]) for name in (TAKEN, OTHER)), return_exceptions=True
    )

    failed = [each for each in done if isinstance(each, BaseException)]
    assert [type(each) for each in failed] == [kimbledb.AlternativesError], failed
    connection = await asyncpg.connect(database)
    names = [row[0] for row in await connection.fetch("SELECT migration_name FROM migration_history")]
    assert len({TAKEN, OTHER} & set(names)) == 1
    await connection.close()


async def test_both_alternatives_in_our_own_history_are_refused(database: str, connection: asyncpg.Connection) -> None:
    """Where history says that both are applied, and kimbledb wrote it, nothing goes on; verify() still looks."""
    await kimbledb.migrate(database, to=TAKEN)
    await connection.execute(
        "INSERT INTO migration_history (migration_name, success, kimbledb_version) VALUES ($1, true, '0')", OTHER
    )

    with pytest.raises(kimbledb.AlternativesError, match="exclude each other, but history records both as applied"):
        await kimbledb.migrate(database)
    assert (await kimbledb.verify(database)).checks
