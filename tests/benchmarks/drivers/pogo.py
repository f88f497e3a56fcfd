"""pogo-migrate: SQL files, as ``pogo new`` makes them, with asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from .steps import Package, Step, awaited, values

PACKAGE = Package("pogo", "pogo-migrate", ("pogo", "--version"), ("pogo-migrate",))

_PROJECT = """[tool.pogo]
migrations = "./migrations"
database_config = "{DATABASE_URL}"
"""
_MIGRATION = """-- {title}
-- depends: {before}

-- migrate: apply
{apply}

-- migrate: rollback
{rollback}
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a project, which is found from the working folder."""
    (folder / "pyproject.toml").write_text(_PROJECT)
    (folder / "migrations").mkdir()
    before = ""
    for step in steps:
        name = f"{step.number:05}-{step.identifier}"
        text = _MIGRATION.format(title=step.title, before=before, apply=step.apply, rollback=step.rollback)
        (folder / "migrations" / f"{name}.sql").write_text(text)
        before = name


def command(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("pogo", "apply")


def status(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("pogo", "history")


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    rows = values((f"{step.number:05}-{step.identifier}",) for step in steps[1:])
    return f"""INSERT INTO _pogo_migration (migration_hash, migration_id, schema_name, applied)
        SELECT encode(sha256(id::bytea), 'hex'), id, schema_name, now()
        FROM _pogo_migration AS first, ({rows}) AS v (id)"""


def migrate(folder: Path, dsn: str, count: int) -> list[float]:
    """Apply so many times."""
    from pogo_core.util import testing

    async def calls() -> list[float]:
        return [await awaited(testing.apply(folder / "migrations", database_dsn=dsn)) for _ in range(count)]

    return asyncio.run(calls())
