"""The preflight: everything that a database lacks for the pending migrations, found before the first step."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

from kimbledb.errors import PreflightError
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.migration import Extension, Migration
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.objects import Facts, Key, parts_of
from kimbledb.model.state import DatabaseState
from kimbledb.planning.fold import RELATIONS, relation_of
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.notifications import log
from kimbledb.server.search_path import gaps_of, strangers_in
from kimbledb.server.session import BEGIN, Session

#: The oldest server that is supported, as ``server_version_num``.
OLDEST_SERVER = 150000
#: The most tables of one owner that a gap names.
_SHOWN = 5
#: The tables that every run writes.
HISTORY = ("migration_history", "migration_log")
#: The newest major version that was tried.
NEWEST_KNOWN = 18


async def check(
    session: Session, state: DatabaseState, schema: str, migrations: Sequence[Migration], reached: Sequence[str] = ()
) -> list[str]:
    """Check everything that these migrations need.

    Args:
        session: The session.
        state: The state of the database.
        schema: The target schema.
        migrations: The migrations that are to be applied.
        reached: The schemas that migrations of the catalog declare to reach.

    Returns:
        The schemas of the migrations' search_path.

    Raises:
        PreflightError: With all gaps at once.
    """
    wanted = wanted_extensions(migrations)
    path = state.search_path(schema, (each.name for each in wanted))
    if any(each.name not in state.extensions for each in wanted) and state.extension_home not in path:
        path.append(state.extension_home)
    facts = await session.ask(
        queries.question(
            "preflight",
            schema=quote_literal(schema),
            # In an empty schema no table can belong to another role.
            tables=quote_array([*HISTORY, *(_tables(migrations) if state.occupied else ())]),
            dangers=strangers_in(path, reached),
            # Only the missing ones: the server reads a file for each extension to answer.
            extensions=quote_array(each.name for each in wanted if each.name not in state.extensions),
        )
    )
    gaps = [*_server_gaps(state), *_schema_gaps(state, schema, facts), *_ownership_gaps(state, facts)]
    doubtful = []
    for extension in wanted:
        available = facts["extensions"].get(extension.name)
        found = list(_extension_gaps(extension, state, available))
        gaps += found
        if not found and available and not _is_sure(state, *available[1:], may_create=facts["may_create_schema"]):
            doubtful.append(extension.name)
    # The attempt runs a script of the extension, so no stranger's object may be on the search_path.
    if doubtful and not facts["dangers"] and not (state.standby or state.read_only):
        gaps += await refused_extensions(session, state, doubtful)
    if gaps:
        raise PreflightError(gaps)
    return path


def _schema_gaps(state: DatabaseState, schema: str, facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Give the privileges on the database and on the schema that the role lacks, each with its cure."""
    role = quote_identifier(state.role)
    if not state.schema_exists and not facts["may_create_schema"]:
        yield (
            f'the schema "{schema}" is missing, and {state.role} may not create one',
            f"GRANT CREATE ON DATABASE {quote_identifier(state.database)} TO {role}",
        )
    if state.schema_exists and not facts["may_create_in_schema"]:
        yield (
            f'{state.role} may not create in the schema "{schema}"',
            f"GRANT USAGE, CREATE ON SCHEMA {quote_identifier(schema)} TO {role}",
        )


def _ownership_gaps(state: DatabaseState, facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Give the strangers' objects, and the tables of other owners that the role may not change, each with its cure."""
    by_owner: dict[str, list[str]] = {}
    for table, owner in facts["of_others"].items():
        by_owner.setdefault(owner, []).append(table)
    if state.history_owner is None or state.stranger is not None:
        # Membership in a stranger's role is no cure.
        by_owner.pop(state.stranger or "", None)
        yield from gaps_of(facts["dangers"])
    yield from (_of_another(tables, owner, state) for owner, tables in by_owner.items())


async def role_gaps(session: Session, state: DatabaseState, schema: str) -> list[tuple[str, str]]:
    """Return the reasons why this role, or this server, may apply no migration at all, each with its cure.

    What a migration lacks beside that, such as an extension, is no such reason.

    Args:
        session: The session.
        state: The state of the database.
        schema: The target schema.
    """
    if state.stranger is not None:
        return []
    question = queries.question(
        "preflight",
        schema=quote_literal(schema),
        tables=quote_array(HISTORY),
        dangers=strangers_in([schema]),
        extensions=quote_array([]),
    )
    facts = await session.ask(question)
    of_others = _ownership_gaps(state, {**facts, "dangers": []})
    return [*_read_only_gaps(state), *_schema_gaps(state, schema, facts), *of_others]


async def check_history(session: Session, state: DatabaseState, schema: str, *, writing: bool = True) -> None:
    """Check that a trusted role owns history, and that this role may write it.

    Args:
        session: The session.
        state: The state of the database.
        schema: The target schema.
        writing: Whether history is to be written. A role that may only read it relies on its owner.

    Raises:
        PreflightError: With all objects of strangers, or the missing membership.
    """
    if state.stranger is not None:
        raise PreflightError(gaps_of(await session.ask(queries.answering(strangers_in([schema])))))
    if writing and state.history_owner is not None:
        raise PreflightError([_of_another(HISTORY, state.history_owner, state)])


def check_server(state: DatabaseState) -> None:
    """Check that the server and the database can be written to.

    Args:
        state: The state of the database.

    Raises:
        PreflightError: With all gaps.
    """
    if gaps := _server_gaps(state):
        raise PreflightError(gaps)


def _server_gaps(state: DatabaseState) -> list[tuple[str, str]]:
    """Return the gaps of the server and of the database, each with its cure. Warns of a newer server."""
    gaps = []
    if state.version_number < OLDEST_SERVER:
        gaps.append(
            (
                f"the server is PostgreSQL {state.server_version}, and {OLDEST_SERVER // 10000} is the oldest supported version",
                "upgrade the server",
            )
        )
    if state.version_number // 10000 > NEWEST_KNOWN:
        log(
            logging.WARNING,
            "newer_server",
            "the server is PostgreSQL %s, and this kimbledb was tested on %s to %s",
            state.server_version,
            OLDEST_SERVER // 10000,
            NEWEST_KNOWN,
        )
    if state.encoding != "UTF8":
        gaps.append(
            (
                f"the database {state.database} has the encoding {state.encoding}",
                "create a new one: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
            )
        )
    return [*gaps, *_read_only_gaps(state)]


def _read_only_gaps(state: DatabaseState) -> list[tuple[str, str]]:
    if state.standby:
        cure = "connect to the primary; where the DSN names several hosts, target_session_attrs=read-write does"
        return [("the server is a standby, which is read-only", cure)]
    if state.read_only:
        return [
            (
                f"the database {state.database} is set to read-only (default_transaction_read_only)",
                "where the platform set it because the disk is full, free disk space; else RESET it for the database or role",
            )
        ]
    return []


def _of_another(tables: Sequence[str], owner: str, state: DatabaseState) -> tuple[str, str]:
    shown = ", ".join(f'"{table}"' for table in tables[:_SHOWN])
    shown += f" and {len(tables) - _SHOWN} more" if len(tables) > _SHOWN else ""
    belongs, them = ("belongs", "it") if len(tables) == 1 else ("belong", "them")
    return (
        f"{shown} {belongs} to {owner}, and {state.role} may not change {them}",
        f"GRANT {quote_identifier(owner)} TO {quote_identifier(state.role)}",
    )


def wanted_extensions(migrations: Iterable[Migration]) -> list[Extension]:
    """Return each extension once, with the highest of the required minimum versions."""
    wanted: dict[str, Extension] = {}
    for migration in migrations:
        for extension in migration.extensions:
            known = wanted.get(extension.name)
            if known is None or _version(extension.version) > _version(known.version):
                wanted[extension.name] = extension
    return list(wanted.values())


async def refused_extensions(session: Session, state: DatabaseState, names: Sequence[str]) -> list[tuple[str, str]]:
    """Try to create extensions in a transaction that is rolled back, and return the refused ones, each with its cure.

    Args:
        session: The session.
        state: The state of the database.
        names: The names of the extensions.
    """
    block = queries.block("try_extensions", extensions=quote_array(names), home=quote_literal(state.extension_home))
    [answer] = await session.send(f"{BEGIN}{session.settings()}{block}ROLLBACK;\n")
    return [
        (
            f"{state.role} may not create the extension {name}: {message}"
            if code == INSUFFICIENT_PRIVILEGE
            else f"the extension {name} cannot be created: {message} (SQLSTATE {code})",
            f"let an administrator run: CREATE EXTENSION {quote_identifier(name)}",
        )
        for name, code, message in answer.value
    ]


def _is_sure(state: DatabaseState, needs_superuser: bool, trusted: bool, *, may_create: bool) -> bool:
    """Whether the extension's control file shows that the role may create it."""
    return state.superuser or (may_create and (trusted or not needs_superuser))


def _extension_gaps(
    extension: Extension, state: DatabaseState, available: list[object] | None
) -> Iterable[tuple[str, str]]:
    quoted = quote_identifier(extension.name)
    installed = state.extensions.get(extension.name)
    if installed is not None:
        if _version(installed[0]) < _version(extension.version):
            yield (
                f"the extension {extension.name} is {installed[0]}, and {extension.version} is the oldest supported version",
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
    version = available[0]
    if _version(str(version)) < _version(extension.version):
        yield (
            f"the server offers {extension.name} {version}, and {extension.version} is the oldest supported version",
            "install a newer package on the server",
        )


def _tables(migrations: Iterable[Migration]) -> list[str]:
    """Return the tables and views of the schema that migrations declare to affect, themselves or what belongs to them."""
    relations = {
        key[1] if key[0] in RELATIONS else relation_of(key, facts)
        for migration in migrations
        for statement in migration.declarations.statements
        for key, facts in _affected(statement)
    }
    named = (parts_of(name) for name in relations if name is not None)
    return sorted(parts[0] for parts in named if len(parts) == 1)


def _affected(statement: DeclaredStatement) -> Iterable[tuple[Key, Facts | None]]:
    for each in (*statement.creates, *statement.changes, *statement.drops):
        yield each.key, each.facts
    for (kind, old), new in statement.renames.items():
        yield (kind, old), None
        yield (kind, new), None


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text or ""))
