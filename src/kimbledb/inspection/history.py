"""The first questions to a database: its state, and its history of migrations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from kimbledb.errors import HistoryError
from kimbledb.model.evidence import AppliedMigration
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.locks import at_work
from kimbledb.server.retry import decided
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session


async def look(session: Session, schema: str, *, running: bool = True) -> DatabaseState:
    """Read the state of a database: one round trip, no lock, on a standby too.

    Args:
        session: The session.
        schema: The target schema.
        running: Whether scripts may run in the session, for which ``Session.settable`` is asked.

    Raises:
        HistoryError: ``migration_history`` has a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    literal = quote_literal(schema)
    shape = queries.filled("history_shape", schema=literal)
    with decided():
        answer: dict[str, Any] = await session.ask(
            queries.block(
                "look",
                schema=literal,
                shape=shape,
                at_work=at_work(schema),
                trusted=trusted(),
                settable=queries.text_of("settable") if running else "SELECT '{}'::text[]",
            )
        )
    session.settable = tuple(answer["settable"])
    rows = answer.get("history")
    return DatabaseState(
        server_version=answer["version"],
        version_number=answer["version_number"],
        system=answer["system"],
        encoding=answer["encoding"],
        standby=answer["standby"],
        read_only=answer["read_only"],
        database=answer["database"],
        database_oid=answer["database_oid"],
        busy=answer["busy"],
        process_id=answer["process_id"],
        role=answer["role"],
        superuser=answer["superuser"],
        hosted=answer["hosted"],
        schema_exists=answer["schema_exists"],
        occupied=answer["occupied"],
        extension_home=answer["extension_home"],
        extensions={name: (version, home) for name, (version, home) in answer["extensions"].items()},
        history=None if rows is None else history_of(rows),
        log_position=answer.get("head"),
        looked=answer.get("looked", False),
        history_owner=answer.get("owner"),
        stranger=answer.get("stranger"),
    )


async def wal_position(session: Session) -> str | None:
    """Return the position of the write-ahead log, or None where the role may not read it."""
    answers = await session.send(
        "BEGIN READ ONLY;\n" + session.settings() + queries.block("wal_position") + "COMMIT;\n"
    )
    return str(answers[0].value) if answers else None


async def seconds_of(session: Session, schema: str, run: str, event: str, name: str | None) -> float | None:
    """Ask how long an event of a run took, as the log says. The same event of another run does not count.

    Args:
        session: The session.
        schema: The target schema.
        run: The run's name in the log.
        event: The name of the event.
        name: The name of the migration, or None for an event of any migration or of none.

    Returns:
        The seconds, 0 where the log does not say; None where the run wrote no such event.
    """
    block = queries.question(
        "written_by",
        schema=quote_identifier(schema),
        event=quote_literal(event),
        name="NULL" if name is None else quote_literal(name),
        run=quote_literal(run),
    )
    milliseconds: int | None = await session.ask(block)
    return None if milliseconds is None else milliseconds / 1000


class AppliedHere(NamedTuple):
    """The log's entry about the last application of a migration."""

    #: The constraints, indexes and statistics that it made on tables that were there before it, as ``kind name``. None
    #: where that was not noted.
    made: frozenset[str] | None = None
    #: The objects of its declarations that were there before it, as ``kind name``.
    found: frozenset[str] = frozenset()


async def applied_here(session: Session, schema: str) -> dict[str, AppliedHere]:
    """Ask the log what each migration made and found when it was applied, by its name.

    Args:
        session: The session.
        schema: The target schema.
    """
    answer = await session.ask(queries.question("applied_here", schema=quote_identifier(schema)))
    return {
        name: AppliedHere(None if made is None else frozenset(made), frozenset(found or ()))
        for name, (made, found) in answer.items()
    }


async def made_by_migrations(session: Session, schema: str) -> tuple[frozenset[str], frozenset[str]]:
    """Ask the log which constraints, indexes and statistics migrations created on existing tables.

    Args:
        session: The session.
        schema: The target schema.

    Returns:
        These objects, as ``kind name``; and the names of the migrations whose objects are known.
    """
    found = await session.ask(queries.question("made_before", schema=quote_identifier(schema)))
    return frozenset(found["made"]), frozenset(found["migrations"])


def history_of(rows: Iterable[Sequence[Any]]) -> tuple[AppliedMigration, ...]:
    """Return the rows of history as values.

    Args:
        rows: The name, success, checksum, time, version, adopted, and error of each.

    Raises:
        HistoryError: A row has no name.
    """
    history: dict[str, AppliedMigration] = {}
    for name, success, checksum, applied_at, version, adopted, error in rows:
        if not isinstance(name, str) or not name:
            raise HistoryError(
                "migration_history holds a row without a migration_name",
                hint="find it: SELECT * FROM migration_history WHERE migration_name IS NULL",
            )
        # Only another program could write several rows of one name; the last row counts.
        history[name] = AppliedMigration(
            name, success, checksum, applied_at, version, bool(adopted), error, legacy=version is None and not adopted
        )
    return tuple(history.values())
