"""yoyo-migrations: steps in Python, as ``yoyo new`` makes them, with psycopg 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .steps import Package, Step, timed, values

PACKAGE = Package("yoyo", "yoyo-migrations", ("yoyo", "--help"), ("yoyo-migrations", "psycopg[binary]"))

_MIGRATION = """
from yoyo import step

__depends__ = {depends}

steps = [step({apply!r}, {rollback!r})]
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a folder of migrations."""
    before = ""
    for step in steps:
        name = f"{step.number:05}-{step.identifier}"
        depends = f"{{{before!r}}}" if before else "set()"
        (folder / f"{name}.py").write_text(_MIGRATION.format(depends=depends, apply=step.apply, rollback=step.rollback))
        before = name


def command(folder: Path, dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("yoyo", "apply", "--batch", "--no-config-file", "--database", _url(dsn), str(folder))


def status(folder: Path, dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("yoyo", "list", "--batch", "--no-config-file", "--database", _url(dsn), str(folder))


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    rows = values((f"{step.number:05}-{step.identifier}",) for step in steps[1:])
    return f"""INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)
        SELECT encode(sha256(id::bytea), 'hex'), id, now() FROM ({rows}) AS v (id)"""


def migrate(folder: Path, dsn: str, count: int) -> list[float]:
    """Apply so many times."""
    import psycopg
    import yoyo

    assert psycopg.__version__

    def apply() -> None:
        backend = yoyo.get_backend(_url(dsn))
        migrations = yoyo.read_migrations(str(folder))
        with backend.lock():
            backend.apply_migrations(backend.to_apply(migrations))
        backend.connection.close()

    return [timed(apply) for _ in range(count)]


def _url(dsn: str) -> str:
    return dsn.replace("postgresql://", "postgresql+psycopg://")
