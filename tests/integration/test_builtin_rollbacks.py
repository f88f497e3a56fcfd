"""The derived rollbacks of the built-in migrations. ``nox -s rollbacks`` takes all of them, on bare and hosted servers."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

import kimbledb
from kimbledb.model.objects import parts_of
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.fold import fold
from kimbledb.planning.planner import Planner
from kimbledb.planning.sample_rows import filling, sample_tables
from tests.support.databases import HOSTED_DATABASE, fresh_database, sql, take_snapshot

CATALOG = kimbledb.Catalog.builtin()
ALL = "KIMBLEDB_TEST_ROLLBACKS" in os.environ
NUMBERS = [each.number for each in CATALOG if each.number != 3] if ALL else [7, 16, 33]
#: The kinds of objects that a report of a rollback lists.
LISTED = ("table", "view", "sequence", "function", "type")


@asynccontextmanager
async def around(server: str, number: int, prepare: str = "") -> AsyncIterator[tuple[str, Snapshot]]:
    """A database with a migration and all that it needs, and the schema as it was before that migration."""
    async with fresh_database(server, prepare) as dsn:
        for need in (await kimbledb.plan(dsn)).step(CATALOG[number].name).needs:
            await kimbledb.migrate(dsn, to=need, verify=False)
        before = await take_snapshot(dsn)
        report = await kimbledb.migrate(dsn, to=number, verify=False)
        assert [step.migration.number for step in report.applied] == [number]
        yield dsn, before


def rows(number: int) -> str:
    """The statement that inserts sample rows into all tables that stand after a migration."""
    plan = Planner(CATALOG).plan(to=number)
    objects = {item.key: item.each for item in fold([step.migration for step in plan.pending], hosted=False)}
    return f"DO $filling$ {filling(sample_tables(objects))} $filling$"


def made(number: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The tables that a migration makes, and the columns that it adds to older ones."""
    tables = [each.name for each in CATALOG[number].creates if each.kind == "table"]
    views = [each.name for each in CATALOG[number].creates if each.kind == "view"]
    columns = [parts_of(each.name) for each in CATALOG[number].creates if each.kind == "column"]
    return tables, [(table, column) for table, column in columns if table not in (*tables, *views)]


def handmade(number: int) -> str:
    """Statements that make an index on each column that a migration adds to an older table, or nothing."""
    _, added = made(number)
    return ";".join(
        f'CREATE INDEX "handmade_{place}" ON "{table}" ("{column}")'
        for place, (table, column) in enumerate(added)
        if column != "embedding"
    )


@pytest.mark.parametrize("number", NUMBERS)
async def test_rows_are_not_lost(server: str, number: int) -> None:
    """Rows of its tables and values of its columns refuse the rollback, each with its count; without any it goes."""
    async with around(server, number) as (dsn, before):
        await sql(dsn, rows(number))
        full = await take_snapshot(dsn)
        tables, columns = made(number)
        counts = {f"table {table}": f'SELECT count(*) FROM "{table}"' for table in tables}
        counts |= {f"column {table}.{name}": f'SELECT count("{name}") FROM "{table}"' for table, name in columns}
        expected = {name: count for name, query in counts.items() if (count := await sql(dsn, query))}

        if not expected:
            await kimbledb.rollback(dsn, number)
            assert str((await take_snapshot(dsn)).since(before)) == "no difference"
            return
        with pytest.raises(kimbledb.DataLossError) as refused:
            await kimbledb.rollback(dsn, number)

        assert {f"{each.kind} {each.name}": each.count for each in refused.value.losses} == expected
        assert str((await take_snapshot(dsn)).since(full)) == "no difference"


@pytest.mark.parametrize("number", [number for number in NUMBERS if handmade(number)])
async def test_handmade_objects_are_not_lost(server: str, number: int) -> None:
    """Indexes that were made by hand on columns which would go refuse the rollback, by name."""
    async with around(server, number) as (dsn, _):
        connection = await asyncpg.connect(dsn)
        await connection.execute(handmade(number))
        await connection.close()

        with pytest.raises(kimbledb.RollbackRefusedError) as refused:
            await kimbledb.rollback(dsn, number)

        assert all(name.strip('"') in str(refused.value) for name in handmade(number).split() if "handmade" in name)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("hosted", [False, True])
async def test_a_reference_of_somebody_stops_it_by_name(
    server: str, hosted_server: str, hosted: bool, dry_run: bool
) -> None:
    """Where a table of somebody in another schema refers to users, the rollback of all is refused, names it, and touches nothing."""
    async with fresh_database(hosted_server if hosted else server, HOSTED_DATABASE if hosted else "") as dsn:
        await kimbledb.migrate(dsn)
        await sql(dsn, "CREATE SCHEMA app; CREATE TABLE app.orders (by_user text REFERENCES public.users (id))")
        before = await take_snapshot(dsn)

        with pytest.raises(
            kimbledb.RollbackError, match=r"constraint orders_by_user_fkey on table app\.orders"
        ) as caught:
            await kimbledb.rollback(dsn, to=0, dry_run=dry_run, allow_data_loss=True)

        assert caught.value.sqlstate == "2BP01"
        assert "nothing was touched" in str(caught.value)
        assert str((await take_snapshot(dsn)).since(before)) == "no difference"
        assert await sql(dsn, "SELECT count(*) FROM migration_history WHERE success") == 34


async def test_rollbacks_bring_the_dump_back(hosted_server: str) -> None:
    """After the rollback of each migration, pg_dump writes the schema as it did before the migration."""
    async with fresh_database(hosted_server, HOSTED_DATABASE) as dsn:
        prefer = ["create_user_tokens_table.sql"]
        plan = kimbledb.Planner(CATALOG, prefer=prefer).plan()
        # kimbledb's own objects are in every dump.
        count = 1 if ALL else -5
        for step in plan.pending[:count]:
            await kimbledb.migrate(dsn, to=step.name, prefer=prefer, verify=False)
        dumps = {}
        for step in plan.pending[count:]:
            dumps[step.name] = _dump(dsn)
            await kimbledb.migrate(dsn, to=step.name, prefer=prefer, verify=False)
        for name, before in reversed(dumps.items()):
            await kimbledb.rollback(dsn, name)
            assert _dump(dsn) == before, name


def _dump(dsn: str) -> str:
    """Return pg_dump's picture of the schema, without kimbledb's own tables and what changes with every dump."""
    from kimbledb._embedded import programs

    parts = urlsplit(dsn)
    done = subprocess.run(
        [
            programs() / "pg_dump",
            "--schema-only",
            "--schema=public",
            "--exclude-table=public.migration_*",
            f"--host={parts.hostname}",
            f"--port={parts.port}",
            f"--username={parts.username}",
            f"--dbname={parts.path[1:]}",
        ],
        env=os.environ | {"PGPASSWORD": parts.password or ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", done.stdout)
