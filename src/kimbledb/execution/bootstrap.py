"""Bootstrap: before the first step, makes the schema, the extensions and the history tables that are missing."""

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
from kimbledb.server.locks import BOOTSTRAP_KEY, at_work, claim_values, take_lock
from kimbledb.server.retry import Retry, meaning
from kimbledb.server.session import BEGIN, Session
from kimbledb.server.settings import limits_of, settings_values
from kimbledb.version import __version__


async def prepare(
    session: Session, state: DatabaseState, schema: str, migrations: Sequence[Migration], reached: Sequence[str] = ()
) -> DatabaseState:
    """Check the requirements of migrations, and make in one transaction what is missing.

    Args:
        session: The session that does it.
        state: The state of the database.
        schema: The target schema.
        migrations: The migrations that are to be applied.
        reached: The schemas that migrations of their catalog declare to reach.

    Returns:
        The state afterwards, whose ``log_position`` is never None.

    Raises:
        PreflightError: A requirement is not met; nothing was touched.
        Retry: Another run prepares the database at the moment, or has written to the log since.
        HistoryError: Another hand made a history that cannot be taken over; nothing was touched.
        ServerError: The server refused for another reason.
    """
    path = await preflight.check(session, state, schema, migrations, reached)
    missing = [each for each in preflight.wanted_extensions(migrations) if each.name not in state.extensions]
    if state.schema_exists and not missing and state.log_position is not None:
        return state
    quoted = quote_identifier(schema)
    take_over = state.log_position is None and state.history is not None
    try:
        [answer] = await session.send(
            BEGIN
            + session.settings()
            + take_lock(BOOTSTRAP_KEY)
            + session.guarded(path, reached)
            + session.path()
            + (_schema(schema, state) if not state.schema_exists else "")
            + _extensions([each.name for each in missing], state)
            + history_tables.creation(schema, version=__version__, take_over=take_over)
            + queries.question("bootstrapped", schema=quoted)
            + "COMMIT;\n"
        )
    except ServerError as error:
        if (meant := meaning(error, making=True)) is not None:
            raise meant from error
        # The platform may refuse an extension that the server has.
        if missing and (gaps := await preflight.refused_extensions(session, state, [each.name for each in missing])):
            raise PreflightError(gaps) from error
        raise
    if answer.value["head"] != (state.log_position or 0):
        raise Retry  # another run was quicker, and other migrations are pending now
    return evolve(
        state,
        log_position=answer.value["head"],
        schema_exists=True,
        extensions={name: (version, where) for name, (version, where) in answer.value["extensions"].items()},
    )


async def ready(session: Session, schema: str, *, connected_here: bool) -> bool:
    """Check that no other run is at work, right before several migrations are sent, and whether the session is our own.

    Args:
        session: The session that is to send them.
        schema: The target schema.
        connected_here: Whether its connection was opened here.

    Returns:
        Whether no other client uses the server's session. Then it keeps, until it ends, the limits of the call and the
        defaults of its transactions, and shows others that this run is at work until the last migration is sent.

    Raises:
        Retry: Another run is at work, and would make the server refuse a message that takes long to write and to read.
    """
    limits = limits_of(session.options)
    kept = {name: limits[name] for name in ("statement_timeout", "client_connection_check_interval")}
    kept |= {"default_transaction_isolation": "read committed", "default_transaction_read_only": "off"}
    kept["kimbledb.own"] = "on"
    answer = await session.ask(
        queries.question(
            "ready",
            at_work=at_work(schema),
            **claim_values(schema),
            kept=settings_values(kept),
            pid=str(session.connection.server_pid if connected_here else 0),
        )
    )
    if answer["busy"]:
        raise Retry
    own: bool = answer["own"]
    return own


def _schema(schema: str, state: DatabaseState) -> str:
    """Return the statements that make the target schema, open to the platform's roles where there are some."""
    opening = queries.block("open_schema", schema=quote_literal(schema)) if state.hosted else ""
    return f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)};\n{opening}"


def _extensions(names: Sequence[str], state: DatabaseState) -> str:
    """Return the statements that make extensions."""
    home = quote_identifier(state.extension_home)
    return "".join(f"CREATE EXTENSION IF NOT EXISTS {quote_identifier(name)} SCHEMA {home};\n" for name in names)
