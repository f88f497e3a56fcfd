from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

import kimbledb
from kimbledb.catalog import facts as facts_module
from kimbledb.catalog import reading
from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import CatalogError, ConfigurationError, DependencyCycleError, UnknownMigrationError
from kimbledb.model.check import VerificationQuery
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Extension, Migration
from kimbledb.model.names import folded
from kimbledb.model.script import Script
from kimbledb.planning.planner import Planner

CHECK = "-- name: nothing\nSELECT true AS passed\n"
SUM = "0123456789abcdef" * 4

#: The files of a migration without a fault.
GOOD: Mapping[str, str | bytes | None] = {
    "migration.toml": 'title = "A title"\n',
    "apply.sql": "SELECT 1;\n",
    "verify.sql": CHECK,
    "rollback.sql": "SELECT 2;\n",
}


def put(folder: Path, files: Mapping[str, str | bytes | None] | None = None, /, **changed: str | bytes | None) -> Path:
    """Write the files of a migration: the good ones, others in their place (apply="..."), None for one that is missing."""
    folder.mkdir(parents=True)
    endings = {"migration": "migration.toml", "apply": "apply.sql", "verify": "verify.sql", "rollback": "rollback.sql"}
    for name, text in {**GOOD, **(files or {}), **{endings[key]: text for key, text in changed.items()}}.items():
        if text is not None:
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def faults_of(root: Path) -> list[Fault]:
    """The faults of a folder that has some, with paths from the folder on."""
    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(root)
    return [
        Fault(fault.path.removeprefix(f"{root}/"), fault.message, fault.cure, fault.line)
        for fault in caught.value.faults
    ]


def read_one(root: Path, **changed: str | bytes | None) -> Migration:
    """The migration that is made of such files."""
    put(root / "01_a", **changed)
    [migration] = Catalog.from_directory(root)
    return migration


# What is written is what is read.


def toml(value: object) -> str:
    """A value in TOML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml(key)} = {toml(item)}' for key, item in value.items())} }}"
    return repr(value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
WORDS = st.text("abcxyz_", min_size=1, max_size=6)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS,
        "purpose": TEXTS,
        "status": TEXTS,
        "notes": TEXTS,
        "phase": st.integers(1, 99),
        "order": st.integers(1, 10**12),
        "provides": st.lists(WORDS, max_size=3),
        "extensions": st.lists(WORDS, max_size=3) | st.dictionaries(WORDS, TEXTS, max_size=3),
        "transactional": st.booleans(),
        "statement_timeout": st.integers(1, 2_147_483) | st.floats(0.001, 2_147_483),
        "irreversible": TEXTS,
        "reaches": st.lists(WORDS, max_size=3),
        "supersedes": st.lists(st.from_regex(r"\A[0-9a-f]{64}\Z"), max_size=2),
        "default_when": st.just("hosted"),
    },
)
SCRIPTS = st.lists(
    st.sampled_from(
        ["SELECT 1;", "-- é 😀", "SELECT 'a;b';", "", "/* COMMIT */", "SELECT $$\\$$;", "CREATE TABLE t ();"]
    )
).map("\n".join)
WRITINGS = st.tuples(st.booleans(), st.booleans())
FOLDERS = st.lists(
    st.tuples(
        st.integers(1, 999_999),
        st.text("abcXYZ019-_. éßÅあ", min_size=1, max_size=10),
        FACTS,
        st.tuples(SCRIPTS, SCRIPTS, WRITINGS),
    ),
    max_size=5,
    unique_by=(lambda each: each[0], lambda each: folded(each[1])),
)


def written(text: str, writing: tuple[bool, bool]) -> bytes:
    """A text as an editor may save it: with a byte-order mark, with CRLF."""
    mark, carriage = writing
    return (b"\xef\xbb\xbf" if mark else b"") + (text.replace("\n", "\r\n") if carriage else text).encode()


@settings(max_examples=settings().max_examples // 4)
@given(FOLDERS.filter(bool), st.data())
def test_what_is_written_is_what_is_read(folders: list[tuple[int, str, Any, Any]], data: st.DataObject) -> None:
    """Every fact, name and text of a folder comes back as it was written, in the order of the numbers."""
    hosted: set[str] = set()
    requires: dict[int, list[str]] = {}
    with tempfile.TemporaryDirectory() as place:
        for number, name, facts, (apply, rollback, writing) in folders:
            # One hosted default for each thing.
            if facts.get("default_when"):
                facts["provides"] = [each for each in facts.get("provides", []) if each not in hosted]
                hosted |= set(facts["provides"])
            requires[number] = data.draw(
                st.lists(st.sampled_from([f"{each[1]}.sql" for each in folders]), max_size=2, unique=True)
            )
            lines = [f"{key} = {toml(value)}" for key, value in {**facts, "requires": requires[number]}.items()]
            put(
                Path(place) / f"{number:0{data.draw(st.integers(1, 6))}}_{name}",
                migration=written("\n".join(lines), writing),
                apply=written(apply, writing),
                verify=written(CHECK, writing),
                rollback=written(rollback, writing),
            )
        catalog = Catalog.from_directory(place)

    assert sorted(requires) == [migration.number for migration in catalog]
    for number, name, facts, (apply, rollback, _) in folders:
        migration = catalog[number]
        extensions = facts.pop("extensions", [])
        assert migration is catalog[f"{name}.sql"]
        assert (apply, rollback, CHECK) == (migration.apply_sql, migration.rollback_sql, migration.verify_sql)
        assert hashlib.sha256(apply.encode()).hexdigest() == migration.checksum
        assert tuple(requires[number]) == migration.requires
        assert tuple(
            Extension(each, extensions[each] if isinstance(extensions, dict) else None) for each in extensions
        ) == (migration.extensions)
        for key, value in facts.items():
            assert (tuple(value) if isinstance(value, list) else value) == getattr(migration, key)


def test_all_facts_of_a_migration_are_read(tmp_path: Path) -> None:
    """The keys of the format each arrive where they belong."""
    migration = read_one(
        tmp_path,
        migration=f"""
            title = "Invoices"
            purpose = "why"
            status = "done"
            notes = '''two
lines'''
            phase = 9
            order = 12
            provides = ["invoices"]
            default = true
            default_when = "hosted"
            transactional = false
            repeatable = true
            statement_timeout = 90
            irreversible = "data is merged"
            reaches = ["auth.users", "audit.*", "log", "schema  private"]
            supersedes = ["{SUM}"]

            [extensions]
            vector = "0.5"

            [expects]
            "invoices.id" = "uuid"

            [fills]
            "invoices.paid" = "coalesce(paid, false)"

            [renames]
            "column invoices.total" = "invoices.sum"
            "function f(integer)" = "g(integer)"

            [formerly]
            "table bills" = "invoices"
        """,
        rollback=None,
    )

    expected = {
        "name": "a.sql",
        "number": 1,
        "title": "Invoices",
        "purpose": "why",
        "status": "done",
        "notes": "two\nlines",
        "phase": 9,
        "order": 12,
        "provides": ("invoices",),
        "default": True,
        "default_when": "hosted",
        "transactional": False,
        "repeatable": True,
        "statement_timeout": 90.0,
        "irreversible": "data is merged",
        "reaches": ("auth.users", "audit", "log", "schema private"),
        "supersedes": (SUM,),
        "rollback_sql": "",
        "extensions": (Extension("vector", "0.5"),),
        "creates": (),
        "renames": {("column", "invoices.total"): "invoices.sum", ("function", "f(integer)"): "g(integer)"},
        "formerly": {("table", "bills"): "invoices"},
        "expects": {"invoices.id": "uuid"},
        "fills": {"invoices.paid": "coalesce(paid, false)"},
        "is_repair": True,
        "location": f"{tmp_path}/01_a",
        "verification_queries": (VerificationQuery("nothing", "SELECT true AS passed", runs=False, line=2),),
    }
    assert expected == {key: getattr(migration, key) for key in expected}
    assert migration.file("verify") == f"{tmp_path}/01_a/verify.sql"


def test_the_least_migration(tmp_path: Path) -> None:
    """Every key may be left out, and every file but apply.sql. The title is then made from the name."""
    migration = read_one(tmp_path, migration=None, apply="", verify=None, rollback=None)

    expected: dict[str, object] = {
        "title": "a",
        "phase": None,
        "order": None,
        "requires": (),
        "provides": (),
        "alternatives": (),
        "default": False,
        "default_when": None,
        "extensions": (),
        "transactional": True,
        "repeatable": False,
        "statement_timeout": None,
        "irreversible": None,
        "reaches": (),
        "supersedes": (),
        "verification_queries": (),
        "is_declared": False,
        "creates": (),
        "renames": {},
        "formerly": {},
        "expects": {},
        "fills": {},
        "is_repair": False,
    }
    assert expected == {key: getattr(migration, key) for key in expected}


def test_a_byte_order_mark_and_crlf_change_nothing(tmp_path: Path) -> None:
    """However an editor saves a file, its text, its checks and its checksum are the same."""
    texts = {"apply": "SELECT 1;\n-- é\n", "migration": 'title = "é"\n', "verify": CHECK, "rollback": "SELECT 2;\n"}
    plain = read_one(tmp_path / "plain", **texts)
    other = read_one(tmp_path / "other", **{key: written(text, (True, True)) for key, text in texts.items()})

    for key in ("apply_sql", "verify_sql", "rollback_sql", "title", "checksum", "verification_queries"):
        assert getattr(plain, key) == getattr(other, key)
    assert plain.checksum == Script("apply.sql", texts["apply"]).checksum


@given(st.text("a\n\r\ufeff", max_size=12))
def test_normalising_takes_one_mark_and_carriage_returns_before_line_feeds(text: str) -> None:
    """One byte-order mark at the start goes, CRLF becomes LF, and nothing else is touched."""
    start = 1 if text.startswith("\ufeff") else 0
    expected = [text[at] for at in range(start, len(text)) if text[at : at + 2] != "\r\n"]

    assert "".join(expected) == Script.of_file("apply.sql", text).text


def test_a_line_break_moved_into_a_comment_is_another_text(tmp_path: Path) -> None:
    """Two scripts that do different things never share a checksum."""
    one = read_one(tmp_path / "one", apply="-- a\nSELECT 1;")
    other = read_one(tmp_path / "other", apply="-- a SELECT 1;\n")

    assert one.checksum != other.checksum


def test_other_files_are_let_be(tmp_path: Path) -> None:
    """Notes, hidden things and caches beside the migrations and in them are no fault."""
    put(tmp_path / "01_a", {"NOTES.md": "x", "picture.png": b"\xff", ".apply.sql.swp": b"\0"})
    (tmp_path / ".git").mkdir()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "README.md").write_text("x", encoding="utf-8")

    expected = ["a.sql"]

    assert expected == [migration.name for migration in Catalog.from_directory(tmp_path)]


def test_a_road_for_tables_that_hold_rows_is_read(tmp_path: Path) -> None:
    """online.sql may be there and may say CONCURRENTLY; it is no part of the checksum."""
    text = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (n);\n"
    put(tmp_path / "01_a", {"online.sql": text})
    put(tmp_path / "02_b")

    first, second = Catalog.from_directory(tmp_path)

    assert (first.online_sql, second.online_sql) == (text, "")
    assert first.checksum == second.checksum


def test_a_folder_that_is_reached_by_a_link_is_read(tmp_path: Path) -> None:
    """The folder that the caller names may be a symbolic link: it is what lies in it that may not."""
    put(tmp_path / "real" / "01_a")
    (tmp_path / "link").symlink_to("real")

    assert len(Catalog.from_directory(tmp_path / "link")) == 1


@pytest.mark.parametrize(
    ("name", "text"), [("none", "does not exist"), ("file", "is not a folder"), ("a\0b", "does not exist")]
)
def test_a_path_that_is_no_folder_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """The caller is told what the path is instead, and what is wanted."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as caught:
        Catalog.from_directory(tmp_path / name)

    assert text in caught.value.message
    assert caught.value.hint


# Faults: every class of them, with its path, its line and its cure.


@frozen
class Case:
    """A migration with one fault, and what is to be said of it."""

    files: Mapping[str, str | bytes | None]
    file: str
    message: str
    cure: str
    line: int | None = None


def facts(text: str, message: str, cure: str, line: int | None = 1) -> Case:
    """A fault in migration.toml."""
    return Case({"migration.toml": text}, "migration.toml", message, cure, line)


def script(text: str | bytes, message: str, cure: str, line: int | None = 1, file: str = "apply.sql") -> Case:
    """A fault in a script."""
    return Case({file: text}, file, message, cure, line)


CASES = {
    "unknown key": facts('title = "x"\n\ncolour = 1', "there is no key colour", "the keys are title, ", 3),
    "misspelt key": facts('\n\n\nrequire = ["a"]', "there is no key require", "is it requires?", 4),
    "creates by hand": facts('title = "x"\n[creates]\ntable = ["x"]', "it holds creates", "remove it: `kimbledb declare`", 2),
    "changes by hand": facts('changes = ["table x"]', "it holds changes", "remove it: `kimbledb declare`", 1),
    "drops by hand": facts('\n\ndrops = ["table x"]', "it holds drops", "remove it: `kimbledb declare`", 3),
    "quoted key": facts('title = "x"\n"tags" = 1', "there is no key tags", "is it status?", 2),
    "key of another case": facts("Title = 'x'", "there is no key Title", "is it title?", 1),
    "bad TOML": facts('title = "x"\nphase = = 1', "it is not TOML: Invalid value (at line 2, column 9)", "correct this line", 2),
    "open TOML": facts("title = '", "it is not TOML: ", "correct this line", 1),
    "key twice": facts("phase = 1\nphase = 2\n\n", "it is not TOML: Cannot overwrite a value", "correct this line", 2),
    "number without end": facts("phase = " + "1" * 5000, "it is not TOML: ", "correct this line", None),
    "nested without end": facts("notes = " + "[" * 100_000, "it is not TOML: ", "correct this line", None),
    "BEGIN": script("SELECT 1;\nBEGIN;", "BEGIN would end or begin a transaction", "remove it", 2),
    "COMMIT": script("COMMIT", "COMMIT would end or begin a transaction", "remove it"),
    "ROLLBACK": script("\n\nROLLBACK;", "ROLLBACK would end or begin", "remove it", 3, "rollback.sql"),
    "LISTEN": script("LISTEN jobs", "LISTEN jobs would outlive", "remove it", 1),
    "DEALLOCATE": script("DEALLOCATE ALL", "DEALLOCATE ALL would outlive", "remove it", 1),
    "SET": script("/* a\n */ SET search_path = x", "SET search_path would outlive", "use SET LOCAL", 2),
    "restrict": script("\\restrict abc\n", "\\restrict is a command of psql", "remove it"),
    "describe": script("SELECT 1;\n\\df", "\\df is a command of psql", "remove it", 2, "rollback.sql"),
    "COPY": script("\nCOPY t FROM STDIN;\n", "COPY FROM STDIN waits for data", "use INSERT", 2),
    "CONCURRENTLY": script(
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "CREATE INDEX CONCURRENTLY cannot run in a transaction",
        "write `transactional = false`",
    ),
    "rollback outside of a transaction": Case(
        {"migration.toml": "transactional = false", "rollback.sql": "SELECT 1;\nDROP INDEX CONCURRENTLY i"},
        "rollback.sql",
        "DROP INDEX CONCURRENTLY cannot run in a transaction",
        "a rollback runs in one transaction, after a try",
        2,
    ),
    "open string": script("SELECT 1;\nSELECT 'a", "a string starts here and is never closed", "close it", 2),
    "not UTF-8": script(b"SELECT 1;\n-- caf\xe9", "it is not UTF-8: byte 0xe9", "save it as UTF-8", 2),
    "UTF-16": script("SELECT 1;".encode("utf-16"), "it is not UTF-8: byte 0xff", "save it as UTF-8"),
    "NUL": script("SELECT 1;\n\n-- \0", "it contains a NUL character", "remove the character", 3),
    "TOML not UTF-8": Case({"migration.toml": b"\xff"}, "migration.toml", "it is not UTF-8", "save it as UTF-8", 1),
    "check not UTF-8": Case({"verify.sql": b"\xff"}, "verify.sql", "it is not UTF-8", "save it as UTF-8", 1),
    "no check": Case({"verify.sql": "SELECT 1"}, "verify.sql", "it contains no check", "write `-- name: <check>`", 1),
    "empty check": Case({"verify.sql": "\n-- name: a\n"}, "verify.sql", "check a has 0 statements", "one SELECT", 2),
    "writing check": Case({"verify.sql": "-- name: a\nDELETE FROM t"}, "verify.sql", "check a is no SELECT", "only reads", 2),
    "open check": Case({"verify.sql": "/* a\n-- name: a\nSELECT 1"}, "verify.sql", "a comment starts here", "close it", 1),
    "no apply": Case({"apply.sql": None}, "apply.sql", "the file is missing", "write the SQL that makes the change"),
    "road that ends the transaction": Case({"online.sql": "COMMIT;"}, "online.sql", "COMMIT", "remove", 1),
    "two roads without a transaction": Case(
        {"migration.toml": "transactional = false", "online.sql": "SELECT 1"},
        "online.sql",
        "apply.sql already runs outside of a transaction",
        "move its statements to apply.sql",
    ),
    "misspelt road": Case({"onlin.sql": ""}, "onlin.sql", "a migration has no file", "is it online.sql?"),
    "stray file": Case({"aply.sql": ""}, "aply.sql", "a migration has no file of this name", "is it apply.sql?"),
    "file of another case": Case({"VERIFY.SQL": ""}, "VERIFY.SQL", "a migration has no file", "is it verify.sql?"),
    "another file": Case({"x.toml": ""}, "x.toml", "a migration has no file", "the files are migration.toml, apply.sql"),
    "unknown need": facts('requires = ["nothing-like-it"]', "it requires nothing-like-it, which", "a thing that one of them", None),
    "misspelt need": facts('requires = ["god.sql"]', "it requires god.sql, which this folder does not have", "is it good.sql?", None),
    "misspelt thing": facts('requires = ["thingg"]', "it requires thingg, which this folder does not have", "is it things?", None),
    "need of another case": facts('requires = ["Good.sql"]', "it requires Good.sql, which", "is it good.sql?", None),
    "need without ending": facts('requires = ["good"]', "it requires good, which this folder does not have", "is it good.sql?", None),
}  # fmt: skip


def expect(faults: list[Fault], folder: str, case: Case) -> None:
    """Assert that a fault is told."""
    path = f"{folder}/{case.file}"
    about = [fault for fault in faults if fault.path == path]
    assert [
        fault
        for fault in about
        if fault.message.startswith(case.message) and case.cure in fault.cure and fault.line == case.line
    ], f"{case.message} (line {case.line}) is not among {about}"


def put_good(root: Path) -> None:
    """Write the migration that the others may need."""
    put(root / "9999_good", migration='provides = ["things"]')


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fault_is_told_with_its_place_and_its_cure(tmp_path: Path, case: Case) -> None:
    """A fault names its file, the line where it has one, what is wrong and what to do, and brings no other with it."""
    put_good(tmp_path)
    put(tmp_path / "01_a", case.files)

    faults = faults_of(tmp_path)

    expect(faults, "01_a", case)
    assert len(faults) == 1, faults


def test_all_faults_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    """One fault hides no other, neither of another migration nor of another file, in the order of the paths."""
    put_good(tmp_path)
    for number, (name, case) in enumerate(CASES.items(), 1):
        put(tmp_path / f"{number:02}_{name}", case.files)

    faults = faults_of(tmp_path)

    for number, (name, case) in enumerate(CASES.items(), 1):
        expect(faults, f"{number:02}_{name}", case)
    assert len(faults) == len(CASES)
    assert [fault.path for fault in faults] == sorted(fault.path for fault in faults)


def test_all_faults_of_one_migration_are_told_at_once(tmp_path: Path) -> None:
    """A fault in the facts does not hide one in a script, nor that one in the checks, nor the next in the same file."""
    put(
        tmp_path / "01_a",
        migration='titel = "x"\nphase = "one"\nrequires = ["b"]',
        apply="COMMIT;\n\\df\nSET a = 1;\n'",
        verify="-- name: a\n-- name: b\nDELETE FROM t",
        rollback=None,
    )
    expected = [
        ("01_a/apply.sql", 1),
        ("01_a/apply.sql", 2),
        ("01_a/apply.sql", 3),
        ("01_a/apply.sql", 4),
        ("01_a/migration.toml", None),
        ("01_a/migration.toml", 1),
        ("01_a/migration.toml", 2),
        ("01_a/verify.sql", 1),
        ("01_a/verify.sql", 3),
    ]

    assert expected == [(fault.path, fault.line) for fault in faults_of(tmp_path)]


def test_a_fault_of_one_is_no_fault_of_those_that_need_it(tmp_path: Path) -> None:
    """Who requires a migration that has a fault is not told that it is not there."""
    put(tmp_path / "01_base", apply="COMMIT")
    put(tmp_path / "02_next", migration='requires = ["base.sql"]')

    expected = ["01_base/apply.sql"]

    assert expected == [fault.path for fault in faults_of(tmp_path)]


@pytest.mark.parametrize(
    ("migration", "files"),
    [
        ("= 1", {"apply.sql": "VACUUM t"}),
        ("transactional = false", {"apply.sql": "VACUUM t"}),
    ],
)
def test_what_the_facts_may_excuse_is_no_fault(
    tmp_path: Path, migration: str, files: Mapping[str, str | bytes | None]
) -> None:
    """Where migration.toml excuses VACUUM, or might if it could be read, VACUUM is no fault."""
    put(tmp_path / "01_a", {"migration.toml": migration, **files})
    if migration.startswith("="):
        expected = ["01_a/migration.toml"]

        assert expected == [fault.path for fault in faults_of(tmp_path)]
    else:
        assert len(Catalog.from_directory(tmp_path)) == 1


WRONG = {
    **{key: ["1", "true", "[]", "{ a = 1 }", "1979-05-27"] for key in ("title", "purpose", "status", "notes", "irreversible")},
    **{key: ["0", "-1", "1.0", '"1"', "true", "[1]"] for key in ("phase", "order")},
    **{key: ['"a"', "1", "[1]", '["a", 1]', "{ a = 'b' }", '[["a"]]'] for key in ("requires", "provides")},
    **{key: ["1", "0", '"true"', "[]"] for key in ("default", "transactional", "repeatable")},
    "default_when": ["true", '"Hosted"', '"bare"', '""', "[]"],
    "extensions": ['"vector"', "1", "[1]", "{ vector = 0.5 }", "{ vector = true }"],
    "statement_timeout": ["0", "-1", '"1"', "true", "nan", "inf", "-inf", "2147484", "1" + "0" * 400, "1e300"],
    "demands": ["1", "true", "[]", "{ a = 1 }", '""', '"  "'],
    "deletes": ["1", "true", "[]", "{ a = 1 }", '""', '"  "'],
    "reaches": [
        *('"auth.users"', "[1]", '[""]', '["a."]', '[".b"]', '["a.b.c"]', '["*"]', '["a.*.b"]'),
        *('["schema "]', '["schema a.b"]', '["schema a.*"]'),
    ],
    "supersedes": [f'"{SUM}"', '["abc"]', f'["{SUM.upper()}"]', f'["{SUM}0"]', "[1]", "1"],
    "formerly": ["1", "[]", "{ 'tabel a' = 'b' }", "{ 'table a' = '' }"],
    "renames": ["1", "[]", "{ a = 'b' }", "{ 'table a' = 1 }", "{ 'tabel a' = 'b' }", "{ 'table ' = 'b' }", "{ 'table a' = '' }"],
    **{key: ["1", "[]", '{ "a.b" = 1 }', '{ a = "b" }', '{ "a.b.c" = "b" }'] for key in ("expects", "fills")},
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_a_value_of_another_form_is_told(tmp_path: Path, key: str, value: str) -> None:
    """A key whose value has not the form that it wants is told with its line and the form."""
    put(tmp_path / "01_a", migration=f"# a comment\n\n{key} = {value}")

    [fault] = faults_of(tmp_path)

    assert (fault.path, fault.line) == ("01_a/migration.toml", 3)
    assert key in fault.message
    assert "must be" in fault.cure or "write" in fault.cure


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ('-- kimbledb: deletes = ""', "deletes is ''"),
        ("-- kimbledb: deletes = why", "the comment is not TOML"),
        ('-- kimbledb: title = "x"', "there is no key title"),
    ],
)
def test_a_fact_in_a_comment_is_checked(tmp_path: Path, comment: str, message: str) -> None:
    """A fact at the head of a script that is none, or may not stand there, is a fault with its line."""
    (tmp_path / "001_A.sql").write_text(f"-- First.\n{comment}\nSELECT 1;\n")

    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(tmp_path)

    [fault] = caught.value.faults
    assert message in fault.message
    assert fault.line == 2


def test_a_fact_further_down_is_a_comment(tmp_path: Path) -> None:
    """Only the comments before the first statement state facts."""
    (tmp_path / "001_A.sql").write_text('SELECT 1;\n-- kimbledb: deletes = "why"\n')

    assert Catalog.from_directory(tmp_path)[1].deletes is None


def test_the_forms_of_all_keys_are_tried() -> None:
    """No key of the format is left out of the test above."""
    assert set(WRONG) == set(facts_module._KEYS)


@settings(max_examples=settings().max_examples // 2)
@given(
    st.dictionaries(
        st.sampled_from([*WRONG, "titel", "x"]),
        st.recursive(
            st.none().map(lambda _: "") | st.integers() | st.floats() | st.booleans() | TEXTS | st.just(SUM),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_any_facts_are_read_or_refused(table: dict[str, Any]) -> None:
    """Whatever migration.toml holds, it is read, or each fault is told with its cure."""
    with tempfile.TemporaryDirectory() as place:
        put(Path(place) / "01_a", migration="\n".join(f"{key} = {toml(value)}" for key, value in table.items()))
        try:
            Catalog.from_directory(place)
        except CatalogError as error:
            assert all(fault.message and fault.cure for fault in error.faults)


@settings(max_examples=settings().max_examples // 2)
@given(st.binary(max_size=30) | st.text("[]{}=\"'#\n\\.,abc1-:TZ", max_size=30).map(str.encode))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    """Whatever bytes stand in the files of a migration, they are read, or each fault is told with its cure."""
    with tempfile.TemporaryDirectory() as place:
        put(Path(place) / "01_a", migration=content, apply=content, verify=content, rollback=content)
        try:
            Catalog.from_directory(place)
        except CatalogError as error:
            assert all(fault.message and fault.cure for fault in error.faults)


def test_the_line_of_a_key_is_found_in_a_moment(tmp_path: Path) -> None:
    """200 kB of blank lines before an unknown key are passed over, and its line is right."""
    put(tmp_path / "01_a", migration="\n" * 200_000 + "colour = 1")

    expected = [200_001]

    assert expected == [fault.line for fault in faults_of(tmp_path)]


# Names and numbers.


@pytest.mark.parametrize(
    ("folder", "message", "cure"),
    [
        ("base", "the folder's name has no number", "name it <number>_<name>"),
        ("01-base", "the folder's name has no number", "name it <number>_<name>"),
        ("01_", "the folder's name has no number", "name it <number>_<name>"),
        ("1234567890123456789_base", "its number has more than 18 digits", "such as 20250101120000"),
        ("00_base", "its number is 0", "number migrations from 1"),
    ],
)
def test_a_folder_of_another_name_is_told(tmp_path: Path, folder: str, message: str, cure: str) -> None:
    """A folder is a number from 1 and a name; any other is a fault, not passed over."""
    put(tmp_path / folder)

    [fault] = faults_of(tmp_path)

    assert folder == fault.path
    assert message in fault.message
    assert cure in fault.cure


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        (b"01_caf\xe9", "01_caf\\udce9"),
        (b"01_a\nb", "01_a\\nb"),
        (b"01_\x1b[31m", "01_\\x1b[31m"),
        ("01_a\u202eb".encode(), "01_a\\u202eb"),
    ],
)
def test_a_folder_whose_name_cannot_be_shown_is_told(tmp_path: Path, folder: bytes, shown: str) -> None:
    """A name that is not UTF-8, or would play tricks on a terminal, is refused, and the message can be printed."""
    os.mkdir(os.fsencode(tmp_path) + b"/" + folder)  # noqa: PTH102 - a Path takes no bytes

    [fault] = faults_of(tmp_path)

    assert shown == fault.path
    assert "a character that cannot be printed" in fault.message
    assert str(fault).encode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("users", "Users"),
        ("STRASSE", "straße"),
        (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
        (unicodedata.normalize("NFC", "CAFÉ"), unicodedata.normalize("NFD", "café")),
    ],
)
def test_twins_are_told(tmp_path: Path, one: str, other: str) -> None:
    """Two migrations whose names differ by case or Unicode form alone are a fault."""
    put(tmp_path / f"01_{one}")
    put(tmp_path / f"02_{other}")

    [fault] = faults_of(tmp_path)

    assert fault.path == f"02_{other}"
    assert fault.message == f"it has the same name as {tmp_path}/01_{one}"
    assert fault.cure == "choose a name that differs by more than case"


def test_a_number_that_stands_twice_is_told(tmp_path: Path) -> None:
    """Two migrations of one number are a fault, however the number is written."""
    put(tmp_path / "1_a")
    put(tmp_path / "001_b")

    [fault] = faults_of(tmp_path)

    assert (fault.path, fault.cure) == ("001_b", "choose a free number")
    assert fault.message == f"it has the same number, 1, as {tmp_path}/1_a"


def test_a_second_default_is_told(tmp_path: Path) -> None:
    """Of the migrations that provide a thing one at most is the default, and one at most the hosted one."""
    text = 'provides = ["thing", "thing"]\ndefault = true\ndefault_when = "hosted"'
    put(tmp_path / "01_a", migration=text)
    assert len(Catalog.from_directory(tmp_path)) == 1

    put(tmp_path / "02_b", migration=text)
    assert {
        ("02_b", "a.sql and b.sql both have `default = true` for thing"),
        ("02_b", 'a.sql and b.sql both have `default_when = "hosted"` for thing'),
    } == {(fault.path, fault.message) for fault in faults_of(tmp_path)}


def test_a_circle_is_left_to_the_planner(tmp_path: Path) -> None:
    """Migrations that need each other make a catalog, and the planner shows the circle."""
    put(tmp_path / "01_a", migration='requires = ["b.sql"]')
    put(tmp_path / "02_b", migration='requires = ["a.sql"]')
    catalog = Catalog.from_directory(tmp_path)

    with pytest.raises(DependencyCycleError):
        Planner(catalog).plan()


# What lies there: links, pipes, folders, sizes, rights.


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    """A symbolic link out of the folder is a fault, also where it leads to what is right; so is one that leads nowhere."""
    put(tmp_path / "elsewhere" / "01_a")
    root = tmp_path / "root"
    put(root / "01_a", apply=None, verify=None)
    (root / "01_a" / "apply.sql").symlink_to("../../elsewhere/01_a/apply.sql")
    (root / "01_a" / "verify.sql").symlink_to("nowhere")
    (root / "02_b").symlink_to("../elsewhere/01_a")

    expected = [
        ("01_a/apply.sql", "it is a symbolic link to a place outside of the folder"),
        ("01_a/verify.sql", "it is a symbolic link without a target"),
        ("02_b", "it is a symbolic link to a place outside of the folder"),
    ]

    assert expected == [(fault.path, fault.message) for fault in faults_of(root)]


def test_a_mounted_config_map_is_read(tmp_path: Path) -> None:
    """Links that stay in the folder are followed, as a cluster mounts its files, and what they pass through is hidden."""
    put(tmp_path / "..2026_01_01" / "01_a")
    put(tmp_path / "..2026_01_01" / "02_b", apply="SELECT 2;")
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "01_a").symlink_to("..data/01_a")
    put(tmp_path / "02_b", apply=None)
    (tmp_path / "02_b" / "apply.sql").symlink_to("../..data/02_b/apply.sql")

    catalog = Catalog.from_directory(tmp_path)

    assert [migration.name for migration in catalog] == ["a.sql", "b.sql"]
    assert catalog[2].apply_sql == "SELECT 2;"


def test_links_into_a_store_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a link into a folder that never changes leads to is read: so Nix and Guix put files together."""
    put(tmp_path / "store" / "01_a")
    put(tmp_path / "root" / "02_b")
    (tmp_path / "root" / "01_a").symlink_to(tmp_path / "store" / "01_a")
    monkeypatch.setattr(reading, "STORES", (str(tmp_path / "store"),))

    assert len(Catalog.from_directory(tmp_path / "root")) == 2


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that becomes a link between the look and the reading is a fault, and what it leads to is not read."""
    put(tmp_path / "01_a", apply=None)
    (tmp_path / "01_a" / "apply.sql").symlink_to("rollback.sql")
    seen = reading.list_entries

    def blind(folder: Path, path: str, faults: list[Fault], home: str) -> list[reading.Entry]:
        return [
            reading.Entry(each.name, each.is_folder, str(Path(folder) / each.name))
            for each in seen(folder, path, faults, home)
        ]

    monkeypatch.setattr(reading, "list_entries", blind)

    expected = ["it cannot be read: Too many levels of symbolic links"]

    assert expected == [fault.message for fault in faults_of(tmp_path)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A named pipe is not waited for, and a folder in a file's place is told."""
    put(tmp_path / "01_a", apply=None, verify=None)
    os.mkfifo(tmp_path / "01_a" / "apply.sql")
    (tmp_path / "01_a" / "verify.sql").mkdir()

    expected = [
        ("01_a/apply.sql", "it is not a regular file", "replace it by a text file"),
        ("01_a/verify.sql", "it is not a regular file", "replace it by a text file"),
    ]

    assert expected == [(fault.path, fault.message, fault.cure) for fault in faults_of(tmp_path)]


def test_no_file_is_left_open(tmp_path: Path) -> None:
    """Whatever is wrong with the files, none of them stays open."""
    put(tmp_path / "01_a", apply=None, verify=b"\xff")
    (tmp_path / "01_a" / "apply.sql").mkdir()
    descriptors = Path("/dev/fd")
    before = sorted(path.name for path in descriptors.iterdir())

    faults_of(tmp_path)

    assert before == sorted(path.name for path in descriptors.iterdir())


def test_files_beside_the_migrations_are_told(tmp_path: Path) -> None:
    """SQL that lies outside of any migration would never run, and is a fault."""
    put(tmp_path / "02_real")
    (tmp_path / "01_a.sql").touch()
    (tmp_path / "MIGRATION.TOML").touch()

    expected = [
        ("01_a.sql", "it is in no migration's folder, and would never run"),
        ("MIGRATION.TOML", "it is in no migration's folder, and would never run"),
    ]

    assert expected == [(fault.path, fault.message) for fault in faults_of(tmp_path)]


def test_a_file_that_is_too_large_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the greatest size is read, and one of a byte more is a fault with the limit."""
    assert reading.MAX_FILE_BYTES == 16 * 1024 * 1024
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 1024 * 1024)
    put(tmp_path / "01_a", apply=" " * 1024 * 1024)
    assert len(Catalog.from_directory(tmp_path)) == 1

    put(tmp_path / "02_b", apply=" " * (1024 * 1024 + 1))
    expected = [("02_b/apply.sql", "it is larger than 1 MiB")]

    assert expected == [(fault.path, fault.message) for fault in faults_of(tmp_path)]


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    """Of a file of 8 GB no more is read than shows that it is too large."""
    put(tmp_path / "01_a")
    with (tmp_path / "01_a" / "apply.sql").open("wb") as file:
        file.truncate(8 * 1024**3)  # a hole, which takes no room on the disk

    expected = ["it is larger than 16 MiB"]

    assert expected == [fault.message for fault in faults_of(tmp_path)]


def test_what_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and a folder that this user may not read are faults like the others."""
    put(tmp_path / "01_a")
    put(tmp_path / "02_b")
    really_open, really_scan = os.open, os.scandir

    def refuse(path: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def guarded_open(path: Any, *rest: Any) -> int:
        return refuse(path) if str(path).endswith("01_a/apply.sql") else really_open(path, *rest)  # type: ignore[func-returns-value, return-value]

    def guarded_scan(path: Any) -> Iterator[os.DirEntry[str]]:
        return refuse(path) if str(path).endswith("02_b") else really_scan(path)  # type: ignore[func-returns-value, return-value]

    monkeypatch.setattr(os, "open", guarded_open)
    monkeypatch.setattr(os, "scandir", guarded_scan)

    faults = faults_of(tmp_path)
    assert ("01_a/apply.sql", "it cannot be read: Permission denied") in [
        (fault.path, fault.message) for fault in faults
    ]
    assert ("02_b", "it cannot be read: Permission denied") in [(fault.path, fault.message) for fault in faults]


# A catalog as a value.


@pytest.fixture
def catalog() -> Catalog:
    """Three migrations, handed over in another order."""
    return Catalog(
        [
            Migration(name="c.sql", number=30, phase=2, provides=("thing", "thing"), title="The third"),
            Migration(name="a.sql", number=1, phase=1, provides=("thing", "more")),
            Migration(name="b.sql", number=2, requires=("thing", "a.sql")),
        ],
        source="here",
    )


def test_a_catalog_is_in_the_order_of_numbers(catalog: Catalog) -> None:
    """Iteration, length and text follow the numbers, whatever the order in which the migrations came."""
    expected = [1, 2, 30]

    assert expected == [migration.number for migration in catalog]
    assert len(catalog) == 3
    assert repr(catalog) == "<Catalog of 3 migrations from here>"
    assert str(catalog).splitlines() == ["   1  a.sql", "   2  b.sql", "  30  c.sql  The third"]


def test_a_migration_is_found_by_name_and_by_number(catalog: Catalog) -> None:
    """Both keys give the same migration."""
    assert catalog["a.sql"] is catalog[1] is catalog.get("a.sql") is catalog.get(1)
    assert ("a.sql" in catalog, 1 in catalog, "a" in catalog, 3 in catalog) == (True, True, False, False)
    assert (catalog.get("a"), catalog.get(3)) == (None, None)


def test_a_key_that_is_not_there_is_two_errors_in_one(catalog: Catalog) -> None:
    """Who expects a KeyError catches it, and its text is the library's, with the near names."""
    with pytest.raises(KeyError) as caught:
        catalog["A"]

    assert isinstance(caught.value, UnknownMigrationError)
    assert caught.value.text == "no migration named A; did you mean a.sql?"
    with pytest.raises(UnknownMigrationError, match=r"^no migration 7\n"):
        catalog[7]


def test_a_catalog_knows_who_provides_what(catalog: Catalog) -> None:
    """Providers, alternatives and phases are gathered, each once."""
    assert catalog.provided == ("thing", "more")
    assert (catalog["a.sql"], catalog["c.sql"]) == catalog.providers("thing")
    assert catalog.providers("nothing") == ()
    expected = [("c.sql",), (), ("a.sql",)]

    assert expected == [migration.alternatives for migration in catalog]
    assert catalog.phases == (1, 2)


def test_migrations_from_memory_are_checked_alike() -> None:
    """A catalog of migrations that lie in no folder tells its faults by their names."""
    with pytest.raises(CatalogError) as caught:
        Catalog(
            [
                Migration(name="a.sql", number=1, requires=("bb.sql",), provides=("x",), default=True),
                Migration(name="b.sql", number=1, provides=("x",), default=True),
                Migration(name="A.sql", number=2),
            ]
        )

    assert sorted(map(str, caught.value.faults)) == [
        "A.sql: it has the same name as a.sql; choose a name that differs by more than case",
        "a.sql: it requires bb.sql, which this folder does not have; is it b.sql?",
        "b.sql: a.sql and b.sql both have `default = true` for x; keep it in one of them",
        "b.sql: it has the same number, 1, as a.sql; choose a free number",
    ]


def test_a_catalog_of_nothing_can_be_made(tmp_path: Path) -> None:
    """A catalog that a program makes of no migrations is one; a folder without migrations is a fault."""
    catalog = Catalog([])

    assert (len(catalog), catalog.phases, catalog.provided, str(catalog)) == (0, (), (), "")
    [fault] = faults_of(tmp_path)
    assert fault.message == "it is empty"


def test_the_order_in_which_files_lie_does_not_matter(tmp_path: Path) -> None:
    """Two folders with the same migrations, written in another order, give the same catalog."""
    for number in (3, 1, 2):
        put(tmp_path / "one" / f"{number}_m{number}")
    for number in (2, 3, 1):
        put(tmp_path / "two" / f"{number}_m{number}")

    assert str(Catalog.from_directory(tmp_path / "one")) == str(Catalog.from_directory(tmp_path / "two"))


def test_the_built_in_catalog_has_no_faults() -> None:
    """What ships is read without the checks that a folder gets: with them it is the same, field by field."""
    quick = Catalog.builtin()
    strict = Catalog.from_directory(Path(kimbledb.__file__).parent / "sql" / "migrations")
    fields = [
        *("name", "number", "order", "phase", "title", "purpose", "status", "notes", "requires", "provides"),
        *("alternatives", "default", "default_when", "extensions", "transactional", "statement_timeout"),
        *(
            "irreversible",
            "reaches",
            "supersedes",
            "closed",
            "apply_sql",
            "hosted_sql",
            "verify_sql",
            "rollback_sql",
            "checksum",
        ),
        *("creates", "changes", "drops", "expects", "fills", "renames", "formerly", "verification_queries"),
    ]

    assert quick is Catalog.builtin()
    assert len(strict) == len(quick) > 0
    for one, other in zip(strict, quick, strict=True):
        for field in fields:
            assert getattr(one, field) == getattr(other, field), f"{field} of {one.name}"
