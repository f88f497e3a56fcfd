"""A part of the built-in schema is dropped or changed, and the writer makes it again from what the migrations declare."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kimbledb
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
from kimbledb.planning.fold import fold
from kimbledb.planning.writer.names import own_name, relation_of, written
from tests.support.databases import HOSTED_DATABASE, fresh_database, sql, take_snapshot
from tests.support.written import Side

#: What keeps history is no part of the schema.
OURS = "DROP TABLE migration_history, migration_log; DROP FUNCTION migration_log_is_append_only"
#: The kinds of what is dropped, those of which there is less more often.
KINDS = (
    "table",
    "column",
    "column",
    "constraint",
    "index",
    "function",
    "view",
    "trigger",
    "policy",
    "privilege",
    "type",
)


@frozen
class Whole:
    """A migrated database, from which others are cloned."""

    dsn: str
    #: The schema as the migrations declare it. Which object needs which is not known.
    declared: Snapshot
    dump: list[str]
    #: The schema and that of the extensions.
    path: str

    @property
    def name(self) -> str:
        """The name of the database."""
        return urlsplit(self.dsn).path[1:]


@pytest.fixture(params=["bare", "hosted"], scope="module")
def platform(request: pytest.FixtureRequest) -> str:
    """The platform of the test."""
    platform: str = request.param
    return platform


@pytest.fixture
async def whole(platform: str, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """A database with the built-in schema, once on a bare server and once as a hosted platform gives it."""
    hosted = platform == "hosted"
    server: str = request.getfixturevalue("hosted_server" if hosted else "server")
    async with fresh_database(server, HOSTED_DATABASE if hosted else "") as dsn:
        report = await kimbledb.migrate(dsn, verify=False)
        await sql(dsn, OURS)
        there = await take_snapshot(dsn)
        folded = fold([step.migration for step in report.applied], hosted=hosted)
        objects = {key: facts for key, facts in there.objects.items() if key not in folded.objects}
        objects |= {each.key: each.each.facts or {} for each in folded}
        sources = {each.key: each.each.source for each in folded if each.each.source is not None}
        yield Whole(
            dsn, Snapshot(objects, sources=sources), await _dump(dsn), "public, extensions" if hosted else "public"
        )


async def _dump(dsn: str) -> list[str]:
    """Return the lines of pg_dump for a schema, without what tells the order of columns and privileges."""
    connection = await asyncpg.connect(dsn)
    try:
        lines = await Side(dsn, connection, schema="public").dump()
    finally:
        await connection.close()
    return sorted(line.rstrip(",") for line in lines)


def spoiling(drawn: st.DataObject, declared: Snapshot) -> list[str]:
    """Draw the statements that take parts of a schema away, or change them."""
    by_kind: dict[str, list[Key]] = {}
    for key in declared.objects:
        by_kind.setdefault(key[0], []).append(key)
    statements = []
    for kind in drawn.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=25)):
        if kind in by_kind:
            each = declared.get(drawn.draw(st.sampled_from(by_kind[kind])))
            statements.append(drawn.draw(st.sampled_from(_spoiled(each, declared))))
    return statements


def _spoiled(each: DatabaseObject, declared: Snapshot) -> list[str]:
    """Return statements of which each takes an object away, or changes it."""
    dropped = writer.drop(each, beside=declared.objects)
    choices = [dropped if each.kind == "privilege" else f"{dropped} CASCADE"]
    changes: tuple[str, ...]
    if each.kind == "table":
        changes = ("DISABLE ROW LEVEL SECURITY", "SET (fillfactor = 71)", "FORCE ROW LEVEL SECURITY", "SET UNLOGGED")
        choices += [f"ALTER TABLE {written(each.name)} {change}" for change in changes]
    elif each.kind == "column":
        table, own = written(relation_of(each.name)), own_name(each.name)
        changes = ("DROP NOT NULL", "DROP DEFAULT", "SET STATISTICS 7", "SET DEFAULT NULL", "SET NOT NULL")
        choices += [f"ALTER TABLE {table} ALTER COLUMN {own} {change}" for change in changes]
    elif each.kind == "function":
        choices += [f"ALTER {dropped.removeprefix('DROP ')} {change}" for change in ("COST 7", "STRICT", "RESET ALL")]
    elif each.kind == "policy":
        choices.append(f"ALTER {dropped.removeprefix('DROP ')} TO current_user")
    elif each.kind == "trigger":
        choices.append(f"ALTER TABLE {written(relation_of(each.name))} DISABLE TRIGGER {own_name(each.name)}")
    return choices


@settings(max_examples=settings().max_examples // 20, suppress_health_check=list(HealthCheck))
@given(drawn=st.data())
async def test_what_was_dropped_of_the_built_in_schema_is_made_again(whole: Whole, drawn: st.DataObject) -> None:
    """Whatever is dropped or changed comes back as it is declared, with names as the only sign of what needs what."""
    server = whole.dsn.replace(f"/{whole.name}", "/postgres")
    async with fresh_database(server, template=whole.name) as dsn:
        connection = await asyncpg.connect(dsn)
        side = Side(dsn, connection, schema="public")
        done = await side.run(spoiling(drawn, whole.declared))
        found = await take_snapshot(dsn, sources=True, needs=True)

        statements = writer.difference(found, whole.declared)
        await connection.execute(f"SET check_function_bodies = off; SET search_path = {whole.path}, pg_temp")
        await side.run_all(statements)
        await connection.close()

        completed = await take_snapshot(dsn)
        assert str(completed.since(whole.declared)) == "no difference", (done, statements)
        assert await _dump(dsn) == whole.dump, (done, statements)
