"""What a database must have before the first step, asked for all at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kimbledb import queries
from kimbledb.errors import PreflightError
from kimbledb.history import DatabaseState
from kimbledb.model import Extension, Migration
from kimbledb.names import quote_array, quote_identifier, quote_literal
from kimbledb.session import Session

#: The oldest server that is supported, as ``server_version_num``.
OLDEST_SERVER = 150000


async def check(session: Session, state: DatabaseState, schema: str, migrations: Sequence[Migration]) -> None:
    """Ask for everything that stands in the way of these migrations.

    Raises:
        PreflightError: With all that is missing at once.
    """
    wanted = wanted_extensions(migrations)
    facts = await session.ask(
        queries.question(
            "preflight",
            schema=quote_literal(schema),
            extensions=quote_array(each.name for each in wanted),
        )
    )
    gaps: list[tuple[str, str]] = []
    if state.version_number < OLDEST_SERVER:
        gaps.append(
            (
                f"the server is PostgreSQL {state.server_version}, and 15 is the oldest that will do",
                "upgrade the server",
            )
        )
    if state.encoding != "UTF8":
        gaps.append(
            (
                f"the database {state.database} has the encoding {state.encoding}",
                "create it anew: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
            )
        )
    if state.standby:
        gaps.append(("the server is a standby, which only reads", "connect to the primary"))
    role, database = quote_identifier(state.role), quote_identifier(state.database)
    if not state.schema_exists and not facts["may_create_schema"]:
        gaps.append(
            (
                f'the schema "{schema}" is missing, and {state.role} may not create one',
                f"GRANT CREATE ON DATABASE {database} TO {role}",
            )
        )
    if state.schema_exists and not facts["may_create_in_schema"]:
        gaps.append(
            (
                f'{state.role} may not create in the schema "{schema}"',
                f"GRANT USAGE, CREATE ON SCHEMA {quote_identifier(schema)} TO {role}",
            )
        )
    for extension in wanted:
        gaps.extend(_gaps_of(extension, state, facts["extensions"].get(extension.name), facts["may_create_schema"]))
    if gaps:
        raise PreflightError(gaps)


def wanted_extensions(migrations: Iterable[Migration]) -> list[Extension]:
    """Return each extension once, with the highest of the lowest versions asked for."""
    wanted: dict[str, Extension] = {}
    for migration in migrations:
        for extension in migration.extensions:
            known = wanted.get(extension.name)
            if known is None or _version(extension.version) > _version(known.version):
                wanted[extension.name] = extension
    return list(wanted.values())


def _gaps_of(
    extension: Extension, state: DatabaseState, available: list[object] | None, may_create: bool
) -> Iterable[tuple[str, str]]:
    quoted = quote_identifier(extension.name)
    installed = state.extensions.get(extension.name)
    if installed is not None:
        if _version(installed[0]) < _version(extension.version):
            yield (
                f"the extension {extension.name} is {installed[0]}, and {extension.version} is the oldest that will do",
                f"ALTER EXTENSION {quoted} UPDATE, by its owner; the server may need a newer package first",
            )
        return
    if available is None:
        yield (
            f"the server has no extension {extension.name}",
            "install it on the server"
            + (" (the package pgvector)" if extension.name == "vector" else " (PostgreSQL's contrib package)")
            + ", or enable it in the platform's settings",
        )
        return
    version, needs_superuser, trusted = available
    if _version(str(version)) < _version(extension.version):
        yield (
            f"the server offers {extension.name} {version}, and {extension.version} is the oldest that will do",
            "install a newer package on the server",
        )
    elif not state.superuser and needs_superuser and not (trusted and may_create):
        yield (
            f"{state.role} may not create the extension {extension.name}",
            f"let an administrator run: CREATE EXTENSION {quoted}",
        )


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text or ""))
