"""Snapshots of the same objects on each version: every change is seen, and what the versions print alike is equal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

import kimbledb
from kimbledb.inspection import snapshot
from kimbledb.model.objects import Facts, Key, structure
from kimbledb.model.snapshot import Snapshot
from kimbledb.server.session import Session
from kimbledb.server.targets import target_of
from tests.support.databases import fresh_database
from tests.support.every_object import changes, make_every_object

from .conftest import Servers, each
from .installations import VERSIONS


@asynccontextmanager
async def filled(server: str) -> AsyncIterator[tuple[asyncpg.Connection, Session]]:
    """Make a database whose schema "every" has every kind of object; yield a connection and a session."""
    async with fresh_database(server) as dsn:
        connection = await asyncpg.connect(dsn)
        await make_every_object(connection, "every")
        await connection.execute("SET search_path = every")
        async with target_of(dsn).session(kimbledb.Options()) as session:
            yield connection, session
        await connection.close()


async def take(session: Session) -> Snapshot:
    """Take a snapshot of the schema."""
    return await snapshot.take(session, "every", ("every", "public"))


def alike(found: Snapshot) -> dict[Key, Facts]:
    """Return what is alike on all versions: neither expressions, nor names of NOT NULL, nor quotes around keywords."""
    return {
        key: {
            name: re.sub(r'"([a-z_]+)"', r"\1", str(value))
            for name, value in structure(facts).items()
            if name != "not_null_name"
        }
        for key, facts in found.objects.items()
        if "newer" not in key[1]
    }


@each(*VERSIONS)
async def test_every_change_is_seen_and_so_is_its_undoing(servers: Servers, version: int) -> None:
    """On each version each changed property gives another snapshot, and taken back the first one again."""
    wrong = {}
    async with filled(servers.get(version).dsn) as (connection, session):
        has_icu = await connection.fetchval("SELECT count(*) > 9 FROM pg_collation WHERE collprovider = 'i'")
        before = await take(session)
        for change in changes():
            if change.since > version or (change.icu and not has_icu):
                continue
            await connection.execute(change.do.replace("{schema}", "every"))
            changed = await take(session)
            await connection.execute(change.undo.replace("{schema}", "every"))
            again = await take(session)
            if not changed.since(before) or again.since(before):
                wrong[str(change)] = str(again.since(before))
                before = again

    assert wrong == {}


@pytest.fixture(scope="session")
def oldest(servers: Servers) -> str:
    """The DSN of a server of version 15."""
    return servers.get(15).dsn


@each(*(version for version in VERSIONS if version != 15))
async def test_the_structure_is_that_of_version_15(servers: Servers, version: int, oldest: str) -> None:
    """Of the same statements each version gives the objects, and the facts that are no expressions, that 15 gives."""
    async with filled(oldest) as (_, session):
        expected = await take(session)

    async with filled(servers.get(version).dsn) as (_, session):
        found = await take(session)

    assert alike(found) == alike(expected)
