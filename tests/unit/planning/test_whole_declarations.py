"""Whether declarations say all that a script does."""

from __future__ import annotations

import pytest
from attrs import evolve

from kimbledb.model.declarations import Declarations
from kimbledb.model.migration import Migration
from kimbledb.planning.whole_declarations import is_declared_whole, touches
from tests.support.declared import migration, statement

#: What the first line of a script makes.
MADE = statement(creates={"column a.n": {"type": "integer"}, "index i": {"on": "a", "columns": ("n",)}})


@pytest.mark.parametrize(
    ("more", "whole"),
    [
        ("", True),
        ("COMMENT ON TABLE a IS 'x'", True),
        ("GRANT SELECT ON a TO PUBLIC", True),
        ("UPDATE a SET n = 1 WHERE n IS NULL", True),
        ("UPDATE ONLY a SET n = 1, m = (SELECT max(n) FROM a WHERE n > 1)", False),
        ("UPDATE a SET m = 1", False),
        ("ALTER TABLE a ALTER COLUMN n DROP DEFAULT", True),
        ("ALTER TABLE a ALTER n DROP DEFAULT, ALTER COLUMN k DROP DEFAULT", True),
        ("ALTER TABLE a ENABLE TRIGGER ALL", False),
        ("INSERT INTO a VALUES (1)", False),
        ("WITH gone AS (DELETE FROM a RETURNING n) SELECT count(*) FROM gone", False),
        ("DO $$ BEGIN NULL; END $$", False),
        ("SELECT setval('s', 7)", False),
        ("CREATE TEMPORARY TABLE t (n integer)", False),
    ],
)
def test_a_statement_that_is_not_declared(more: str, whole: bool) -> None:
    """Statements that change rows, or a column once more, are declared by nothing but fills of these columns."""
    script = f"ALTER TABLE a ADD COLUMN n integer;\n{more};\n"
    each = evolve(recorded(script), fills={"a.n": "coalesce(n, 1)"})

    assert is_declared_whole(each, hosted=False) is whole


@pytest.mark.parametrize("script", ["CREATE TABLE a AS SELECT 1 AS n", "ALTER TABLE a ALTER COLUMN n DROP DEFAULT"])
def test_a_declared_statement_that_does_more(script: str) -> None:
    """What is declared is not all where a table is made with rows, or a new column is changed by another statement."""
    assert not is_declared_whole(recorded(script), hosted=False)


def test_only_what_works_on_a_table_touches_it() -> None:
    """An index touches the table that it is on, and a column its own."""
    assert touches(recorded("SELECT"), {"a"})
    assert not touches(recorded("SELECT"), {"i", "b"})


def recorded(script: str) -> Migration:
    """A migration of this script, of which MADE is recorded."""
    each = migration(1, apply=script)
    declared = Declarations((MADE,), checksum=each.checksum)
    return evolve(each, declare=lambda: declared)
