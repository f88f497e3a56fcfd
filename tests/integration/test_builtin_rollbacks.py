"""The derived rollbacks of the built-in migrations, beside the written ones. ``nox -s rollbacks`` takes all of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

import kimbledb
from kimbledb.model.migration import Migration
from kimbledb.model.objects import parts_of
from kimbledb.planning.fold import fold
from kimbledb.planning.planner import Planner
from kimbledb.planning.sample_rows import filling, sample_tables
from tests.support.databases import HOSTED_DATABASE, fresh_database, take_snapshot

WRITTEN = kimbledb.Catalog.builtin()
#: The same without their rollback.sql.
DERIVED = kimbledb.Catalog([Migration(**{**each.parts(), "rollback_sql": ""}) for each in WRITTEN])
#: Those that change rows of older tables, which no rollback gives back.
NOT_DERIVABLE = {
    23: "updates rows of audio_transcriptions, where trigger audio_transcriptions_set_updated_at may change other columns",
    24: "updates rows of audio_transcriptions",
}
ALL = "KIMBLEDB_TEST_ROLLBACKS" in os.environ
NUMBERS = [each.number for each in WRITTEN if each.number != 3] if ALL else [7, 16, 33]


@asynccontextmanager
async def twins(server: str, number: int, prepare: str = "", sql: str = "") -> AsyncIterator[tuple[str, str]]:
    """Two equal databases with a migration and all that it needs, and what further statements make."""
    async with fresh_database(server, prepare) as one:
        await kimbledb.migrate(one, to=number, verify=False)
        if sql:
            connection = await asyncpg.connect(one)
            await connection.execute(sql)
            await connection.close()
        async with fresh_database(server, template=urlsplit(one).path[1:]) as other:
            yield one, other


async def rolled_back(dsn: str, number: int, catalog: kimbledb.Catalog) -> dict[str, Any]:
    """What a rollback does, or why it refuses."""
    try:
        report = await kimbledb.rollback(dsn, number, catalog=catalog)
    except kimbledb.RollbackRefusedError as refused:
        losses = [str(each) for each in getattr(refused, "losses", ())]
        handmade = [line for line in str(refused).splitlines() if "handmade" in line]
        return {"refused": type(refused).__name__, "losses": losses, "handmade": handmade}
    return {"objects": {str(each) for each in report.objects}, "losses": [str(each) for each in report.losses]}


def rows(number: int) -> str:
    """The statement that inserts sample rows into all tables that stand after a migration."""
    plan = Planner(WRITTEN).plan(to=number)
    objects = {item.key: item.each for item in fold([step.migration for step in plan.pending], hosted=False)}
    return f"DO $filling$ {filling(sample_tables(objects))} $filling$"


def handmade(number: int) -> str:
    """Statements that make an index on each column that a migration adds to an older table, or nothing."""
    made = {each.name for each in WRITTEN[number].creates if each.kind in ("table", "view")}
    columns = [parts_of(each.name) for each in WRITTEN[number].creates if each.kind == "column"]
    added = [(table, column) for table, column in columns if table not in made and column != "embedding"]
    return ";".join(
        f'CREATE INDEX "handmade_{place}" ON "{table}" ("{column}")' for place, (table, column) in enumerate(added)
    )


async def _both(server: str, number: int, prepare: str = "", sql: str = "") -> None:
    async with twins(server, number, prepare, sql) as (one, other):
        if number in NOT_DERIVABLE:
            with pytest.raises(kimbledb.RollbackRefusedError, match=NOT_DERIVABLE[number]):
                await kimbledb.rollback(other, number, catalog=DERIVED)
            return
        written = await rolled_back(one, number, WRITTEN)
        assert await rolled_back(other, number, DERIVED) == written
        assert str((await take_snapshot(other)).since(await take_snapshot(one))) == "no difference"


@pytest.mark.parametrize("number", NUMBERS)
async def test_the_derived_rollback_does_what_the_written_does(server: str, number: int) -> None:
    """The same objects go, and an equal schema is left."""
    await _both(server, number)


@pytest.mark.skipif(not ALL, reason="nox -s rollbacks runs it")
@pytest.mark.parametrize("number", [3 if number == 2 else number for number in NUMBERS])
async def test_on_a_hosted_database(hosted_server: str, number: int) -> None:
    """So on a hosted database, with its default privileges, and #3 in place of #2."""
    await _both(hosted_server, number, HOSTED_DATABASE)


@pytest.mark.parametrize("number", NUMBERS)
async def test_rows_refuse_both(server: str, number: int) -> None:
    """Rows and values that would be lost refuse both, with equal counts."""
    await _both(server, number, sql=rows(number))


@pytest.mark.parametrize("number", [number for number in NUMBERS if handmade(number)])
async def test_handmade_objects_refuse_both(server: str, number: int) -> None:
    """Indexes that were made by hand on columns which would go refuse both, by name."""
    await _both(server, number, sql=handmade(number))


def test_nearly_all_are_derivable() -> None:
    """Of the 34 that apply, at least 30 need no rollback.sql."""
    assert len(WRITTEN) - 1 - len(NOT_DERIVABLE) >= 30
