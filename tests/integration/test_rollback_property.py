"""There and back: from any set of applied migrations, by any allowed rollback, and on again."""

from __future__ import annotations

import itertools

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kimbledb
from tests.support.databases import take_snapshot

_schemas = itertools.count(1)
#: #3 is the alternative to #2, and not the one that a bare server takes.
NUMBERS = st.sampled_from([number for number in range(1, 36) if number != 3])


async def rows_of(connection: asyncpg.Connection, schema: str) -> dict[str, list[str]]:
    """Return the rows of each table of a schema, as texts."""
    names = await connection.fetch(
        "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname NOT LIKE 'migration_%'",
        schema,
    )
    found = {}
    for (name,) in names:
        rows = await connection.fetch(f'SELECT t::text FROM "{schema}"."{name}" AS t ORDER BY 1')
        found[name] = [row[0] for row in rows]
    return found


async def applied(dsn: str, schema: str) -> set[str]:
    """Return the names of what history says is applied."""
    history = (await kimbledb.status(dsn, schema=schema)).history or ()
    return {row.name for row in history if row.success}


@settings(max_examples=settings().max_examples // 25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.sets(NUMBERS, min_size=1, max_size=3), data=st.data())
async def test_there_and_back(database: str, wanted: set[int], data: st.DataObject) -> None:
    """Any set of applied migrations, with rows: a rollback that is allowed and the way on again end in an equal snapshot and equal rows; one that would lose rows touches nothing."""
    schema = f"example_{next(_schemas)}"
    for number in sorted(wanted):
        await kimbledb.migrate(database, schema=schema, to=number, verify=False)
    connection = await asyncpg.connect(database)
    try:
        await _there_and_back(database, connection, schema, sorted(wanted), data)
    finally:
        # Hypothesis ends an example that it has seen before where the test draws.
        await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
        await connection.close()


async def _there_and_back(
    database: str,
    connection: asyncpg.Connection,
    schema: str,
    wanted: list[int],
    data: st.DataObject,
) -> None:
    await connection.execute(
        f'SET search_path = "{schema}", public; '
        "INSERT INTO users (id, email) VALUES ('u', 'u@example.org'); "
        "INSERT INTO projects (id, owner_id, name) VALUES ('p', 'u', 'one')"
    )
    pictured, held, before = (
        await take_snapshot(database, schema),
        await rows_of(connection, schema),
        await applied(database, schema),
    )
    going = data.draw(st.sampled_from(sorted(before)), label="rolled back")

    try:
        report = await kimbledb.rollback(database, going, schema=schema, cascade=True)
    except kimbledb.DataLossError as refused:
        # The schema's own triggers note what of the two rows is to be embedded.
        assert {loss.name.partition(".")[0] for loss in refused.losses} <= {
            table for table, rows in held.items() if rows
        }
    else:
        assert {step.migration.name for step in report.rolled_back} == before - await applied(database, schema)
        for number in wanted:
            await kimbledb.migrate(database, schema=schema, to=number)

    assert await applied(database, schema) == before
    assert not (await take_snapshot(database, schema)).since(pictured)
    assert not pictured.since(await take_snapshot(database, schema))
    assert await rows_of(connection, schema) == held
