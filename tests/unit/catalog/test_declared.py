"""declared.toml: what is written is what is read, and each fault of an edited file has its place and its cure."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from kimbledb.catalog import declared, toml
from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.shipped import read_migrations
from kimbledb.errors import CatalogError, ConfigurationError
from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.objects import OBJECT_KINDS, DatabaseObject
from kimbledb.model.script import Part, Script

APPLY = "CREATE TABLE t (id integer);\n  CREATE VIEW v AS SELECT 1; CREATE VIEW w AS SELECT 2;\nDO $$ BEGIN END $$;\n"
SCRIPT = Script("01_a/apply.sql", APPLY)
SCRIPTS: dict[Part, Script] = {"apply": SCRIPT}
#: Where the statements of the script begin.
PLACES = [(1, 1), (2, 1), (2, 30), (3, 1)]

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=30)
NAMES = TEXTS.map(str.strip).filter(bool)
FACTS = st.dictionaries(
    st.sampled_from(["type", "check", "not_null", "body", "query", "columns", "cost", "A fact"]),
    TEXTS | st.integers() | st.just(value=True) | st.lists(TEXTS, max_size=3).map(tuple),
    max_size=4,
)
OBJECTS = st.lists(
    st.builds(DatabaseObject, st.sampled_from(OBJECT_KINDS), NAMES, FACTS, st.none() | TEXTS),
    max_size=4,
    unique_by=lambda each: each.key,
)
STATEMENTS = st.builds(
    lambda place, **effects: DeclaredStatement("apply", *place, **effects),
    st.sampled_from(PLACES),
    hosted=st.none() | st.booleans(),
    creates=OBJECTS.map(tuple),
    changes=OBJECTS.map(tuple),
    drops=OBJECTS.map(lambda found: tuple(DatabaseObject(each.kind, each.name) for each in found)),
    renames=st.dictionaries(st.tuples(st.sampled_from(OBJECT_KINDS), NAMES), NAMES, max_size=3),
)
DECLARATIONS = st.builds(
    Declarations,
    st.lists(STATEMENTS, max_size=4).map(tuple),
    st.just(SCRIPT.checksum),
    st.just("18.1"),
    st.none() | TEXTS,
)


def read(text: str, name: str | None = None, script: Script = SCRIPT) -> Declarations:
    """The declarations in a file."""
    return declared.Recorded(declared.Source("01_a/declared.toml", lambda _: text), {"apply": script}, name)()


def in_order(declarations: Declarations) -> list[object]:
    """What the declarations hold, with the objects of each statement in the order of the kinds and names."""

    def ordered(objects: tuple[DatabaseObject, ...], text: str | None) -> list[object]:
        found = sorted(objects, key=lambda each: (OBJECT_KINDS.index(each.kind), each.name))
        hashed = {"body", "sql_body", "query", "rule"}
        return [(each, each.source or (text if hashed & set(each.facts or {}) else None)) for each in found]

    return [declarations.checksum, declarations.server, declarations.no_rollback] + [
        (
            evolve(each, creates=(), changes=(), drops=()),
            ordered(each.creates, text),
            ordered(each.changes, text),
            ordered(each.drops, None),
        )
        for each in declarations.statements
        for text in [declared.statement_at(SCRIPT, each.line, each.column)]
    ]


@given(DECLARATIONS)
def test_what_is_written_is_what_is_read(declarations: Declarations) -> None:
    """Every object, fact, source and place comes back as it was written, and is written the same again."""
    text = declared.written(declarations, SCRIPTS)

    found = read(text)

    assert in_order(declarations) == in_order(found)
    assert text == declared.written(found, SCRIPTS)


@settings(max_examples=settings().max_examples // 4)
@given(st.dictionaries(NAMES, DECLARATIONS, max_size=4))
def test_a_file_for_several_migrations_holds_each(migrations: dict[str, Declarations]) -> None:
    """A table for each migration, by its name, holds what a file of its own would hold."""
    text = declared.written_together({name: (each, SCRIPTS) for name, each in migrations.items()})

    assert {name: in_order(each) for name, each in migrations.items()} == {
        name: in_order(read(text, name)) for name in migrations
    }
    assert read(text, "no such name\n").checksum is None


def test_a_small_migration_has_a_small_file() -> None:
    """The shape of the file, whole: read in a review, and small where little happens."""
    declarations = Declarations(
        (
            DeclaredStatement(
                "apply",
                1,
                creates=(
                    DatabaseObject("column", "t.id", {"type": "integer", "not_null": True}),
                    DatabaseObject("table", "t", {}),
                ),
            ),
            DeclaredStatement(
                "apply",
                2,
                30,
                hosted=True,
                changes=(DatabaseObject("view", "w", {"query": "a1"}, "CREATE VIEW w AS SELECT 2"),),
                drops=(DatabaseObject("table", "old"),),
                renames={("column", "t.a"): "t.b"},
            ),
            DeclaredStatement(
                "apply", 3, creates=(DatabaseObject("function", "f()", {"body": "b2"}, "CREATE\n'x' AS"),)
            ),
        ),
        SCRIPT.checksum,
        "18.1",
        "line 3 deletes rows",
    )

    assert (
        declared.written(declarations, SCRIPTS)
        == f"""\
# Recorded by `kimbledb declare` from PostgreSQL 18.1. Do not edit: change the SQL and record it again.
checksum = "{SCRIPT.checksum}"
server = "18.1"
no_rollback = "line 3 deletes rows"

[[statement]]
at = "apply.sql:1"
[statement.creates]
"table t" = {{}}
"column t.id" = {{ type = "integer", not_null = true }}

[[statement]]
at = "apply.sql:2:30"
on = "hosted"
drops = ["table old"]
[statement.renames]
"column t.a" = "t.b"
[statement.changes]
"view w" = {{ query = "a1" }}

[[statement]]
at = "apply.sql:3"
[statement.creates."function f()"]
body = "b2"
source = '''
CREATE
'x' AS'''
"""
    )


HEAD = f'checksum = "{SCRIPT.checksum}"\nserver = "18.1"\n'
STATEMENT = f'{HEAD}\n[[statement]]\nat = "apply.sql:1"\n'
WRONG = {
    "no TOML": ("<<<<<<< ours\n", "it is not TOML", 1),
    "no checksum": ('server = "18.1"', "checksum is missing", None),
    "checksum of another form": ('checksum = 1\nserver = "18.1"', "checksum is 1, and must be a text", 1),
    "unknown key": (f"{HEAD}creates = 1", "there is no key creates", 3),
    "no list of statements": (f"{HEAD}statement = 1", "statement must be a list of tables", 3),
    "no place": (f"{HEAD}[[statement]]\n", "at is missing, and must name a file and a line", 3),
    "another file": (f'{HEAD}[[statement]]\nat = "x.sql:1"', "at is 'x.sql:1', and must name a file", 4),
    "line 0": (f'{HEAD}[[statement]]\nat = "apply.sql:0"', "at is 'apply.sql:0'", 4),
    "unknown key of a statement": (f"{STATEMENT}makes = 1", "there is no key makes", 6),
    "unknown platform": (f'{STATEMENT}on = "cloud"', "on is 'cloud', and must be", 6),
    "creates as a list": (f'{STATEMENT}creates = ["table t"]', "creates must be a table of objects", 6),
    "no kind": (f'{STATEMENT}[statement.creates]\n"tabel t" = {{}}', "'tabel t' names no object", 7),
    "no facts": (f'{STATEMENT}[statement.creates]\n"table t" = 1', "table t must be a table of facts", 7),
    "a fact in a table": (f'{STATEMENT}[statement.creates]\n"table t" = {{ a.b = 1 }}', "must be a table of facts", 7),
    "false": (f'{STATEMENT}[statement.changes."table t"]\na = false', "must be a table of facts", 6),
    "drops as a text": (f'{STATEMENT}drops = "table t"', "drops must be a list of objects", 6),
    "renames as a list": (f'{STATEMENT}renames = ["table t"]', "renames must be a table of objects", 6),
    "a second statement": (f'{STATEMENT}\n[[statement]]\nat = "apply.sql:2"\nmakes = 1', "no key makes", 9),
    "no statement there": (
        f'{HEAD}[[statement]]\nat = "apply.sql:2:3"\n[statement.creates]\n"view v" = {{ query = "a" }}',
        "no statement begins at line 2",
        4,
    ),
}


@pytest.mark.parametrize(("text", "message", "line"), WRONG.values(), ids=WRONG)
def test_a_fault_of_an_edited_file_is_told(text: str, message: str, line: int | None) -> None:
    """A file that was edited, or that another version wrote, is refused with its path, its line and the cure."""
    with pytest.raises(CatalogError) as caught:
        read(text)

    [fault] = caught.value.faults
    assert message in fault.message
    assert (fault.path, fault.line) == ("01_a/declared.toml", line)
    assert "run `kimbledb declare`" in fault.cure


def put(folder: Path, text: str | None, apply: str = APPLY) -> Path:
    """Write a migration's folder, with a declared.toml unless it is None."""
    folder.mkdir(parents=True)
    (folder / "apply.sql").write_text(apply, encoding="utf-8")
    if text is not None:
        (folder / "declared.toml").write_text(text, encoding="utf-8")
    return folder


def states(catalog: Catalog) -> list[tuple[bool, bool, list[str]]]:
    """For each migration: whether its declarations are known, whether they are out of step, and what it creates."""
    return [(each.is_declared, each.is_outdated, list(map(str, each.creates))) for each in catalog]


TABLE = f'{STATEMENT}[statement.creates]\n"table t" = {{}}\n'


def test_declarations_hold_for_the_text_that_they_were_recorded_from(tmp_path: Path) -> None:
    """After apply.sql was edited its declarations are not used; without the file there are none."""
    put(tmp_path / "01_a", TABLE)
    put(tmp_path / "02_b", TABLE, APPLY + "-- edited\n")
    put(tmp_path / "03_c", None)

    expected = [(True, False, ["table t"]), (False, True, []), (False, False, [])]

    assert expected == states(Catalog.from_directory(tmp_path))


def test_the_head_of_a_built_in_file_tells_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan asks each migration for it, and needs no declaration; to parse those of the 35 takes 80 ms."""
    migrations = read_migrations()
    monkeypatch.setattr(toml, "read", None)

    assert all(each.is_declared for each in migrations)


def test_a_flat_folder_has_one_file_for_all(tmp_path: Path) -> None:
    """declared.toml beside the files has a table for each, and is no migration."""
    for name in ("001_a.sql", "002_b.sql"):
        (tmp_path / name).write_text(APPLY, encoding="utf-8")
    text = f'["001_a.sql"]\n{HEAD}[["001_a.sql".statement]]\nat = "001_a.sql:1"\n["001_a.sql".statement.creates]\n"table t" = {{}}\n'
    (tmp_path / "declared.toml").write_text(text, encoding="utf-8")

    expected = [(True, False, ["table t"]), (False, False, [])]

    assert expected == states(Catalog.from_directory(tmp_path))


def test_a_file_elsewhere_holds_in_place_of_those_of_the_folder(tmp_path: Path) -> None:
    """A folder that cannot be written is read with the declarations of a file that the caller names."""
    put(tmp_path / "folder" / "01_a", "not TOML")
    file = tmp_path / "elsewhere.toml"
    file.write_text(
        f'["a.sql"]\n{HEAD}[["a.sql".statement]]\nat = "apply.sql:1"\n["a.sql".statement.creates]\n"table t" = {{}}\n'
    )

    expected = [(True, False, ["table t"])]

    assert expected == states(Catalog.from_directory(tmp_path / "folder", declared=file))
    with pytest.raises(ConfigurationError, match="does not exist") as caught:
        Catalog.from_directory(tmp_path / "folder", declared=tmp_path / "nothing.toml")
    assert "--output" in str(caught.value.hint)


def test_the_faults_of_all_files_are_reported_together(tmp_path: Path) -> None:
    """A file is read at its first use, and then the faults of all files of the folder are reported."""
    put(tmp_path / "01_a", "a = 1")
    put(tmp_path / "02_b", TABLE)
    put(tmp_path / "03_c", "= 1")
    catalog = Catalog.from_directory(tmp_path)

    with pytest.raises(CatalogError) as caught:
        _ = catalog[1].creates

    expected = [f"{tmp_path}/01_a/declared.toml"] * 3 + [f"{tmp_path}/03_c/declared.toml"]
    assert expected == [fault.path for fault in caught.value.faults]
    assert catalog[2].is_declared


def test_declarations_are_pickled_with_their_catalog() -> None:
    """A pickled catalog needs no file; a pickled migration holds facts and no SQL."""
    view = f'{HEAD}[[statement]]\nat = "apply.sql:2"\n[statement.creates]\n"view v" = {{ query = "a" }}\n'
    with tempfile.TemporaryDirectory() as place:
        put(Path(place) / "01_a", view)
        catalog = Catalog.from_directory(place)
        whole, alone = pickle.dumps(catalog), pickle.dumps(catalog[1])

    [migration] = pickle.loads(whole)  # noqa: S301 - our own
    shown: Migration = pickle.loads(alone)  # noqa: S301 - our own

    assert (migration.creates[0].facts, migration.creates[0].source) == ({"query": "a"}, "CREATE VIEW v AS SELECT 1")
    assert (shown.creates[0].facts, shown.creates[0].source) == ({"query": "a"}, None)
    assert b"SELECT 1" not in alone


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A declared.toml that leads out of the folder is a fault, as any other file that does."""
    (tmp_path / "elsewhere.toml").write_text(TABLE, encoding="utf-8")
    folder = put(tmp_path / "folder" / "01_a", None)
    (folder / "declared.toml").symlink_to(tmp_path / "elsewhere.toml")

    with pytest.raises(CatalogError, match="a symbolic link to a place outside of the folder"):
        _ = Catalog.from_directory(tmp_path / "folder")[1].creates
