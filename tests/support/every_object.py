"""A schema with every kind of object, and changes of every property that ``pg_dump`` would write."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
from attrs import frozen

_FOLDER = Path(__file__).parent.parent / "data" / "every_object"
_CHANGE = re.compile(
    r"-- do(?:, since (?P<since>\d+))?(?P<icu>, with ICU)?\n(?P<do>.*?)-- undo\n(?P<undo>.*?)(?=\n-- do|\Z)", re.DOTALL
)
#: The roles that the schema grants to. Roles belong to the whole server.
ROLES = """
DO $$ BEGIN CREATE ROLE snapshot_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE "Snapshot Reader"; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
"""


@frozen
class Change:
    """Statements that change a property, and those that take the change back."""

    #: The statements. The schema's name is ``{schema}``.
    do: str
    #: The statements that take it back.
    undo: str
    #: The first version that has the property.
    since: int
    #: Whether it needs a server that was built with ICU.
    icu: bool

    def __str__(self) -> str:
        return " ".join(self.do.split())


def schema_of(version: int) -> str:
    """Return the statements that make the schema on a version of PostgreSQL, for a search_path that begins with it."""
    names = ["schema.sql", *(["schema_18.sql"] if version >= 18 else [])]
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


def changes() -> tuple[Change, ...]:
    """Return the changes."""
    text = (_FOLDER / "changes.sql").read_text(encoding="utf-8")
    return tuple(
        Change(found["do"].strip(), found["undo"].strip(), int(found["since"] or 15), bool(found["icu"]))
        for found in _CHANGE.finditer(text)
    )


async def make_every_object(connection: asyncpg.Connection, schema: str) -> None:
    """Make the schema and its objects.

    Args:
        connection: A connection to a database.
        schema: The name of the schema, which does not exist yet.
    """
    version = connection.get_server_version().major
    await connection.execute(ROLES)
    if version >= 18:  # for its keys without overlaps
        await connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public")
    await connection.execute(f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}"')
    await connection.execute(schema_of(version))
    await connection.execute(f"COMMENT ON SCHEMA \"{schema}\" IS 'c'; RESET search_path")
