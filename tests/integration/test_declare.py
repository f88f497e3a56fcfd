"""declare(): what each statement makes, changes, renames and drops is recorded from a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.planning.fold import fold
from tests.support.databases import fresh_database, sql, take_snapshot
from tests.support.folders import Folder


def effects(migration: kimbledb.Migration, *, hosted: bool | None = None) -> dict[str, list[str]]:
    """The effect of each statement of a migration by its place: + creates, ~ changes, - drops, > renames."""
    found: dict[str, list[str]] = {}
    for each in migration.declarations.statements:
        if each.hosted in (None, hosted):
            place = f"{each.line}" + (f":{each.column}" if each.column != 1 else "")
            found.setdefault(place, []).extend(_lines(each))
    return {place: sorted(lines) for place, lines in found.items()}


def _lines(each: DeclaredStatement) -> list[str]:
    return [
        *(f"+ {made}" for made in each.creates),
        *(f"~ {changed}" for changed in each.changes),
        *(f"- {gone}" for gone in each.drops),
        *(f"> {kind} {name} = {new}" for (kind, name), new in each.renames.items()),
    ]


async def holds(server: str, catalog: kimbledb.Catalog) -> None:
    """Assert that the declarations of all migrations, folded in order, give every object that these make."""
    async with fresh_database(server) as dsn:
        report = await kimbledb.migrate(dsn, catalog=catalog, verify=False, allow_data_loss=True)
        found = await take_snapshot(dsn)
    folded = fold([step.migration for step in report.applied], hosted=False)
    assert {key: item.each.facts for key, item in folded.objects.items()} == found.objects


# Statements.

#: Statements of every kind, each with its effect.
STATEMENTS = {
    "CREATE TYPE mood AS ENUM ('sad', 'happy');": ["+ type mood"],
    "CREATE DOMAIN above AS integer CHECK (VALUE > 0);": ["+ type above"],
    "CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, boss integer REFERENCES people);": [
        "+ column people.boss",
        "+ column people.id",
        "+ column people.name",
        "+ constraint people.people_boss_fkey",
        "+ constraint people.people_pkey",
        "+ sequence people_id_seq",
        "+ table people",
    ],
    "CREATE TABLE copy (LIKE people INCLUDING ALL);": [
        "+ column copy.boss",
        "+ column copy.id",
        "+ column copy.name",
        "+ constraint copy.copy_pkey",
        "+ table copy",
    ],
    "CREATE TABLE taken AS SELECT name FROM people;": ["+ column taken.name", "+ table taken"],
    "SELECT name INTO chosen FROM people;": ["+ column chosen.name", "+ table chosen"],
    "INSERT INTO people (name) VALUES ('x');": [],
    "SET LOCAL work_mem = '8MB';": [],
    "CREATE TABLE parts (k integer) PARTITION BY RANGE (k);": ["+ column parts.k", "+ table parts"],
    "CREATE INDEX parts_k ON parts (k);": ["+ index parts_k"],
    "CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (1);": [
        "+ column part_1.k",
        "+ index part_1_k_idx",
        "+ table part_1",
    ],
    "CREATE TABLE part_2 (k integer);": ["+ column part_2.k", "+ table part_2"],
    "ALTER TABLE parts ATTACH PARTITION part_2 FOR VALUES FROM (1) TO (2);": ["+ index part_2_k_idx"],
    "DO $$ BEGIN CREATE TABLE in_block (); EXECUTE 'CREATE FUNCTION one() RETURNS integer RETURN 1'; END $$;": [
        "+ function one()",
        "+ table in_block",
    ],
    "CREATE FUNCTION make(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TABLE %I (n integer DEFAULT one())', name); END $$;": [
        "+ function make(text)"
    ],
    "SELECT make('made');": ["+ column made.n", "+ table made"],
    "CREATE VIEW names AS SELECT name FROM people;": ["+ column names.name", "+ view names"],
    "CREATE MATERIALIZED VIEW kept AS SELECT name FROM names;": ["+ column kept.name", "+ view kept"],
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;": ["+ function touch()"],
    "CREATE TRIGGER touched AFTER UPDATE ON people EXECUTE FUNCTION touch();": ["+ trigger people.touched"],
    "ALTER TABLE people ENABLE ROW LEVEL SECURITY;": [],
    "CREATE POLICY own ON people USING (name = current_user);": ["+ policy people.own"],
    "CREATE RULE keep AS ON DELETE TO taken DO INSTEAD NOTHING;": ["+ rule taken.keep"],
    "CREATE STATISTICS stats ON id, name FROM people;": ["+ statistics stats"],
    "CREATE FUNCTION plus(a integer, b above) RETURNS integer IMMUTABLE RETURN a + b;": [
        "+ function plus(integer,above)"
    ],
    "CREATE OPERATOR @+ (FUNCTION = plus, LEFTARG = integer, RIGHTARG = above);": ["+ operator @+(integer,above)"],
    "CREATE AGGREGATE total (integer) (sfunc = int4pl, stype = integer);": ["+ function total(integer)"],
    "COMMENT ON COLUMN people.name IS 'A name.';": ["+ comment column people.name"],
    "GRANT SELECT (name) ON people TO public;": ["+ privilege column people.name to public"],
    "REVOKE EXECUTE ON FUNCTION make FROM public;": ["+ privilege function make(text) to public"],
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO public;": [
        "+ default privilege tables of current_user to public"
    ],
    "CREATE TABLE given ();": ["+ privilege table given to public", "+ table given"],
    "CREATE TABLE passing (); DROP TABLE passing;": [],
}

#: Statements that change what the ones above made.
CHANGES = {
    "CREATE OR REPLACE FUNCTION one() RETURNS integer RETURN 2;": ["~ function one()"],
    "CREATE OR REPLACE VIEW names AS SELECT name, 1 AS n FROM people;": ["+ column names.n", "~ view names"],
    "DROP MATERIALIZED VIEW kept;": [],
    "CREATE MATERIALIZED VIEW kept AS SELECT 1 AS name;": [
        "+ privilege view kept to public",
        "~ column kept.name",
        "~ view kept",
    ],
    "ALTER TABLE people ADD COLUMN born date, ALTER COLUMN name SET STATISTICS 500;": [
        "+ column people.born",
        "~ column people.name",
    ],
    "ALTER TYPE mood ADD VALUE 'odd';": ["~ type mood"],
    "COMMENT ON COLUMN people.name IS 'Another.';": ["~ comment column people.name"],
    "GRANT SELECT, INSERT ON taken TO public;": ["+ privilege table taken to public"],
    "ALTER TABLE people DISABLE TRIGGER touched;": ["~ trigger people.touched"],
    "DO $$ BEGIN ALTER TABLE taken ADD COLUMN IF NOT EXISTS name text; END $$;": [],
    "CREATE SEQUENCE counter; CREATE TABLE counted (n bigint DEFAULT nextval('counter'));": [],
}

#: Statements that rename.
RENAMES = {
    "ALTER TABLE people RENAME TO persons;": [
        "> table people = persons",
        "~ column persons.full_name",
        "~ column persons.id",
        "~ constraint persons.people_boss_fkey",
        "~ trigger persons.touched",
    ],
    "ALTER TABLE persons RENAME COLUMN name TO full_name;": [
        "> column people.name = persons.full_name",
        "~ policy persons.mine",
        "~ statistics stats",
        "~ view called",
    ],
    "ALTER TABLE persons RENAME CONSTRAINT people_pkey TO persons_pkey;": [
        "> constraint people.people_pkey = persons.persons_pkey"
    ],
    "ALTER INDEX parts_k RENAME TO parts_by_k;": ["> index parts_k = parts_by_k"],
    "ALTER FUNCTION plus(integer, above) RENAME TO add;": [
        "> function plus(integer,above) = add(integer,above)",
        "~ operator @+(integer,above)",
    ],
    "ALTER POLICY own ON persons RENAME TO mine;": ["> policy people.own = persons.mine"],
    "ALTER VIEW names RENAME TO called;": ["> view names = called"],
}

#: Statements that drop.
DROPS = {
    "DROP SEQUENCE counter CASCADE;": ["- sequence counter", "~ column counted.n"],
    "DROP TABLE persons CASCADE;": ["- table persons", "- view called", "~ column copy.id"],
    "DROP FUNCTION one() CASCADE;": ["- function one()", "~ column made.n"],
    "ALTER TABLE copy DROP COLUMN name;": ["- column copy.name"],
    "DROP TABLE parts;": ["- table part_1", "- table part_2", "- table parts"],
}


async def test_each_statement_has_its_effect(server: str, folder: Folder) -> None:
    """Of every kind of statement, in four migrations, the objects are recorded with the line that makes them."""
    for number, statements in enumerate((STATEMENTS, CHANGES, RENAMES, DROPS), 1):
        before = [f"m{number - 1}.sql"] if number > 1 else []
        folder.add(number, f"m{number}", "\n".join(statements), facts=f"requires = {before}")

    catalog = await folder.declared(server)

    found = {
        text: effects(migration).get(str(line), [])
        for migration, statements in zip(catalog, (STATEMENTS, CHANGES, RENAMES, DROPS), strict=True)
        for line, text in enumerate(statements, 1)
    }
    expected = {**STATEMENTS, **CHANGES, **RENAMES, **DROPS}
    several = "CREATE SEQUENCE counter; CREATE TABLE counted (n bigint DEFAULT nextval('counter'));"
    assert found.pop(several) == ["+ sequence counter"]
    assert effects(catalog[2])["11:26"] == [
        "+ column counted.n",
        "+ privilege table counted to public",
        "+ table counted",
    ]
    del expected[several]
    assert found == {text: sorted(lines) for text, lines in expected.items()}
    await holds(server, catalog)


async def test_a_statement_is_found_after_it_was_recorded(server: str, folder: Folder) -> None:
    """A function, a view or a rule has the statement of its file; one that a block made has what the server prints."""
    view = "CREATE VIEW v AS\n  SELECT 1 AS n"
    folder.add(
        1,
        "a",
        f"-- A comment.\n/* another */ CREATE FUNCTION f() RETURNS integer RETURN 1; {view};\n"
        "DO $$ BEGIN CREATE VIEW w AS SELECT 2 AS n; END $$;\nALTER VIEW v RENAME COLUMN n TO m;\n",
    )

    catalog = await folder.declared(server)

    made = {str(each): each.source for each in catalog[1].creates if each.source is not None}
    assert made["function f()"] == "CREATE FUNCTION f() RETURNS integer RETURN 1"
    # The last statement that changes a view need not be one that makes it.
    assert re.sub(r"\s+", " ", made["view v"] or "") == "CREATE VIEW v AS SELECT 1 AS m"
    assert re.sub(r"\s+", " ", made["view w"] or "") == "CREATE VIEW w AS SELECT 2 AS n"
    assert effects(catalog[1])["2:15"] == ["+ function f()"]


async def test_an_editors_line_ends_move_no_place(server: str, folder: Folder) -> None:
    """A byte-order mark and CRLF count as no characters of their own."""
    path = folder.add(1, "a", "")
    (path / "apply.sql").write_bytes("\ufeffCREATE TABLE a ();\r\n\r\nCREATE TABLE b ();\r\n".encode())

    catalog = await folder.declared(server)

    assert effects(catalog[1]) == {"1": ["+ table a"], "3": ["+ table b"]}


async def test_outside_of_a_transaction(server: str, folder: Folder) -> None:
    """A migration that cannot run in a transaction is recorded statement by statement."""
    folder.table(1, "a")
    folder.add(
        2,
        "b",
        "CREATE INDEX CONCURRENTLY a_id ON a (id);\nVACUUM a;\nCREATE TABLE b ();\n",
        facts='requires = ["a.sql"]\ntransactional = false',
    )

    catalog = await folder.declared(server)

    assert effects(catalog[2]) == {"1": ["+ index a_id"], "3": ["+ table b"]}
    assert (await kimbledb.declare(folder.path, server=server, check=True)).ok


async def test_what_it_reaches(server: str, folder: Folder) -> None:
    """Objects of another schema are recorded where the migration says that it reaches them."""
    folder.add(
        1,
        "a",
        "CREATE SCHEMA audit;\nCREATE TABLE audit.log (id integer);\nCREATE TABLE audit.other (id integer);\n"
        "CREATE TABLE own (id integer);\n",
        facts='reaches = ["audit"]',
    )
    folder.add(
        2, "b", "ALTER TABLE audit.log ADD COLUMN at date;", facts='requires = ["a.sql"]\nreaches = ["audit.log"]'
    )

    catalog = await folder.declared(server)

    assert effects(catalog[1])["2"] == ["+ column audit.log.id", "+ table audit.log"]
    assert effects(catalog[2]) == {"1": ["+ column audit.log.at"]}


async def test_a_rename_by_copying_is_stated(server: str, folder: Folder) -> None:
    """Where a table is made anew under another name, migration.toml says that it is the same; untrue ones are refused."""
    folder.table(1, "old")
    path = folder.add(
        2,
        "b",
        "CREATE TABLE new (id integer PRIMARY KEY);\nINSERT INTO new SELECT id FROM old;\nDROP TABLE old;\n",
        facts='requires = ["old.sql"]\n[renames]\n"table old" = "new"\n"constraint old.old_pkey" = "new.new_pkey"',
    )

    catalog = await folder.declared(server)

    assert effects(catalog[2]) == {"1": ["> constraint old.old_pkey = new.new_pkey", "> table old = new"]}
    (path / "migration.toml").write_text('requires = ["old.sql"]\n[renames]\n"table odl" = "new"')
    with pytest.raises(kimbledb.CatalogError, match="renames: table odl does not exist before it"):
        await kimbledb.declare(folder.path, server=server)


# Platforms, alternatives and folders.


async def test_both_platforms_are_recorded(folder: Folder) -> None:
    """What only a hosted server gets is marked so; what its platform grants by default is left out."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer);\n"
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN\n"
        "    GRANT SELECT ON a TO anon; REVOKE ALL ON a FROM authenticated;\n"
        "END IF; END $$;\nCREATE TABLE b ();\n",
    )

    report = await kimbledb.declare(folder.path)

    assert report.platforms == ("bare", "hosted")
    [migration] = folder.catalog
    assert effects(migration) == {"1": ["+ column a.id", "+ table a"], "5": ["+ table b"]}
    assert effects(migration, hosted=True) == {**effects(migration), "2": ["+ privilege table a to anon"]}
    assert (await kimbledb.declare(folder.path, check=True)).ok


async def test_a_folder_of_one_platform(folder: Folder) -> None:
    """A folder that counts on a hosted platform is recorded there, with a note of the place where it fails elsewhere."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id uuid PRIMARY KEY REFERENCES auth.users);\n"
        "CREATE POLICY own ON a USING (id = auth.uid());\n",
    )

    report = await kimbledb.declare(folder.path)

    assert report.platforms == ("hosted",)
    assert len(report.notes) == 1
    assert report.notes[0].startswith("not recorded on a bare server: a.sql failed on an empty database")
    assert f"{folder.path}/01_a/apply.sql:1" in report.notes[0]
    assert "+ policy a.own" in effects(folder.catalog[1])["2"]
    assert 'recorded_on = "hosted"' in (folder.path / "01_a" / "declared.toml").read_text()
    assert (await kimbledb.declare(folder.path, check=True)).ok


async def test_each_alternative_is_recorded(server: str, folder: Folder) -> None:
    """Each of several alternatives is recorded on what it needs, in a database of its own."""
    folder.table(1, "base")
    for number, name in ((2, "one"), (3, "two")):
        facts = f'provides = ["thing"]\nrequires = ["base.sql"]\ndefault = {str(name == "one").lower()}'
        folder.add(number, name, f"CREATE TABLE thing ({name} integer REFERENCES base);", facts=facts)
    folder.add(4, "last", "ALTER TABLE thing ADD COLUMN more text;", facts='requires = ["thing"]')

    catalog = await folder.declared(server)

    assert "+ column thing.one" in effects(catalog[2])["1"]
    assert "+ column thing.two" in effects(catalog[3])["1"]
    assert effects(catalog[4]) == {"1": ["+ column thing.more"]}


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder of files."""
    folder = tmp_path / "flat"
    folder.mkdir()
    (folder / "001_a.sql").write_text("CREATE TABLE a (id integer);\n")
    (folder / "002_b.sql").write_text("ALTER TABLE a ADD COLUMN n integer;\n")
    return folder


async def test_a_flat_folder_has_one_file(server: str, flat: Path) -> None:
    """declared.toml beside the files holds all of them; what a removed file declared goes with it."""
    await kimbledb.declare(flat, server=server)

    catalog = kimbledb.Catalog.from_directory(flat)
    assert [effects(each) for each in catalog] == [{"1": ["+ column a.id", "+ table a"]}, {"1": ["+ column a.n"]}]
    assert (flat / "declared.toml").exists()

    (flat / "002_b.sql").unlink()
    checked = await kimbledb.declare(flat, server=server, check=True)
    assert [(each.migration, each.differences) for each in checked.out_of_step] == [
        ("002_b.sql", ("the folder does not hold it",))
    ]
    await kimbledb.declare(flat, server=server)
    assert "002_b.sql" not in (flat / "declared.toml").read_text()


@pytest.mark.parametrize("is_flat", [True, False])
async def test_a_folder_that_cannot_be_written(
    server: str, flat: Path, folder: Folder, tmp_path: Path, *, is_flat: bool
) -> None:
    """The declarations of a folder go to one file elsewhere, and are read from there."""
    folder.table(1, "a")
    root, file = flat if is_flat else folder.path, tmp_path / "elsewhere.toml"
    before = sorted(root.rglob("*"))

    report = await kimbledb.declare(root, server=server, output=file)

    assert sorted(root.rglob("*")) == before
    assert {each.file for each in report.migrations} == {str(file)}
    assert not kimbledb.Catalog.from_directory(root)[1].is_declared
    assert "+ table a" in effects(kimbledb.Catalog.from_directory(root, declared=file)[1])["1"]
    assert (await kimbledb.declare(root, server=server, output=file, check=True)).ok
    with pytest.raises(kimbledb.ConfigurationError, match="cannot be written: No such file or directory") as caught:
        await kimbledb.declare(root, server=server, output=tmp_path / "nowhere" / "file.toml")
    assert "output=" in str(caught.value.hint)


# Again, and what is out of step.


async def test_what_is_in_step_is_left_as_it_is(server: str, folder: Folder) -> None:
    """A second call writes nothing; after an edit only that migration is written."""
    folder.table(1, "a")
    second = folder.table(2, "b")
    report = await kimbledb.declare(folder.path, server=server)
    assert [str(each.state) for each in report.migrations] == ["written", "written"]
    assert report.migrations[0].size == (folder.path / "01_a" / "declared.toml").stat().st_size
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("declared.toml")}

    again = await kimbledb.declare(folder.path, server=server)
    assert [str(each.state) for each in again.migrations] == ["in step", "in step"]
    assert before == {path: path.stat().st_mtime_ns for path in folder.path.rglob("declared.toml")}

    with (second / "apply.sql").open("a") as file:
        file.write("-- More.\nCREATE TABLE c ();\n")
    [edited] = (await kimbledb.declare(folder.path, server=server)).written
    assert (edited.migration, edited.differences) == ("b.sql", ("apply.sql was edited after they were recorded",))
    assert effects(folder.catalog[2])["3"] == ["+ table c"]


APPLY = """\
CREATE TABLE a (id integer PRIMARY KEY, n integer);
CREATE VIEW v AS SELECT n FROM a;
DROP TABLE old;
ALTER TABLE b RENAME TO c;
DO $$ BEGIN CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; END $$;
"""
#: An edit of declared.toml, and what --check says of it.
PLANTED = {
    "no file": (None, None, "none were recorded"),
    "another text": (r'checksum = "\w+"', f'checksum = "{"0" * 64}"', "apply.sql was edited after they were recorded"),
    "another fact": (
        'type = "integer", not_null = true',
        'type = "bigint", not_null = true',
        "column a.id has another type",
    ),
    "a missing object": (r'"column a.n" = .*\n', "", "it creates column a.n, and they do not say so"),
    "a further object": (
        '"table a" = {}',
        '"table a" = {}\n"index i" = { on = "a", columns = ["n"] }',
        "they say that it creates index i, and it does not",
    ),
    "another source": ("SELECT 1", "SELECT 2", "function f() has another source"),
    "another query": (r'query = "\w+"', 'query = "0"', "view v has another query"),
    "a missing drop": (r'drops = \["table old"\]\n', "", "it drops table old, and they do not say so"),
    "a further drop": (r'\["table old"\]', '["table old", "view w"]', "they say that it drops view w, and it does not"),
    "another new name": ('"table b" = "c"', '"table b" = "d"', "table b has another new name"),
    "a missing rename": (r'\[statement.renames\]\n"table b" = "c"\n', "", "it renames table b, and they do not say so"),
    "a place between": ('"apply.sql:3"', '"apply.sql:30"', "a statement does not begin where they say"),
    "no TOML": ("server", "<<<<<<< ours\nserver", "their file has a fault: it is not TOML"),
    "another shape": ("server", 'made_by = "x"\nserver', "their file has a fault: there is no key made_by"),
    "another writing": ("server = ", "server   = ", "the file is not as kimbledb writes it"),
}


@pytest.mark.parametrize(("pattern", "text", "reason"), PLANTED.values(), ids=PLANTED)
async def test_check_finds_a_planted_difference(
    server: str, folder: Folder, pattern: str | None, text: str | None, reason: str
) -> None:
    """Whatever is edited in the file, or in apply.sql, is named; recording it again puts it right."""
    folder.add(1, "before", "CREATE TABLE old (); CREATE TABLE b ();")
    file = folder.add(2, "after", APPLY, facts='requires = ["before.sql"]') / "declared.toml"
    await kimbledb.declare(folder.path, server=server)
    right = file.read_text()
    if pattern is None or text is None:
        file.unlink()
    else:
        edited = re.sub(pattern, text, right, count=1)
        assert edited != right
        file.write_text(edited)

    report = await kimbledb.declare(folder.path, server=server, check=True)

    [wrong] = report.out_of_step
    assert wrong.migration == "after.sql"
    assert wrong.differences[0].startswith(reason)
    assert not report.ok
    assert reason in str(report)
    assert file.exists() == (pattern is not None)
    await kimbledb.declare(folder.path, server=server)
    assert file.read_text() == right


async def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command, and return its exit code, its output and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kimbledb", "declare", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_command(server: str, folder: Folder) -> None:
    """`declare` takes the folder as an argument or by --catalog; --check exits with 1 where something is out of step."""
    folder.table(1, "a")
    path = str(folder.path)

    assert (await run())[0] == 2
    code, out, _ = await run(path, "--server", server, "--check")
    assert (code, "1 of 1 migration out of step with its declarations" in out) == (1, True)
    code, out, _ = await run("--catalog", path, "--server", server)
    assert (code, "recorded 1 of 1 migration" in out) == (0, True)
    code, out, _ = await run(path, "--server", server, "--check", "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    folder.add(2, "b", "SELECT 1 / 0;")
    code, _, err = await run(path, "--server", server)
    assert (code, f"{path}/02_b/apply.sql:1" in err) == (1, True)


# What fails.


async def test_a_failing_statement_is_named(server: str, folder: Folder) -> None:
    """An error has the file, the line, the cause and the cure, and nothing is written."""
    folder.table(1, "a")
    folder.add(
        2, "b", "CREATE TABLE b ();\n\nGRANT SELECT ON b TO nobody_of_this_name;\n", facts='requires = ["a.sql"]'
    )

    with pytest.raises(kimbledb.MigrationError, match='role "nobody_of_this_name" does not exist') as caught:
        await kimbledb.declare(folder.path, server=server)

    assert (caught.value.file, caught.value.line) == (f"{folder.path}/02_b/apply.sql", 3)
    assert caught.value.failed is not None
    assert caught.value.failed.name == "b.sql"
    assert "roles belong to the server" in str(caught.value.hint)
    assert "--server DSN" in str(caught.value.hint)
    assert list(folder.path.rglob("declared.toml")) == []


async def test_a_script_that_reaches_out_is_refused(server: str, folder: Folder) -> None:
    """The rules of a run hold for a recording: what a script does in another schema stops it."""
    folder.add(1, "a", "CREATE SCHEMA other; CREATE TABLE other.t ();")

    with pytest.raises(kimbledb.MigrationError, match="reached outside of") as caught:
        await kimbledb.declare(folder.path, server=server)

    assert "reaches = " in str(caught.value.hint)


async def test_a_schema_that_new_databases_lack(server: str, folder: Folder) -> None:
    """A given server is not the platform: the error says where the private one has its schemas."""
    folder.add(1, "a", "CREATE TABLE a (id uuid REFERENCES auth.users);")

    with pytest.raises(kimbledb.MigrationError, match='schema "auth" does not exist') as caught:
        await kimbledb.declare(folder.path, server=server)

    assert "leave out --server" in str(caught.value.hint)


async def test_an_extension_that_the_server_lacks(server: str, folder: Folder) -> None:
    """A missing extension is named before anything runs."""
    folder.table(1, "a", facts='extensions = ["no_such_extension"]')

    with pytest.raises(kimbledb.PreflightError, match="no_such_extension") as caught:
        await kimbledb.declare(folder.path, server=server)

    assert "--server DSN" in str(caught.value.hint)


async def test_a_given_server_is_left_as_it_was(server: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Databases of a recording are dropped again, after a failure, too; a role that may make none is told so."""
    # Other tests record on the same server at the same time: a role of its own shows whose databases are left.
    role = f"recorder_{os.getpid()}"
    await sql(server, f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{role}'")
    try:
        own = re.sub("//[^@]*@", f"//{role}:{role}@", server)
        folder.table(1, "a")
        report = await kimbledb.declare(folder.path, server=own)
        folder.add(2, "b", "SELECT 1 / 0;")
        with pytest.raises(kimbledb.MigrationError):
            await kimbledb.declare(folder.path, server=own)

        assert await connection.fetchval(f"SELECT count(*) FROM pg_database WHERE datdba = '{role}'::regrole") == 0
        assert report.platforms == ("bare",)
        assert "the server is a bare one, and the other platform was not recorded" in report.notes[0]
        await sql(server, f"ALTER ROLE {role} NOCREATEDB")
        with pytest.raises(kimbledb.ConfigurationError, match="no database can be made on"):
            await kimbledb.declare(folder.path, server=own)
    finally:
        await sql(server, f"DROP ROLE {role}")


# What is known, and what is not.


async def test_a_plan_says_what_it_cannot_know(server: str, folder: Folder) -> None:
    """A catalog without declarations, one with some, and an edited file are told in the plan, with the cure."""
    folder.table(1, "a")
    folder.table(2, "b")
    planner = kimbledb.Planner(folder.catalog).plan()
    assert [step.name for step in planner.undeclared] == ["a.sql", "b.sql"]
    assert (
        f"2 of 2 migrations without declarations: adoption, drift, cures and rollbacks do not know their objects; `kimbledb declare {folder.path}` records them"
        in str(planner)
    )
    assert planner.as_dict()["undeclared"] == ["a.sql", "b.sql"]

    known = kimbledb.Planner(await folder.declared(server)).plan()
    assert (known.undeclared, known.outdated) == ((), ())
    assert "kimbledb declare" not in str(known)

    with (folder.path / "01_a" / "apply.sql").open("a") as file:
        file.write("-- Edited.\n")
    (folder.path / "02_b" / "declared.toml").unlink()
    some = kimbledb.Planner(folder.catalog).plan()
    assert ([step.name for step in some.undeclared], [step.name for step in some.outdated]) == (["b.sql"], ["a.sql"])
    assert "1 of 2 migrations without declarations, 1 of 2 migrations with outdated declarations" in str(some)
    assert some.step("a.sql").notes == ["edited after its declarations were recorded: they are outdated, and not used"]
    assert "without declarations" in some._repr_html_()


async def test_an_edited_file_stops_a_plan(server: str, database: str, folder: Folder) -> None:
    """A declared.toml with a fault stops what needs it, with its place; it stops no run that has nothing to do."""
    folder.table(1, "a")
    await folder.declared(server)
    await kimbledb.migrate(database, catalog=folder.catalog)
    (folder.path / "01_a" / "declared.toml").write_text("<<<<<<< ours\n")

    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()
    with pytest.raises(kimbledb.CatalogError, match=r"01_a/declared\.toml:1: it is not TOML"):
        await kimbledb.adopt(database, catalog=folder.catalog)


async def test_a_copied_folder_keeps_its_declarations(server: str, folder: Folder, tmp_path: Path) -> None:
    """Nothing in the file names the folder or the machine."""
    folder.table(1, "a")
    await folder.declared(server)
    shutil.copytree(folder.path, tmp_path / "copy")

    assert (await kimbledb.declare(tmp_path / "copy", server=server, check=True)).ok
