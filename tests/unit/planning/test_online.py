"""The online strategy of large tables without a server: what is made ahead of the transaction, and by which statements."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from kimbledb.model.forms import Forms, Origin
from kimbledb.planning.completion import Rows, Scope, Unfinished
from kimbledb.planning.online import beside, foreseen
from tests.support.declared import Objects, migration, snapshot, statement

TABLES: Objects = {
    "table a": {},
    "column a.id": {"type": "integer", "not_null": True},
    "constraint a.a_pkey": {"key": "PRIMARY KEY (id)"},
    "column a.n": {"type": "integer"},
    "column a.m": {"type": "integer"},
    "table b": {},
    "column b.id": {"type": "integer", "not_null": True},
    "constraint b.b_pkey": {"key": "PRIMARY KEY (id)"},
}


def ahead(wanted: Objects, found: Objects | None = None, sources: Mapping[str, str] = {}) -> list[str]:
    """The statements that run ahead for a migration that makes or changes objects beside the tables, of which a is large."""
    first = migration(1, statement(creates=TABLES))
    changes = {name: facts for name, facts in wanted.items() if name in TABLES}
    creates = {name: facts for name, facts in wanted.items() if name not in TABLES}
    made = statement(creates=creates, changes=changes)
    made = evolve(made, creates=tuple(evolve(each, source=sources.get(str(each))) for each in made.creates))
    second = migration(2, made)
    scope = Scope(
        migration=second,
        migrations=[first, second],
        found=snapshot({**TABLES, **(found or {})}),
        forms=Forms(Origin(server=180001, system=7, table=16400), {}),
        hosted=False,
    )
    return [str(each) for each in foreseen(Unfinished(scope), Rows(filled=frozenset({"a"})), frozenset({"a"})).online]


INDEX: Objects = {"index i": {"on": "a", "columns": ("n", "m")}}


@pytest.mark.parametrize(
    ("wanted", "statements"),
    [
        (INDEX, ["CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (n, m)"]),
        (
            {"index i": {"on": "a", "columns": ("n",), "unique": True, "where": "m > 0"}},
            ["CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (n) WHERE (m > 0)"],
        ),
        (
            {"constraint a.small": {"check": "n < 9"}, "constraint a.few": {"check": "m < 9"}},
            [
                "ALTER TABLE a ADD CONSTRAINT small CHECK (n < 9) NOT VALID, ADD CONSTRAINT few CHECK (m < 9) NOT VALID",
                "ALTER TABLE a VALIDATE CONSTRAINT small, VALIDATE CONSTRAINT few",
            ],
        ),
        (
            {"constraint a.a_n_fkey": {"key": "FOREIGN KEY (n) REFERENCES b(id) ON DELETE CASCADE"}},
            [
                "ALTER TABLE a ADD CONSTRAINT a_n_fkey FOREIGN KEY (n) REFERENCES b(id) ON DELETE CASCADE NOT VALID",
                "ALTER TABLE a VALIDATE CONSTRAINT a_n_fkey",
            ],
        ),
        (
            {
                "constraint a.a_n_key": {
                    "key": "UNIQUE NULLS NOT DISTINCT (n) INCLUDE (m) DEFERRABLE INITIALLY DEFERRED"
                }
            },
            [
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_n_key ON a (n) INCLUDE (m) NULLS NOT DISTINCT",
                "ALTER TABLE a ADD CONSTRAINT a_n_key UNIQUE USING INDEX a_n_key DEFERRABLE INITIALLY DEFERRED",
            ],
        ),
        (
            {
                "column a.n": {"type": "integer", "not_null": True},
                "column a.m": {"type": "integer", "not_null": True},
            },
            [
                "ALTER TABLE a ADD CONSTRAINT kimbledb_not_null CHECK (n IS NOT NULL AND m IS NOT NULL) NOT VALID",
                "ALTER TABLE a VALIDATE CONSTRAINT kimbledb_not_null",
                "ALTER TABLE a ALTER COLUMN n SET NOT NULL, ALTER COLUMN m SET NOT NULL",
                "ALTER TABLE a DROP CONSTRAINT kimbledb_not_null",
            ],
        ),
        (
            {
                "column a.new": {"type": "text", "default": "'x'::text", "not_null": True},
                "index i": {"on": "a", "columns": ("new",)},
            },
            [
                "ALTER TABLE a ADD COLUMN new text DEFAULT 'x'::text NOT NULL",
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (new)",
            ],
        ),
    ],
)
def test_the_statements(wanted: Objects, statements: list[str]) -> None:
    """What is missing of a large table is made by statements that hold nobody up."""
    assert ahead(wanted) == statements


@pytest.mark.parametrize(
    "wanted",
    [
        {"column a.new": {"type": "text"}},
        {"column a.new": {"type": "uuid", "default": "gen_random_uuid()", "not_null": True}},
        {"constraint a.e": {"exclude": "USING gist (n WITH =)"}},
        {"constraint a.a_n_fkey": {"key": "FOREIGN KEY (n) REFERENCES elsewhere.c(id)"}},
        {"index i": {"on": "b", "columns": ("id",)}},
    ],
)
def test_what_stays_in_the_transaction(wanted: Objects) -> None:
    """A column alone takes no time, other statements have no such form, and a small table needs none."""
    assert ahead(wanted) == []


def test_an_index_of_another_form_is_replaced() -> None:
    """Another form of an index is built beside it, and takes its place with the comment that it has."""
    other: Objects = {"index i": {"on": "a", "columns": ("n",)}, "comment index i": {"text": "It's old."}}

    assert ahead(INDEX, other) == [
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i_kimbledb_new ON a (n, m)",
        "DO $kimbledb$ BEGIN DROP INDEX i; ALTER INDEX i_kimbledb_new RENAME TO i; COMMENT ON INDEX i IS 'It''s old.'; END $kimbledb$",
    ]


def test_an_interrupted_run_is_continued() -> None:
    """What an earlier run has finished is not done again: an index beside, a rule, the check of NOT NULL."""
    wanted: Objects = {
        **INDEX,
        "column a.n": {"type": "integer", "not_null": True},
        "constraint a.small": {"check": "m < 9"},
    }
    there: Objects = {
        "index i": {"on": "a", "columns": ("n",)},
        "index i_kimbledb_new": {"on": "a", "columns": ("n", "m")},
        "constraint a.small": {"check": "m < 9", "not_valid": True},
        "constraint a.kimbledb_not_null": {"check": "n IS NOT NULL"},
    }

    assert ahead(wanted, there) == [
        "ALTER TABLE a VALIDATE CONSTRAINT small",
        "ALTER TABLE a ALTER COLUMN n SET NOT NULL",
        "ALTER TABLE a DROP CONSTRAINT kimbledb_not_null",
        "DO $kimbledb$ BEGIN DROP INDEX i; ALTER INDEX i_kimbledb_new RENAME TO i; END $kimbledb$",
    ]


def test_an_index_beside_that_fits_no_more_is_dropped() -> None:
    """An index that an earlier text of the migration has built beside is dropped first."""
    there: Objects = {
        "index i": {"on": "a", "columns": ("n",)},
        "index i_kimbledb_new": {"on": "a", "columns": ("m",)},
    }

    assert ahead(INDEX, there)[0] == "DROP INDEX CONCURRENTLY i_kimbledb_new"


def test_no_rule_comes_before_the_trigger_that_looks_after_it() -> None:
    """A trigger whose function names what is made later stays in the transaction, and so does a rule on what it sets."""
    wanted: Objects = {
        "type c": {"labels": ("x",)},
        "function keep_n()": {"body": "1", "language": "plpgsql", "returns": "trigger"},
        "trigger a.keep": {"event": "BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION keep_n()"},
        "constraint a.small": {"check": "n < 9"},
        "constraint a.few": {"check": "m < 9"},
    }
    body = "CREATE FUNCTION keep_n() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM NEW.n::{}; END'"

    late, early = (ahead(wanted, sources={"function keep_n()": body.format(table)}) for table in ("c", "b"))

    assert [each for each in late if "small" in each or "TRIGGER" in each] == []
    assert any("few" in each for each in late)
    assert [each.partition(" ON ")[0] for each in early if "TRIGGER keep" in each] == [
        "CREATE TRIGGER keep BEFORE INSERT"
    ]
    assert any("ADD CONSTRAINT small" in each for each in early)


@pytest.mark.parametrize(("name", "other"), [("i", "i_kimbledb_new"), ('"I"', '"I_kimbledb_new"')])
def test_the_name_beside(name: str, other: str) -> None:
    """The name beside another one says whose place it takes."""
    assert beside(name) == other


def test_the_name_beside_a_long_one() -> None:
    """It fits into an identifier, and differs for names that differ at the end alone."""
    names = {beside("x" * 60 + end) for end in ("one", "two")}

    assert len(names) == 2
    assert max(map(len, names)) <= 63
