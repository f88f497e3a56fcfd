"""Two databases for tests of the writer: a schema in one is written into the other, and both are compared."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from attrs import evolve, frozen

import kimbledb
from kimbledb.execution.backup import installed
from kimbledb.execution.backup.client import Client
from kimbledb.inspection import snapshot
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
from kimbledb.planning.sample_rows import filling, sample_tables
from kimbledb.planning.writer import constraints
from kimbledb.planning.writer.names import own_name, relation_of, written
from kimbledb.server.targets import target_of
from tests.support.databases import fresh_database
from tests.support.random_schemas import BESIDE

SCHEMA = "app"
_SETTINGS = "SET search_path = app, public, pg_temp; SET check_function_bodies = off; SET client_min_messages = error"


#: The options of a table or a view in a dump, and the columns of extended statistics.
_LISTS = re.compile(r"(?<=WITH \()[^()]*(?=\))|(?<= ON )[^()]*(?= FROM )")


@frozen
class Side:
    """A database with a schema."""

    dsn: str
    connection: asyncpg.Connection
    #: The folder of the server's programs; None for those of the machine that fit the server.
    programs: Path | None = None
    schema: str = SCHEMA

    async def empty(self) -> None:
        """Make the schema anew."""
        await self.connection.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE; CREATE SCHEMA {self.schema}")

    async def run(self, statements: Iterable[str]) -> list[str]:
        """Run statements, and return those that the server does not refuse."""
        done = []
        for statement in statements:
            try:
                await self.connection.execute(statement)
            except asyncpg.PostgresError:
                continue
            done.append(statement)
        return done

    async def run_all(self, statements: Iterable[str]) -> None:
        """Run statements that the server must take."""
        for statement in statements:
            try:
                await self.connection.execute(statement)
            except asyncpg.PostgresError as error:
                raise AssertionError(f"{error}: {statement}") from error

    async def snapshot(self) -> Snapshot:
        """Return the schema, with all that the writer needs."""
        async with target_of(self.dsn).session(kimbledb.Options()) as session:
            return await snapshot.take(session, self.schema, (self.schema, "public"), sources=True, needs=True)

    async def rows(self, kept: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Return the rows of tables as texts, with some of their columns each."""
        return {
            table: [
                row[0]
                for row in await self.connection.fetch(
                    f"SELECT ROW({', '.join(columns)})::text FROM ONLY {written(table)} ORDER BY 1"
                )
            ]
            for table, columns in kept.items()
        }

    async def dump(self) -> list[str]:
        """Return the lines of pg_dump for the schema."""
        if self.programs is None:
            client = (await installed.fitting(self.connection.get_server_version().major))[0]
        else:
            client = Client(self.programs, 0, {"LD_LIBRARY_PATH": str(self.programs.parent / "lib")})
        command = [str(client.folder / "pg_dump"), "--schema-only", f"--schema={self.schema}", self.dsn]
        environment = {**os.environ, **client.environment}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
        written, _ = await process.communicate()
        assert process.returncode == 0
        # Since the releases of August 2025 it writes a random word into each file.
        return [line for line in written.decode().splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


@frozen
class Pair:
    """Two databases of one server."""

    one: Side
    other: Side

    async def empty(self) -> None:
        """Make both schemas anew."""
        await self.one.empty()
        await self.other.empty()

    async def write_over(self) -> None:
        """Write the schema of the one side into the other, and compare both."""
        before = await self.one.snapshot()
        await self.other.run_all(writer.create(before, before.needs))
        self._same(await self.other.snapshot(), before)
        assert await self.other.dump() == await self.one.dump()

    async def change_over(self, made: Sequence[str], changes: Sequence[str]) -> None:
        """Make a schema with rows on both sides, change it on the one, and lead the other to it.

        A column that gets another type is null then on both sides: values of any type need not have one in any other.
        """
        await self.empty()
        await self.other.run_all(await self.one.run(made))
        before = await self.one.snapshot()
        filling = _filling(before)
        await self.one.run_all([filling])
        await self.other.run_all([filling])
        await self.one.run(changes)
        after = await self.one.snapshot()
        await self.other.run_all(_emptied(before, after))
        if _has_index_without_partitions(after):
            return
        kept = _kept(before, after)
        rows = await self.other.rows(kept)
        nulls = {key: f"NULL::{facts['type']}" for key, facts in _retyped(before, after) if not facts.get("not_null")}
        async with self.other.connection.transaction():
            await self.other.run_all(writer.difference(before, after, using=nulls))
        led = await self.other.snapshot()
        self._same(_with_names_from_above(led), _with_names_from_above(after))
        assert await self.other.rows(kept) == rows
        if led != after:
            return
        wanted, found = _unordered(await self.one.dump()), _unordered(await self.other.dump())
        different = "\n".join(difflib.unified_diff(wanted, found, n=0))
        assert not different, different

    @staticmethod
    def _same(found: Snapshot, wanted: Snapshot) -> None:
        different = found.since(wanted)
        assert not different, str(different)

    async def complete(self, made: Sequence[str], changes: Sequence[str]) -> None:
        """Make a schema on both sides, change it on the other, and make it whole again with guessed needs."""
        await self.empty()
        await self.other.run_all(await self.one.run(made))
        wanted = await self.one.snapshot()
        await self.other.run(each for each in changes if not _makes_not_null_its_own(each, wanted))
        found = await self.other.snapshot()
        async with self.other.connection.transaction():
            await self.other.run_all(writer.difference(found, evolve(wanted, needs={})))
        self._same(_with_names_from_above(await self.other.snapshot()), _with_names_from_above(wanted))


def _with_names_from_above(schema: Snapshot) -> Snapshot:
    """Return a schema without the names that partitions brought along for a NOT NULL: a column that is added has none."""
    objects = {
        key: {name: fact for name, fact in facts.items() if name != "not_null_name" or not facts.get("inherited")}
        for key, facts in schema.objects.items()
    }
    return evolve(schema, objects=objects)


def _has_index_without_partitions(schema: Snapshot) -> bool:
    """Return whether the index of a partitioned table is invalid after its last partition has gone: none is made so."""
    with_partitions = {facts.get("partition_of") for facts in schema.objects.values()}
    return any("invalid" in facts and facts.get("on") not in with_partitions for facts in schema.objects.values())


def _makes_not_null_its_own(statement: str, schema: Snapshot) -> bool:
    """Return whether a statement gives a table that inherits a NOT NULL of its own: no statement takes it back."""
    heirs = (written(name) for (kind, name), facts in schema.objects.items() if kind == "table" and "inherits" in facts)
    return "NOT NULL" in statement and any(statement.startswith(f"ALTER TABLE {name} ") for name in heirs)


def _filling(schema: Snapshot) -> str:
    """Return the block that fills tables with those sample rows that fit them."""
    body = quote_literal(filling(sample_tables({each.key: each for each in schema})))
    return f"BEGIN; SET CONSTRAINTS ALL IMMEDIATE; DO {body}; COMMIT"


def _emptied(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the statements that empty tables: rows cannot be without what these get, differ in it, or refer to a new table."""
    tables = {
        relation_of(name)
        for (kind, name), facts in after.objects.items()
        if kind == "column"
        if (kind, name) not in before.objects
        if {"default", "not_null"} & facts.keys()
    }
    others = {name for kind, name in after.objects if kind == "table" and (kind, name) not in before.objects} | tables
    tables |= {
        relation_of(name)
        for (kind, name), facts in after.objects.items()
        if kind == "constraint" and constraints.refers_to(facts) in others
    }
    return [f"TRUNCATE {written(table)} CASCADE" for table in tables if ("table", table) in before.objects]


def _retyped(before: Snapshot, after: Snapshot) -> Iterator[tuple[Key, Facts]]:
    """Yield the columns of tables that change their type, with the later facts."""
    for key, facts in after.objects.items():
        is_of_table = key[0] == "column" and ("table", relation_of(key[1])) in after.objects
        if is_of_table and key in before.objects and before.objects[key].get("type") != facts.get("type"):
            yield key, facts


def _kept(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """Return the tables whose rows must stay, each with the columns whose values must."""
    lost = writer.lost(before, after)
    other = {key for key in before.objects if key[0] == "type" and before.objects[key] != after.objects.get(key)}
    staying = [key for key in before.objects if key in after.objects and key not in lost]
    found: dict[str, list[str]] = {
        key[1]: []
        for key in staying
        if key[0] == "table" and not {"server", "partition_by"} & before.objects[key].keys()
    }
    for key in staying:
        old, new = before.objects[key], after.objects[key]
        same = old.get("type") == new.get("type") and other.isdisjoint(after.needs.get(key, ()))
        if key[0] == "column" and relation_of(key[1]) in found and same and "generated" not in old:
            found[relation_of(key[1])].append(own_name(key[1]))
    return found


def _unordered(dump: Iterable[str]) -> list[str]:
    """Return the lines of a dump without what tells the order of columns, privileges and options."""
    return sorted(_LISTS.sub(lambda found: ", ".join(sorted(found[0].split(", "))), line).rstrip(",") for line in dump)


@asynccontextmanager
async def pair(server: str, programs: Path | None = None) -> AsyncIterator[Pair]:
    """Make two databases on a server that has the roles of a hosted platform, and drop them at the end.

    Args:
        server: The DSN of the server.
        programs: The folder of the server's programs; None for those of the machine that fit the server.
    """
    async with fresh_database(server) as one, fresh_database(server) as other:
        connections = [await asyncpg.connect(dsn) for dsn in (one, other)]
        try:
            for connection in connections:
                for statement in (BESIDE, _SETTINGS):
                    await connection.execute(statement)
            yield Pair(
                *(Side(dsn, connection, programs) for dsn, connection in zip((one, other), connections, strict=True))
            )
        finally:
            for connection in connections:
                await connection.close()
