"""What the schema does by itself: triggers, views and functions that reckon."""

from __future__ import annotations

from decimal import Decimal

import asyncpg
import pytest

import kimbledb


async def test_a_version_of_ones_own_file(tables: asyncpg.Connection) -> None:
    """A new version of a file retires the one before and counts on, when it is told at once and when it is told later."""
    await tables.execute("INSERT INTO file_registry (id, user_id) VALUES ('one', 'ann'), ('three', 'ann')")
    await tables.execute("INSERT INTO file_registry (id, user_id, previous_version_id) VALUES ('two', 'ann', 'one')")
    await tables.execute("UPDATE file_registry SET previous_version_id = 'two' WHERE id = 'three'")

    rows = await tables.fetch("SELECT id, version, is_current_version FROM file_registry ORDER BY version")

    assert [tuple(row) for row in rows] == [("one", 1, False), ("two", 2, False), ("three", 3, True)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO file_registry (user_id, previous_version_id) VALUES ('ann', 'of_bob')",
        "UPDATE file_registry SET previous_version_id = 'of_bob' WHERE id = 'of_ann'",
    ],
    ids=["insert", "update"],
)
async def test_a_version_of_somebody_elses_file(tables: asyncpg.Connection, statement: str) -> None:
    """Nobody makes a file the version before one's own that is another person's, though the key alone would let them."""
    await tables.execute("INSERT INTO file_registry (id, user_id) VALUES ('of_bob', 'bob'), ('of_ann', 'ann')")

    with pytest.raises(asyncpg.ForeignKeyViolationError, match="of_bob is no file of the same person"):
        await tables.execute(statement)

    assert await tables.fetchval("SELECT is_current_version FROM file_registry WHERE id = 'of_bob'")


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
async def test_a_budget_is_of_utc_periods(tables: asyncpg.Connection, zone: str) -> None:
    """Costs are added up by hours, days and months of UTC, whatever the session's time zone, and each threshold alerts once."""
    await tables.execute(f"SET TIME ZONE '{zone}'")
    await tables.execute("INSERT INTO budget_config (user_id, daily_limit, monthly_limit) VALUES ('ann', 10, 100)")
    await tables.execute(
        """
        INSERT INTO api_cost_tracking (user_id, cost_usd, "timestamp") VALUES
            ('ann', 4, '2026-03-31 23:30+00'), ('ann', 4, '2026-03-31 23:50+00'), ('ann', 4, '2026-04-01 00:10+00'),
            ('bob', 99, '2026-04-01 00:10+00')
        """
    )

    alerts = await tables.fetch(
        "SELECT user_id, period, threshold, period_start AT TIME ZONE 'UTC' AS start FROM budget_alerts ORDER BY start, threshold"
    )

    shown = [(row["user_id"], row["period"], row["threshold"], str(row["start"])) for row in alerts]
    assert shown == [("ann", "day", 50, "2026-03-31 00:00:00"), ("ann", "day", 75, "2026-03-31 00:00:00")]


async def test_a_limit_of_nothing(tables: asyncpg.Connection) -> None:
    """Who may spend nothing is told of the first cost, as of an emergency."""
    await tables.execute("INSERT INTO budget_config (user_id, hourly_limit) VALUES ('ann', 0)")
    await tables.execute("INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 0.01)")

    assert await tables.fetchval("SELECT max(threshold) FROM budget_alerts WHERE severity = 'emergency'") == 100


async def test_what_a_call_costs(tables: asyncpg.Connection) -> None:
    """A call's cost is what is said, else by its price, else unknown; an unknown one makes a model neither cheap nor dear."""
    await tables.execute(
        """
        INSERT INTO cost_models (provider, model, input_cost_per_million, output_cost_per_million, valid_from)
        VALUES ('openai', 'priced', 10, 30, '2020-01-01');
        INSERT INTO model_performance_metrics (provider, model_name, task_type, input_tokens, output_tokens, cost_usd)
        VALUES ('openai', 'priced', 'coding', 1000, 1000, NULL), ('openai', 'priced', 'coding', 1000, 1000, 0.08),
               ('openai', 'unknown', 'coding', 1000, 1000, NULL);
        """
    )

    rows = await tables.fetch("SELECT * FROM recommend_model('coding', least_requests => 1)")
    cheap = await tables.fetch("SELECT * FROM recommend_model('coding', most_cost_usd => 1, least_requests => 1)")

    assert {row["model_name"]: row["avg_cost_usd"] for row in rows} == {"priced": Decimal("0.060000"), "unknown": None}
    assert rows[0]["model_name"] == "priced"
    assert [row["model_name"] for row in cheap] == ["priced"]


async def test_transcriptions_from_before_are_done(database: str) -> None:
    """What was transcribed before jobs were tracked counts as completed; what has no text waits."""
    await kimbledb.migrate(database, to="add-project-to-transcriptions.sql")
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO users (id) VALUES ('ann')")
    await connection.execute(
        "INSERT INTO audio_transcriptions (user_id, filename, text) VALUES ('ann', 'done', 'hello'), ('ann', 'empty', '')"
    )

    await kimbledb.migrate(database, to="add-transcription-job-tracking.sql")

    rows = await connection.fetch("SELECT filename, status, progress FROM audio_transcriptions ORDER BY filename")
    assert [tuple(row) for row in rows] == [("done", "completed", 100), ("empty", "pending", 0)]
    await connection.close()


async def test_counters_of_present_windows_stay(tables: asyncpg.Connection) -> None:
    """Counters are purged by the end of their window: a week's that is not over goes on counting."""
    await tables.execute("SELECT count_api_request('ann', max_requests => 1, window_seconds => 604800)")
    await tables.execute(
        """
        INSERT INTO api_rate_limits (client_key, endpoint, window_seconds, window_start)
        VALUES ('bob', '*', 60, now() - interval '25 hours'), ('bob', '*', 3600, now() - interval '24 hours 30 minutes'),
               ('bob', '*', 604800, now() - interval '6 days')
        """
    )

    assert await tables.fetchval("SELECT purge_api_rate_limits()") == 1

    assert not await tables.fetchval("SELECT allowed FROM count_api_request('ann', '*', 1, 604800)")


async def test_a_kind_of_error_follows_its_status(tables: asyncpg.Connection) -> None:
    """A kind of error that was told from the status changes with it; one that a statement gave stays."""
    await tables.execute(
        "INSERT INTO api_logs (endpoint, status_code, error_category) VALUES ('told', 500, NULL), ('given', 500, 'timeout')"
    )

    await tables.execute("UPDATE api_logs SET status_code = 404")

    rows = await tables.fetch("SELECT endpoint, error_category FROM api_logs ORDER BY endpoint")
    assert [tuple(row) for row in rows] == [("given", "timeout"), ("told", "not_found")]
