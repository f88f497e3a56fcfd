"""Every call that plans for a database reads it in the same way, and so sees the same plan."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from kimbledb import StepState
from tests.support.folders import Folder


async def alternatives(folder: Folder, server: str, *, default: bool = False) -> kimbledb.Catalog:
    """Two migrations that provide the same, each with a table of its own."""
    for number, name in enumerate(("a", "b"), start=1):
        facts = 'provides = ["thing"]'
        folder.table(number, name, facts=facts + ("\ndefault = true" if default and name == "a" else ""))
    return await folder.declared(server)


def states(plan: kimbledb.Plan) -> dict[str, StepState]:
    """The state of each migration in a plan."""
    return {step.name: step.state for step in plan.steps}


async def test_what_is_there_decides_between_alternatives(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Where history does not decide between alternatives, every call takes the one whose objects are there."""
    catalog = await alternatives(folder, database)
    await connection.execute("CREATE TABLE b (id integer PRIMARY KEY)")

    adoption = await kimbledb.adopt(database, catalog=catalog, dry_run=True)
    expected = {"a.sql": StepState.REPLACED, "b.sql": StepState.ADOPTABLE}
    assert states(adoption.plan) == expected
    assert states((await kimbledb.status(database, catalog=catalog)).plan) == expected
    assert states(await kimbledb.plan(database, catalog=catalog)) == expected
    with pytest.raises(kimbledb.UnrecordedObjectsError):
        await kimbledb.migrate(database, catalog=catalog)


async def test_what_is_there_can_be_asked_for(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A limit of the plan may name an alternative that is there, although another one is the default."""
    catalog = await alternatives(folder, database, default=True)
    await connection.execute("CREATE TABLE b (id integer PRIMARY KEY)")

    plan = await kimbledb.plan(database, catalog=catalog, to="b.sql")

    assert states(plan) == {"a.sql": StepState.REPLACED, "b.sql": StepState.ADOPTABLE}


async def test_a_choice_that_nothing_decides_is_still_an_error(database: str, folder: Folder) -> None:
    """Where neither history nor the schema decides between alternatives, the caller has to."""
    catalog = await alternatives(folder, database)

    for call in (kimbledb.plan, kimbledb.migrate, kimbledb.adopt):
        with pytest.raises(kimbledb.AlternativesError, match="none is chosen"):
            await call(database, catalog=catalog)


async def test_a_rollback_takes_the_alternative_that_is_there(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Of two alternatives that another hand recorded, rollback() takes back the one that plan() shows as applied."""
    await alternatives(folder, database, default=True)
    folder.table(3, "base")
    catalog = folder.catalog
    await kimbledb.migrate(database, catalog=catalog, to="base.sql")
    await connection.execute(
        "CREATE TABLE b (id integer PRIMARY KEY); INSERT INTO migration_history (migration_name) VALUES ('a.sql'), ('b.sql')"
    )
    plan = await kimbledb.plan(database, catalog=catalog)
    assert states(plan) == {"a.sql": StepState.REPLACED, "b.sql": StepState.APPLIED, "base.sql": StepState.APPLIED}

    with pytest.raises(kimbledb.RollbackRefusedError, match=r"a\.sql is not applied"):
        await kimbledb.rollback(database, "a.sql", catalog=catalog, include_adopted=True)
    report = await kimbledb.rollback(database, "b.sql", catalog=catalog, include_adopted=True)

    assert [step.migration.name for step in report.rolled_back] == ["b.sql"]
    assert await connection.fetchval("SELECT to_regclass('b') IS NULL")


async def test_a_rollback_passes_over_what_is_not_there(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """What another hand recorded and plan() shows as pending, since nothing of it is there, has nothing to be taken back."""
    folder.table(1, "a")
    folder.add(2, "b", "CREATE TABLE b ();", rollback="DROP TABLE b;")
    await folder.declared(database)
    await kimbledb.migrate(database, catalog=folder.catalog, to="a.sql")
    await connection.execute("INSERT INTO migration_history (migration_name) VALUES ('b.sql')")
    assert states(await kimbledb.plan(database, catalog=folder.catalog))["b.sql"] is StepState.PENDING

    report = await kimbledb.rollback(database, to=0, catalog=folder.catalog, include_adopted=True)

    assert [step.migration.name for step in report.rolled_back] == ["a.sql"]


async def test_status_shows_what_a_run_would_hold_up(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """The plan of status() has the hazards and the online scripts that plan() shows of the same database."""
    folder.add(1, "a", "ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0);")
    online = folder.add(2, "b", "CREATE INDEX IF NOT EXISTS t_by_id ON t (id);")
    (online / "online.sql").write_text("CREATE INDEX CONCURRENTLY IF NOT EXISTS t_by_id ON t (id);", encoding="utf-8")
    await connection.execute("CREATE TABLE t (id integer); INSERT INTO t VALUES (1)")

    plan = await kimbledb.plan(database, catalog=folder.catalog)
    status = await kimbledb.status(database, catalog=folder.catalog)

    assert [hazard.name for hazard in plan.step("a.sql").hazards] == ["access_exclusive_lock", "constraint_validation"]
    assert plan.step("b.sql").online
    assert str(status.plan) == str(plan)
