"""Sqitch: a plan and scripts that psql runs; a program in Perl, of Debian's packages."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .steps import Package, Step, values

PACKAGE = Package("Sqitch", "sqitch", ("sqitch", "--version"))

_PERSON = "Ann <ann@example.org>"
_DATE = "2026-01-01T00:00:00Z"
_SETTINGS = """[core]
	engine = pg
[user]
	name = Ann
	email = ann@example.org
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a project."""
    (folder / "sqitch.conf").write_text(_SETTINGS)
    lines = ["%syntax-version=1.0.0", "%project=benchmark", ""]
    for way in ("deploy", "revert"):
        (folder / way).mkdir()
    before = ""
    for step in steps:
        name = f"{step.identifier}"
        lines.append(f"{name}{f' [{before}]' if before else ''} {_DATE} {_PERSON} # {step.title}")
        # A script says by itself that it is one transaction, as its template does.
        for way, text in (("deploy", step.apply), ("revert", step.rollback)):
            (folder / way / f"{name}.sql").write_text(f"BEGIN;\n\n{text}\n\nCOMMIT;\n")
        before = name
    (folder / "sqitch.plan").write_text("\n".join(lines) + "\n")


def command(_folder: Path, dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("sqitch", "deploy", _target(dsn))


def status(_folder: Path, dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("sqitch", "status", _target(dsn))


def mark(folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL, with the ids that Sqitch gives the changes."""
    command = ("sqitch", "--no-pager", "plan", "--format", "format:%H", "--no-headers")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    rows = values(
        (own, step.identifier, step.number)
        for own, step in zip(done.stdout.split(), steps, strict=True)
        if step.number > 1
    )
    return f"""INSERT INTO sqitch.changes (change_id, script_hash, change, project, note, committed_at,
            committer_name, committer_email, planned_at, planner_name, planner_email)
        SELECT v.id, v.id, v.change, c.project, '', now() + v.place * interval '1 millisecond',
            c.committer_name, c.committer_email, c.planned_at, c.planner_name, c.planner_email
        FROM sqitch.changes AS c, ({rows}) AS v (id, change, place)"""


def _target(dsn: str) -> str:
    return dsn.replace("postgresql://", "db:pg://")
