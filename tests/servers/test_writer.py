"""The writer on each version: random schemas, and the built-in schema whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings

import kimbledb
from kimbledb.inspection import history, snapshot
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
from kimbledb.server.search_path import path_of
from kimbledb.server.targets import target_of
from tests.support.databases import HOSTED_DATABASE, fresh_database, sql
from tests.support.programs import Cluster
from tests.support.random_schemas import changes, schemas
from tests.support.written import Pair, Side, pair

from .conftest import each

#: What keeps history is no part of the schema.
OURS = "DROP TABLE migration_history, migration_log; DROP FUNCTION migration_log_is_append_only"


@pytest.fixture
async def both(cluster: Cluster) -> AsyncIterator[Pair]:
    """Two databases of the test's version."""
    async with pair(cluster.dsn, cluster.binaries) as made:
        yield made


@each(15, 16, 17)
@settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
@given(statements=schemas())
async def test_a_schema_is_written_again(both: Pair, statements: list[str]) -> None:
    """What the writer makes of the snapshot of any schema has an equal snapshot, and pg_dump writes the same file of it."""
    await both.empty()
    await both.one.run(statements)

    await both.write_over()


@each(15, 16, 17)
@settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
@given(drawn=changes())
async def test_a_schema_is_changed_into_another(both: Pair, drawn: tuple[list[str], list[str]]) -> None:
    """The statements from any schema to a changed one lead to an equal snapshot."""
    await both.change_over(*drawn)


async def _look(dsn: str) -> tuple[Snapshot, tuple[str, ...]]:
    """Return the built-in schema of a database, and the schemas of its search_path."""
    wanted = {extension.name for migration in kimbledb.Catalog.builtin() for extension in migration.extensions}
    async with target_of(dsn).session(kimbledb.Options()) as session:
        path = tuple((await history.look(session, "public")).search_path("public", wanted))
        return await snapshot.take(session, "public", path, sources=True, needs=True), path


@each(16, 17, 18)
async def test_the_built_in_schema_is_written_again(fresh: str, cluster: Cluster) -> None:
    """The built-in schema, bare and hosted, is written into an empty database, and pg_dump writes the same file of both."""
    hosted = await sql(fresh, "SELECT count(*) FROM pg_namespace WHERE nspname = 'auth'")
    await kimbledb.migrate(fresh, verify=False)
    async with fresh_database(cluster.dsn, HOSTED_DATABASE if hosted else "") as other:
        sides = [Side(dsn, await asyncpg.connect(dsn), cluster.binaries, "public") for dsn in (fresh, other)]
        await sides[0].connection.execute(OURS)
        (wanted, path), (empty, _) = await _look(fresh), await _look(other)
        for name, schema in await sides[0].connection.fetch(
            "SELECT extname, nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = extnamespace"
        ):
            await sides[1].connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" SCHEMA "{schema}"')
        await sides[1].connection.execute(f"SET search_path = {path_of(path)}; SET check_function_bodies = off")

        await sides[1].run_all(writer.difference(empty, wanted))

        written, _ = await _look(other)
        assert str(written.since(wanted)) == "no difference"
        assert await sides[1].dump() == await sides[0].dump()
        for side in sides:
            await side.connection.close()
