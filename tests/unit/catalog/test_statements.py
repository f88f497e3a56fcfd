from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kimbledb.catalog.named_queries import read_named_queries
from kimbledb.catalog.script_problems import find_problems
from kimbledb.catalog.statements import ClientCommand, UnreadableSQL, name_of, names_in, split
from kimbledb.model.check import VerificationQuery
from kimbledb.model.script import Script


def texts(sql: str) -> list[str]:
    """The texts of the statements of a file."""
    return [statement.text for statement in split(sql)]


def messages(sql: str, *, transactional: bool = True) -> list[str]:
    """What a script is refused for."""
    return [problem.message for problem in find_problems(sql, transactional=transactional)]


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Stop what takes minutes where it should take a moment: a bound, not a measurement."""

    def stop(_signal: int, _frame: object) -> None:
        raise AssertionError(f"it takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Texts that mean nothing where they are hidden, and end a statement or worse where they are not.

HOSTILE = st.lists(
    st.sampled_from(
        [
            "hidden",
            ";",
            "'",
            '"',
            "$$",
            "$t$",
            "--",
            "\\",
            "\\'",
            "(",
            ")",
            "BEGIN ATOMIC",
            "END",
            "é",
            "😀",
            "\n",
            "E'",
        ]
    ),
    max_size=6,
).map(" ".join)
ONE_LINE = HOSTILE.map(lambda text: text.replace("\n", " "))


@st.composite
def nested_comments(draw: st.DrawFn, depth: int = 3) -> str:
    """A block comment, with comments in it."""
    inner = [draw(HOSTILE)]
    if depth:
        inner += draw(st.lists(nested_comments(depth=depth - 1), max_size=2))
    return f"/*{' '.join(inner)}*/"


@st.composite
def escape_strings(draw: st.DrawFn) -> str:
    """A string with escapes, which may go on after a line break."""
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 2))):
        text = draw(HOSTILE).replace("\\", "\\\\")
        parts.append("'" + text.replace("'", draw(st.sampled_from(["''", "\\'"]))) + "'")
    return draw(st.sampled_from("eE")) + draw(st.sampled_from(["\n", " \n\t", " -- hidden;\n"])).join(parts)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """A dollar-quoted text."""
    tag = draw(st.sampled_from(["$$", "$t$", "$é1$", "$😀$"]))
    return f"{tag} {draw(HOSTILE).replace(tag, '')} {tag}"


COMMENTS = nested_comments() | ONE_LINE.map(lambda text: f"-- {text}\n")
GAPS = st.lists(COMMENTS | st.sampled_from([" ", "\n", "\t", "\r\n"]), min_size=1, max_size=3).map(
    lambda parts: " ".join(["", *parts, ""])
)
ATOMS = st.one_of(
    st.sampled_from(["a", "x1", "a$b$c", "é$$é", "1.5", "=", "-", "*", ",", "::text", "my_end", "t.end", "[1]"]),
    HOSTILE.map(lambda text: "'" + text.replace("'", "''") + "'"),
    HOSTILE.map(lambda text: '"' + text.replace('"', '""') + '"'),
    escape_strings(),
    bodies(),
)
# A rule's actions stand in parentheses, with semicolons between them.
TOKENS = st.recursive(
    ATOMS | COMMENTS,
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: f"( {' ; '.join(parts)} )"),
    max_leaves=6,
)
PLAIN_STATEMENTS = st.tuples(
    st.sampled_from(["SELECT", "insert", "CREATE RULE", "CREATE TABLE", "DO", "case", "end_of"]),
    st.lists(TOKENS, max_size=6).map(" ".join),
).map(lambda parts: " ".join([*parts, "z"]))


@st.composite
def routines(draw: st.DrawFn) -> str:
    """A statement that makes a routine with a BEGIN ATOMIC body, which holds statements of its own."""
    case = "CASE WHEN a THEN CASE b WHEN 'END' THEN 1 END ELSE 2 END"
    label = "SELECT 1 AS end, 2 AS CASE, t.end, t.case"
    body = draw(st.lists(PLAIN_STATEMENTS.filter(lambda text: not text.startswith("case")), max_size=3))
    body = [*body, *draw(st.lists(st.sampled_from([f"SELECT {case}", label, ""]), max_size=2))]
    return draw(GAPS).join(
        [
            *draw(st.sampled_from([["CREATE"], ["create", "OR", "REPLACE"]])),
            draw(st.sampled_from(["FUNCTION", "procedure"])),
            f"f(a int, b int DEFAULT (1)) {draw(ATOMS)}",
            draw(st.sampled_from(["BEGIN", "begin"])),
            f"ATOMIC {'; '.join(body)};",
            "END",
        ]
    )


STATEMENTS = PLAIN_STATEMENTS | routines()

# Anything, with a leaning to what a scanner can trip over.
ANYTHING = st.lists(
    st.sampled_from(
        [
            *(
                "'",
                '"',
                "$",
                "$$",
                "$a$",
                "E'",
                "\\",
                "/*",
                "*/",
                "--",
                "\n",
                "\r",
                ";",
                "(",
                ")",
                " ",
                "a",
                "1",
                "é",
                "😀",
            ),
            *(
                "\xa0",
                "\0",
                "begin atomic",
                "end",
                "case",
                "create function f()",
                "commit",
                "copy t from stdin;",
                "\\.",
            ),
            *("-- name: a\n", "-- name: a runs\n", "select true", "set ", "local", "\ufeff"),
        ]
    )
    | st.text(max_size=3),
    max_size=25,
).map("".join)


# Telling statements apart.


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.tuples(GAPS, STATEMENTS, st.sampled_from([";", "; ;", "\n;"])), max_size=5), GAPS)
def test_split_gives_exactly_the_statements_of_a_file(parts: list[tuple[str, str, str]], after: str) -> None:
    """Whatever hides in comments, strings, names, bodies and parentheses, each statement comes out whole and alone."""
    text = "".join(gap + statement + end for gap, statement, end in parts) + after

    assert [statement for _, statement, _ in parts] == texts(text)


@settings(max_examples=settings().max_examples // 3)
@given(STATEMENTS)
def test_the_last_statement_needs_no_semicolon(statement: str) -> None:
    """The end of the file ends a statement, too."""
    assert ["SELECT 1", statement] == texts(f"SELECT 1;\n{statement}\n\n")


@settings(max_examples=settings().max_examples // 2)
@given(PLAIN_STATEMENTS)
def test_a_skeleton_shows_nothing_that_is_hidden(statement: str) -> None:
    """What stands in comments, strings, quoted names and bodies is not in the skeleton, and the words are."""
    [found] = split(statement)

    assert "hidden" not in found.skeleton
    assert statement.split(maxsplit=1)[0] == found.skeleton.split(maxsplit=1)[0]
    assert found.skeleton.endswith(" z")


def outside_comments(text: str) -> str:
    """A text without its comments, by a reading of its own."""
    kept, depth, position = "", 0, 0
    while position < len(text):
        two = text[position : position + 2]
        if two == "/*":
            depth, position = depth + 1, position + 2
        elif two == "*/" and depth:
            depth, position = depth - 1, position + 2
        elif two == "--" and not depth:
            while position < len(text) and text[position] not in "\r\n":
                position += 1
        else:
            kept, position = kept + ("" if depth else text[position]), position + 1
    return kept


@settings(max_examples=2 * settings().max_examples)
@given(ANYTHING)
@example("SELECT 1 -- a\rCOMMIT;")
@example("\xa0;\xa0")
def test_joining_the_pieces_back_loses_nothing(text: str) -> None:
    """Between the statements of a text stands nothing but space, comments and semicolons."""
    try:
        found = list(split(text))
    except (UnreadableSQL, ClientCommand):
        return
    position = 0
    for statement in found:
        assert statement.text == text[statement.start : statement.start + len(statement.text)]
        assert not outside_comments(text[position : statement.start]).strip(" \t\n\r\f\v;")
        position = statement.start + len(statement.text)
    assert not outside_comments(text[position:]).strip(" \t\n\r\f\v;")


@settings(max_examples=2 * settings().max_examples)
@given(ANYTHING)
@example("/* -- name: a\n")
@example("-- name: a\n/* -- name: b\n")
def test_any_text_is_read_or_refused(text: str) -> None:
    """A text that cannot be read is refused by an error of its own, and its place lies in the text."""
    try:
        list(split(text))
    except (UnreadableSQL, ClientCommand) as error:
        assert 0 <= error.offset < len(text)
    for problem in (*find_problems(text, transactional=True), *read_named_queries(Script("verify.sql", text))[1]):
        assert 0 <= problem.offset <= len(text)
        assert problem.message
        assert problem.cure


SIMPLE_WORDS = st.sampled_from(
    ["alpha", "beta2", "gamma_x", "42", "3.14", "'one'", "'it''s'", "=", "+", "(1, 2)", '"Q"']
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["SELECT", "INSERT INTO t", "UPDATE t SET", "DELETE FROM", "ALTER TABLE t ADD"]),
            st.lists(SIMPLE_WORDS, min_size=1, max_size=6),
        ).map(lambda parts: " ".join([parts[0], *parts[1]])),
        max_size=5,
    )
)
def test_split_agrees_with_sqlparse_on_simple_text(parts: list[str]) -> None:
    """Where nothing is hidden, sqlparse tells the same statements apart."""
    text = ";\n".join(parts) + ";\n"

    assert [part.removesuffix(";") for part in sqlparse.split(text) if part != ";"] == texts(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n;;\t; -- only a comment", []),
        (r"SELECT 'C:\dir\'; SELECT 2", [r"SELECT 'C:\dir\'", "SELECT 2"]),
        (r"SELECT E'it\'s; here'; SELECT 2", [r"SELECT E'it\'s; here'", "SELECT 2"]),
        (r"SELECT typE'\'; SELECT 2", [r"SELECT typE'\'", "SELECT 2"]),
        ("SELECT 😀E'\\'; SELECT 2", ["SELECT 😀E'\\'", "SELECT 2"]),
        ("SELECT E'a'\n'\\'; b'; SELECT 2", ["SELECT E'a'\n'\\'; b'", "SELECT 2"]),
        ("SELECT E'a' -- x\n'\\'; b'; SELECT 2", ["SELECT E'a' -- x\n'\\'; b'", "SELECT 2"]),
        ("SELECT E'a' /* x\n */ '\\'; SELECT 2", ["SELECT E'a' /* x\n */ '\\'", "SELECT 2"]),
        ("SELECT U&'\\0041;'; SELECT 2", ["SELECT U&'\\0041;'", "SELECT 2"]),
        ("SELECT /* a; /* b */ c; */ 1; SELECT 2", ["SELECT /* a; /* b */ c; */ 1", "SELECT 2"]),
        ("SELECT 1 -- no; end\r; SELECT 2", ["SELECT 1 -- no; end", "SELECT 2"]),
        ("SELECT $1; SELECT $2", ["SELECT $1", "SELECT $2"]),
        ("SELECT $😀$ ; $😀$; SELECT 2", ["SELECT $😀$ ; $😀$", "SELECT 2"]),
        ("SELECT $a$ $b$ ; $a$; SELECT $b$", None),
        ("SELECT $a$;$A$;$a$; SELECT 2", ["SELECT $a$;$A$;$a$", "SELECT 2"]),
        ("SELECT a$$;b$$;c", ["SELECT a$$", "b$$", "c"]),
        ("SELECT 1 \xa0; SELECT 2", ["SELECT 1 \xa0", "SELECT 2"]),
        ("SELECT ); SELECT 2", ["SELECT )", "SELECT 2"]),
        ("BEGIN; SELECT 1; END", ["BEGIN", "SELECT 1", "END"]),
        ("SELECT 'begin atomic'; SELECT begin atomic; END", ["SELECT 'begin atomic'", "SELECT begin atomic", "END"]),
        ("CREATE FUNCTION begin() AS 'x'; SELECT 2", ["CREATE FUNCTION begin() AS 'x'", "SELECT 2"]),
    ],
)
def test_split_follows_postgresql(text: str, expected: list[str] | None) -> None:
    """The rules of the manual, 4.1, and of psql decide, also where they surprise."""
    if expected is None:
        with pytest.raises(UnreadableSQL):
            texts(text)
    else:
        assert expected == texts(text)


@pytest.mark.parametrize(
    ("text", "offset", "what"),
    [
        ("SELECT 'a;", 7, "a string"),
        ("SELECT 'a''", 7, "a string"),
        ("SELECT 'a', E'b\\'", 13, "a string"),
        ("SELECT E'b'\n'c", 8, "a string"),
        ('SELECT "a""', 7, "a quoted name"),
        ("SELECT 1; /* a /* b */", 10, "a comment"),
        ("SELECT /* a /* b */", 7, "a comment"),
        ("SELECT $x$ $y$", 7, "a body quoted by $x$"),
        ("SELECT (1, (2)", 7, "a parenthesis"),
        ("SELECT 1; CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", 30, "a BEGIN ATOMIC body"),
    ],
)
def test_what_never_ends_is_refused_where_it_begins(text: str, offset: int, what: str) -> None:
    """Nothing is guessed of a text that ends too soon."""
    with pytest.raises(UnreadableSQL) as caught:
        texts(text)

    assert (offset, f"{what} starts here and is never closed") == (caught.value.offset, str(caught.value))


MANY = 200_000
ADVERSARIAL = {
    **{
        repr(unit): unit * (MANY // len(unit))
        for unit in [
            *(
                "'",
                '"',
                "$",
                "$a",
                "$a$ ",
                "a$",
                "/",
                "/*",
                "*/",
                "/**/",
                "--\n",
                "\\",
                "\\\n",
                ";",
                "(",
                ")",
                "E'",
                "E''\n",
            ),
            *("E'\\", "E'a'\n", "\n", "begin atomic ", "as end ", "create ", "create or replace function "),
            *("-- name: a\n", "-- name: ", "copy t from ", "set ", "alter table "),
        ]
    },
    "an open string": "'" + "''" * (MANY // 2),
    "an open quoted name": '"' + '""' * (MANY // 2),
    "an open string with escapes": "E'" + "\\'" * (MANY // 2),
    "a string and line breaks": "E'x'" + "\n" * MANY,
    "a string and comments": "E'x'" + "--\n" * (MANY // 3) + "y",
    "an open body": "$a$" + "$b$" * (MANY // 3),
    "a dollar and a word": "$" + "a" * MANY,
    "a routine": "create function f() " + "begin /**/ " * (MANY // 11),
    "an atomic routine": "create function f() begin atomic " + "case " * (MANY // 5),
    "a routine of space": "create" + " " * MANY + "function f()",
    "a copy of space": "copy t from" + " " * MANY + "x",
    "a copy of sources": "copy t " + "from " * (MANY // 5),
    "a set of space": "set" + " " * MANY + "local a = 1",
    "a rollback of space": "rollback" + " " * MANY + "to x",
    "many partitions": "alter table t " + "detach partition p " * (MANY // 19),
    "many indexes": "reindex " + "concurrently_ " * (MANY // 14),
    "a check's name of space": "-- name: a" + " " * MANY + "b",
}


@pytest.mark.parametrize("text", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_a_hostile_text_is_read_in_a_moment(text: str) -> None:
    """200 kB of anything take no more time than their length: no pattern runs away."""
    with no_longer_than(20):
        find_problems(text, transactional=True)
        read_named_queries(Script("verify.sql", text))


# What a script may not hold.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BEGIN", "BEGIN would end or begin a transaction"),
        ("begin isolation level serializable", "begin isolation level would end or begin a transaction"),
        ("START /* x */ TRANSACTION", "START TRANSACTION would end or begin a transaction"),
        ("COMMIT AND CHAIN", "COMMIT AND CHAIN would end or begin a transaction"),
        ("END", "END would end or begin a transaction"),
        ("ABORT", "ABORT would end or begin a transaction"),
        ("ROLLBACK", "ROLLBACK would end or begin a transaction"),
        ("ROLLBACK TRANSACTION", "ROLLBACK TRANSACTION would end or begin a transaction"),
        ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION would end or begin a transaction"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED would end or begin a transaction"),
        ("/* a */ -- b\nCOMMIT", "COMMIT would end or begin a transaction"),
        ("-- hides nothing\rCOMMIT", "COMMIT would end or begin a transaction"),
        ("SET search_path = x", "SET search_path would outlive the transaction"),
        ("SET/**/ROLE x", "SET ROLE x would outlive the transaction"),
        ("SET SESSION a = 1", "SET SESSION a would outlive the transaction"),
        ("SET locale = 'C'", "SET locale would outlive the transaction"),
        ("RESET ALL", "RESET ALL would outlive the transaction"),
        ("DISCARD ALL", "DISCARD ALL would outlive the transaction"),
        ("LISTEN x", "LISTEN x would outlive the transaction"),
        ("UNLISTEN *", "UNLISTEN * would outlive the transaction"),
        ("LOAD 'x'", "LOAD would outlive the transaction"),
        ("COPY t FROM STDIN", "COPY FROM STDIN waits for data"),
        ("copy t (a, b)\nfrom stdin with (format csv)", "COPY FROM STDIN waits for data"),
        ('COPY "t" FROM/**/STDIN', "COPY FROM STDIN waits for data"),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX CONCURRENTLY cannot run in a transaction"),
        ("CREATE UNIQUE INDEX\nCONCURRENTLY i ON t (a)", "CREATE UNIQUE INDEX cannot run in a transaction"),
        ("DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY cannot run in a transaction"),
        ("REINDEX TABLE CONCURRENTLY t", "REINDEX TABLE CONCURRENTLY cannot run in a transaction"),
        ("REINDEX (CONCURRENTLY) TABLE t", "REINDEX (CONCURRENTLY) TABLE cannot run in a transaction"),
        ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", "ALTER TABLE t cannot run in a transaction"),
        ("VACUUM t", "VACUUM t cannot run in a transaction"),
        ("CREATE DATABASE x", "CREATE DATABASE x cannot run in a transaction"),
        ("ALTER SYSTEM SET a = 1", "ALTER SYSTEM SET cannot run in a transaction"),
        ("DROP /* all */ DATABASE x", "DROP DATABASE x cannot run in a transaction"),
        ("CREATE TABLESPACE x LOCATION '/x'", "CREATE TABLESPACE x cannot run in a transaction"),
        ("DROP TABLESPACE x", "DROP TABLESPACE x cannot run in a transaction"),
        ("ALTER DATABASE x SET TABLESPACE y", "ALTER DATABASE x cannot run in a transaction"),
        ("REINDEX SCHEMA public", "REINDEX SCHEMA public cannot run in a transaction"),
        ("REINDEX (VERBOSE, TABLESPACE x) DATABASE y", "REINDEX (VERBOSE, TABLESPACE cannot run in a transaction"),
        ("reindex/**/system", "reindex system cannot run in a transaction"),
        ("CLUSTER", "CLUSTER cannot run in a transaction"),
        ("CLUSTER (VERBOSE)", "CLUSTER (VERBOSE) cannot run in a transaction"),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'connect' PUBLICATION p",
            "CREATE SUBSCRIPTION s cannot run in a transaction",
        ),
        ("DROP SUBSCRIPTION IF EXISTS s", "DROP SUBSCRIPTION IF cannot run in a transaction"),
        ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", "ALTER SUBSCRIPTION s cannot run in a transaction"),
        ("ALTER SUBSCRIPTION s SET PUBLICATION p", "ALTER SUBSCRIPTION s cannot run in a transaction"),
        ("\\restrict abc", "\\restrict is a command of psql"),
        ("SELECT 1 \\gexec", "\\gexec is a command of psql"),
        ("\\df", "\\df is a command of psql"),
    ],
)
def test_a_script_is_refused(text: str, expected: str) -> None:
    """What would end the transaction, outlive it, hang or fail in it is found, in any spelling, with its place and a cure."""
    script = f"SELECT 1;\n{text}"

    [problem] = find_problems(script, transactional=True)

    assert problem.message.startswith(expected)
    assert problem.cure
    assert script[problem.offset :].upper().startswith(expected.split(maxsplit=1)[0].upper())


@pytest.mark.parametrize(
    "text",
    [
        "SET LOCAL a = 1",
        "SET  LOCAL a = 1",
        "SET\n    LOCAL a = 1",
        "SET /* only here */ LOCAL a = 1",
        "SET CONSTRAINTS ALL DEFERRED",
        "SET TRANSACTION READ WRITE",
        "SAVEPOINT x",
        "ROLLBACK TO x",
        "ROLLBACK WORK TO SAVEPOINT x",
        "ROLLBACK  TRANSACTION\nTO x",
        "RELEASE SAVEPOINT x",
        "PREPARE p AS SELECT 1",
        "SELECT 'COMMIT'; -- COMMIT;\n/* COMMIT; */ SELECT 1",
        "DO $$ BEGIN COMMIT; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
        "UPDATE t SET a = 1",
        "ALTER TABLE t RENAME a TO b",
        "COPY t FROM '/tmp/x'",
        "COPY t TO STDOUT",
        "COPY (SELECT a FROM stdin) TO '/tmp/x'",
        'COPY "from stdin" TO STDOUT',
        "CREATE INDEX concurrently_made ON t (a)",
        "CREATE INDEX i ON t (a)",
        "DROP INDEX concurrently_made",
        "REINDEX TABLE concurrently_made",
        'ALTER TABLE t ADD "concurrently" int',
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        "REINDEX (CONCURRENTLY false) TABLE t",
        "REINDEX TABLE schema",
        "CLUSTER t",
        "CLUSTER VERBOSE t USING i",
        "ALTER DATABASE x SET default_tablespace = y",
        "ALTER TYPE e ADD VALUE 'x'",
        "ALTER TABLE t DETACH PARTITION p FINALIZE",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false)",
        "ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)",
        "ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s",
        "SELECT 'a\\b'",
        "SELECT loaded, reset_at, committed, beginning, ending FROM t",
    ],
)
def test_a_script_is_accepted(text: str) -> None:
    """What only looks like a forbidden statement is none."""
    assert not messages(text)


def test_the_names_of_a_statement() -> None:
    """The words of a statement are folded as the server does, and those in quotes are kept; comments and strings hold none."""
    text = 'CREATE INDEX /* x */ Idx ON "My ""T" (Ä) WHERE a <> \'b\' -- c'

    assert names_in(text) == {"create", "index", "idx", "on", 'My "T', "Ä", "where", "a"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (r'DROP INDEX U&"d\0061t\+000061"', "data"),
        ("DROP INDEX u&\"d!0061t!!a\" UESCAPE '!'", "dat!a"),
        (r'DROP INDEX U&"\d83d\de00"', "😀"),
        (r'DROP INDEX U&"a\d83d"', "a"),
        (f"DROP INDEX {'n' * 70}", "n" * 63),
        (f'DROP INDEX "{"é" * 40}"', "é" * 31),
    ],
)
def test_the_names_of_a_statement_as_the_server_keeps_them(text: str, name: str) -> None:
    """Escapes in a name are read as the server reads them, and a long one is cut where it cuts it."""
    assert name in names_in(text)


@pytest.mark.parametrize("text", ["CREATE INDEX CONCURRENTLY i ON t (a)", "VACUUM t", "ALTER SYSTEM SET a = 1"])
def test_a_script_outside_of_a_transaction_may_do_more(text: str) -> None:
    """With `transactional = false` a script may hold what PostgreSQL refuses in a transaction block."""
    assert not messages(text, transactional=False)
    assert len(messages(f"{text}; COMMIT", transactional=False)) == 1


def test_every_problem_of_a_dump_is_found_at_once() -> None:
    """Client commands and rows under a COPY do not hide what follows them, and are not taken for SQL."""
    dump = r"""\restrict abc
SET lock_timeout = 0;
CREATE TABLE t (a text);
COPY t (a) FROM stdin;
it's a row; COMMIT;
\N
\.
BEGIN;
\unrestrict abc
SELECT 'open"""
    expected = [
        (1, r"\restrict is a command of psql and not SQL"),
        (2, "SET lock_timeout would outlive the transaction and affect the next user of the connection"),
        (4, "COPY FROM STDIN waits for data that a script cannot send"),
        (8, "BEGIN would end or begin a transaction"),
        (9, r"\unrestrict is a command of psql and not SQL"),
        (10, "a string starts here and is never closed"),
    ]

    problems = find_problems(dump, transactional=True)

    assert expected == [
        (Script("apply.sql", dump).line_and_column(problem.offset)[0], problem.message) for problem in problems
    ]


@settings(max_examples=settings().max_examples // 3)
@given(st.lists(PLAIN_STATEMENTS, max_size=3), st.lists(PLAIN_STATEMENTS, max_size=3))
def test_a_forbidden_statement_is_found_among_others(before: list[str], after: list[str]) -> None:
    """A COMMIT is found wherever it stands, and nothing that hides elsewhere is taken for one."""
    text = "".join(f"{statement};\n" for statement in before)
    [problem] = find_problems(text + "COMMIT;\n" + ";\n".join(after), transactional=True)

    assert (len(text), "COMMIT would end or begin a transaction") == (problem.offset, problem.message)


# Places and names.


@given(st.text(alphabet="ab\n\r\té😀", max_size=40), st.data())
def test_a_place_is_counted_in_lines_and_characters(text: str, data: st.DataObject) -> None:
    """Lines end with a line feed alone, and both counts begin with 1."""
    offset = data.draw(st.integers(0, len(text)))
    before = text[:offset].split("\n")

    assert (len(before), len(before[-1]) + 1) == Script("apply.sql", text).line_and_column(offset)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE TABLE t (a int)", "CREATE TABLE t (a int)"),
        ("CREATE -- why\n  TABLE t /* what */ (a int)", "CREATE TABLE t (a int)"),
        ("SELECT " + "a, " * 100 + "b", "SELECT " + "a, " * 20 + "a," + "..."),
        ("", ""),
    ],
)
def test_a_statement_has_a_short_name(statement: str, expected: str) -> None:
    """A statement is shown on one line of at most 72 characters, without its comments."""
    assert expected == name_of(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 900 + "1" + ")" * 900,
        "INSERT INTO t VALUES " + ", ".join(["(1, 'a')"] * 100_000),
        "/*" * 5000 + "*/" * 5000 + " SELECT 1",
        "SELECT 'never ends",
    ],
    ids=["deep", "long", "commented", "open"],
)
def test_naming_a_statement_never_fails(statement: str) -> None:
    """Neither depth nor length keeps an error from being shown."""
    with no_longer_than(10):
        assert 0 < len(name_of(statement)) <= 72


@given(ANYTHING)
def test_any_text_has_a_name(text: str) -> None:
    """The name of any text is one line."""
    name = name_of(text)

    assert len(name) <= 72
    assert len(name.splitlines()) <= 1


# verify.sql


def test_named_queries_are_read_with_their_lines() -> None:
    """Each check is read with its name, its text without semicolon, its mark and the line of its text."""
    text = """-- Why these.

-- name: first
SELECT true AS passed; -- after it
--name:\tsecond-2 \t runs\x20

/* a comment */ WITH a AS (SELECT ';')
SELECT * FROM a
"""
    expected = [
        VerificationQuery(name="first", sql="SELECT true AS passed", runs=False, line=4),
        VerificationQuery(name="second-2", sql="WITH a AS (SELECT ';')\nSELECT * FROM a", runs=True, line=7),
    ]

    assert (expected, []) == read_named_queries(Script("verify.sql", text))


NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_-]{0,10}\Z")


@settings(max_examples=settings().max_examples // 4)
@given(
    st.lists(
        st.tuples(NAMES, st.booleans(), GAPS.filter(lambda gap: "-- name:" not in gap), PLAIN_STATEMENTS),
        min_size=1,
        max_size=4,
        unique_by=lambda check: check[0],
    )
)
def test_a_file_of_checks_is_read_as_it_was_written(checks: list[tuple[str, bool, str, str]]) -> None:
    """Whatever the queries hide, each comes out under its name, and the line is that of its text."""
    checks = [(name, runs, gap, f"SELECT {statement}") for name, runs, gap, statement in checks]
    text = "".join(
        f"-- name: {name}{' runs' if runs else ''}\n{gap}{statement};\n" for name, runs, gap, statement in checks
    )

    queries, problems = read_named_queries(Script("verify.sql", text))

    assert not problems
    assert [(name, statement, runs) for name, runs, _, statement in checks] == [
        (query.name, query.sql, query.runs) for query in queries
    ]
    lines = text.split("\n")
    assert all(query.sql.split("\n")[0] in lines[query.line - 1] for query in queries)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "it contains no check"),
        ("SELECT true AS passed", 1, "it contains no check"),
        ("\nSELECT 1;\n-- name: a\nSELECT true AS passed", 2, "this text precedes the first `-- name:`"),
        ("-- name: a b\nSELECT true AS passed", 1, "'-- name: a b' is no valid name of a check"),
        ("-- name:\nSELECT true AS passed", 1, "'-- name:' is no valid name of a check"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 1", 3, "two checks have the name a"),
        ("-- name: a\n", 1, "check a has 0 statements"),
        ("-- name: a\nSELECT 1;\nSELECT 2", 1, "check a has 2 statements"),
        ("-- name: a\n\nDELETE FROM t", 3, "check a is no SELECT"),
        ("-- name: a\n\nSELECTED FROM t", 3, "check a is no SELECT"),
        ("-- name: a\nSELECT 'open", 2, "a string starts here and is never closed"),
        ("/* open\n-- name: a\nSELECT true AS passed", 1, "a comment starts here and is never closed"),
        ("-- name: a\nSELECT 1 \\gset", 2, "\\gset is a command of psql and not SQL"),
    ],
)
def test_a_file_of_checks_is_refused(text: str, line: int, message: str) -> None:
    """What is wrong with a verify.sql is told with its line and a cure."""
    _, [problem] = read_named_queries(Script("verify.sql", text))

    assert (line, message) == (Script("verify.sql", text).line_and_column(problem.offset)[0], problem.message)
    assert problem.cure


def test_every_problem_of_a_file_of_checks_is_found_at_once() -> None:
    """One bad check does not hide the next, and the good ones are read."""
    text = "-- name: a\nDELETE FROM t;\n-- name: b\nSELECT true AS passed;\n-- name: ?\n-- name: c\nSELECT ("
    expected = [
        "check a is no SELECT",
        "'-- name: ?' is no valid name of a check",
        "a parenthesis starts here and is never closed",
    ]

    [query], problems = read_named_queries(Script("verify.sql", text))

    assert query.name == "b"
    assert expected == [problem.message for problem in problems]


@pytest.mark.parametrize(
    "word", ["SELECT 1", "with a as (select 1) select 1", "VALUES (true)", "TABLE t", "(SELECT 1)"]
)
def test_a_check_may_be_any_query(word: str) -> None:
    """All forms of a query that gives rows will do."""
    queries, problems = read_named_queries(Script("verify.sql", f"-- name: a\n{word}"))

    assert ([], [word]) == (problems, [query.sql for query in queries])


# What looks like ASCII, or like nothing.


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("SELECT\u00a01", (2, 7), "a no-break space (U+00A0) would be part of a name"),
        ("SELECT 1,\n  \u200b2", (3, 3), "a zero width space (U+200B) would be part of a name"),
        ("\ufeffSELECT 1", (2, 1), "a byte-order mark (U+FEFF) would be part of a name"),
        ("SELECT \u2018a\u2019", (2, 8), "a left single quotation mark (U+2018) would be part of a name"),
        ("SELECT \u201ca", (2, 8), "a left double quotation mark (U+201C) would be part of a name"),
        ("SELECT 1 \u2013 1", (2, 10), "an en dash (U+2013) would be part of a name"),
        ("SELECT 'a', \u2060b", (2, 13), "a word joiner (U+2060) would be part of a name"),
        ('SELECT "a\u200b"', (2, 10), "a zero width space (U+200B) would be part of a name"),
        ("SELECT /* \u00a0 */ 1\u3000", (2, 17), "an ideographic space (U+3000) would be part of a name"),
        ("SELECT a\u200d", (2, 9), "a zero width joiner (U+200D) would be part of a name"),
    ],
)
def test_what_looks_like_another_character_is_named(text: str, place: tuple[int, int], message: str) -> None:
    """A character that nobody sees, or takes for one of ASCII, is told with its line and column."""
    script = f"SELECT 0;\n{text}"

    problem = find_problems(script, transactional=True)[0]

    assert (place, message, True) == (
        Script("apply.sql", script).line_and_column(problem.offset),
        problem.message,
        problem.exact,
    )
    assert problem.cure


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '\u00a0\u200b\u2018' -- \u2019\u00a0\n, 1 /* \u201c */",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '\u2019' $$",
        'SELECT "Größe\u00a0x", größe, 名前, "“"',
        # A joiner is how some languages are written.
        "CREATE TABLE \u0645\u06cc\u200c\u062e\u0648\u0627 (id integer)",
    ],
)
def test_characters_of_the_languages_are_let_be(text: str) -> None:
    """In strings, comments, bodies and quoted names a text may be as it is, and names may be of any language."""
    assert messages(text) == []


def test_a_string_closed_by_a_typographic_quote_is_told_as_such() -> None:
    """Where a string never ends since its end only looks like one, the cure names that character."""
    [problem] = find_problems("SELECT 'it\u2019;\nSELECT 1;\n", transactional=True)

    assert problem.message == "a string starts here and is never closed"
    assert problem.cure == "close it: a right single quotation mark (U+2019) on the same line closes nothing"


def test_a_typographic_quote_before_a_string_that_never_ends_is_told() -> None:
    """An apostrophe in a text between typographic quotes opens a string; the quote before it is named, too."""
    assert messages("SELECT \u2018it's\u2019;\n") == [
        "a left single quotation mark (U+2018) would be part of a name",
        "a string starts here and is never closed",
    ]


def test_a_check_with_a_character_that_nobody_sees_is_told() -> None:
    """A verify.sql is looked at as well."""
    [problem] = read_named_queries(Script("verify.sql", "-- name: a\nSELECT\u00a0true AS passed"))[1]

    assert problem.message == "a no-break space (U+00A0) would be part of a name"
    assert problem.offset == 17


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (
            "CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN (SELECT 1 FROM begin atomic);\nCOMMIT;\nSELECT 1;\nEND;",
            2,
        ),
        ("CREATE FUNCTION f() RETURNS integer LANGUAGE sql\nBEGIN ATOMIC SELECT 1; /* c */ COMMIT; END;", 1),
        ("CREATE FUNCTION f() RETURNS integer LANGUAGE sql\nBEGIN ATOMIC /* c */ Commit; END;", 1),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; rollback);", 1),
        ("CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; PREPARE  TRANSACTION 'x'; END;", 1),
    ],
)
def test_a_hidden_end_of_the_transaction_is_a_fault(script: str, line: int) -> None:
    """What ends a transaction is found where it stands in what looks like a body."""
    problems = find_problems(script, transactional=True)

    assert "would end or begin a transaction" in problems[0].message
    assert Script("apply.sql", script).line_and_column(problems[0].offset)[0] == line


@pytest.mark.parametrize(
    "script",
    [
        "CREATE FUNCTION f(n integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN n > 0 THEN 1 ELSE 0 END; END;",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT commit FROM begin atomic; END;",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO log VALUES ('; COMMIT'); NOTIFY committed);",
        "CREATE TABLE begin (commit integer, rollback integer); SELECT b.commit FROM begin b;",
    ],
)
def test_what_only_looks_like_one_is_none(script: str) -> None:
    """Names, bodies in quotes and the END of a body end no transaction."""
    assert not find_problems(script, transactional=True)
