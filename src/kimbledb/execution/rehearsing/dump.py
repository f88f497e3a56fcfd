"""The schema of the target as pg_dump writes it, and its statements on their way into a clone.

pg_dump writes it, and not this package's own writer: the writer knows the objects of one schema of the kinds that
migrations declare, and a clone wants all that the database holds, such as event triggers, casts and foreign servers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kimbledb.catalog import statements
from kimbledb.errors import BackupError, RehearsalError
from kimbledb.execution.backup import installed
from kimbledb.execution.backup.access import access_to
from kimbledb.model.state import DatabaseState
from kimbledb.server.driver import ServerError
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.settings import milliseconds
from kimbledb.server.targets import Target

#: Without the connection strings of subscriptions, and without what only some servers can have.
_ARGUMENTS = ("--schema-only", "--no-password", "--no-subscriptions", "--no-tablespaces", "--no-security-labels")
#: The number of names a pattern of pg_dump holds.
_NAMES = 100
_CLIENT_COMMAND = re.compile(r"^\\(?:un)?restrict\b.*$", re.MULTILINE)
#: A setting that servers before version 17 do not know.
_UNKNOWN_SETTING = re.compile(r"set transaction_timeout\b", re.IGNORECASE)
_OF_EXTENSION = re.compile(
    r"(?:create extension (?:if not exists )?|comment on extension )(?P<name>\"(?:[^\"]|\"\")+\"|\S+)", re.IGNORECASE
)
#: The objects that a clone may lack. Other objects need those that cannot be recreated.
_BESIDE = re.compile(
    r"(?:create|alter|comment on|grant|revoke|drop)\b.*\b(?:event trigger|publication|foreign data wrapper|server|user mapping|foreign table"
    r"|default privileges)\b",
    re.IGNORECASE | re.DOTALL,
)
#: The most statements of one message: a transaction holds the locks of every object that it creates.
_AT_ONCE = 100
#: Characters of a statement that a message shows.
_SHOWN = 80


async def schema_of(
    session: Session, state: DatabaseState, target: Target, options: Options, left_out: Collection[str]
) -> str:
    """Return the schema of the target as SQL, without any row.

    Args:
        session: A session of the target, which is idle meanwhile.
        state: The state of its database.
        target: The target on which the session was opened.
        options: The options with the application's name, the lock timeout, and the DSN past a pooler.
        left_out: The schemas that are not wanted.

    Raises:
        RehearsalError: pg_dump is missing or too old, cannot reach the server, or fails.
    """
    arguments = [*_ARGUMENTS, f"--lock-wait-timeout={milliseconds(options.lock_timeout)}"]
    names = sorted(left_out)
    for place in range(0, len(names), _NAMES):
        pattern = "|".join('"' + name.replace('"', '""') + '"' for name in names[place : place + _NAMES])
        arguments.append(f"--exclude-schema=({pattern})")
    try:
        access = await access_to(session, state, target, options)
        client, *_ = await installed.fitting(access.major)
        return await client.run("pg_dump", [*arguments, f"--dbname={access.conninfo}"], access)
    except BackupError as error:
        raise RehearsalError(f"the schema cannot be read: {error.message}", hint=error.hint) from error


async def restore(session: Session, dump: str, without: Collection[str]) -> list[str]:
    """Make the objects of a dump in an empty database.

    Args:
        session: A session of the database, used for nothing else.
        dump: The dump.
        without: The extensions that the server does not have.

    Returns:
        What could not be made and is not needed by the rest, a line each.

    Raises:
        RehearsalError: Something else could not be made.
    """
    left_out: list[str] = []
    batch: list[str] = []
    for statement in (*_wanted(dump, without), None):
        if statement is not None:
            batch.append(statement)
            if len(batch) < _AT_ONCE:
                continue
        try:
            await session.send("".join(f"{each};\n" for each in batch))
        except ServerError:
            for each in batch:
                left_out += await _one(session, each, without)
        batch = []
    return left_out


async def _one(session: Session, statement: str, without: Collection[str]) -> list[str]:
    try:
        await session.send(f"{statement};\n")
    except ServerError as error:
        shown = " ".join(statement.split())[:_SHOWN]
        if _BESIDE.match(shown):
            return [f"{shown} ({error.message})"]
        if without:
            cure = f"name a server that has the extensions {', '.join(without)}: server=..."
        else:
            cure = "name a server of the same version and platform: server=..."
        raise RehearsalError(f"the clone cannot be made: {shown}: {error.message}", hint=cure) from error
    return []


def _wanted(dump: str, without: Collection[str]) -> Iterator[str]:
    for statement in statements.split(_CLIENT_COMMAND.sub("", dump)):
        if _UNKNOWN_SETTING.match(statement.skeleton):
            continue
        named = _OF_EXTENSION.match(statement.text)
        if named is None or named["name"].strip('"') not in without:
            yield statement.text
