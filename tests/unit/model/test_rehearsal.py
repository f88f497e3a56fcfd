"""The report of a rehearsal: for how long tables are locked, by the forecasts of statements, in lines that fit."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import kimbledb
from kimbledb.model.forecast import Forecast
from kimbledb.model.outputs import text as text_output

LOCK = {"orders": "ACCESS EXCLUSIVE"}
TABLE = kimbledb.RehearsedTable("orders", 300_000, 28 << 20)


def statement(
    sql: str,
    low: float,
    high: float | None,
    transaction: int,
    locks: Mapping[str, str] = {},
    rewrites: tuple[str, ...] = (),
) -> kimbledb.RehearsedStatement:
    """A statement of a migration that is named by its transaction."""
    name = f"{transaction}.sql"
    return kimbledb.RehearsedStatement(
        migration=name,
        file=name,
        line=1,
        sql=sql,
        locks=locks,
        rewrites=rewrites,
        transaction=transaction,
        forecast=Forecast(low, high),
    )


def report(*statements: kimbledb.RehearsedStatement) -> kimbledb.Rehearsal:
    """A rehearsal of statements on one table."""
    return kimbledb.Rehearsal(
        plan=kimbledb.Plan(()),
        statements=statements,
        tables={"orders": TABLE},
        migrations=2,
        server="18.1",
        target_server="18.1",
        seconds=1.0,
    )


def test_a_lock_is_forecast_to_the_end_of_its_transaction() -> None:
    """A table is locked from the first statement that keeps others off to the end of its transaction; the longest counts."""
    found = report(
        statement("INSERT INTO log VALUES (1)", 5.0, 9.0, 1),
        statement("ALTER TABLE orders ADD COLUMN a integer", 0.0, 0.01, 1, locks=LOCK),
        statement("UPDATE log SET a = 1", 2.0, 6.0, 1),
        statement("ALTER TABLE orders ADD COLUMN b integer", 0.0, 0.01, 2, locks=LOCK),
    )
    [table] = found.locked
    assert table.forecast == Forecast(2.0, 6.01)
    assert "1 table locked against reads and writes, orders for 2 to 6 s;" in found.summary
    assert str(found.forecast) == "7 to 15 s"
    assert found.as_dict()["locked"][0]["forecast"] == {"low": 2.0, "high": 6.01}  # type: ignore[index, call-overload]


def test_a_moment_is_not_worth_saying() -> None:
    """The summary names no lock that is short, and none of which nothing is known."""
    for high in (0.9, None):
        found = report(statement("ALTER TABLE orders ADD COLUMN a integer", 0.0, high, 1, locks=LOCK))
        assert "1 table locked against reads and writes; " in found.summary


@pytest.mark.parametrize("width", [80, 60])
def test_the_tables_fit(width: int) -> None:
    """A forecast stands in the line of its table and of its statement, also in narrow terminals."""
    found = report(
        statement("ALTER TABLE orders ALTER COLUMN id TYPE bigint", 2.0, 6.0, 1, locks=LOCK, rewrites=("orders",)),
        statement("UPDATE orders SET state = '***'", 3.0, None, 2),
    )
    lines = text_output.write(found.as_tables(), width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "2 to 6 s" in "\n".join(lines)
