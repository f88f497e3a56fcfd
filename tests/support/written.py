"""Two databases for tests of the writer: a schema in one is written into the other, and both are compared."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from attrs import frozen

import kimbledb
from kimbledb.execution.backup import installed
from kimbledb.execution.backup.client import Client
from kimbledb.inspection import snapshot
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
from kimbledb.server.targets import target_of
from tests.support.databases import fresh_database
from tests.support.random_schemas import BESIDE

SCHEMA = "app"
_SETTINGS = "SET search_path = app, public, pg_temp; SET check_function_bodies = off; SET client_min_messages = error"


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
        assert str((await self.other.snapshot()).since(before)) == "no difference"
        assert await self.other.dump() == await self.one.dump()

    async def change_over(self, made: Sequence[str], changes: Sequence[str]) -> None:
        """Make a schema on both sides, change it on the one, and lead the other to it."""
        await self.empty()
        await self.other.run_all(await self.one.run(made))
        before = await self.one.snapshot()
        await self.one.run(changes)
        after = await self.one.snapshot()
        await self.other.run_all(writer.difference(before, after))
        assert str((await self.other.snapshot()).since(after)) == "no difference"


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
