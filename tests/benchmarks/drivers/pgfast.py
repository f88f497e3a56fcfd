"""pgfast: pairs of SQL files, and its databases for tests, with asyncpg."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from .steps import Package, Step, awaited, values

PACKAGE = Package(
    "pgfast",
    "pgfast",
    ("pgfast", "--version"),
    ("asyncpg>=0.30", "fastapi>=0.121.2"),
    # It declares Python 3.14, and runs on those before, too.
    ("pgfast",),
    clones_beside="pools",
)

#: As its pytest plugin sets the pool of a test's database.
_FEWEST, _MOST = 2, 5
_TEMPLATE = "pgfast_template"


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a folder of migrations."""
    (folder / "migrations").mkdir()
    for step in steps:
        depends = f"-- depends_on: {step.number - 1}\n" if step.number > 1 else ""
        for way, sql in (("up", step.apply), ("down", step.rollback)):
            _file(folder, step, way).write_text(depends + sql)


def command(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("pgfast", "schema", "up")


def status(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("pgfast", "schema", "status")


def mark(folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    rows = values((step.number, step.identifier, _checksum(folder, step)) for step in steps[1:])
    return f"INSERT INTO _pgfast_migrations (version, name, checksum) {rows}"


def _checksum(folder: Path, step: Step) -> str:
    return hashlib.sha256(b"".join(_file(folder, step, way).read_bytes() for way in ("up", "down"))).hexdigest()


def _file(folder: Path, step: Step, way: str) -> Path:
    return folder / "migrations" / f"{step.number:05}_{step.identifier}_{way}.sql"


def migrate(folder: Path, dsn: str, count: int) -> list[float]:
    """Bring the schema up so many times."""
    from pgfast.config import DatabaseConfig
    from pgfast.connection import close_pool, create_pool
    from pgfast.schema import SchemaManager

    config = DatabaseConfig(url=dsn, migrations_dirs=[str(folder / "migrations")])

    async def apply() -> None:
        pool = await create_pool(config)
        await SchemaManager(pool=pool, config=config).schema_up()
        await close_pool(pool)

    async def calls() -> list[float]:
        return [await awaited(apply()) for _ in range(count)]

    return asyncio.run(calls())


def clones(folder: Path, dsn: str, count: int) -> list[float]:
    """Take a test's database so many times, which comes with a pool of connections; drop all of it."""
    from pgfast.config import DatabaseConfig
    from pgfast.testing import DatabaseTestManager

    config = DatabaseConfig(
        url=dsn, min_connections=_FEWEST, max_connections=_MOST, migrations_dirs=[str(folder / "migrations")]
    )

    async def calls() -> list[float]:
        maker = DatabaseTestManager(config)
        await maker.create_template_db(_TEMPLATE)
        databases = DatabaseTestManager(config, template_db=_TEMPLATE)
        taken = []

        async def take() -> None:
            pools.append(await databases.create_test_db())

        for _ in range(count):
            pools: list[object] = []
            taken.append(await awaited(take()))
            await databases.cleanup_test_db(pools.pop())
        await maker.destroy_template_db(_TEMPLATE)
        return taken

    return asyncio.run(calls())
