"""Budgets: the totals of what calls cost, and the alerts of shares that are reached. All numbers are worked out by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal

import asyncpg
import pytest

import kimbledb
from tests.support.waiting import eventually

#: What a person has spent in each period, smallest period first.
TOTALS = """
    SELECT period, to_char(period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24') AS start, spent_usd FROM budget_spending
    WHERE user_id = 'ann' AND spent_usd > 0 ORDER BY period_start, length(period) DESC, period
"""
ALERTS = (
    "SELECT threshold FROM budget_alerts WHERE user_id = 'ann' AND period = 'month' ORDER BY \"timestamp\", threshold"
)
#: The rows that statements of this session read, by the statistics of the server.
ROWS_READ = """
    SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables
    WHERE relname IN ('api_cost_tracking', 'budget_changes', 'budget_spending', 'budget_config', 'budget_alerts')
"""


@pytest.fixture
async def ann(migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the whole schema with a person who may spend 100 USD a month."""
    connection = await asyncpg.connect(migrated_database)
    await connection.execute(
        "INSERT INTO users (id) VALUES ('ann'), ('bob'); INSERT INTO budget_config (user_id, monthly_limit) VALUES ('ann', 100)"
    )
    yield connection
    await connection.close()


async def spend(connection: asyncpg.Connection, usd: float | str, at: str = "2026-03-10 12:00+00") -> None:
    """Write a call of ann that costs so much."""
    await connection.execute(
        "INSERT INTO api_cost_tracking (user_id, cost_usd, \"timestamp\") VALUES ('ann', $1, $2)",
        Decimal(usd),
        datetime.fromisoformat(at),
    )


async def totals(connection: asyncpg.Connection) -> list[tuple[str, str, float]]:
    """Return each period, its start in UTC, and what ann spent in it."""
    return [(row[0], row[1], float(row[2])) for row in await connection.fetch(TOTALS)]


async def told(connection: asyncpg.Connection) -> list[int]:
    """Return the shares of ann's monthly budget that were told, in the order in which they were."""
    return [row[0] for row in await connection.fetch(ALERTS)]


async def test_totals_follow_every_change_of_calls(ann: asyncpg.Connection) -> None:
    """What was spent in each hour, day and month is right after calls are written, moved, made dearer, given away and deleted."""
    await ann.execute(
        """
        INSERT INTO api_cost_tracking (user_id, endpoint, cost_usd, "timestamp") VALUES
            ('ann', 'one', 1, '2026-03-31 23:10+00'), ('ann', 'two', 2, '2026-03-31 23:50+00'),
            ('ann', 'three', 4, '2026-04-01 00:10+00'), ('bob', 'four', 64, '2026-04-01 00:10+00'), (NULL, 'five', 128, '2026-04-01 00:10+00')
        """
    )
    written = await totals(ann)
    await ann.execute("UPDATE api_cost_tracking SET \"timestamp\" = '2026-04-01 00:20+00' WHERE endpoint = 'two'")
    moved = await totals(ann)
    await ann.execute(
        "UPDATE api_cost_tracking SET cost_usd = cost_usd + 8, user_id = 'ann' WHERE endpoint IN ('one', 'four')"
    )
    given = await totals(ann)
    await ann.execute("DELETE FROM api_cost_tracking WHERE endpoint IN ('one', 'three')")
    deleted = await totals(ann)

    assert written == [
        ("month", "2026-03-01 00", 3),
        ("day", "2026-03-31 00", 3),
        ("hour", "2026-03-31 23", 3),
        ("month", "2026-04-01 00", 4),
        ("hour", "2026-04-01 00", 4),
        ("day", "2026-04-01 00", 4),
    ]
    assert [spent for _, _, spent in moved] == [1, 1, 1, 6, 6, 6]
    assert [spent for _, _, spent in given] == [9, 9, 9, 78, 78, 78]
    assert [spent for _, _, spent in deleted] == [74, 74, 74]
    assert await ann.fetchval("SELECT count(*) FROM budget_spending WHERE user_id = 'bob' AND spent_usd <> 0") == 0


async def test_an_upsert_counts_once(ann: asyncpg.Connection) -> None:
    """One statement that writes a new call and changes another one, in a month that is not counted yet, adds each once."""
    await ann.execute(
        "ALTER TABLE api_cost_tracking DISABLE TRIGGER USER;"
        "INSERT INTO api_cost_tracking (id, user_id, cost_usd, \"timestamp\") VALUES ('00000000-0000-4000-8000-000000000001', 'ann', 10, '2026-03-10');"
        "ALTER TABLE api_cost_tracking ENABLE TRIGGER USER"
    )
    await ann.execute(
        """
        INSERT INTO api_cost_tracking (id, user_id, cost_usd, "timestamp") VALUES
            ('00000000-0000-4000-8000-000000000001', 'ann', 13, '2026-03-10'), ('00000000-0000-4000-8000-000000000002', 'ann', 5, '2026-03-10')
        ON CONFLICT (id) DO UPDATE SET cost_usd = excluded.cost_usd
        """
    )

    assert {spent for _, _, spent in await totals(ann)} == {18}


async def test_calls_from_before_the_totals_count(ann: asyncpg.Connection) -> None:
    """Calls that were there before any total was kept count from the first call after them, and so do the shares that they reach."""
    await ann.execute("ALTER TABLE api_cost_tracking DISABLE TRIGGER USER")
    await spend(ann, 30, "2026-03-01 00:00+00")
    await spend(ann, 21, "2026-03-31 23:59+00")
    await spend(ann, 500, "2026-04-01 00:00+00")
    await ann.execute("ALTER TABLE api_cost_tracking ENABLE TRIGGER USER")
    assert await totals(ann) == []

    await spend(ann, 1)

    assert [total for total in await totals(ann) if total[0] == "month"] == [("month", "2026-03-01 00", 52)]
    assert await told(ann) == [50]


async def test_a_deleted_total_is_counted_anew(ann: asyncpg.Connection) -> None:
    """Where somebody deletes the total of a month, the next call of that month counts it anew from the calls."""
    await spend(ann, 30)
    await ann.execute("UPDATE budget_spending SET spent_usd = 7777; DELETE FROM budget_spending WHERE period = 'month'")

    await spend(ann, 5)

    assert [spent for _, _, spent in await totals(ann)] == [35, 35, 35]


@pytest.mark.parametrize("statement", ["DELETE FROM users WHERE id = 'ann'", "TRUNCATE api_cost_tracking"])
async def test_totals_go_with_calls(ann: asyncpg.Connection, statement: str) -> None:
    """Nothing is kept of a person who is deleted, or of calls that are truncated."""
    await spend(ann, 30)
    await ann.execute("DELETE FROM budget_spending WHERE period <> 'month'")

    await ann.execute(statement)

    assert await ann.fetchval("SELECT count(*) FROM budget_spending") == 0


async def test_each_share_is_told_once_in_a_month(ann: asyncpg.Connection) -> None:
    """Shares are told when they are reached, once, also if what was spent falls below them and rises again; a new month begins anew."""
    for usd, after in ((49.99, []), (0.01, [50]), (40, [50, 75, 90]), (9.99, [50, 75, 90]), (0.01, [50, 75, 90, 100])):
        await spend(ann, usd)
        assert await told(ann) == after
    await ann.execute("DELETE FROM api_cost_tracking WHERE cost_usd = 40")
    await spend(ann, 40)
    assert await told(ann) == [50, 75, 90, 100]

    await spend(ann, 60, "2026-04-01 00:00+00")

    assert await told(ann) == [50, 75, 90, 100, 50]


async def test_a_share_beyond_a_thousand_percent(ann: asyncpg.Connection) -> None:
    """An alert shows the true share, however far it is past the limit; of a limit of nothing it shows none."""
    await spend(ann, 1234.56)
    await ann.execute("UPDATE budget_config SET monthly_limit = 0.01")
    await spend(ann, 5000)
    await ann.execute("UPDATE budget_config SET monthly_limit = NULL, daily_limit = 0")
    await spend(ann, 1)
    await ann.execute("INSERT INTO budget_alerts (user_id, percent_used) VALUES ('bob', 123456.789)")

    shown = await ann.fetch(
        "SELECT DISTINCT user_id, period, percent_used FROM budget_alerts ORDER BY user_id, period, percent_used"
    )

    assert [tuple(row) for row in shown] == [
        ("ann", "day", None),
        ("ann", "month", Decimal("1234.56")),
        ("bob", None, Decimal("123456.79")),
    ]


async def test_a_limit_that_changes(ann: asyncpg.Connection) -> None:
    """A lower limit tells at once what it makes reached, and nothing twice; a higher one tells anew when its greater amounts are reached."""
    now = "clock_timestamp()"
    await ann.execute(f"INSERT INTO api_cost_tracking (user_id, cost_usd, \"timestamp\") VALUES ('ann', 60, {now})")
    assert await told(ann) == [50]

    await ann.execute("UPDATE budget_config SET monthly_limit = 80")
    assert await told(ann) == [50, 75]

    await ann.execute("UPDATE budget_config SET monthly_limit = 200")
    await ann.execute(f"INSERT INTO api_cost_tracking (user_id, cost_usd, \"timestamp\") VALUES ('ann', 39, {now})")
    assert await told(ann) == [50, 75]
    await ann.execute(f"INSERT INTO api_cost_tracking (user_id, cost_usd, \"timestamp\") VALUES ('ann', 1, {now})")
    assert await told(ann) == [50, 75, 50]

    await ann.execute("UPDATE budget_config SET monthly_limit = 100, alert_at_75 = false")
    assert await told(ann) == [50, 75, 50, 90, 100]
    await ann.execute("UPDATE budget_config SET alert_at_75 = true")
    assert await told(ann) == [50, 75, 50, 90, 100, 75]


@pytest.mark.parametrize("limit_first", [True, False])
async def test_a_limit_and_calls_of_one_transaction(ann: asyncpg.Connection, *, limit_first: bool) -> None:
    """A limit that is set in the transaction that writes the first calls of a month counts them once."""
    await ann.execute("DELETE FROM budget_spending")
    limit = "UPDATE budget_config SET monthly_limit = 50"
    calls = "INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 10), ('ann', 20)"
    await ann.execute("; ".join([limit, calls] if limit_first else [calls, limit]))

    assert {spent for _, _, spent in await totals(ann)} == {30}
    assert await told(ann) == [50]


async def test_a_person_who_lowers_a_limit_is_told(hosted_migrated_database: str) -> None:
    """A person sets a limit of their own and is told what it makes reached, and can write neither totals nor alerts."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute(
        "SET search_path = public, extensions; INSERT INTO users (id) VALUES ('ann'), ('bob'); SET ROLE service_role;"
        "INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 6), ('bob', 1);"
        "SET ROLE authenticated; SET kimbledb.user_id = 'ann'"
    )
    await connection.execute("INSERT INTO budget_config (user_id, monthly_limit) VALUES ('ann', 10)")

    assert await told(connection) == [50]
    assert {spent for _, _, spent in await totals(connection)} == {6}
    assert await connection.fetchval("SELECT count(*) FROM budget_spending WHERE user_id = 'bob'") == 0
    for statement in (
        "UPDATE budget_spending SET spent_usd = 0",
        "DELETE FROM budget_alerts",
        "SELECT count_budget_month('ann', now())",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("value", ["-0.01", "NaN"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('bob', $1)",
        "INSERT INTO budget_config (user_id, monthly_limit) VALUES ('bob', $1)",
    ],
    ids=["cost", "limit"],
)
async def test_what_is_no_amount_is_refused(ann: asyncpg.Connection, statement: str, value: str) -> None:
    """A cost or a limit that is negative or no number is refused: a running total would keep it for ever."""
    with pytest.raises(asyncpg.CheckViolationError):
        await ann.execute(statement, Decimal(value))


async def test_an_alert_reads_as_little_of_many_calls_as_of_one(ann: asyncpg.Connection) -> None:
    """To write a call the server reads a dozen rows, in a month with 100,000 other calls as in one with one."""

    async def rows_read() -> int:
        # In one transaction: at its end the server may move the counts elsewhere.
        async with ann.transaction():
            before = await ann.fetchval(ROWS_READ)
            await spend(ann, "0.000001")
            await ann.execute("SET CONSTRAINTS ALL IMMEDIATE")
            return int(await ann.fetchval(ROWS_READ)) - int(before)

    await spend(ann, "0.000001")
    of_one = await rows_read()
    await ann.execute(
        "SET session_replication_role = replica;"
        "INSERT INTO api_cost_tracking (user_id, cost_usd, \"timestamp\") SELECT 'ann', 0.0001, timestamptz '2026-03-01 00:00+00' + n * interval '20 s'"
        " FROM generate_series(1, 100000) AS n; RESET session_replication_role; DELETE FROM budget_spending; ANALYZE api_cost_tracking"
    )
    await spend(ann, "0.000001")

    # An index may return a version or two that is dead already.
    assert abs(await rows_read() - of_one) <= 2
    assert of_one < 15
    assert (await totals(ann))[0] == ("month", "2026-03-01 00", 10.000004)


CALL_OF_30 = "INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 30)"


async def _second(dsn: str, first: asyncpg.Connection) -> tuple[asyncpg.Connection, asyncio.Task[str]]:
    """Write a call on another connection; return that connection and the statement when it waits for the first connection."""
    other = await asyncpg.connect(dsn)
    pid = other.get_server_pid()
    running = asyncio.create_task(other.execute(CALL_OF_30))

    async def waits() -> bool:
        return bool(await first.fetchval("SELECT pg_backend_pid() = ANY (pg_blocking_pids($1))", pid))

    await eventually(waits, seconds=10)
    return other, running


@pytest.mark.parametrize("counted", [True, False], ids=["later", "first of the month"])
@pytest.mark.parametrize(("end", "spent", "after"), [("COMMIT", 60, [50]), ("ROLLBACK", 30, [])])
async def test_two_transactions_at_once(
    ann: asyncpg.Connection, migrated_database: str, counted: bool, end: str, spent: int, after: list[int]
) -> None:
    """Of two transactions that see nothing of each other, and neither of which reaches a share alone, the one that ends last tells it."""
    if not counted:
        await ann.execute("DELETE FROM budget_spending")
    other = await asyncpg.connect(migrated_database)
    for connection in (ann, other):
        await connection.execute(f"BEGIN; {CALL_OF_30}")
    await other.execute("COMMIT")
    assert await told(other) == []

    await ann.execute(end)

    assert await told(other) == after
    assert [total for period, _, total in await totals(other) if period == "month"] == [spent]
    await other.close()


@pytest.mark.parametrize("counted", [True, False], ids=["later", "first of the month"])
@pytest.mark.parametrize(("end", "spent", "after"), [("COMMIT", 60, [50]), ("ROLLBACK", 30, [])])
async def test_two_ends_at_once(
    ann: asyncpg.Connection, migrated_database: str, counted: bool, end: str, spent: int, after: list[int]
) -> None:
    """Of two transactions that end at once, the second waits for the first, and the share that both reach is told once."""
    if not counted:
        await ann.execute("DELETE FROM budget_spending")
    await ann.execute(f"BEGIN; {CALL_OF_30}; SET CONSTRAINTS ALL IMMEDIATE")
    assert await told(ann) == []

    other, running = await _second(migrated_database, ann)
    await ann.execute(end)
    await running

    assert await told(other) == after
    assert [total for period, _, total in await totals(other) if period == "month"] == [spent]
    await other.close()


async def test_a_share_that_both_pass_is_told_once(ann: asyncpg.Connection, migrated_database: str) -> None:
    """Where the first of two transactions passes a share and the second one is past it as well, it is told once, by the first."""
    await ann.execute(
        "BEGIN; INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 55); SET CONSTRAINTS ALL IMMEDIATE"
    )
    other, running = await _second(migrated_database, ann)
    await ann.execute("COMMIT")
    await running

    assert await told(other) == [50, 75]
    assert await other.fetchval("SELECT percent_used FROM budget_alerts WHERE threshold = 50") == 55
    await other.close()


@pytest.mark.parametrize("limit_first", [True, False])
async def test_a_limit_that_changes_while_a_call_is_written(
    ann: asyncpg.Connection, migrated_database: str, limit_first: bool
) -> None:
    """Of a transaction that lowers a limit and one that writes a call, the one that ends last tells what both make reached."""
    other = await asyncpg.connect(migrated_database)
    await ann.execute("BEGIN; UPDATE budget_config SET monthly_limit = 40")
    await other.execute(f"BEGIN; {CALL_OF_30}")
    first, last = (ann, other) if limit_first else (other, ann)
    await first.execute("COMMIT")
    assert await told(first) == []

    await last.execute("COMMIT")

    assert await told(ann) == [50, 75]
    await other.close()


async def test_a_limit_that_changes_as_a_call_ends(ann: asyncpg.Connection, migrated_database: str) -> None:
    """A call that ends while a new limit is being looked at waits for it, and is held to the new limit."""
    await ann.execute("BEGIN; UPDATE budget_config SET monthly_limit = 40; SET CONSTRAINTS ALL IMMEDIATE")
    other, running = await _second(migrated_database, ann)
    await ann.execute("COMMIT")
    await running

    assert await told(other) == [50, 75]
    await other.close()


async def test_a_snapshot_that_is_too_old_is_refused(ann: asyncpg.Connection, migrated_database: str) -> None:
    """A transaction that cannot see what another one spent meanwhile fails and can be tried again; it counts nothing wrong."""
    await spend(ann, 1)
    other = await asyncpg.connect(migrated_database)
    await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM users")
    await spend(ann, 40)
    await spend(other, 40)

    with pytest.raises(asyncpg.SerializationError):
        await other.execute("COMMIT")
    await spend(other, 40)

    assert await told(other) == [50, 75]
    assert {total for _, _, total in await totals(other)} == {81}
    await other.close()


async def test_many_statements_of_one_transaction(ann: asyncpg.Connection) -> None:
    """What a transaction takes back to a savepoint does not count; what it writes in many statements is added at its end, in one change."""
    await ann.execute(
        """
        BEGIN;
        INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 20);
        SAVEPOINT before;
        INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 70);
        ROLLBACK TO before;
        DO $$ BEGIN FOR n IN 1..300 LOOP INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('ann', 0.1); END LOOP; END $$;
        UPDATE api_cost_tracking SET cost_usd = 21 WHERE cost_usd = 20;
        """
    )
    versions = "SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0)::integer FROM pg_stat_xact_user_tables WHERE relname = 'budget_spending'"
    before = await ann.fetchval(versions)
    await ann.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert await ann.fetchval(versions) - before == 3
    await ann.execute("COMMIT")

    assert [total for period, _, total in await totals(ann) if period == "month"] == [51]
    assert await told(ann) == [50]
    assert await ann.fetchval("SELECT count(*) FROM budget_changes") == 0


@pytest.mark.parametrize("seed", range(3))
async def test_many_writers_miss_no_share(ann: asyncpg.Connection, migrated_database: str, seed: int) -> None:
    """Six connections that write, change and delete calls at once leave totals that are those of the calls, and tell each share once."""
    chosen = random.Random(seed)
    plans = [
        [(chosen.random(), chosen.randint(1, 50), chosen.randint(0, 26), chosen.random()) for _ in range(25)]
        for _ in range(6)
    ]

    async def work(number: int) -> None:
        connection = await asyncpg.connect(migrated_database)
        for act, tenths, day, pause in plans[number]:
            # Both sides of the end of a month, so that its first call is often written by two at once.
            moment = f"2026-{'03-31 23' if day % 2 else '04-01 00'}:{day + 10}+00"
            if act < 0.6:
                await spend(connection, tenths / 10, moment)
            else:
                # SKIP LOCKED: two changes of one call are not what this is about, and would wait in a circle.
                call = "id = (SELECT id FROM api_cost_tracking ORDER BY md5(id::text || $1) LIMIT 1 FOR UPDATE SKIP LOCKED)"
                change = f"UPDATE api_cost_tracking SET cost_usd = cost_usd + 0.5 WHERE {call}"
                await connection.execute(
                    change if act < 0.8 else f"DELETE FROM api_cost_tracking WHERE {call}", str(pause)
                )
        await connection.close()

    await ann.execute("UPDATE budget_config SET monthly_limit = 40")
    await asyncio.gather(*map(work, range(6)))

    wrong = await ann.fetch(
        """
        WITH calls AS (
            SELECT user_id, span AS period, date_trunc(span, "timestamp", 'UTC') AS period_start, sum(cost_usd) AS spent_usd
            FROM api_cost_tracking, unnest(ARRAY['hour', 'day', 'month']) AS span GROUP BY 1, 2, 3
        )
        SELECT * FROM calls FULL JOIN budget_spending AS s USING (user_id, period, period_start)
        WHERE coalesce(calls.spent_usd, 0) <> coalesce(s.spent_usd, 0)
        """
    )
    reached = await ann.fetch(
        "SELECT s.spent_usd, (SELECT count(*) FROM budget_alerts AS a WHERE a.period = 'month' AND a.period_start = s.period_start) AS told,"
        " (SELECT count(DISTINCT threshold) FROM budget_alerts AS a WHERE a.period = 'month' AND a.period_start = s.period_start) AS shares"
        " FROM budget_spending AS s WHERE s.period = 'month' AND s.spent_usd > 0"
    )
    assert wrong == []
    for spent, times, shares in reached:
        assert times == shares >= sum(100 * spent >= 40 * share for share in (50, 75, 90, 100)) > 0
    assert (await kimbledb.verify(migrated_database, only="api-cost-tracking.sql")).ok
