"""Prove: what is wrong with a catalog is found and named before any database of somebody meets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

import pytest
from attrs import field, frozen

import kimbledb
from kimbledb.cli.main import main
from kimbledb.model.catalog_report import Proof
from kimbledb.testing import prove_catalog
from tests.support.folders import Folder

OLD = "CREATE TABLE old (id integer PRIMARY KEY, n integer, t text, m integer DEFAULT 7);\nCREATE INDEX idx_old_n ON old (n);\n"
#: A table on which the migration without a fault works.
FIRM = "CREATE TABLE firm (id integer PRIMARY KEY, t text);\n"


@frozen
class Fault:
    """A migration with one fault. It works on the table ``old``."""

    apply: str
    #: The kinds of proof that find it, and no other does.
    kinds: set[str]
    #: Words of the message of the first of them.
    words: str
    rollback: str | None = None
    verify: str | None = None
    online: str | None = None
    requires: list[str] = field(factory=lambda: ["old.sql"])


#: Twenty faults but two, which stand below: these catalogs run, as far as their makers tried them.
FAULTS = {
    "a missing requires": Fault(
        "CREATE VIEW a01 AS SELECT n FROM old;",
        {"order"},
        'relation "old" does not exist',
        rollback="DROP VIEW a01;",
        requires=[],
    ),
    "a rollback that leaves a column": Fault(
        "ALTER TABLE old ADD COLUMN a02 integer, ADD COLUMN b02 integer;",
        {"rollback"},
        "+ column old.b02",
        rollback="ALTER TABLE old DROP COLUMN a02;",
    ),
    "a rollback that leaves a grant": Fault(
        "CREATE TABLE a03 (id integer PRIMARY KEY);\nGRANT SELECT ON old TO PUBLIC;",
        {"rollback"},
        "+ privilege table old to public",
        rollback="DROP TABLE a03;",
    ),
    "a rollback that leaves a default": Fault(
        "ALTER TABLE old ALTER COLUMN n SET DEFAULT 4;", {"rollback"}, "~ column old.n", rollback="SELECT 1;"
    ),
    "a rollback that leaves a type": Fault(
        "CREATE TYPE a05 AS ENUM ('x');\nCREATE TABLE b05 (e a05);",
        {"rollback"},
        "+ type a05",
        rollback="DROP TABLE b05;",
    ),
    "a rollback that takes too much": Fault(
        "CREATE INDEX a06 ON old (t);", {"rollback"}, "- index idx_old_n", rollback="DROP INDEX a06, idx_old_n;"
    ),
    "a rollback that fails": Fault(
        "CREATE TABLE a07 (id integer PRIMARY KEY);",
        {"rollback"},
        'table "b07" does not exist',
        rollback="DROP TABLE b07;",
    ),
    "a rollback that loses rows": Fault(
        "CREATE TABLE a08 (id integer PRIMARY KEY);",
        {"rows"},
        "its rollback loses rows: table old held",
        rollback="DROP TABLE a08;\nDELETE FROM old;",
    ),
    "a script that fails on rows": Fault(
        "DO $$ BEGIN EXECUTE 'ALTER TABLE old ADD COLUMN a09 integer NOT NULL'; END $$;",
        {"rows", "online"},
        "it fails on rows that its tables may hold",
        rollback="ALTER TABLE old DROP COLUMN a09;",
    ),
    "a rule that rows break": Fault(
        "ALTER TABLE old ADD CONSTRAINT a10 CHECK (n > 1000);",
        {"rows", "online"},
        "it stops at rows that its tables may hold, and does not say so",
    ),
    "a script that loses rows": Fault(
        "CREATE TABLE a11 (id integer PRIMARY KEY);\nDELETE FROM old;",
        {"rows"},
        "it loses rows or values that its tables may hold, and does not say so",
        rollback="DROP TABLE a11;",
    ),
    "a check that cannot fail": Fault(
        "CREATE TABLE a12 (id integer PRIMARY KEY);",
        {"checks"},
        "all_is_well",
        verify="-- name: all_is_well\nSELECT true AS passed",
    ),
    "a check of something else": Fault(
        "CREATE TABLE a13 (id integer PRIMARY KEY);",
        {"checks"},
        "another",
        verify="-- name: another\nSELECT to_regclass('old') IS NOT NULL AS passed",
    ),
    "a declaration out of step": Fault(
        "CREATE TABLE a14 (id integer PRIMARY KEY);",
        {"declared"},
        "apply.sql was edited after they were recorded",
        rollback="DROP TABLE a14;",
    ),
    "an online strategy that ends elsewhere": Fault(
        "CREATE INDEX IF NOT EXISTS a15 ON old (n, t);",
        {"rows", "online"},
        "beside rows it ends in another schema:\n+ index b15",
        online="CREATE INDEX CONCURRENTLY b15 ON old (n, t);\nCREATE INDEX CONCURRENTLY a15 ON old (n, t);",
    ),
    "rows that get lost where it was interrupted": Fault(
        "CREATE TABLE a16 (n integer);\nINSERT INTO a16 VALUES (1);\nCREATE TABLE b16 (n integer);",
        {"complete"},
        "completed, it leaves other rows: table a16 held 1 rows, and holds 0",
        rollback="DROP TABLE a16, b16;",
    ),
    "an end that depends on the order": Fault(
        "DO $$ BEGIN IF to_regclass('a01') IS NULL THEN CREATE TABLE a17 (n integer); ELSE CREATE TABLE a17 (t text);"
        " END IF; END $$;",
        {"order"},
        "column a17.t",
        rollback="DROP TABLE a17;",
    ),
    "a name by chance": Fault(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (n integer)', 'a18_' || substr(md5(random()::text), 1, 8)); END $$;",
        {"apply", "order", "declared"},
        "a18_",
        rollback="DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || relname FROM pg_class WHERE relname ~ '^a18_'); END $$;",
    ),
}
NAMES = {f"f{number:02}.sql": fault for number, fault in enumerate(FAULTS.values(), 1)}


def planted(folder: Folder) -> None:
    """Write a catalog of migrations of which each has one fault, and two that have none."""
    folder.add(1, "old", OLD + FIRM, verify=None, rollback="DROP TABLE old, firm;")
    for number, (name, fault) in enumerate(NAMES.items(), 2):
        added = folder.add(
            number,
            name.removesuffix(".sql"),
            fault.apply,
            facts=f"requires = {json.dumps(fault.requires)}",
            verify=fault.verify,
            rollback=fault.rollback,
        )
        if fault.online is not None:
            (added / "online.sql").write_text(fault.online, encoding="utf-8")
    folder.add(
        90,
        "sound",
        "CREATE TABLE sound (id integer PRIMARY KEY);\nALTER TABLE firm ADD CONSTRAINT long CHECK (length(t) > 100);",
        facts='requires = ["old.sql"]\ndemands = "long texts"',
        verify="-- name: there\nSELECT to_regclass('sound') IS NOT NULL AS passed",
        rollback=None,
    )


async def test_planted_faults_are_found_and_named(server: str, folder: Folder) -> None:
    """Each fault is found by the proofs that it breaks, and by no other, with what is wrong; what is sound has no failure."""
    planted(folder)
    await kimbledb.declare(folder.path, server=server)
    with next(folder.path.glob("*_f14")).joinpath("apply.sql").open("a") as script:
        script.write("\nCOMMENT ON TABLE a14 IS 'fourteen';")

    report = await kimbledb.prove(folder.catalog, server=server)

    found = {name: {str(each.kind) for each in report.failures if each.migration == name} for name in report.migrations}
    assert found == {"old.sql": set(), "sound.sql": set(), **{name: fault.kinds for name, fault in NAMES.items()}}
    for name, fault in NAMES.items():
        first = next(case for case in report.failures if case.migration == name)
        assert fault.words in str(first.message), name
    sound = [case for case in report.cases if case.migration == "sound.sql"]
    assert {case.kind for case in sound if case.skipped is None} == {*Proof}


async def test_a_script_is_completed_wherever_it_ended(server: str, folder: Folder) -> None:
    """What an interrupted script left is seen and completed: a type or a function alone, and all but grants and comments."""
    folder.add(
        1,
        "first",
        """CREATE TYPE mood AS ENUM ('fine');
CREATE FUNCTION moods() RETURNS text[] LANGUAGE sql AS $$ SELECT enum_range(NULL::mood)::text[] $$;
CREATE TABLE days (day date PRIMARY KEY, mood mood);
GRANT SELECT ON days TO PUBLIC;
REVOKE EXECUTE ON FUNCTION moods() FROM PUBLIC;
COMMENT ON COLUMN days.mood IS 'How it was.';
COMMENT ON TABLE days IS 'One row a day.';""",
        verify=None,
        rollback=None,
    )
    await kimbledb.declare(folder.path, server=server)

    report = await kimbledb.prove(folder.catalog, server=server, cuts=None)

    places = [case.detail for case in report.cases if case.kind is Proof.COMPLETE and case.skipped is None]
    assert (len(places), report.failures) == (6, ())


async def test_of_what_cannot_be_applied_the_rest_is_proven(server: str, folder: Folder) -> None:
    """A script or a check that fails is named, what requires it is not tried, and everything else is."""
    folder.add(1, "broken", "CREATE TABLE a (n missing_type);", verify=None)
    folder.add(2, "behind", "CREATE TABLE b (n integer);", facts='requires = ["broken.sql"]', verify=None)
    folder.add(3, "unwell", "CREATE TABLE c (n integer);", verify="-- name: full\nSELECT count(*) > 0 AS passed FROM c")
    folder.table(4, "sound")

    report = await kimbledb.prove(folder.catalog, server=server, cuts=0)

    assert [(case.migration, case.kind) for case in report.failures if case.kind is not Proof.ORDER] == [
        ("broken.sql", Proof.APPLY),
        ("unwell.sql", Proof.APPLY),
    ]
    assert "missing_type" in str(report.failures[0].message)
    skipped = {case.migration: case.skipped for case in report.cases if case.kind is Proof.APPLY and case.skipped}
    assert skipped == {"behind.sql": "it requires broken.sql, which failed"}
    assert not [case for case in report.failures if case.migration == "sound.sql"]
    with pytest.raises(AssertionError, match=r"broken.sql: apply"):
        await prove_catalog(folder.catalog, server=server, cuts=0)


def test_the_command_writes_for_people_and_for_ci(
    server: str, folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints one table, writes JUnit XML and Markdown, and exits with 1 where something failed."""
    folder.table(1, "sound")
    folder.add(2, "broken", "CREATE TABLE broken (n integer);", verify=None, rollback="SELECT 1;")
    files = {name: tmp_path / name for name in ("junit", "markdown")}

    code = main(["prove", str(folder.path), "--server", server, *(f"--{name}={file}" for name, file in files.items())])

    printed = capsys.readouterr()
    suites = {suite.get("name"): suite for suite in ET.parse(files["junit"]).getroot()}  # noqa: S314
    assert code == 1
    assert "broken.sql: rollback: its rollback does not leave the schema as it was:" in printed.out
    assert {name: suite.get("failures") for name, suite in suites.items()} == {"sound.sql": "0", "broken.sql": "1"}
    assert suites["broken.sql"].find("testcase/failure") is not None
    assert "| broken.sql |" in files["markdown"].read_text()
    assert main(["prove", str(folder.path), "--cuts", "-1"]) == 2


#: ``nox -s prove`` takes both platforms, and every statement.
ALL = os.environ.get("KIMBLEDB_TEST_PROVE") == "all"
PLATFORMS: list[Literal["bare", "hosted"]] = ["bare", "hosted"] if ALL else ["bare"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_built_in_migrations_are_proven(platform: Literal["bare", "hosted"]) -> None:
    """The built-in migrations go through the whole cycle, each interrupted at three places."""
    report = await prove_catalog(platform=platform, cuts=None if ALL else 3)

    assert len(report.migrations) == 35
