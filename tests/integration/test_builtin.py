"""The built-in catalog on real databases: the main job, and every migration through one cycle."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from kimbledb.planning.fold import fold
from tests.support.databases import take_snapshot

CATALOG = kimbledb.Catalog.builtin()
NAMES = [migration.name for migration in CATALOG]


def _choosing(name: str) -> tuple[str, ...]:
    """Prefer a migration where it has alternatives, so that each of them is tested."""
    return (name,) if CATALOG[name].alternatives else ()


async def _forget(dsn: str, *names: str) -> None:
    """Take the rows of migrations out of history, so that the engine applies them again."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("DELETE FROM migration_history WHERE migration_name = ANY ($1)", list(names))
    await connection.close()


async def _migrate_verify_and_back(dsn: str, schema: str) -> None:
    before = await take_snapshot(dsn, schema)

    report = await kimbledb.migrate(dsn, schema=schema)
    assert len(report.applied) == 34
    assert report.verification.failures == ()
    assert (await kimbledb.migrate(dsn, schema=schema)).applied == ()
    verification = await kimbledb.verify(dsn, schema=schema)
    assert verification.ok, str(verification)

    back = await kimbledb.rollback(dsn, to=0, schema=schema)
    assert [step.migration for step in back.rolled_back] == [step.migration for step in reversed(report.applied)]
    difference = (await take_snapshot(dsn, schema)).since(before)
    # A schema that was made stays, with what the platform's roles may do in it.
    left = [each for each in difference.created if not each.name.startswith("schema to ")]
    assert (left, difference.changed, difference.dropped) == ([], (), ())


@pytest.mark.parametrize("schema", [pytest.param("public", marks=pytest.mark.wheel), 'Ten "Ant"'])
async def test_main_job_on_a_bare_server(database: str, schema: str) -> None:
    """On a bare server: 34 applied and proved, nothing to do twice, and all the way back to the empty schema."""
    await _migrate_verify_and_back(database, schema)


@pytest.mark.parametrize("schema", ["public", "tenant_a"])
async def test_main_job_on_a_hosted_server(hosted_database: str, schema: str) -> None:
    """The same where the hosted roles are, with the extensions in a schema of their own."""
    await _migrate_verify_and_back(hosted_database, schema)


@pytest.mark.parametrize("migrated_on_each", ["bare", "hosted"], indirect=True)
async def test_all_can_be_applied_again(migrated_on_each: str) -> None:
    """With the history of the first one alone, migrate() applies all the others again, in order, and changes nothing."""
    before = await take_snapshot(migrated_on_each)
    names = [step.name for step in (await kimbledb.plan(migrated_on_each)).steps if step.is_applied]
    await _forget(migrated_on_each, *names[1:])

    again = await kimbledb.migrate(migrated_on_each)

    assert [step.migration.name for step in again.applied] == names[1:]
    assert again.verification.ok
    difference = (await take_snapshot(migrated_on_each)).since(before)
    assert not difference, str(difference)


async def test_defaults_by_platform(database: str, hosted_database: str) -> None:
    """Of the alternatives #2 is taken on a bare server and #3 on a hosted one."""
    for dsn, taken, left in ((database, 2, 3), (hosted_database, 3, 2)):
        plan = await kimbledb.plan(dsn)
        assert len(plan.pending) == 34
        assert plan.step(CATALOG[taken].name).state is kimbledb.StepState.PENDING
        assert plan.step(CATALOG[left].name).state is kimbledb.StepState.REPLACED


async def test_tenants_do_not_touch_each_other(database: str) -> None:
    """Schemas of one database have equal pictures, and rolling one back leaves the other as it was."""
    for schema in ("tenant_a", "tenant_b"):
        await kimbledb.migrate(database, schema=schema)
    first = await take_snapshot(database, "tenant_a")
    assert first.objects == (await take_snapshot(database, "tenant_b")).objects

    await kimbledb.rollback(database, to=0, schema="tenant_b")

    assert first.objects == (await take_snapshot(database, "tenant_a")).objects


@pytest.mark.wheel
def test_declarations_ship_with_every_migration() -> None:
    """Every migration has declarations, which were recorded from its text."""
    assert [migration.name for migration in CATALOG if not migration.is_declared] == []


@pytest.mark.parametrize("hosted", [False, True], ids=["bare", "hosted"])
async def test_declarations_folded_in_order_are_what_is_there(
    database: str, hosted_database: str, *, hosted: bool
) -> None:
    """All declarations folded in order give every object of the schema with its facts, and no other."""
    dsn = hosted_database if hosted else database
    before = await take_snapshot(dsn)

    report = await kimbledb.migrate(dsn, verify=False)

    after = await take_snapshot(dsn)
    folded = fold([step.migration for step in report.applied], hosted=hosted)
    assert {key: item.each.facts for key, item in folded.objects.items()} == {
        key: facts for key, facts in after.objects.items() if key not in before.objects
    }
