"""A project of Alembic: its SQL is written as the page says, read, applied, and told from what Alembic itself applied."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kimbledb
from tests.support.databases import fresh_database, sql, take_snapshot
from tests.support.transcripts import blocks_of

try:
    import alembic  # noqa: F401 - its programs are run in processes of their own
except ImportError as absent:
    if os.environ.get("CI") == "true":
        raise
    pytest.skip(f"{absent}; pip install -e '.[dev]'", allow_module_level=True)

PAGE = Path(__file__).parent.parent.parent / "docs" / "come-from" / "alembic.md"
ENV = """
from alembic import context
from sqlalchemy import create_engine
import os

url = os.environ["DATABASE"]
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {revision!r}, {before!r}

def upgrade():
    {up}

def downgrade():
    {down}
"""
REVISIONS = {
    "ae1027a6acf4": (
        "op.create_table('users', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.Text, nullable=False))",
        "op.drop_table('users')",
    ),
    "1975ea83b712": (
        "op.add_column('users', sa.Column('email', sa.String(80), server_default='', nullable=False))",
        "op.drop_column('users', 'email')",
    ),
}


def shell(command: str, folder: Path, dsn: str) -> str:
    """The output of a command in the project."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "DATABASE": dsn.replace("postgresql://", "postgresql+psycopg://")}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S602
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two revisions."""
    versions = tmp_path / "env" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = env\n", encoding="utf-8")
    (tmp_path / "env" / "env.py").write_text(ENV, encoding="utf-8")
    before = None
    for revision, (up, down) in REVISIONS.items():
        text = REVISION.format(revision=revision, before=before, up=up, down=down)
        (versions / f"{revision}_.py").write_text(text, encoding="utf-8")
        before = revision
    return tmp_path


async def test_a_project_of_alembic(server: str, database: str, project: Path) -> None:
    """The written files make what Alembic makes and take it back; where Alembic has run them, adopt() records its revisions."""
    [program] = [block.text for block in blocks_of(PAGE) if block.title == "write_sql.py"]
    (project / "write_sql.py").write_text(program, encoding="utf-8")
    shell("python write_sql.py", project, database)
    catalog = kimbledb.Catalog.from_directory(project / "migrations")
    assert [each.name.partition("_")[2].partition(".")[0] for each in catalog] == list(REVISIONS)

    async with fresh_database(server) as own:
        shell("alembic upgrade head", project, own)
        with pytest.raises(kimbledb.ForeignHistoryError, match="Alembic"):
            await kimbledb.migrate(own, catalog=catalog)
        assert len((await kimbledb.adopt(own, catalog=catalog)).adopted) == len(REVISIONS)
        assert not (await kimbledb.migrate(own, catalog=catalog)).applied
        await sql(own, "DROP TABLE alembic_version")
        expected = await take_snapshot(own)

    await kimbledb.migrate(database, catalog=catalog)
    assert (await take_snapshot(database)).objects == expected.objects
    await kimbledb.rollback(database, to=0, catalog=catalog)
    assert ("table", "users") not in (await take_snapshot(database)).objects
