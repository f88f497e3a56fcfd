"""Triggers of workflows: what each type needs, when a schedule is due, and who gets the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

SCHEDULE = "INSERT INTO workflow_triggers (id, workflow_id, trigger_type, schedule, timezone) VALUES ($1, 'flow', 'schedule', $2, $3)"


@pytest.fixture
async def flow(tables: asyncpg.Connection) -> asyncpg.Connection:
    """A connection to the whole schema with a workflow of ann's in it."""
    await tables.execute("INSERT INTO workflows (id, user_id, name) VALUES ('flow', 'ann', 'report')")
    return tables


async def due(flow: asyncpg.Connection) -> None:
    """Let all schedules be due since a minute ago."""
    await flow.execute(
        "UPDATE workflow_triggers SET next_run_at = now() - interval '1 minute' WHERE next_run_at IS NOT NULL"
    )


@pytest.mark.parametrize(
    ("columns", "values", "words"),
    [
        ("trigger_type", "'schedule'", "of type schedule needs workflow_triggers.schedule"),
        ("trigger_type, schedule", "'schedule', ' '", "of type schedule needs workflow_triggers.schedule"),
        ("trigger_type, schedule", "'schedule', '0 25 * * *'", 'its hour "25" is none of 0 to 23'),
        ("trigger_type, schedule", "'schedule', '0 0 31 2 *'", "never comes"),
        ("trigger_type, schedule, timezone", "'schedule', 'daily', 'Europe/Berlni'", 'time zone "Europe/Berlni"'),
        ("trigger_type", "'webhook'", "of type webhook needs workflow_triggers.webhook_key"),
        ("trigger_type, webhook_key", "'webhook', ''", "of type webhook needs workflow_triggers.webhook_key"),
        ("trigger_type", "'event'", "of type event needs workflow_triggers.event_name"),
        ("trigger_type, schedule", "'event', 'daily'", "of type event needs workflow_triggers.event_name"),
    ],
)
async def test_what_a_trigger_needs(flow: asyncpg.Connection, columns: str, values: str, words: str) -> None:
    """A trigger that lacks what its type needs, or has a schedule or a time zone that nobody knows, is refused with the column or the fault."""
    with pytest.raises(asyncpg.PostgresError, match=words) as caught:
        await flow.execute(f"INSERT INTO workflow_triggers (workflow_id, {columns}) VALUES ('flow', {values})")

    assert isinstance(caught.value, asyncpg.CheckViolationError | asyncpg.InvalidParameterValueError)


async def test_a_trigger_that_is_changed(flow: asyncpg.Connection) -> None:
    """A change is checked like a new trigger: of the schedule, of the time zone, of the type."""
    await flow.execute(SCHEDULE, "one", "daily", "UTC")

    for change, words in (
        ("schedule = 'whenever'", "whenever"),
        ("timezone = 'XYZ5'", "XYZ5"),
        ("trigger_type = 'webhook'", "webhook_key"),
        ("schedule = NULL", "needs workflow_triggers.schedule"),
    ):
        with pytest.raises(asyncpg.PostgresError, match=words):
            await flow.execute(f"UPDATE workflow_triggers SET {change}")


async def test_the_next_run_is_computed(flow: asyncpg.Connection) -> None:
    """A schedule has its next run by the clock of its zone, from when it starts; another type, and one that is turned off, has none."""
    await flow.execute(SCHEDULE, "one", "30 9 * * *", "Asia/Kathmandu")

    async def next_run() -> datetime | None:
        found: datetime | None = await flow.fetchval("SELECT next_run_at FROM workflow_triggers")
        return found

    now = datetime.now(UTC)
    first = await next_run()
    assert first is not None
    # Kathmandu is 5:45 ahead of UTC.
    assert (first.hour, first.minute) == (3, 45)
    assert now < first <= now + timedelta(days=1)
    for change, expected in (
        ("starts_at = '2097-01-31 00:00+00'", datetime(2097, 1, 31, 3, 45, tzinfo=UTC)),
        ("schedule = '0 0 * * *', timezone = 'UTC'", datetime(2097, 1, 31, tzinfo=UTC)),
        ("starts_at = '2097-01-31 09:00+00', schedule = 'monthly'", datetime(2097, 1, 31, 9, tzinfo=UTC)),
        ("active = false", None),
        ("active = true", datetime(2097, 1, 31, 9, tzinfo=UTC)),
        ("trigger_type = 'event', event_name = 'saved'", None),
        ("trigger_type = 'schedule', next_run_at = '2096-01-01 00:00+00'", datetime(2096, 1, 1, tzinfo=UTC)),
    ):
        await flow.execute(f"UPDATE workflow_triggers SET {change}")
        assert await next_run() == expected, change


async def test_a_period_counts_from_the_trigger(flow: asyncpg.Connection) -> None:
    """Without a start a period counts from when the trigger was made, and weekdays without a time begin at midnight."""
    await flow.execute(SCHEDULE, "one", "every 15 minutes", "UTC")
    await flow.execute(SCHEDULE, "two", "every monday", "UTC")

    rows = await flow.fetch("SELECT created_at, next_run_at FROM workflow_triggers ORDER BY id")

    assert rows[0]["next_run_at"] == rows[0]["created_at"] + timedelta(minutes=15)
    assert f"{rows[1]['next_run_at'].astimezone(UTC):%A %H:%M}" == "Monday 00:00"


async def test_what_is_due_is_claimed(flow: asyncpg.Connection) -> None:
    """A claim gives a pending execution for each schedule that is due, keeps its slot, leaves out the slots that were missed, and gives it once."""
    await flow.execute(SCHEDULE, "hourly", "hourly", "UTC")
    await flow.execute(SCHEDULE, "later", "daily", "UTC")
    await flow.execute("UPDATE workflow_triggers SET created_at = now() - interval '630 minutes' WHERE id = 'hourly'")
    await flow.execute("UPDATE workflow_triggers SET next_run_at = created_at + interval '1 hour' WHERE id = 'hourly'")
    made = await flow.fetchval("SELECT created_at FROM workflow_triggers WHERE id = 'hourly'")

    runs = await flow.fetch(
        "SELECT status, user_id, trigger_id, (trigger_data ->> 'scheduled_for')::timestamptz FROM claim_workflow_triggers()"
    )

    assert [tuple(run) for run in runs] == [("pending", "ann", "hourly", made + timedelta(hours=1))]
    assert await flow.fetch("SELECT * FROM claim_workflow_triggers()") == []
    trigger = await flow.fetchrow(
        "SELECT next_run_at, last_triggered_at > now() - interval '1 minute' FROM workflow_triggers WHERE id = 'hourly'"
    )
    assert trigger is not None
    assert tuple(trigger) == (made + timedelta(hours=11), True)


async def test_a_run_is_claimed_by_one(flow: asyncpg.Connection, migrated_database: str) -> None:
    """Of two who claim at once each gets other runs, and neither waits; what both claimed is there once."""
    for name in ("a", "b", "c"):
        await flow.execute(SCHEDULE, name, "daily", "UTC")
    await due(flow)
    other = await asyncpg.connect(migrated_database, server_settings={"lock_timeout": "100ms"})

    async with flow.transaction():
        mine = await flow.fetch("SELECT trigger_id FROM claim_workflow_triggers(2)")
        theirs = await other.fetch("SELECT trigger_id FROM claim_workflow_triggers()")
        assert await other.fetch("SELECT trigger_id FROM claim_workflow_triggers()") == []

    assert [row[0] for row in mine + theirs] == ["a", "b", "c"]
    assert await flow.fetchval("SELECT count(*) FROM workflow_executions") == 3
    assert await flow.fetch("SELECT * FROM claim_workflow_triggers()") == []
    await other.close()


async def test_a_workflow_that_is_off(flow: asyncpg.Connection) -> None:
    """Nothing of a workflow that is off is due, and one that is turned on again does not make up for it."""
    await flow.execute(SCHEDULE, "one", "hourly", "UTC")
    await flow.execute("UPDATE workflows SET enabled = false")
    await due(flow)
    assert await flow.fetch("SELECT * FROM claim_workflow_triggers()") == []

    await flow.execute("UPDATE workflows SET status = 'paused'")
    await flow.execute("UPDATE workflows SET status = 'active'")

    assert await flow.fetch("SELECT * FROM claim_workflow_triggers()") == []
    assert await flow.fetchval("SELECT next_run_at > now() FROM workflow_triggers")


async def test_a_schedule_from_before_it_was_checked(flow: asyncpg.Connection) -> None:
    """A schedule that was written before it was checked does not keep the others from their runs: it is turned off, with the reason."""
    await flow.execute("ALTER TABLE workflow_triggers DISABLE TRIGGER workflow_triggers_plan")
    await flow.execute(SCHEDULE, "bad", "whenever", "UTC")
    await flow.execute(SCHEDULE, "new", "daily", "UTC")
    await flow.execute("ALTER TABLE workflow_triggers ENABLE TRIGGER workflow_triggers_plan")
    await flow.execute(SCHEDULE, "good", "daily", "UTC")
    await due(flow)

    runs = await flow.fetch("SELECT trigger_id FROM claim_workflow_triggers()")

    assert [run["trigger_id"] for run in runs] == ["good"]
    rows = await flow.fetch(
        "SELECT id, active, next_run_at > now() AS planned, last_error FROM workflow_triggers ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("bad", False, None, 'the schedule "whenever" is not understood'),
        ("good", True, True, None),
        ("new", True, True, None),
    ]
