"""Folders of other tools against a server: applied, verified, taken back; and migrations that are applied again."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

import kimbledb
from tests.support.databases import take_snapshot
from tests.support.folders import Folder

TABLE = "CREATE TABLE t (id integer PRIMARY KEY);\n"
DROP = "DROP TABLE t;\n"
INDEX = "CREATE INDEX CONCURRENTLY i ON t (id);\n"
VIEW = "CREATE OR REPLACE VIEW v AS SELECT id FROM t;\n"

#: A project of each tool that makes the same table, and what else is its own.
PROJECTS: dict[str, dict[str, str]] = {
    "goose": {
        "1_t.sql": f"-- +goose Up\n-- +goose StatementBegin\n{TABLE.rstrip()[:-1]}\n-- +goose StatementEnd\nSELECT 1;\n"
        f"-- +goose Down\n{DROP}",
        "2_i.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{INDEX}-- +goose Down\nDROP INDEX i;\n",
    },
    "dbmate": {
        "1_t.sql": f"-- migrate:up\n{TABLE}-- migrate:down\n{DROP}",
        "2_i.sql": f"-- migrate:up transaction:false\n{INDEX}-- migrate:down\nDROP INDEX i;\n",
    },
    "pairs": {
        "1_t.up.sql": f"BEGIN;\n{TABLE}COMMIT;\n",
        "1_t.down.sql": f"BEGIN;\n{DROP}COMMIT;\n",
        "2_i.up.sql": INDEX,
        "2_i.down.sql": "DROP INDEX i;",
    },
    "flyway": {
        "V1.1__t.sql": TABLE,
        "U1.1__t.sql": DROP,
        "V1.2__i.sql": INDEX,
        "U1.2__i.sql": "DROP INDEX i;",
    },
    "tern": {
        "001_t.sql": f"{TABLE}---- create above / drop below ----\n{DROP}",
        "002_i.sql": f"---- tern: disable-tx ----\n{INDEX}---- create above / drop below ----\nDROP INDEX i;\n",
    },
    "prisma": {
        "20240101000000_t/migration.sql": TABLE,
        "20240101000000_t/down.sql": DROP,
        "20240102000000_i/migration.sql": INDEX,
        "20240102000000_i/down.sql": "DROP INDEX i;",
    },
    "diesel": {
        "2024-01-01-000000_t/up.sql": TABLE,
        "2024-01-01-000000_t/down.sql": DROP,
        "2024-01-02-000000_i/up.sql": INDEX,
        "2024-01-02-000000_i/down.sql": "DROP INDEX i;",
        "2024-01-02-000000_i/metadata.toml": "run_in_transaction = false",
    },
    "yoyo": {
        "a.t.sql": TABLE,
        "a.t.rollback.sql": DROP,
        "0.i.sql": f"-- transactional: false\n-- depends: a.t\n{INDEX}",
        "0.i.rollback.sql": "DROP INDEX i;",
    },
    "sqitch": {
        "sqitch.plan": "%project=x\nt 2024-01-01T00:00:00Z J <j@x>\ni [t] 2024-01-01T00:00:00Z J <j@x>\n",
        "deploy/t.sql": f"-- Deploy x:t to pg\nBEGIN;\nSET client_min_messages = 'warning';\n{TABLE}COMMIT;\n",
        "revert/t.sql": f"BEGIN;\n{DROP}COMMIT;\n",
        "verify/t.sql": "BEGIN;\nSELECT id FROM t WHERE false;\nDO $$ BEGIN ASSERT to_regclass('t') IS NOT NULL; END $$;\nROLLBACK;",
        "deploy/i.sql": INDEX,
        "revert/i.sql": "DROP INDEX i;",
    },
}


def write(root: Path, files: dict[str, str]) -> kimbledb.Catalog:
    """Write a folder, and return its catalog."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return kimbledb.Catalog.from_directory(root)


async def test_projects_of_other_tools_are_applied_and_taken_back(database: str, tmp_path: Path) -> None:
    """Each makes the same objects, holds its checks, needs no second run, and goes by its own way back."""
    shapes = {}
    for tool, files in PROJECTS.items():
        catalog = write(tmp_path / tool, files)

        report = await kimbledb.migrate(database, catalog=catalog, schema=tool)
        assert len(report.applied) == 2, tool
        assert not (await kimbledb.migrate(database, catalog=catalog, schema=tool)).applied
        assert (await kimbledb.verify(database, catalog=catalog, schema=tool)).ok

        found = await take_snapshot(database, tool)
        shapes[tool] = {key for key in found if "migration_" not in str(key)}
        back = await kimbledb.rollback(database, catalog=catalog, schema=tool, to=0)
        assert len(back.rolled_back) == 2
    [shape] = {frozenset(map(str, shape)) for shape in shapes.values()}
    assert shape


async def test_an_error_has_the_line_of_the_file_in_another_tool(database: str, tmp_path: Path) -> None:
    """What fails in a section is told with the line on which it lies, in the way there and in a check."""
    goose = write(
        tmp_path / "goose", {"1_t.sql": f"-- note\n-- +goose Up\n{TABLE}\nSELECT 1 / 0;\n-- +goose Down\n{DROP}"}
    )
    with pytest.raises(kimbledb.MigrationError) as failed:
        await kimbledb.migrate(database, catalog=goose, schema="goose")
    assert (failed.value.file, failed.value.line) == (f"{tmp_path}/goose/1_t.sql", 5)

    files = {
        **PROJECTS["sqitch"],
        "verify/t.sql": "-- Verify x:t on pg\nBEGIN;\n\nSELECT 1 / count(*) FROM t;\nROLLBACK;",
    }
    sqitch = write(tmp_path / "sqitch", files)
    with pytest.raises(kimbledb.VerificationError) as refused:
        await kimbledb.migrate(database, catalog=sqitch, schema="sqitch")
    [check] = [each for each in refused.value.checks if not each.passed]
    assert (check.file, check.line, check.migration) == (f"{tmp_path}/sqitch/verify/t.sql", 4, "t")


async def test_a_repeatable_migration_is_applied_again_when_its_text_changes(database: str, tmp_path: Path) -> None:
    """After all others, by name; the plan says so, and to verify() and status() it is no edited file."""
    files = {"R__b.sql": VIEW.replace(" v ", " w "), "R__a.sql": VIEW, "V1__t.sql": TABLE}
    catalog = write(tmp_path, files)
    report = await kimbledb.migrate(database, catalog=catalog)
    assert [step.migration.name for step in report.applied] == ["V1__t.sql", "R__a.sql", "R__b.sql"]

    catalog = write(
        tmp_path, {"R__a.sql": VIEW.replace("id FROM", "id, n FROM"), "V2__n.sql": "ALTER TABLE t ADD n text;"}
    )
    plan = await kimbledb.plan(database, catalog=catalog)
    assert [step.name for step in plan.pending] == ["V2__n.sql", "R__a.sql"]
    assert plan.step("R__a.sql").reason.startswith("it is applied again: its text has changed since it was applied")
    assert (await kimbledb.verify(database, catalog=catalog)).ok
    assert "edited" not in str(await kimbledb.status(database, catalog=catalog))

    report = await kimbledb.migrate(database, catalog=catalog)
    assert [step.migration.name for step in report.applied] == ["V2__n.sql", "R__a.sql"]
    assert not (await kimbledb.migrate(database, catalog=catalog)).applied


async def test_what_is_applied_again_is_taken_back_whole(database: str, folder: Folder) -> None:
    """The rollback that is derived from declarations takes what the first application made, too."""
    folder.table(1, "t")
    again = folder.add(2, "v", VIEW, facts="repeatable = true\n", rollback=None)
    await kimbledb.migrate(database, catalog=await folder.declared(database))
    more = VIEW.replace("id FROM", "id, 1 AS one FROM") + VIEW.replace(" v ", " w ")
    (again / "apply.sql").write_text(more, encoding="utf-8")
    catalog = await folder.declared(database)
    assert (await kimbledb.verify(database, catalog=catalog)).ok

    report = await kimbledb.migrate(database, catalog=catalog)
    assert [step.migration.name for step in report.applied] == ["v.sql"]
    assert (await kimbledb.verify(database, catalog=catalog)).ok

    await kimbledb.rollback(database, "v.sql", catalog=catalog)
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT coalesce(to_regclass('v'), to_regclass('w'))") is None
    finally:
        await connection.close()
