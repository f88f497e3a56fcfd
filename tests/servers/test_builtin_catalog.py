"""The built-in catalog on each version for which there is a package with vector."""

from __future__ import annotations

import kimbledb
from tests.support.databases import sql, take_snapshot

from .conftest import each

pytestmark = each(16, 17, 18)


async def test_its_whole_life(fresh: str) -> None:
    """All of it is applied, proved, adopted after its history was lost, watched for drift, and taken back."""
    before = await take_snapshot(fresh)
    report = await kimbledb.migrate(fresh)
    assert len(report.applied) == 34
    assert report.verification.failures == ()
    assert (await kimbledb.migrate(fresh)).applied == ()

    await sql(fresh, "DROP TABLE migration_history, migration_log")
    assert len((await kimbledb.adopt(fresh)).adopted) == 34
    assert (await kimbledb.plan(fresh)).pending == ()
    assert (await kimbledb.verify(fresh)).failures == ()

    await sql(
        fresh,
        "ALTER TABLE messages ALTER COLUMN content DROP NOT NULL;"
        "ALTER VIEW restore_points SET (security_barrier = true)",
    )
    found = {check.name for check in (await kimbledb.verify(fresh)).failures}
    assert found == {"column messages.content", "view restore_points"}

    await kimbledb.rollback(fresh, to=0, include_adopted=True)
    assert not (await take_snapshot(fresh)).since(before)
