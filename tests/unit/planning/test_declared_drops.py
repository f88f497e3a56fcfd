"""What migrations drop: all that hangs on it goes with it, and its absence is no drift."""

from __future__ import annotations

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.model.check import Check
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Declarations
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import drift
from kimbledb.planning.evidence import weigh


def migration(number: int, apply: str = "", **declared: list[str]) -> Migration:
    """A migration that declares objects by name alone."""
    objects = {key: tuple(DatabaseObject(*each.split(" ", 1)) for each in named) for key, named in declared.items()}
    return Migration(
        name=f"m{number}.sql",
        number=number,
        apply_sql=apply,
        declare=lambda: Declarations(**objects),  # type: ignore[arg-type]
    )


FIRST = migration(
    1,
    "CREATE TABLE t (id serial PRIMARY KEY, i integer CHECK (i > 0), j integer);\n"
    "CREATE UNIQUE INDEX IF NOT EXISTS t_by_i ON t (i);\nCREATE INDEX t_by_j ON public.t USING btree (j);\n",
    creates=[
        *("table t", "column t.id", "column t.i", "column t.j", "constraint t.t_pkey", "trigger t.touch"),
        *("policy t.owner", "index t_by_i", "sequence t_id_seq", "rule t.r", "privilege table t to anon"),
        "privilege column t.i to anon",
    ],
)


def drifted(applied: list[Migration], found: dict[str, str], pending: tuple[Migration, ...] = ()) -> list[str]:
    """The objects that drifted."""
    objects = {tuple(name.split(" ", 1)): form for name, form in found.items()}
    checks: list[Check] = drift.checks(applied, pending, Snapshot(objects), kept={}, hosted=True)  # type: ignore[arg-type]
    return [check.name for check in checks if not check.passed]


def test_what_hangs_on_a_dropped_table_goes_with_it() -> None:
    """Columns, keys, indexes, triggers, policies, rules, grants and counters of a dropped table are not missed."""
    assert drifted([FIRST, migration(2, drops=["table t"])], {}) == []


def test_partitions_and_statistics_of_a_dropped_table_go_with_it() -> None:
    """What only the script ties to the table goes, too, with what hangs on that."""
    first = migration(
        1,
        "CREATE TABLE t (i integer) PARTITION BY RANGE (i);\nCREATE TABLE t_1 PARTITION OF t DEFAULT;\n"
        "CREATE STATISTICS s (ndistinct) ON i, j FROM t;\nCREATE TABLE other (i integer);",
        creates=["table t", "table t_1", "column t_1.i", "statistics s", "table other"],
    )

    assert drifted([first, migration(2, drops=["table t"])], {}) == ["table other"]


def test_a_dropped_table_that_is_there_is_drift() -> None:
    """The table itself must be gone."""
    assert drifted([FIRST, migration(2, drops=["table t"])], {"table t": ""}) == ["table t"]


def test_what_hangs_on_a_renamed_table_is_declared_under_the_new_name() -> None:
    """A table that is dropped under one name and made under another is whole there."""
    second = migration(2, drops=["table t"], creates=["table u", "column u.id", "index t_by_i"])
    there = {"table u": "", "column u.id": "integer", "index t_by_i": "UNIQUE u (i)"}

    assert drifted([FIRST, second], there) == []
    assert drifted([FIRST, second], {"table u": "", "index t_by_i": ""}) == ["column u.id"]


def test_a_table_that_is_made_again_is_wanted_whole() -> None:
    """What a later migration declares once more is missed where it is missing."""
    third = migration(3, creates=["table t", "column t.id"])

    assert drifted([FIRST, migration(2, drops=["table t"]), third], {"table t": ""}) == ["column t.id"]


@pytest.mark.parametrize("column", ["i", '"i"'])
def test_what_hangs_on_a_dropped_column_goes_with_it(column: str) -> None:
    """Keys and indexes that hold a column go with it, and others of the table stay."""
    first = Migration(
        name="m1.sql",
        number=1,
        declare=lambda: Declarations(
            creates=(
                DatabaseObject("table", "t", ""),
                DatabaseObject("column", "t.i", "integer"),
                DatabaseObject("column", "t.id", "integer"),
                DatabaseObject("constraint", "t.t_i_key", f"UNIQUE ({column}, id)"),
                DatabaseObject("constraint", "t.t_id_key", "UNIQUE (id)"),
                DatabaseObject("index", "t_by_i", f"t USING btree (lower({column}))"),
            )
        ),
    )
    left = {"table t": "", "column t.id": "integer"}

    assert drifted([first, migration(2, drops=["column t.i"])], left) == ["constraint t.t_id_key"]


def test_what_a_pending_migration_drops_may_be_gone() -> None:
    """Somebody may have been ahead: with the table all that hangs on it."""
    assert drifted([FIRST], {}, (migration(2, drops=["table t"]),)) == []


def test_what_goes_with_a_later_drop_proves_nothing_by_being_gone() -> None:
    """A migration of which that is left which nothing drops is there whole, though its table's columns are gone."""
    first = migration(1, FIRST.apply_sql, creates=[*map(str, FIRST.creates), "table stays"])
    second = migration(2, drops=["table t"], creates=["table u"])
    found = Snapshot({("table", "stays"): "", ("table", "u"): ""})

    shown = weigh(Catalog([first, second]), found, hosted=False).findings

    assert [str(shown[name].state) for name in ("m1.sql", "m2.sql")] == ["applied", "applied"]
