"""The arithmetic of forecasts, without a server: what work costs at a given pace, and which statements have no bounds."""

from __future__ import annotations

import pytest
from attrs import evolve

from kimbledb.catalog import statements
from kimbledb.execution.rehearsing.pace import size_of
from kimbledb.model.forecast import Forecast
from kimbledb.planning import forecasts
from kimbledb.planning.forecasts import Effort, Pace, Size, TableWork

ORDERS = ("public", "orders")
#: A gigabyte on a server that computes a unit in 60 nanoseconds and reads 400 MB a second.
SIZE = Size(10_000_000, 131_072, indexes=2, index_pages=50_000, page=20e-6)
PACE = Pace(60e-9, {ORDERS: SIZE})
REWRITE = TableWork(ORDERS, is_rewritten=True, reads=1)
SCAN = TableWork(ORDERS, reads=1)
CHECK = TableWork(ORDERS, reads=1, is_checked=True)
KEY = TableWork(ORDERS, reads=1, is_keyed=True)
BUILD = TableWork(ORDERS, reads=1, built=1)
CHANGE = TableWork(ORDERS, reads=1, is_changed=True)


def of(work: TableWork, size: Size = SIZE, *, is_open: bool = False, all_rows: bool = False) -> Forecast:
    """The forecast of one work on a table."""
    pace = evolve(PACE, sizes={ORDERS: size})
    return forecasts.forecast(pace, Effort((work,), 0.001, is_open=is_open, all_rows=all_rows))


@pytest.mark.parametrize(
    "work", [REWRITE, SCAN, CHECK, KEY, BUILD, CHANGE], ids=("rewrite", "scan", "check", "key", "build", "change")
)
def test_a_forecast_grows_with_the_table(work: TableWork) -> None:
    """Each kind of work has a range that grows with the rows and pages of the table, and is below a moment on a small one."""
    small = Size(50, 1, indexes=2, index_pages=4)
    twice = evolve(SIZE, rows=20_000_000, pages=262_144, index_pages=100_000)

    found, larger = of(work), of(work, twice)

    assert found.high is not None
    assert larger.high is not None
    assert 0.05 < found.low < found.high
    assert larger.low > 1.9 * found.low
    assert larger.high > 1.9 * found.high
    assert of(work, small).is_moment


def test_what_is_more_work_takes_longer() -> None:
    """To read is the least, then to check, to build an index, to write anew; each index of a table that is rewritten counts."""
    by_low = [of(each).low for each in (SCAN, CHECK, BUILD, REWRITE)]
    assert by_low == sorted(by_low)
    assert (of(CHECK).high or 0) > (of(SCAN).high or 0)
    assert (of(KEY).high or 0) > (of(SCAN).high or 0)
    bare = of(REWRITE, evolve(SIZE, indexes=0, index_pages=0))
    assert bare.low < of(REWRITE).low
    assert (of(evolve(BUILD, built=2)).high or 0) > (of(BUILD).high or 0)


def test_a_server_that_is_slower_takes_longer() -> None:
    """Twice the time of a unit and of a page is twice the least time; a table that was not measured has the slowest pace."""
    slow = Pace(2 * PACE.unit, {ORDERS: evolve(SIZE, page=40e-6)})
    effort = Effort((REWRITE,), 0.0, is_open=False, all_rows=False)
    assert forecasts.forecast(slow, effort).low == pytest.approx(2 * of(REWRITE).low)
    other = ("public", "other")
    both = Pace(PACE.unit, {ORDERS: evolve(SIZE, page=40e-6), other: evolve(SIZE, page=None)})
    assert forecasts.forecast(both, Effort((TableWork(other, reads=1),), 0.0, is_open=False, all_rows=False)).low == (
        pytest.approx(2 * of(SCAN).low)
    )


def test_an_update_has_the_rows_that_it_picks() -> None:
    """With a condition an UPDATE changes no row at the least and all at the most; without one it changes all."""
    some, every = of(CHANGE), of(CHANGE, all_rows=True)
    assert some.low == of(SCAN).low
    assert some.high == every.high
    assert every.low > 2 * some.low
    assert forecasts.changes_all("UPDATE t SET a = 1")
    assert not forecasts.changes_all("UPDATE t SET a = 1 WHERE b")
    assert not forecasts.changes_rows("ALTER TABLE t ADD COLUMN a integer")


def test_what_nothing_bounds() -> None:
    """Triggers on rows that change, indexes of other kinds and open statements leave the least time alone; a lock, nothing."""
    assert of(CHANGE, evolve(SIZE, fires=True)).high is None
    assert of(SCAN, evolve(SIZE, fires=True)).high is not None
    assert of(REWRITE, evolve(SIZE, is_odd=True)) == Forecast(of(REWRITE).low, None)
    assert of(REWRITE, is_open=True) == Forecast(of(REWRITE).low, None)
    assert not of(REWRITE, evolve(SIZE, unread="it is locked")).is_known


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint", False),
        ("ALTER TABLE t ADD CHECK (length(a) > 3)", False),
        ("ALTER TABLE t ADD COLUMN a float DEFAULT random()", False),
        ("ALTER TABLE t ADD COLUMN a text DEFAULT slow()", True),
        ('ALTER TABLE t ADD CHECK (x."Slow"(a))', True),
        ("CREATE INDEX ON t (a)", False),
        ("CREATE INDEX ON t USING btree (a)", False),
        ("CREATE INDEX ON t USING gin (a)", True),
        ("ALTER TABLE t ADD EXCLUDE USING gist (a WITH &&)", True),
        ("UPDATE t SET a = 1 WHERE b = 2", False),
        ("UPDATE t SET a = u.a FROM u WHERE u.id = t.id", True),
        ("DELETE FROM t WHERE a IN (SELECT id FROM u)", True),
        ("INSERT INTO t VALUES (1)", False),
        ("INSERT INTO t SELECT 1", True),
        ("CREATE TABLE u (id integer)", False),
        ("CREATE TABLE u AS SELECT 1", True),
        ("CREATE TRIGGER a AFTER INSERT ON t EXECUTE FUNCTION slow()", False),
        ("CREATE FUNCTION slow() RETURNS integer LANGUAGE sql AS 'SELECT 1'", False),
        ("VACUUM t", True),
        ("VACUUM FULL t", False),
        ("VACUUM (FULL) t", False),
        ("DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD COLUMN b integer'; END $$", False),
        ("DO $$ BEGIN UPDATE t SET a = 1; END $$", True),
        ("DO $$ BEGIN EXECUTE 'CREATE INDEX ON t (slow(a))'; END $$", True),
    ],
)
def test_which_statements_are_open(text: str, is_open: bool) -> None:
    """A statement that may run more for rows than the clone shows has no bounds, as one that calls a function of the user's."""
    [statement] = statements.split(text)
    assert forecasts.is_open(statement.text, statement.skeleton, {"slow", "Slow"}) is is_open


def test_functions_that_a_plan_makes() -> None:
    """The name of a function is known from the statement that makes it."""
    assert "slow" in forecasts.made_in("CREATE OR REPLACE FUNCTION slow(a integer) RETURNS integer")
    assert not forecasts.made_in("CREATE TABLE slow (a integer)")


def test_the_rows_of_a_table_are_counted_on_the_pages_that_were_read() -> None:
    """What was counted wins over the server's estimate; a table that could not be read says why."""
    facts = {"apart": 3, "indexes": 1, "index_pages": 9, "is_odd": False, "fires": False}
    assert size_of(7.0, 1000, facts, 100, 5000, 0.002, None) == Size(50_000, 1000, 3, 1, 9, page=2e-5)
    assert size_of(7.0, 10, facts, 0, 0, 0.0, None) == Size(7.0, 10, 3, 1, 9)
    assert size_of(7.0, 10, facts, 0, 0, 0.0, "it is locked").unread == "it is locked"
    assert size_of(7.0, None, None, 0, 0, 0.0, None).unread == "it was dropped meanwhile"
