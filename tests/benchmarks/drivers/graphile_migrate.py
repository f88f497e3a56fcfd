"""graphile-migrate: committed migrations, a chain of hashes; for Node."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from .steps import Package, Step, values

PACKAGE = Package("graphile-migrate", "graphile-migrate", ("graphile-migrate", "--version"), npm=("graphile-migrate",))


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a project, as ``graphile-migrate commit`` leaves it."""
    # ``status`` wants the name of a second database, which it does not open.
    (folder / ".gmrc").write_text('{"shadowConnectionString": "postgresql://localhost/shadow"}\n')
    home = folder / "migrations" / "committed"
    home.mkdir(parents=True)
    for step, previous, own in _hashed(steps):
        text = f"--! Previous: {previous or '-'}\n--! Hash: {own}\n\n{step.apply.strip()}\n"
        (home / f"{step.number:06}-{step.identifier}.sql").write_text(text)


def command(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("graphile-migrate", "migrate")


def status(_folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("graphile-migrate", "status")


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    rows = values((own, previous, f"{step.number:06}.sql") for step, previous, own in _hashed(steps) if previous)
    return f"INSERT INTO graphile_migrate.migrations (hash, previous_hash, filename) {rows}"


def _hashed(steps: Sequence[Step]) -> Iterator[tuple[Step, str, str]]:
    """Give each step with the hash of the one before and its own, as the tool's ``hash.js`` does."""
    previous = ""
    for step in steps:
        text = f"{previous}\n{step.apply.strip()}".strip() + "\n"
        own = "sha1:" + hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        yield step, previous, own
        previous = own
