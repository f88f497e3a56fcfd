from __future__ import annotations

import json

import pytest

from kimbledb.model.forms import Forms, Origin, RecordedForms
from kimbledb.model.objects import Facts
from kimbledb.planning.comparison import Comparison, Verdict, compare, without_defaults

HERE = Origin(server=180001, system=7, table=16400)
KEY = ("constraint", "a.b")
#: A check as one version prints it, and as another does.
FIRST: Facts = {"check": "t.v > 0"}
SECOND: Facts = {"check": "v > 0"}


def compared(
    declared: Facts, found: Facts, *, recorded: str | None = None, origin: Origin = HERE, here: Origin = HERE
) -> Comparison:
    """Compare with a record that holds one form, while the object that is found has the form "now"."""
    records = {} if recorded is None else {"m.sql": RecordedForms(origin, {KEY: recorded})}
    form = Forms(here, records).of("m.sql", KEY)
    return compare(declared, found, form="now", recorded=form)


def test_a_fact_that_differs_is_named() -> None:
    """Of an object of another structure, the facts that differ are said from both sides, and no others."""
    found = compared({"type": "bigint", "not_null": True, "default": "0"}, {"type": "text", "default": "0"})

    assert (found.verdict, found.expected_words, found.found_words) == (
        Verdict.DIFFERS,
        "bigint not null",
        "text nullable",
    )


def test_a_hash_is_not_shown() -> None:
    """A body that differs is said to differ, without its hash."""
    found = compared({"body": "5d4140", "strict": True}, {"body": "7d793"})

    assert (found.expected_words, found.found_words) == ("strict the declared body", "another body no strict")


@pytest.mark.parametrize(
    ("recorded", "origin", "expected"),
    [
        (None, HERE, Verdict.UNKNOWN),
        ("now", HERE, Verdict.RIGHT),
        ("then", HERE, Verdict.DIFFERS),
        ("then", Origin(180004, 7, 16400), Verdict.DIFFERS),
        ("then", Origin(150012, 7, 16400), Verdict.UNKNOWN),
        ("then", Origin(180001, 8, 16400), Verdict.UNKNOWN),
        ("then", Origin(180001, 7, 20000), Verdict.UNKNOWN),
        ("now", Origin(150012, 8, 20000), Verdict.RIGHT),
    ],
)
def test_an_expression_is_compared_with_its_record(recorded: str | None, origin: Origin, expected: Verdict) -> None:
    """An expression of another text is right in the recorded form, and wrong in another form of the same place only."""
    found = compared(FIRST, SECOND, recorded=recorded, origin=origin)

    assert expected == found.verdict
    assert found.is_unknown == (found.doubt is not None)


def test_an_expression_of_the_declared_text_is_right() -> None:
    """Equal texts need no record, and none that was made elsewhere speaks against them."""
    assert compared(FIRST, FIRST, recorded="then").is_right


def test_an_expression_beside_a_fact_that_differs() -> None:
    """Of an object of another structure, expressions of another text are named where a record proves that they differ."""
    declared: Facts = {"type": "text", "default": "'a'"}
    found: Facts = {"type": "bigint", "default": "'b'"}

    assert set(compared(declared, found).found) == {"type"}
    assert set(compared(declared, found, recorded="now").found) == {"type"}
    assert set(compared(declared, found, recorded="then").found) == {"type", "default"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "v::text = ANY (ARRAY['a'::character varying, 'b'::character varying]::text[])",
            "v::text = ANY (ARRAY['a'::character varying::text, 'b'::character varying::text])",
        ),
        (
            "v <> ALL (ARRAY['a,]'::varchar, f(x, y)]::text[]) AND w",
            "v <> ALL (ARRAY['a,]'::varchar::text, f(x, y)::text]) AND w",
        ),
        ("ARRAY[ARRAY[1]::bigint[]]", "ARRAY[ARRAY[1::bigint]]"),
        ("ARRAY[1, 2] || ARRAY['x']::\"T\"[]", "ARRAY[1, 2] || ARRAY['x']::\"T\"[]"),
    ],
)
def test_an_expression_that_was_fed_back_is_right(first: str, second: str) -> None:
    """An expression is right as the server prints it once its own text was read back, without any record."""
    assert compared({"check": first}, {"check": second}).is_right
    assert compared({"checks": (f"c CHECK ({first})",)}, {"checks": (f"c CHECK ({second})",)}, recorded="then").is_right
    assert compared({"columns": (f"({first})",)}, {"columns": (f"({second})",)}).is_right


@pytest.mark.parametrize("other", ["ARRAY['a'::text, 'c'::text]", "ARRAY['a', 'b']::varchar[]", "ARRAY['a'::text]"])
def test_another_array_is_not_right(other: str) -> None:
    """Another element or another type makes another expression."""
    assert compared({"default": "ARRAY['a', 'b']::text[]"}, {"default": other}).is_unknown


def test_a_missing_expression_differs_without_a_record() -> None:
    """Whether there is an expression at all is structure."""
    assert compared({"type": "text", "default": "'a'::text"}, {"type": "text"}).differs
    assert compared({"columns": ("(lower(a))",)}, {"columns": ("a",)}).differs
    assert compared({"columns": ("(lower(a))",)}, {"columns": ("(lower((a)::text))",)}).is_unknown


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"key": 'UNIQUE ("timestamp")'}, {"key": "UNIQUE (timestamp)"}),
        ({"columns": ("system_user DESC",)}, {"columns": ('"system_user" DESC',)}),
        ({"check": '"json" > 0'}, {"check": "json > 0"}),
    ],
)
def test_quotes_of_keywords_are_no_difference(declared: Facts, found: Facts) -> None:
    """Which names are quoted in a text depends on the server's list of keywords."""
    assert compared(declared, found).is_right


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"key": 'UNIQUE ("A")'}, {"key": "UNIQUE (A)"}),
        ({"labels": ('"a"',)}, {"labels": ("a",)}),
    ],
)
def test_other_quotes_are_a_difference(declared: Facts, found: Facts) -> None:
    """A name with capitals needs its quotes, and in data a quote is a character."""
    assert compared(declared, found).differs


def test_quotes_in_a_constant_are_a_difference() -> None:
    """A constant is compared with its quotes."""
    assert compared({"default": "'\"a\"'::text"}, {"default": "'a'::text"}).is_unknown


def test_names_of_not_null_are_no_difference() -> None:
    """Servers before 18 keep no name for NOT NULL, and an upgrade to 18 chooses one."""
    declared: Facts = {"type": "text", "not_null": True, "not_null_name": "must"}

    assert compared(declared, {"type": "text", "not_null": True}).is_right
    assert compared(declared, {"type": "text", "not_null": True, "not_null_name": "t_a_not_null"}).is_right
    assert compared(declared, {"type": "text", "not_null_name": "must"}).differs


def test_an_upgrade_brings_no_maintain() -> None:
    """The privilege that came with 17 is not missed where a server before 17 took it from the list, but is told where it was given."""
    all_but_truncate: Facts = {"may": ("insert", "maintain", "select")}

    assert compared(all_but_truncate, {"may": ("insert", "select")}).is_right
    assert compared({"may": ("insert", "select")}, all_but_truncate).differs
    assert compared(all_but_truncate, {"may": ("insert",)}).differs
    assert compared({"may": ("maintain with grant option", "select")}, {"may": ("select",)}).is_right


def test_where_things_are_put_is_the_owners_choice() -> None:
    """A tablespace of a database's default is no difference, unless a script names another one."""
    assert compared({}, {"tablespace": "fast"}).is_right
    assert compared({"tablespace": "slow"}, {"tablespace": "fast"}).differs


def test_a_record_is_read_as_it_was_written() -> None:
    """What history holds gives the same record back."""
    record = RecordedForms(
        HERE,
        {KEY: "now", ("index", '"i x"'): "then", ("operator class", "o using btree"): "1"},
        kept={("column", "a.b"): {"type": "text", "options": ("n_distinct=1",)}},
    )

    assert RecordedForms.of(json.loads(json.dumps(record.as_dict()))) == record


def test_default_privileges_explain_what_is_more_than_declared() -> None:
    """What default privileges give a role besides is left out, with and without the grant option; the rest stays."""
    declared: Facts = {"may": ("select",)}
    given = {"select", "insert with grant option", "select with grant option"}

    def left(*may: str) -> Facts:
        return without_defaults(declared, {"may": may}, given)

    assert left("select", "insert with grant option") == declared
    assert left("select with grant option") == declared
    assert left("insert with grant option") == {"may": ()}
    assert left("select", "update") == {"may": ("select", "update")}
    assert without_defaults(declared, {"may": ("insert", "select")}, ()) == {"may": ("insert", "select")}
