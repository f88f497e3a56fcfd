"""What a plan says of tables that hold rows, before anything happens to them."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

import kimbledb
from tests.support.folders import Folder


async def test_the_plan_knows_the_sizes(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A plan names what it would lock and rewrite with the table's size; what the same plan creates is no hazard; refused by name, nothing is touched."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    folder.add(
        2, "b", "ALTER TABLE a ALTER COLUMN id TYPE bigint;\nCREATE TABLE b (id integer); CREATE INDEX ON b (id);"
    )
    assert [step.hazards for step in (await kimbledb.plan(database, catalog=folder.catalog)).pending] == [()]
    await connection.execute("INSERT INTO a SELECT generate_series(1, 5000); ANALYZE a")

    plan = await kimbledb.plan(database, catalog=folder.catalog)

    [step] = plan.pending
    assert [(each.name, each.table, each.rows) for each in step.hazards] == [
        ("access_exclusive_lock", "a", 5000),
        ("table_rewrite", "a", 5000),
    ]
    assert step.hazards[0].bytes > 100_000
    assert "about 5,000 rows" in str(plan)
    with pytest.raises(kimbledb.HazardError):
        await kimbledb.migrate(
            database, catalog=folder.catalog, options=kimbledb.Options(refuse_hazards=("table_rewrite",))
        )
    assert await connection.fetchval("SELECT to_regclass('b')") is None
    report = await kimbledb.migrate(
        database, catalog=folder.catalog, options=kimbledb.Options(refuse_hazards=("index_build", "rows_deleted"))
    )
    assert report.plan.pending[0].hazards == step.hazards


async def test_an_old_estimate_of_no_rows(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A table that was analyzed while it was empty, and is filled since, is a hazard; one that was emptied is none."""
    folder.table(1, "a")
    folder.table(2, "b")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("INSERT INTO b VALUES (1); DELETE FROM b")
    await connection.execute("ANALYZE a, b")
    await connection.execute("INSERT INTO a VALUES (1)")
    folder.add(3, "c", "ALTER TABLE a ADD COLUMN note text; ALTER TABLE b ADD COLUMN note text;")

    plan = await kimbledb.plan(database, catalog=folder.catalog)

    assert [(each.table, each.rows) for step in plan.pending for each in step.hazards] == [("a", None)]


async def test_rows_deleted_is_refused_by_each_name(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A DROP TABLE of an empty table and a full one is refused by its second name, before anything is touched."""
    folder.table(1, "a")
    folder.table(2, "b")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("INSERT INTO b VALUES (1)")
    folder.add(3, "c", "DROP TABLE a, b;")

    with pytest.raises(kimbledb.HazardError, match="rows_deleted on b"):
        await kimbledb.migrate(
            database, catalog=folder.catalog, options=kimbledb.Options(refuse_hazards=("rows_deleted",))
        )

    assert await connection.fetchval("SELECT to_regclass('a') IS NOT NULL")


async def test_a_fresh_schema_has_none(database: str) -> None:
    """The built-in catalog on an empty database and over its own filled tables says no hazard where there is none."""
    plan = await kimbledb.plan(database)
    assert [step.name for step in plan.steps if step.hazards] == []


async def test_a_plan_waits_for_nobody(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A table that somebody has locked holds up no plan, and is told by its last estimate."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    folder.add(2, "b", "ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;")
    await connection.execute("INSERT INTO a SELECT generate_series(1, 5000)")
    await connection.execute("ANALYZE a")
    await connection.execute("BEGIN; LOCK TABLE a")

    [step] = (
        await kimbledb.plan(database, catalog=folder.catalog, options=kimbledb.Options(attempts=1, lock_timeout=0.2))
    ).pending

    assert [(each.name, each.rows) for each in step.hazards] == [("access_exclusive_lock", 5000)]


async def test_a_million_rows_with_people_at_work(database: str, folder: Folder) -> None:
    """While a migration queues behind a long transaction, a reader and a writer wait for the lock timeout and not for the transaction."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    setup, holder = await asyncpg.connect(database), await asyncpg.connect(database)
    await setup.execute("INSERT INTO a SELECT generate_series(1, 1000000)")
    await setup.execute("ANALYZE a")
    folder.add(2, "b", "ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;")
    [step] = (await kimbledb.plan(database, catalog=folder.catalog)).pending
    assert [(each.name, each.rows) for each in step.hazards] == [("access_exclusive_lock", 1_000_000)]

    await holder.execute("BEGIN; SELECT count(*) FROM (SELECT FROM a LIMIT 1) AS one")
    migration = asyncio.create_task(
        kimbledb.migrate(database, catalog=folder.catalog, options=kimbledb.Options(lock_timeout=0.5, attempts=1000))
    )

    async def gets_through(statement: str) -> None:
        """Run a statement until it has waited behind the migration, and gone on while that still waits."""
        connection = await asyncpg.connect(database)
        waits = f"SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {connection.get_server_pid()} AND NOT granted)"
        waited = False
        async with asyncio.timeout(60):
            while not waited:
                working = asyncio.create_task(connection.execute(statement))
                while not working.done():
                    waited |= await setup.fetchval(waits)
        assert not migration.done()
        await connection.close()

    for statement in ("SELECT FROM a WHERE id = 5", "UPDATE a SET id = id WHERE id = 7"):
        await gets_through(statement)
    await holder.execute("COMMIT")

    assert len((await migration).applied) == 1
    await setup.close()
    await holder.close()


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("c text", False),
        ("c text CHECK (c <> '')", True),
        ("c integer DEFAULT 1 CONSTRAINT small CHECK (c < 9)", True),
        ("c integer REFERENCES parent", False),
        ("c integer DEFAULT 1 REFERENCES parent", True),
        ("c integer REFERENCES parent DEFAULT NULL", True),
        ("c integer NOT NULL DEFAULT 4", False),
    ],
)
async def test_new_columns_whose_rows_are_read(
    database: str, folder: Folder, connection: asyncpg.Connection, column: str, read: bool
) -> None:
    """A plan says that a new column's check or key looks at every row exactly where the server reads them."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("CREATE TABLE parent (id integer PRIMARY KEY); INSERT INTO parent VALUES (1)")
    await connection.execute("INSERT INTO a SELECT generate_series(1, 500)")
    folder.add(2, "b", f"ALTER TABLE a ADD COLUMN {column};")

    [step] = (await kimbledb.plan(database, catalog=folder.catalog)).pending

    count = "SELECT pg_stat_get_xact_tuples_returned('a'::regclass)"
    async with connection.transaction():
        before = await connection.fetchval(count)
        await connection.execute(step.migration.apply_sql)
        assert (await connection.fetchval(count) - before == 500) is read
    assert ("constraint_validation" in {each.name for each in step.hazards}) is read


async def test_what_is_there_in_part_has_the_hazards_of_the_rest(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Where a part of a migration is there, the plan tells of what will be written, and not of its script; refused by name, nothing is touched."""
    folder.table(1, "a")
    folder.add(
        2,
        "b",
        "ALTER TABLE a ADD COLUMN note text CHECK (note <> ''), ADD COLUMN other text;\nCREATE INDEX i ON a (note);",
        facts='requires = ["a.sql"]',
    )
    catalog = await folder.declared(database)
    await kimbledb.migrate(database, catalog=catalog, to="a.sql")
    await connection.execute(
        "INSERT INTO a VALUES (1); ALTER TABLE a ADD COLUMN note text CHECK (note <> ''), ADD other text"
    )

    [step] = (await kimbledb.plan(database, catalog=catalog)).pending

    assert [(each.name, each.file and each.file.rpartition("/")[2], each.line) for each in step.hazards] == [
        ("index_build", "apply.sql (completion)", None)
    ]
    with pytest.raises(kimbledb.HazardError):
        await kimbledb.migrate(database, catalog=catalog, options=kimbledb.Options(refuse_hazards=("index_build",)))
    assert await connection.fetchval("SELECT to_regclass('i')") is None
    refusing = kimbledb.Options(refuse_hazards=("constraint_validation", "access_exclusive_lock"))
    await kimbledb.migrate(database, catalog=catalog, options=refusing)
    assert await connection.fetchval("SELECT to_regclass('i') IS NOT NULL")
