from __future__ import annotations

import pickle

import pytest

import kimbledb
from kimbledb.errors import KimbleDBError
from kimbledb.model.migration import Migration
from kimbledb.model.redaction import excerpt, masked, spans
from kimbledb.model.text import one_line, printable
from kimbledb.server.drivers.asyncpg import condition
from tests.unit.test_errors import SAMPLES


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER ROLE x PASSWORD 'hunter2'", "ALTER ROLE x PASSWORD '***'"),
        ("ALTER ROLE x PASSWORD hunter2 LOGIN", "ALTER ROLE x PASSWORD *** LOGIN"),
        ("ALTER ROLE x PASSWORD NULL", "ALTER ROLE x PASSWORD NULL"),
        ("CREATE TABLE t (password text)", "CREATE TABLE t (password text)"),
        ("SELECT 'a''b', E'x\\'y', U&'z', N'n', 7", "SELECT '***', E'***', U&'***', N'***', 7"),
        ("SELECT $$a$$, $t$b$$c$t$, x$y$z", "SELECT $$***$$, $t$***$t$, x$y$z"),
        ("SELECT 1 -- secret\n, 2 /* a /* b */ c */", "SELECT 1 --***\n, 2 /****/"),
        ("SELECT \"it's\", 'x'", "SELECT \"it's\", '***'"),
        ("SELECT 'open\nand on", "SELECT '***"),
        ("SELECT /* open", "SELECT /****"),
        ("SELECT 'it's secret', 'x'\n, 'y' AS z", "SELECT '***'***\n, '***' AS z"),
        ("SELECT 'C:\\' secret ' x", "SELECT '***"),
        ("DO $$ BEGIN PERFORM f('a'); END $$;", "DO $$ BEGIN PERFORM f('***'); END $$;"),
        (
            "CREATE FUNCTION f() RETURNS text AS $f$ SELECT 'a' $f$",
            "CREATE FUNCTION f() RETURNS text AS $f$ SELECT '***' $f$",
        ),
        ("SELECT ''", "SELECT ''"),
    ],
)
def test_strings_and_comments_are_masked(sql: str, expected: str) -> None:
    """Of SQL that is shown the contents of strings and comments are masked; names, numbers and the code of bodies stay."""
    expected = expected.replace("/****/", "/*" + "***" + "*/") if "*/" in expected else expected

    assert expected == masked(sql)


def test_numbers_of_others_are_masked() -> None:
    """In a query of somebody else numbers are values of rows; names and parameters stay."""
    assert (
        masked("SELECT n1 FROM t2 WHERE id = 4711 AND x = $1 AND y < 1.5e3", numbers=True)
        == "SELECT n1 FROM t2 WHERE id = *** AND x = $1 AND y < ***"
    )


@pytest.mark.parametrize(
    ("sql", "word", "line"),
    [
        ("SELECT 'secret', missing, 'secret'", "missing", "SELECT '***', missing, '***'"),
        ("SELECT 'a\nsecret', missing, 'x\ny'", "missing", "***', missing, '***"),
        ("SELECT 1;\r\nSELECT missing\r\n", "missing", "SELECT missing"),
        ("SELECT 'the boys' my secret'", "secret", "SELECT '***'***"),
    ],
)
def test_a_line_is_shown_masked_with_its_place(sql: str, word: str, line: str) -> None:
    """The place under which the caret stands moves with what is masked before it."""
    offset = sql.index(word)
    shown, place = excerpt(sql, offset, spans(sql, broken_at=offset if word == "secret" else None))

    assert line == shown
    assert shown[place:].startswith((word, "***"))


@pytest.mark.parametrize("before", [0, 30, 400])
@pytest.mark.parametrize("after", [0, 30, 400])
def test_a_long_line_is_cut_around_the_place(before: int, after: int) -> None:
    """Of a long line about 120 characters are shown, with the place that is meant among them."""
    sql = "a" * before + " missing " + "b" * after
    shown, place = excerpt(sql, sql.index("missing"), [])

    assert shown[place:].startswith("missing")
    assert len(shown) <= 126
    assert shown.startswith("...") == (before == 400)
    assert shown.endswith("...") == (after == 400)


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("23505", "unique violation"),
        ("22P02", "invalid text representation"),
        ("42601", "syntax error"),
        ("P0001", "raise exception"),
        ("25006", "read only sql transaction"),
        ("ZZ999", "an error without a standard condition"),
        (None, "an error without a standard condition"),
    ],
)
def test_a_sqlstate_is_named(sqlstate: str | None, expected: str) -> None:
    """History keeps the condition of an error in words, which quote nothing."""
    assert expected == condition(sqlstate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9b31m\x07", "a\\x9b31m\\x07"),
        ("a\u202eb\u2066c\u200bd\ufeff", "a\\u202eb\\u2066c\\u200bd\\ufeff"),
        ("a\r\nb\tc\u2028d", "a\\r\\nb\\tc\\u2028d"),
        ("Ärger 表 🙂", "Ärger 表 🙂"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_name_cannot_steer_a_terminal(text: str, expected: str) -> None:
    """Control characters, turns of direction, what has no width and line breaks are spelt out in a name."""
    assert expected == one_line(text)


def test_a_text_keeps_its_lines() -> None:
    """A text of several lines keeps its line breaks and tabs, and no other control character."""
    assert printable("a\n\tb\x1b\r") == "a\n\tb\\x1b\\r"
    assert KimbleDBError("a", hint="b\x07").text == "a\n  hint: b\\x07"


@pytest.mark.parametrize("name", SAMPLES)
def test_an_error_survives_a_pickle(name: str) -> None:
    """Another process gets an error as it was raised, with its attributes."""
    error = SAMPLES[name][0]()
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (type(error), str(error), repr(error)) == (type(copy), str(copy), repr(copy))
    assert error.__dict__.keys() == copy.__dict__.keys()


def test_a_pickled_migration_holds_no_sql() -> None:
    """What reports and errors carry of a migration are its facts; a catalog that is pickled by itself is whole."""
    migration = Migration(
        name="a.sql", number=1, apply_sql="SELECT 'secret'", rollback_sql="SELECT 'secret'", checksum="c"
    )
    copy = pickle.loads(pickle.dumps(migration))  # noqa: S301
    whole = pickle.loads(pickle.dumps(kimbledb.Catalog([migration])))  # noqa: S301

    assert b"secret" not in pickle.dumps(migration)
    assert (copy.name, copy.number, copy.checksum, copy.apply_sql) == ("a.sql", 1, "c", "")
    assert (whole[1].apply_sql, whole[1].rollback_sql) == ("SELECT 'secret'", "SELECT 'secret'")
