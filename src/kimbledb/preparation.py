"""Before the first step: the schema, the extensions and the history tables, made where they are missing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import evolve

from kimbledb import history, preflight, queries
from kimbledb.errors import MigrationError, PreflightError
from kimbledb.locks import BOOTSTRAP_KEY, take_lock
from kimbledb.model import Migration
from kimbledb.names import quote_identifier, quote_literal
from kimbledb.operations import history_tables
from kimbledb.runner import WORTH_ANOTHER_TRY, Again, describe_holders
from kimbledb.server.drivers import ServerError, own_code
from kimbledb.session import LOCK_BUSY, Session, first_line
from kimbledb.state import DatabaseState
from kimbledb.version import __version__

#: IF NOT EXISTS fails with one of these where somebody else, who does not take our
#: lock, makes the same schema or extension at the same moment.
_MADE_BY_ANOTHER = frozenset({"23505", "42P06", "42P07", "42710", "42723"})


async def prepare(
    session: Session, state: DatabaseState, schema: str, migrations: Sequence[Migration], reached: Sequence[str] = ()
) -> DatabaseState:
    """Check what these migrations need, and make what is missing in one transaction.

    Args:
        session: Where to do it.
        state: What was found.
        schema: The target schema.
        migrations: Those that are to be applied.
        reached: The schemas that migrations of their catalog say they reach.

    Returns:
        The state after it, whose ``head`` is never None.

    Raises:
        PreflightError: Something stands in the way; nothing was touched.
        Again: Another run is preparing the database, or has gone on from there.
        HistoryError: Another hand made a history that cannot be taken over; nothing was touched.
        MigrationError: The server refused.
    """
    path = await preflight.check(session, state, schema, migrations, reached)
    missing = [each for each in preflight.wanted_extensions(migrations) if each.name not in state.extensions]
    if state.schema_exists and not missing and state.head is not None:
        return state
    quoted = quote_identifier(schema)
    statements = []
    if not state.schema_exists:
        statements.append(f"CREATE SCHEMA IF NOT EXISTS {quoted};\n")
        if state.hosted:
            statements.append(queries.block("open_schema", schema=quote_literal(schema)))
    home = quote_identifier(state.extension_home)
    statements += [f"CREATE EXTENSION IF NOT EXISTS {quote_identifier(each.name)} SCHEMA {home};\n" for each in missing]
    try:
        [answer] = await session.send(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"
            + session.settings()
            + take_lock(BOOTSTRAP_KEY)
            + session.guarded(path, reached)
            + session.path()
            + "".join(statements)
            + history_tables.creation(
                schema, version=__version__, take_over=state.head is None and state.history is not None
            )
            + queries.question("bootstrapped", schema=quoted)
            + "COMMIT;\n"
        )
    except ServerError as error:
        if own_code(error) == history.OTHER_SHAPE:
            raise history.other_shape(error) from error
        if own_code(error) == LOCK_BUSY:
            raise Again(blockers=describe_holders(json.loads(error.detail or "[]"))) from error
        if error.sqlstate in _MADE_BY_ANOTHER or error.sqlstate in WORTH_ANOTHER_TRY:
            raise Again(contended=first_line(error)) from error
        # What the control file promised, the platform may refuse.
        if missing and (gaps := await preflight.refused_extensions(session, state, [each.name for each in missing])):
            raise PreflightError(gaps) from error
        raise MigrationError(
            f"preparing the database failed: {error} (SQLSTATE {error.sqlstate})",
            sqlstate=error.sqlstate,
            hint=error.hint,
        ) from error
    if answer.value["head"] != (state.head or 0):
        raise Again  # another run was quicker, and what is pending has changed
    return evolve(
        state,
        head=answer.value["head"],
        schema_exists=True,
        extensions={name: (version, where) for name, (version, where) in answer.value["extensions"].items()},
    )
