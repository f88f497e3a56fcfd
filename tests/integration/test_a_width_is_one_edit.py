"""A column's width stands in one place: one edit of one script and `kimbledb declare` change it, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kimbledb
from kimbledb.cli.main import main
from tests.support.databases import fresh_database, sql, take_snapshot

BUILTIN = Path(kimbledb.__file__).parent / "sql" / "migrations"
#: A column with a default, a check and an index on it, which two views read.
FOLDER, COLUMN = "19_api-cost-tracking", "cost_usd numeric(10,6)"
#: The migrations that its migration needs, and those that need it. To record all takes longer, and shows no more.
COPIED = ("01_*", "19_*", "20_*", "21_*", "22_*", "catalog.toml")
WIDTH = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'api_cost_tracking'::regclass AND attname = 'cost_usd'"


def texts(folder: Path) -> dict[str, list[str]]:
    """Return the lines of each file of a catalog, by its path in the catalog's folder."""
    return {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8").splitlines()
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".sql", ".toml")
    }


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a part of the built-in catalog, with one edit and the declarations recorded again."""
    copy = tmp_path_factory.mktemp("edited") / "migrations"
    copy.mkdir()
    for pattern in COPIED:
        [found] = BUILTIN.glob(pattern)
        if found.is_dir():
            shutil.copytree(found, copy / found.name)
        else:
            shutil.copy(found, copy)
    script = copy / FOLDER / "apply.sql"
    text = script.read_text(encoding="utf-8")
    assert text.count(COLUMN) == 1
    script.write_text(text.replace(COLUMN, COLUMN.replace("10", "14")), encoding="utf-8")
    assert main(["declare", str(copy)]) == 0
    return copy


def test_nothing_else_changes(edited: Path) -> None:
    """Beside the edited line, two lines of the same migration's declared.toml change, and no file of another migration."""
    after = texts(edited)
    before = {name: lines for name, lines in texts(BUILTIN).items() if name in after}

    changed = {
        name: [(old, new) for old, new in zip(before[name], after[name], strict=True) if old != new] for name in before
    }

    assert before.keys() == after.keys()
    [(old, new)] = changed.pop(f"{FOLDER}/apply.sql")
    assert (old.strip(), new.strip()) == (
        "cost_usd numeric(10,6) NOT NULL DEFAULT 0,",
        "cost_usd numeric(14,6) NOT NULL DEFAULT 0,",
    )
    [(checksum, _), (old, new)] = changed.pop(f"{FOLDER}/declared.toml")
    assert checksum.startswith("checksum = ")
    assert new == old.replace("numeric(10,6)", "numeric(14,6)")
    assert not any(changed.values())


def test_the_declarations_are_in_step(edited: Path) -> None:
    """`kimbledb declare --check` passes."""
    assert main(["declare", str(edited), "--check"]) == 0


async def test_a_fresh_database_has_the_width(edited: Path, server: str) -> None:
    """A fresh database has the new width, the migration is verified, and its rollback gives the schema from before."""
    catalog = kimbledb.Catalog.from_directory(edited)
    migration = next(each for each in catalog if each.location.endswith(FOLDER))
    async with fresh_database(server) as dsn:
        for need in (await kimbledb.plan(dsn, catalog=catalog)).step(migration.name).needs:
            await kimbledb.migrate(dsn, catalog=catalog, to=need)
        before = await take_snapshot(dsn)

        await kimbledb.migrate(dsn, catalog=catalog, to=migration.name)

        assert await sql(dsn, WIDTH) == "numeric(14,6)"
        assert (await kimbledb.verify(dsn, catalog=catalog)).ok
        await kimbledb.rollback(dsn, migration.name, catalog=catalog)
        assert str((await take_snapshot(dsn)).since(before)) == "no difference"
        await kimbledb.migrate(dsn, catalog=catalog)
        assert await sql(dsn, WIDTH) == "numeric(14,6)"
        assert (await kimbledb.verify(dsn, catalog=catalog)).ok
