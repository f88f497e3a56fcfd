"""The values with which an application's queries are executed."""

from __future__ import annotations

from kimbledb.execution.rehearsing.query_values import HeldTable, Parameter, tries_of

NUMBER, TEXT = Parameter("int4", "N"), Parameter("text", "S")
TABLE = HeldTable(
    1, "t", {"id": 1, "name": 2, "tags": 3}, ["id"], [{"id": 7, "name": "it's", "tags": ["a"]}, {"id": 8, "name": None}]
)


def test_values_of_rows_come_first() -> None:
    """A parameter beside a column gets values of that column in the query's tables, NULL included; then others of its type."""
    tries = tries_of("SELECT * FROM t WHERE id = $1 AND name LIKE $2", [NUMBER, TEXT], [TABLE])

    assert tries[:3] == [("'7'", "'it''s'"), ("'8'", "NULL"), ("'1'", "'x'")]
    assert ("'2000000000'", "'" + "x" * 60 + "'") in tries
    assert tries_of("SELECT * FROM u WHERE id = $1", [NUMBER], [TABLE])[0] == ("'1'",)
    assert tries_of("SELECT 1", [], [TABLE]) == [()]


def test_what_an_insert_writes_into_a_key_is_new() -> None:
    """A key gets a value that no row has, so that the row can be inserted; the other columns get those of rows."""
    tries = tries_of("INSERT INTO t (id, name) VALUES ($1::int, $2)", [NUMBER, TEXT], [TABLE])

    assert tries[0] == ("'1000003'", "'it''s'")


def test_lists_and_enums() -> None:
    """A list holds a value of the column, and each label of an enum is tried."""
    array, mood = Parameter("_int4", "A"), Parameter("mood", "E", ["ok", "sad"])

    assert tries_of("SELECT * FROM t WHERE id = ANY ($1)", [array], [TABLE])[0] == ("'{\"7\"}'",)
    assert {values[0] for values in tries_of("SELECT $1::mood", [mood], [])} == {"'ok'", "'sad'"}
