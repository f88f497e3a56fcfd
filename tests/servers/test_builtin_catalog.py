"""The built-in catalog on each version for which there is a package with vector."""

from __future__ import annotations

import kimbledb
from tests.conftest import picture
from tests.faults.parts import sql

from .conftest import each

pytestmark = each(16, 17, 18)


async def test_it_is_applied_and_proved(fresh: str) -> None:
    """All that a bare server gets is applied, every check passes, and there is nothing to do twice."""
    report = await kimbledb.migrate(fresh)

    assert len(report.applied) == 34
    assert report.verification.failures == ()
    assert (await kimbledb.migrate(fresh)).applied == ()


async def test_it_is_adopted_after_its_history_was_lost(migrated: str) -> None:
    """Every migration is found again by what is there, and what was adopted verifies."""
    await sql(migrated, "DROP TABLE migration_history, migration_log")

    report = await kimbledb.adopt(migrated)

    assert len(report.adopted) == 34
    assert (await kimbledb.plan(migrated)).pending == ()
    assert (await kimbledb.verify(migrated)).failures == ()


async def test_it_goes_back_whole(migrated: str) -> None:
    """A rollback of everything leaves an empty schema."""
    report = await kimbledb.rollback(migrated, to=0)

    assert len(report.rolled_back) == 34
    assert list(await picture(migrated)) == []


async def test_a_real_change_is_drift(migrated: str) -> None:
    """What somebody changed is named, and nothing else is."""
    await sql(migrated, "ALTER TABLE messages ALTER COLUMN content DROP NOT NULL")
    await sql(migrated, "ALTER VIEW restore_points SET (security_barrier = true)")

    found = {check.name for check in (await kimbledb.verify(migrated)).failures}

    assert found == {"column messages.content", "view restore_points"}
