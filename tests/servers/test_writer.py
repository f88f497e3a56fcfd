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
    """The statements from any schema to a changed one lead to an equal snapshot, an equal pg_dump, and keep the rows."""
    await both.change_over(*drawn)


@each(15, 16, 17)
@settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
@given(drawn=changes())
async def test_a_changed_schema_is_made_whole_again(both: Pair, drawn: tuple[list[str], list[str]]) -> None:
    """Whatever was changed of a schema comes back, where names are all that tells which object needs which."""
    await both.complete(*drawn)


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


#: Tables whose columns are to have other types, with all that stands in the way of that.
IN_THE_WAY = """
    CREATE TABLE people (id serial PRIMARY KEY, born bigint DEFAULT 0, name text, CHECK (id > 0));
    CREATE TABLE posts (id integer PRIMARY KEY, author integer REFERENCES people, seen bigint, twice bigint
        GENERATED ALWAYS AS (seen * 2) STORED, words text[] DEFAULT '{}');
    ALTER TABLE posts ALTER words SET STORAGE EXTERNAL;
    CREATE INDEX ON posts (author, seen);
    CREATE STATISTICS posts_of ON author, seen FROM posts;
    CREATE VIEW authors AS SELECT p.id, p.born, count(*) AS posts FROM people AS p JOIN posts ON author = p.id GROUP BY p.id;
    CREATE VIEW prolific AS SELECT id FROM authors WHERE posts > 1;
    CREATE MATERIALIZED VIEW kept AS SELECT author, seen FROM posts;
    CREATE INDEX kept_of ON kept (author);
    GRANT SELECT ON prolific TO anon;
    COMMENT ON VIEW authors IS 'who writes';
    CREATE POLICY own ON posts USING (EXISTS (SELECT FROM people AS p WHERE p.id = author));
    CREATE RULE noted AS ON UPDATE TO posts WHERE new.author <> old.author DO ALSO DELETE FROM people WHERE id = old.author;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE OF author, seen ON posts FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE FUNCTION latest() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(posts) FROM authors; END;
    CREATE FUNCTION any_author() RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT true FROM posts WHERE author IS NULL; END;
    CREATE PUBLICATION out FOR TABLE posts (id, author) WHERE (id > 0), TABLE people WHERE (born > 0)
        WITH (publish = 'insert');
    INSERT INTO people (born) VALUES (86400), (1);
    INSERT INTO posts VALUES (1, 1, 5), (2, 1, 6), (3, 2, NULL);
"""
#: What their columns become, and by which expressions.
OTHER_TYPES = {
    "people.id": ("uuid", "('00000000-0000-8000-8000-' || lpad(to_hex(id), 12, '0'))::uuid"),
    "people.born": ("numeric", "born / 2.0"),
    "posts.author": ("uuid", "('00000000-0000-8000-8000-' || lpad(to_hex(author), 12, '0'))::uuid"),
    "posts.seen": ("integer", None),
    "posts.words": ("jsonb", "to_jsonb(words)"),
}


@each(15, 16, 17, 18)
async def test_columns_change_their_types_among_all_that_needs_them(both: Pair) -> None:
    """Columns get other types by expressions, one statement a table; rows stay, and what needs the columns is as it was."""
    await both.empty()
    await both.one.run_all([IN_THE_WAY])
    before = await both.one.snapshot()
    objects = dict(before.objects)
    for name, (kind, _) in OTHER_TYPES.items():
        objects["column", name] = {**objects["column", name], "type": kind}
    objects["column", "people.id"] = {"type": "uuid", "not_null": True}
    objects["column", "people.born"] = {"type": "numeric"}
    objects["column", "posts.words"] = {"type": "jsonb", "default": "'[]'::jsonb", "storage": "external"}
    del objects["sequence", "people_id_seq"], objects["constraint", "people.people_id_check"]
    using = {("column", name): expression for name, (_, expression) in OTHER_TYPES.items() if expression}

    statements = writer.difference(before, Snapshot(objects), using=using)
    await both.one.run_all(statements)

    found = await both.one.snapshot()
    assert {key for key in found.objects.keys() ^ before.objects.keys() if key[0] != "comment"} == {
        ("sequence", "people_id_seq"),
        ("constraint", "people.people_id_check"),
    }
    changed = {str(each) for each in found.since(before).changed}
    assert changed == {
        *(f"column {name}" for name in OTHER_TYPES),
        *(
            "column authors.id",
            "column authors.born",
            "column prolific.id",
            "column kept.author",
            "column kept.seen",
            "column posts.twice",
        ),
    }
    for table in ("people", "posts"):
        assert sum(each.startswith(f"ALTER TABLE {table}") and " TYPE " in each for each in statements) == 1
    first = "00000000-0000-8000-8000-000000000001"
    rows = await both.one.connection.fetch("SELECT id::text, born FROM people ORDER BY id")
    assert tuple(rows[0]) == (first, 43200)
    rows = await both.one.connection.fetch("SELECT author::text, seen, twice, words FROM posts ORDER BY id")
    assert tuple(rows[1]) == (first, 6, 12, "[]")
    dumped = await both.one.connection.fetch(
        "SELECT prrelid::regclass::text, prattrs::text, pg_get_expr(prqual, prrelid) FROM pg_publication_rel ORDER BY 1"
    )
    assert [tuple(row) for row in dumped] == [("people", None, "(born > (0)::numeric)"), ("posts", "1 2", "(id > 0)")]
