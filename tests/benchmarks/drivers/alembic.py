"""Alembic: revisions in Python, as its generic template sets it up, with psycopg 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .steps import Package, Step, timed

PACKAGE = Package("Alembic", "alembic", ("alembic", "--version"), ("alembic", "psycopg[binary]"))

_INI = """[alembic]
script_location = {folder}/migrations

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic

[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
"""
_ENV = """
import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine, pool

fileConfig(context.config.config_file_name)
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
# The SQL goes to the driver as it is: text() would take ":name" in it for a parameter.
_REVISION = """
from alembic import op

revision = "{revision}"
down_revision = {before!r}
branch_labels = None
depends_on = None


def run(sql):
    op.get_bind().exec_driver_sql(sql, execution_options={{"no_parameters": True}})


def upgrade():
    run({apply!r})


def downgrade():
    run({rollback!r})
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a project."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(_INI.format(folder=folder))
    (folder / "migrations" / "env.py").write_text(_ENV)
    for step in steps:
        before = f"{step.number - 1:05}" if step.number > 1 else None
        text = _REVISION.format(revision=f"{step.number:05}", before=before, apply=step.apply, rollback=step.rollback)
        (versions / f"{step.number:05}_{step.identifier}.py").write_text(text)


def command(folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("alembic", "-c", str(folder / "alembic.ini"), "upgrade", "head")


def status(folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("alembic", "-c", str(folder / "alembic.ini"), "current")


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL: only the last is recorded."""
    return f"UPDATE alembic_version SET version_num = '{steps[-1].number:05}'"


def migrate(folder: Path, _dsn: str, count: int) -> list[float]:
    """Upgrade so many times."""
    import psycopg
    import sqlalchemy.dialects.postgresql.psycopg
    from alembic import command as commands
    from alembic.config import Config

    assert psycopg.__version__
    assert sqlalchemy.__version__
    config = Config(folder / "alembic.ini")
    return [timed(lambda: commands.upgrade(config, "head")) for _ in range(count)]
