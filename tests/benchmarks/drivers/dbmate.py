"""dbmate: SQL files, as ``dbmate new`` makes them; a program in Go, which npm brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .steps import STRONG, Package, Step, values

PACKAGE = Package("dbmate", "dbmate", ("dbmate", "--version"), npm=("dbmate",))

_MIGRATION = """-- migrate:up
{apply}

-- migrate:down
{rollback}
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a folder of migrations."""
    home = folder / "db" / "migrations"
    home.mkdir(parents=True)
    for step in steps:
        text = _MIGRATION.format(apply=step.apply, rollback=step.rollback)
        (home / f"{step.number:05}_{step.identifier}.sql").write_text(text)


def command(_folder: Path, dsn: str) -> tuple[str, ...]:
    """Return the command line. The schema is not dumped, since no other tool does."""
    return ("dbmate", "--url", _url(dsn), "--no-dump-schema", "up")


def status(_folder: Path, dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("dbmate", "--url", _url(dsn), "status")


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    return f"INSERT INTO schema_migrations (version) {values((f'{step.number:05}',) for step in steps[1:])}"


def _url(dsn: str) -> str:
    return dsn.replace("//postgres:", f"//{STRONG}:") + "?sslmode=disable"
