"""Tasks of the agent: attempts that end, leases, and recurrences that go on in their slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest


async def add(tables: asyncpg.Connection, **columns: Any) -> Any:
    """Insert a task, and return its id."""
    names = ["task_type", *columns]
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    return await tables.fetchval(
        f"INSERT INTO agent_tasks ({', '.join(names)}) VALUES ({places}) RETURNING id",
        "run_tests",
        *columns.values(),
    )


async def row(tables: asyncpg.Connection, task: Any) -> asyncpg.Record:
    """Return a task."""
    found = await tables.fetchrow("SELECT * FROM agent_tasks WHERE id = $1", task)
    assert found is not None
    return found


async def following(tables: asyncpg.Connection, task: Any) -> asyncpg.Record:
    """Return the next run of a task."""
    found = await tables.fetchrow("SELECT * FROM agent_tasks WHERE recurs_from = $1", task)
    assert found is not None
    return found


async def agent_dies(tables: asyncpg.Connection) -> None:
    """Let the leases of all tasks be over."""
    await tables.execute(
        "UPDATE agent_tasks SET lease_until = clock_timestamp() - interval '1 second' WHERE lease_until > now()"
    )


async def test_a_dead_agents_last_attempt_has_failed(tables: asyncpg.Connection) -> None:
    """A task whose agent died is given out again, and after its last attempt it ends as failed, with its reason and its place in the log."""
    task = await add(tables, max_attempts=2)
    attempts = []
    for _ in range(3):
        attempts += [row["attempts"] for row in await tables.fetch("SELECT attempts FROM claim_agent_task()")]
        await agent_dies(tables)

    assert attempts == [1, 2]
    ended = await row(tables, task)
    assert (ended["status"], ended["error_message"]) == ("failed", "its agent went silent in attempt 2 of 2")
    assert ended["completed_at"] is not None
    assert ended["lease_until"] is None
    log = await tables.fetch(
        "SELECT event, level, attempt FROM agent_execution_log WHERE task_id = $1 ORDER BY id", task
    )
    assert [tuple(entry) for entry in log] == [
        ("created", "info", 0),
        ("in_progress", "info", 1),
        ("in_progress", "info", 2),
        ("failed", "error", 2),
    ]


async def test_a_task_of_the_application_ends_likewise(tables: asyncpg.Connection) -> None:
    """A task that a statement set in progress has a lease of an hour, and then no agent."""
    task = await add(tables, attempts=3, max_attempts=3)
    await tables.execute("UPDATE agent_tasks SET status = 'in_progress', started_at = now() WHERE id = $1", task)
    lease = (await row(tables, task))["lease_until"] - datetime.now(UTC)
    assert timedelta(minutes=59) < lease <= timedelta(hours=1)
    assert await tables.fetchval("SELECT fail_silent_agent_tasks()") == 0

    await agent_dies(tables)

    assert await tables.fetchval("SELECT fail_silent_agent_tasks()") == 1
    assert (await row(tables, task))["status"] == "failed"


async def test_a_task_without_an_attempt_left_does_not_wait_for_ever(tables: asyncpg.Connection) -> None:
    """What waits for an attempt that it may not have ends as failed, once it is due and unless it is paused."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    tasks = [
        await add(tables, attempts=3),
        await add(tables, attempts=3, scheduled_for=tomorrow),
        await add(tables, attempts=3, is_active=False),
    ]

    assert await tables.fetch("SELECT * FROM claim_agent_task()") == []

    assert [(await row(tables, task))["status"] for task in tasks] == ["failed", "pending", "pending"]


async def test_a_lease_that_is_renewed(tables: asyncpg.Connection) -> None:
    """Nobody gets the task of an agent at work; a lease is as long as it is asked for, and renewed by the agent that has it."""
    task = await add(tables)
    claimed = await tables.fetchrow("SELECT * FROM claim_agent_task(lease => '2 minutes')")
    assert claimed is not None
    assert claimed["lease_until"] - claimed["started_at"] < timedelta(minutes=2, seconds=1)

    renewed = await tables.fetchval("SELECT renew_agent_task($1, 1, '10 minutes')", task)

    assert renewed - claimed["started_at"] >= timedelta(minutes=10)
    assert await tables.fetch("SELECT * FROM claim_agent_task()") == []
    with pytest.raises(asyncpg.InvalidParameterValueError, match="a lease must be longer than nothing"):
        await tables.execute("SELECT claim_agent_task(lease => '0')")


async def test_an_agent_that_lost_its_task(tables: asyncpg.Connection) -> None:
    """An agent that comes back after its lease does not end the attempt of the next one."""
    task = await add(tables)
    await tables.execute("SELECT claim_agent_task()")
    await agent_dies(tables)
    await tables.execute("SELECT claim_agent_task()")

    for call in ("renew_agent_task($1, 1)", "finish_agent_task($1, 'completed', of_attempt => 1)"):
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="is in attempt 2, attempt 1 is over"):
            await tables.execute(f"SELECT {call}", task)

    await tables.execute("SELECT finish_agent_task($1, 'completed', of_attempt => 2)", task)
    assert (await row(tables, task))["status"] == "completed"


async def test_a_task_is_given_to_one(tables: asyncpg.Connection, migrated_database: str) -> None:
    """Of two agents who ask at once each gets another task, and a third gets none, without waiting."""
    first, second = await add(tables, priority=9), await add(tables)
    other = await asyncpg.connect(migrated_database, server_settings={"lock_timeout": "100ms"})
    claim = "SELECT id FROM claim_agent_task()"

    async with tables.transaction():
        taken = await tables.fetchval(claim)
        async with other.transaction():
            assert (taken, await other.fetchval(claim), await other.fetchval(claim)) == (first, second, None)

    assert await tables.fetchval("SELECT max(attempts) FROM agent_tasks") == 1
    await other.close()


@pytest.mark.parametrize("outcome", ["completed", "failed", "skipped"])
@pytest.mark.parametrize(
    "way", ["SELECT finish_agent_task($1, '{}')", "UPDATE agent_tasks SET status = '{}' WHERE id = $1"]
)
async def test_a_recurrence_goes_on_however_a_run_ends(tables: asyncpg.Connection, way: str, outcome: str) -> None:
    """The next run is queued whether one is completed, has failed or was skipped, and whoever says so; twice ended it is queued once."""
    task = await add(tables, recurrence="daily", max_attempts=1, title="report", priority=7, user_id="ann")
    await tables.execute("SELECT claim_agent_task()")

    await tables.execute(way.format(outcome), task)

    then = await following(tables, task)
    assert (then["status"], then["title"], then["priority"], then["user_id"]) == ("pending", "report", 7, "ann")
    assert (then["recurrence"], then["attempts"]) == ("daily", 0)
    await tables.execute("UPDATE agent_tasks SET status = 'pending' WHERE id = $1", task)
    await tables.execute("UPDATE agent_tasks SET status = 'skipped' WHERE id = $1", task)
    assert await following(tables, task) == then


async def test_a_dead_agents_task_recurs(tables: asyncpg.Connection) -> None:
    """The next run is queued, too, where the last attempt of one ended with its agent."""
    task = await add(tables, recurrence="PT15M", max_attempts=1)
    await tables.execute("SELECT claim_agent_task()")
    await agent_dies(tables)

    assert await tables.fetch("SELECT * FROM claim_agent_task()") == []

    assert (await following(tables, task))["scheduled_for"] == (await row(tables, task))["recurs_since"] + timedelta(
        minutes=15
    )


async def test_a_recurrence_keeps_its_slot(tables: asyncpg.Connection) -> None:
    """A run that begins late, fails, is tried again later and takes its time is followed by one in the next slot, not by one that drifts."""
    slot = datetime.now(UTC) - timedelta(hours=3)
    task = await add(tables, recurrence="daily", scheduled_for=slot)
    await tables.execute("SELECT claim_agent_task()")
    await tables.execute("SELECT finish_agent_task($1, 'failed')", task)
    assert (await row(tables, task))["scheduled_for"] > slot + timedelta(hours=3)
    await tables.execute("UPDATE agent_tasks SET scheduled_for = now() - interval '1 minute'")
    await tables.execute("SELECT claim_agent_task()")

    await tables.execute("SELECT finish_agent_task($1, 'completed')", task)

    assert (await following(tables, task))["scheduled_for"] == slot + timedelta(days=1)


async def test_missed_slots_are_left_out(tables: asyncpg.Connection) -> None:
    """After ten and a half hours without an agent one run makes up for all that were missed, and the next slot is in the future."""
    slot = datetime.now(UTC) - timedelta(hours=10, minutes=30)
    task = await add(tables, recurrence="hourly", scheduled_for=slot)
    await tables.execute("SELECT claim_agent_task()")
    await tables.execute("SELECT finish_agent_task($1, 'completed')", task)

    assert (await following(tables, task))["scheduled_for"] == slot + timedelta(hours=11)


@pytest.mark.parametrize(
    ("recurrence", "first", "expected"),
    [
        (
            "monthly",
            "2096-12-31 09:00",
            ["2097-01-31 09:00", "2097-02-28 09:00", "2097-03-31 09:00", "2097-04-30 09:00"],
        ),
        ("P1M", "2096-01-31 09:00", ["2096-02-29 09:00", "2096-03-31 09:00", "2096-04-30 09:00", "2096-05-31 09:00"]),
        # 2097-01-04 is a Friday.
        (
            "every friday",
            "2097-01-04 09:00",
            ["2097-01-11 09:00", "2097-01-18 09:00", "2097-01-25 09:00", "2097-02-01 09:00"],
        ),
        (
            "0 9 31 * *",
            "2097-01-31 09:00",
            ["2097-03-31 09:00", "2097-05-31 09:00", "2097-07-31 09:00", "2097-08-31 09:00"],
        ),
    ],
)
async def test_run_after_run(tables: asyncpg.Connection, recurrence: str, first: str, expected: list[str]) -> None:
    """From run to run a recurrence lands on the 31st or the month's last day, on its weekday, in its slot."""
    task = await add(tables, recurrence=recurrence, scheduled_for=datetime.fromisoformat(first).replace(tzinfo=UTC))
    found = []
    for _ in expected:
        await tables.execute("UPDATE agent_tasks SET status = 'skipped' WHERE id = $1", task)
        then = await following(tables, task)
        task = then["id"]
        found.append(f"{then['scheduled_for'].astimezone(UTC):%Y-%m-%d %H:%M}")

    assert found == expected


async def test_a_recurrence_by_the_clock_of_a_zone(tables: asyncpg.Connection) -> None:
    """A daily run stays at nine in Berlin, where clocks change on 2097-03-31 at 01:00 UTC."""
    task = await add(
        tables, recurrence="daily", timezone="Europe/Berlin", scheduled_for=datetime(2097, 3, 30, 8, tzinfo=UTC)
    )

    await tables.execute("UPDATE agent_tasks SET status = 'skipped' WHERE id = $1", task)

    assert (await following(tables, task))["scheduled_for"] == datetime(2097, 3, 31, 7, tzinfo=UTC)


async def test_a_recurrence_that_is_not_understood(tables: asyncpg.Connection) -> None:
    """A recurrence that nobody understands is refused when it is written, and so is a time zone; a blank one means once."""
    for recurrence, zone, words in (
        ("whenever", "UTC", 'the schedule "whenever" is not understood'),
        ("0 3 * *", "UTC", "a cron line has five fields and it has 4"),
        ("daily", "Mars/Olympus", 'time zone "Mars/Olympus"'),
    ):
        with pytest.raises(asyncpg.InvalidParameterValueError, match=words):
            await add(tables, recurrence=recurrence, timezone=zone)
    task = await add(tables, recurrence=" ")
    assert (await row(tables, task))["recurrence"] is None

    with pytest.raises(asyncpg.InvalidParameterValueError, match="whenever"):
        await tables.execute("UPDATE agent_tasks SET recurrence = 'whenever'")


async def test_a_recurrence_from_before_it_was_checked(tables: asyncpg.Connection) -> None:
    """A task whose recurrence was written before it was checked ends, and the log has an error: it does not stop silently."""
    await tables.execute("ALTER TABLE agent_tasks DISABLE TRIGGER agent_tasks_plan")
    task = await add(tables, recurrence="whenever")
    await tables.execute("ALTER TABLE agent_tasks ENABLE TRIGGER agent_tasks_plan")
    await tables.execute("SELECT claim_agent_task()")

    await tables.execute("SELECT finish_agent_task($1, 'completed')", task)

    assert (await row(tables, task))["status"] == "completed"
    entry = await tables.fetchrow("SELECT level, message FROM agent_execution_log WHERE event = 'recurrence_ended'")
    assert entry is not None
    assert tuple(entry) == ("error", 'the schedule "whenever" is not understood')


async def test_when_the_first_run_is(tables: asyncpg.Connection) -> None:
    """A period begins at once; a schedule that names its times waits for the first of them, also where it is changed."""
    now = datetime.now(UTC)
    daily, at_three = await add(tables, recurrence="daily"), await add(tables, recurrence="0 3 * * *")

    assert (await row(tables, daily))["scheduled_for"] is None
    waits = (await row(tables, at_three))["scheduled_for"]
    assert (waits.hour, waits.minute) == (3, 0)
    assert now < waits <= now + timedelta(days=1)
    await tables.execute("UPDATE agent_tasks SET recurrence = 'every day at 05:30' WHERE id = $1", at_three)
    moved = (await row(tables, at_three))["scheduled_for"]
    assert (moved.hour, moved.minute) == (5, 30)


async def test_a_run_that_is_moved(tables: asyncpg.Connection) -> None:
    """Where the first run is moved before it begins the recurrence moves along; a later run is moved alone."""
    task = await add(tables, recurrence="daily", scheduled_for=datetime(2097, 1, 1, 9, tzinfo=UTC))
    await tables.execute("UPDATE agent_tasks SET scheduled_for = '2097-01-01 12:00+00' WHERE id = $1", task)
    await tables.execute("UPDATE agent_tasks SET status = 'skipped' WHERE id = $1", task)
    second = await following(tables, task)
    assert second["scheduled_for"] == datetime(2097, 1, 2, 12, tzinfo=UTC)

    await tables.execute("UPDATE agent_tasks SET scheduled_for = '2097-01-02 17:00+00' WHERE id = $1", second["id"])
    await tables.execute("UPDATE agent_tasks SET status = 'skipped' WHERE id = $1", second["id"])

    assert (await following(tables, second["id"]))["scheduled_for"] == datetime(2097, 1, 3, 12, tzinfo=UTC)


async def test_a_recurrence_that_is_paused_and_one_that_is_ended(tables: asyncpg.Connection) -> None:
    """The next run of a paused task is paused; without its recurrence a task has no next run."""
    paused = await add(tables, recurrence="daily", is_active=False)
    ended = await add(tables, recurrence="daily")
    await tables.execute("UPDATE agent_tasks SET recurrence = NULL WHERE id = $1", ended)

    await tables.execute("UPDATE agent_tasks SET status = 'skipped'")

    assert (await following(tables, paused))["is_active"] is False
    assert await tables.fetchval("SELECT count(*) FROM agent_tasks") == 3
