"""Which model to take, and where a budget could be saved. All numbers are worked out by hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import pytest


@pytest.fixture
async def tables(migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the whole schema with two people in it."""
    connection = await asyncpg.connect(migrated_database)
    await connection.execute("INSERT INTO users (id) VALUES ('ann'), ('bob')")
    yield connection
    await connection.close()


async def calls(
    connection: asyncpg.Connection,
    model: str,
    times: int,
    cost: str | None,
    *,
    kind: str = "coding",
    complexity: str | None = None,
    tokens: int | None = None,
    days_ago: int = 0,
    person: str | None = None,
    rating: int | None = None,
    failed: int = 0,
) -> None:
    """Write so many measured calls of a model."""
    await connection.execute(
        """
        INSERT INTO model_performance_metrics
            (model_name, task_type, task_complexity, cost_usd, total_tokens, "timestamp", user_id, user_rating, success)
        SELECT $1, $2, $3, $4, $5, now() - make_interval(days => $6), $7, $8, n > $9 FROM generate_series(1, $10) AS n
        """,
        model,
        kind,
        complexity,
        cost and Decimal(cost),
        tokens,
        days_ago,
        person,
        rating,
        failed,
        times,
    )


async def recommended(connection: asyncpg.Connection, call: str = "'coding'") -> list[tuple[str, float, float | None]]:
    """Return each recommended model, its value and what a task costs by it, in order."""
    rows = await connection.fetch(f"SELECT * FROM recommend_model({call})")
    return [
        (row["model_name"], float(row["value_score"]), row["task_cost_usd"] and float(row["task_cost_usd"]))
        for row in rows
    ]


async def suggested(connection: asyncpg.Connection, call: str = "") -> list[tuple[str, str, str, float, float]]:
    """Return for each suggestion whose calls, of which model, by which one, what they cost and what they would have cost."""
    rows = await connection.fetch(f"SELECT * FROM suggest_budget_savings({call})")
    return [
        (
            row["user_id"],
            row["current_model"],
            row["suggested_model"],
            float(row["current_cost_usd"]),
            float(row["projected_cost_usd"]),
        )
        for row in rows
    ]


async def test_models_that_are_alone_in_their_class(tables: asyncpg.Connection) -> None:
    """A model that did only simple tasks is not cheap for that: both are compared by what all tasks of the kind cost by their tokens."""
    await calls(tables, "small tasks", 10, "0.01", complexity="simple", tokens=1000)  # 10 USD a million tokens
    await calls(tables, "large tasks", 10, "0.05", complexity="complex", tokens=10_000)  # 5 USD a million tokens

    # Half of the tasks take 1,000 tokens and half of them 10,000: (0.01 + 0.10) / 2 and (0.005 + 0.05) / 2 USD.
    assert await recommended(tables) == [("large tasks", 0.6667, 0.0275), ("small tasks", 0.5, 0.055)]
    assert await recommended(tables, "'coding', 'simple'") == [("small tasks", 0.5, 0.01)]


async def test_a_model_that_needs_more_tokens_for_a_task(tables: asyncpg.Connection) -> None:
    """What a task costs decides where both did such tasks, and not the price of a token."""
    await calls(tables, "talkative", 10, "0.04", complexity="simple", tokens=40_000)  # 1 USD a million tokens
    await calls(tables, "terse", 10, "0.02", complexity="simple", tokens=2_000)  # 10 USD a million tokens

    assert await recommended(tables) == [("terse", 0.6667, 0.02), ("talkative", 0.5, 0.04)]


async def test_the_mix_of_tasks_does_not_decide(tables: asyncpg.Connection) -> None:
    """A model that is cheaper and better at each complexity is recommended, though its own mix of tasks is dearer and fails more."""
    await calls(tables, "better", 10, "1", complexity="simple")
    await calls(tables, "better", 90, "8", complexity="complex", failed=9)
    await calls(tables, "worse", 90, "2", complexity="simple", failed=9)
    await calls(tables, "worse", 10, "10", complexity="complex", failed=2)

    # 100 tasks of each complexity. Cost: (1 + 8) / 2 and (2 + 10) / 2; quality: (1 + 0.9) / 2 and (0.9 + 0.8) / 2.
    # Value: 0.95 / (1 + 4.5 / 6) and 0.85 / 2.
    assert await recommended(tables) == [("better", 0.5429, 4.5), ("worse", 0.425, 6.0)]
    plain = {
        row["model_name"]: row["avg_cost_usd"] for row in await tables.fetch("SELECT * FROM recommend_model('coding')")
    }
    assert plain == {"better": Decimal("7.3"), "worse": Decimal("2.8")}


async def test_costs_that_nobody_knows(tables: asyncpg.Connection) -> None:
    """A model without a known cost counts as the dearest, is left out where there is a limit, and one that costs nothing is the best."""
    await calls(tables, "dear", 5, "0.2")
    await calls(tables, "free", 5, "0", tokens=0)
    await calls(tables, "unknown", 5, None)
    await calls(tables, "seldom", 4, "0.1")

    assert await recommended(tables) == [("free", 1.0, 0.0), ("dear", 0.5, 0.2), ("unknown", 0.5, None)]
    assert await recommended(tables, "'coding', most_cost_usd => 0.1") == [("free", 1.0, 0.0)]
    assert await recommended(tables, "NULL") == []


async def test_to_be_rated_is_no_disadvantage(tables: asyncpg.Connection) -> None:
    """A model that nobody rated counts as the rated ones do on average, and a failed call counts against either."""
    await calls(tables, "rated", 10, "1", rating=4)  # 4 of 5 stars are three quarters of the way from 1 to 5
    await calls(tables, "never rated", 10, "1", failed=2)

    assert await recommended(tables) == [("rated", 0.375, 1.0), ("never rated", 0.3, 1.0)]


async def test_the_view_compares_within_a_class(tables: asyncpg.Connection) -> None:
    """The view of costs has a value where several models did the same tasks, and none where one was alone."""
    await calls(tables, "cheap", 5, "0.1", complexity="simple", tokens=1000)
    await calls(tables, "dear", 5, "0.4", complexity="simple", tokens=1000)
    await calls(tables, "dear", 5, "0.4", complexity="complex", tokens=1000)

    rows = await tables.fetch(
        "SELECT task_complexity, model_name, value_score, cost_per_million_tokens FROM model_task_costs ORDER BY 1, 2"
    )

    assert [(*tuple(row)[:2], row[2] and float(row[2]), float(row[3])) for row in rows] == [
        ("complex", "dear", None, 400),
        ("simple", "cheap", 0.8, 100),
        ("simple", "dear", 0.5, 400),
    ]


async def test_general_is_a_kind_of_task(tables: asyncpg.Connection) -> None:
    """The application's task type 'general' is accepted for measurements and for tasks of the agent, and models are recommended for it."""
    await calls(tables, "any", 5, "0.2", kind="general")
    await tables.execute("INSERT INTO agent_tasks (task_type) VALUES ('general')")

    assert await recommended(tables, "'general'") == [("any", 0.5, 0.2)]


async def test_savings_are_measured_over_one_window(tables: asyncpg.Connection) -> None:
    """What a model cost before the window counts for neither side, so of two models one is suggested for the other at most."""
    await calls(tables, "a", 90, "2", days_ago=31, person="ann")
    await calls(tables, "b", 90, "1", days_ago=31, person="ann")
    await calls(tables, "a", 10, "1", days_ago=29, person="ann")
    await calls(tables, "b", 10, "2", days_ago=29, person="ann")

    assert await suggested(tables) == [("ann", "b", "a", 20, 10)]
    # Over all of it a costs 190 for 100 calls and b 110: 190 * 110 / 190.
    assert await suggested(tables, "over_days => 60") == [("ann", "a", "b", 190, 110)]
    assert await suggested(tables, "over_days => 28") == []


async def test_savings_of_a_person(tables: asyncpg.Connection) -> None:
    """Each person's saving is their own: the share by which the cheaper model costs less, of what they spent."""
    await calls(tables, "dear", 10, "3", person="ann")
    await calls(tables, "dear", 5, "6", person="bob")
    await calls(tables, "cheap", 10, "1")

    # The dear one costs 60 for 15 calls, 4 each; the cheap one a quarter of it.
    assert await suggested(tables) == [("ann", "dear", "cheap", 30, 7.5), ("bob", "dear", "cheap", 30, 7.5)]
    assert await suggested(tables, "for_user_id => 'bob'") == [("bob", "dear", "cheap", 30, 7.5)]
    assert await suggested(tables, "for_user_id => 'nobody'") == []


async def test_savings_and_the_budget(tables: asyncpg.Connection) -> None:
    """A suggestion says what share of the budget of these days is used, with it and without; whoever is past a budget comes first."""
    await tables.execute(
        """
        INSERT INTO budget_config (user_id, monthly_limit, daily_limit) VALUES ('bob', 60, 100);
        INSERT INTO api_cost_tracking (user_id, cost_usd) VALUES ('bob', 18);
        """
    )
    await calls(tables, "dear", 10, "2", person="ann")
    await calls(tables, "dear", 6, "2", person="bob")
    await calls(tables, "cheap", 10, "1")

    rows = await tables.fetch(
        "SELECT user_id, saving_usd, spent_usd, budget_usd, percent_used, percent_after FROM suggest_budget_savings(over_days => 7)"
    )

    # Bob: 12 USD are measured and 18 tracked. 60 USD a month are 14 in 7 days; 18 of them are 128.57 %, 12 are 85.71 %.
    assert [(row[0], *map(_number, tuple(row)[1:])) for row in rows] == [
        ("bob", 6, 18, 14, 128.57, 85.71),
        ("ann", 10, 20, None, None, None),
    ]


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


async def test_a_worse_model_is_not_suggested(tables: asyncpg.Connection) -> None:
    """A cheaper model is suggested only where it did tasks of the same complexity often enough, and hardly worse."""
    await calls(tables, "used", 20, "2", complexity="simple", person="ann")
    await calls(tables, "fails", 20, "1", complexity="simple", failed=2)
    await calls(tables, "seldom", 4, "1", complexity="simple")
    await calls(tables, "elsewhere", 20, "1", complexity="complex")
    await calls(tables, "another kind", 20, "1", complexity="simple", kind="analysis")
    assert await suggested(tables) == []

    await calls(tables, "good enough", 20, "1.5", complexity="simple", failed=1)

    assert await suggested(tables, "for_user_id => 'ann'") == [("ann", "used", "good enough", 40, 30)]


async def test_savings_go_one_way(tables: asyncpg.Connection) -> None:
    """Of 300 random measurements by three people no two models of a class are suggested for each other, and each suggestion saves."""
    chosen = random.Random(17)
    for _ in range(60):
        await calls(
            tables,
            chosen.choice("abcd"),
            5,
            str(chosen.randint(1, 900) / 100),
            complexity=chosen.choice(["simple", "complex", None]),
            days_ago=chosen.randint(0, 60),
            person=chosen.choice(["ann", "bob", None]),
            failed=chosen.choice([0, 0, 0, 1]),
        )

    for days in (7, 30, 90):
        rows = await tables.fetch("SELECT * FROM suggest_budget_savings($1)", days)
        pairs = {
            (row["task_type"], row["task_complexity"], row["current_model"], row["suggested_model"]) for row in rows
        }
        assert pairs
        assert not pairs & {(kind, complexity, new, old) for kind, complexity, old, new in pairs}
        assert all(row["saving_usd"] > 0 and row["projected_cost_usd"] >= 0 for row in rows)


async def test_an_estimate_that_does_not_fit_is_none(tables: asyncpg.Connection) -> None:
    """A measurement is written also where the estimate of its cost is more than the column holds; then its cost is not known."""
    await tables.execute("INSERT INTO api_cost_tracking (model, input_tokens, cost_usd) VALUES ('pictures', 1, 0.5)")

    await tables.execute(
        "INSERT INTO model_performance_metrics (model_name, total_tokens) VALUES ('pictures', 100), ('pictures', 100000)"
    )

    costs = await tables.fetch("SELECT cost_usd FROM model_performance_metrics ORDER BY total_tokens")
    assert [row[0] for row in costs] == [Decimal(50), None]


async def test_a_cost_is_estimated_by_whatever_tokens_are_said(tables: asyncpg.Connection) -> None:
    """A token costs what the calls cost for theirs, whether a call says them in parts or as one number."""
    await tables.execute(
        """
        INSERT INTO api_cost_tracking (model, input_tokens, output_tokens, tokens_used, cost_usd)
            VALUES ('whole', 0, 0, 1000, 0.02), ('parts', 200, 300, 500, 0.01), ('parts', 400, 100, NULL, 0.01);
        INSERT INTO model_performance_metrics (model_name, tokens_used) VALUES ('whole', 50), ('parts', 50);
        """
    )

    costs = await tables.fetch("SELECT cost_usd FROM model_performance_metrics ORDER BY model_name")
    assert [row[0] for row in costs] == [Decimal("0.001"), Decimal("0.001")]
