"""node-pg-migrate: SQL files, in one transaction, as is its default; for Node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .steps import Package, Step, values

PACKAGE = Package("node-pg-migrate", "node-pg-migrate", ("node-pg-migrate", "--version"), npm=("node-pg-migrate", "pg"))

_MIGRATION = """-- Up Migration
{apply}

-- Down Migration
{rollback}
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a folder of migrations."""
    home = folder / "migrations"
    home.mkdir()
    for step in steps:
        (home / f"{_name(step)}.sql").write_text(_MIGRATION.format(apply=step.apply, rollback=step.rollback))


def command(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("node-pg-migrate", "up")


def status(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return nothing: it has no such command."""
    return ()


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    rows = values((_name(step),) for step in steps[1:])
    return f"INSERT INTO pgmigrations (name, run_on) SELECT name, now() FROM ({rows}) AS v (name)"


def _name(step: Step) -> str:
    return f"{step.number:05}_{step.identifier}"
