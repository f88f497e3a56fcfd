"""Before the first step: the schema, the extensions and the history tables, made where they are missing."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from kimbledb.errors import PreflightError
from kimbledb.execution import history_tables
from kimbledb.inspection import preflight
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.driver import ServerError
from kimbledb.server.locks import BOOTSTRAP_KEY, take_lock
from kimbledb.server.retry import Retry, meaning
from kimbledb.server.session import Session
from kimbledb.version import __version__


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
        Retry: Another run is preparing the database, or has gone on from there.
        HistoryError: Another hand made a history that cannot be taken over; nothing was touched.
        ServerError: The server refused.
    """
    path = await preflight.check(session, state, schema, migrations, reached)
    missing = [each for each in preflight.wanted_extensions(migrations) if each.name not in state.extensions]
    if state.schema_exists and not missing and state.log_position is not None:
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
                schema, version=__version__, take_over=state.log_position is None and state.history is not None
            )
            + queries.question("bootstrapped", schema=quoted)
            + "COMMIT;\n"
        )
    except ServerError as error:
        if (meant := meaning(error, making=True)) is not None:
            raise meant from error
        # What the control file promised, the platform may refuse.
        if missing and (gaps := await preflight.refused_extensions(session, state, [each.name for each in missing])):
            raise PreflightError(gaps) from error
        raise
    if answer.value["head"] != (state.log_position or 0):
        raise Retry  # another run was quicker, and what is pending has changed
    return evolve(
        state,
        log_position=answer.value["head"],
        schema_exists=True,
        extensions={name: (version, where) for name, (version, where) in answer.value["extensions"].items()},
    )
