"""Where the queries of an application stand."""

from __future__ import annotations

from pathlib import Path

import pytest

import kimbledb
from kimbledb.execution.rehearsing.js_literals import literals
from kimbledb.execution.rehearsing.query_sources import sources_of

PYTHON = '''
"""Select nothing: a docstring."""
METHOD = "DELETE"
ONE = "SELECT a " "FROM t"
TWO = """
    -- a head
    UPDATE t SET a = %s
"""
def f(table, more):
    """Update the rows of a docstring."""
    g(f"SELECT 1")
    g(f"SELECT * FROM {table}")
    g("SELECT a FROM t " + more)
    g(more + " WHERE a = 1")
    return {"query": "DELETE FROM t WHERE a = :a; INSERT INTO t VALUES (1)"}
'''
SCRIPT = r"""
// "SELECT comment"
/* `SELECT comment` */
const one = 'SELECT \'it\' FROM t', two = `SELECT "a"
FROM t WHERE a = $1`;
const three = `SELECT * FROM ${table} WHERE a = ${f({a: "SELECT inner"})} AND b`;
const four = "SELECT a FROM t " + more;
const five = x / 2 + "/" + y.replace(/["'`]/g, '') / 3;
// don't
const six = "SELECT \u0061";
"""


def test_strings_of_a_python_program(tmp_path: Path) -> None:
    """String constants that begin as a query does are taken with their lines; what is put together is counted."""
    file = tmp_path / "app.py"
    file.write_text(PYTHON)

    found = sources_of(file)

    assert found.texts == (
        "SELECT a FROM t",
        "UPDATE t SET a = %s",
        "SELECT 1",
        "DELETE FROM t WHERE a = :a",
        "INSERT INTO t VALUES (1)",
    )
    assert found.places["SELECT a FROM t"] == f"{file}:4"
    assert found.notes == (f"2 queries are put together while the program runs, and not tried: {file}:12, {file}:13",)


def test_strings_of_a_script() -> None:
    """Strings and templates are found past comments, divisions and regular expressions; those with ${} are not whole."""
    found = [(text, whole) for _, text, whole in literals(SCRIPT)]

    assert found == [
        ("SELECT 'it' FROM t", True),
        ('SELECT "a"\nFROM t WHERE a = $1', True),
        ("SELECT * FROM ", False),
        ("SELECT inner", True),
        ("SELECT a FROM t ", False),
        ("/", False),
        ("", True),
        ("SELECT a", True),
    ]
    assert [line for line, *_ in literals(SCRIPT)] == [4, 4, 6, 6, 7, 8, 8, 10]


def test_a_folder_is_read_without_what_belongs_to_others(tmp_path: Path) -> None:
    """A folder gives its programs and files of SQL, and leaves node_modules and hidden folders out; texts may stand beside."""
    for name, text in (
        ("a.ts", "q(`SELECT 1`)"),
        ("sub/b.sql", "SELECT 2; SELECT 3;"),
        ("node_modules/c.js", "q('SELECT 4')"),
        (".hidden/d.py", "q('SELECT 5')"),
        ("e.txt", "SELECT 6"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    found = sources_of([tmp_path, "SELECT 0", "SELECT 1"])

    assert found.texts == ("SELECT 1", "SELECT 2", "SELECT 3", "SELECT 0")
    assert sources_of(None).texts == ()
    assert sources_of("pg_stat_statements").recorded
    assert sources_of([Path("pg_stat_statements")]).recorded


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that is missing, or is no program, is named with what can be read."""
    broken = tmp_path / "broken.py"
    broken.write_text("def (")

    for path in (broken, tmp_path / "none.sql"):
        with pytest.raises(kimbledb.ConfigurationError, match=rf"(?s){path.name}.*hint: name a file of SQL"):
            sources_of(str(path))
