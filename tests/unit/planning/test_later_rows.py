"""Rows as they will be, as queries of the tables that are there now."""

from __future__ import annotations

from kimbledb.model.objects import Facts
from kimbledb.planning.breaking_rows import breaking_of
from kimbledb.planning.later_rows import LaterRows
from tests.support.declared import snapshot

ROWS = LaterRows.of(
    snapshot(
        {
            "table t": {},
            "column t.nr": {"type": "integer"},
            "column t.a": {"type": "text"},
            "constraint t.t_pkey": {"key": "PRIMARY KEY (nr)"},
        }
    )
)
CHECK: Facts = {"check": "(a <> '')"}


def query(rows: LaterRows, facts: Facts = CHECK) -> str | None:
    """The query that lists the rows which break a constraint."""
    breaking = breaking_of(("constraint", "t.k"), facts, rows)
    return None if breaking is None else breaking.query


def test_a_renamed_key_is_shown_under_its_present_name() -> None:
    """A person finds a row by the column that is there, not by the name that it will have."""
    rows = ROWS.renamed({("column", "t.nr"): "t.id"})

    assert query(rows) == "SELECT nr, a FROM (SELECT nr, a FROM t) AS t WHERE NOT ((a <> ''))"


def test_a_converted_key_is_shown_as_it_stands() -> None:
    """The later value of a key is read only where the rule compares it."""
    rows = ROWS.with_values({"t.nr": "md5(nr::text)"})

    assert query(rows) == "SELECT nr_now AS nr, a FROM (SELECT nr AS nr_now, a FROM t) AS t WHERE NOT ((a <> ''))"
    assert query(rows, {"check": "(nr > '')"}) == (
        "SELECT nr_now AS nr FROM (SELECT nr AS nr_now, md5(nr::text) AS nr FROM t) AS t WHERE NOT ((nr > ''))"
    )


def test_a_key_whose_name_another_column_takes() -> None:
    """Where a new column has the key's present name, the present value goes under another name below."""
    rows = ROWS.renamed({("column", "t.nr"): "t.id"}).with_columns({"t.nr": {"type": "integer", "default": "7"}})

    assert query(rows, {"check": "(nr > id)"}) == (
        "SELECT nr_now AS nr, nr FROM (SELECT nr_now, (7)::integer AS nr, id FROM"
        " (SELECT nr AS nr_now, nr AS id FROM t) AS t) AS t WHERE NOT ((nr > id))"
    )


def test_a_key_that_cannot_be_foreseen_is_shown_as_it_stands() -> None:
    """A later value that nobody can know hides no row from a rule of other columns."""
    rows = ROWS.with_values({"t.nr": None})

    assert query(rows) == "SELECT nr_now AS nr, a FROM (SELECT nr AS nr_now, a FROM t) AS t WHERE NOT ((a <> ''))"
