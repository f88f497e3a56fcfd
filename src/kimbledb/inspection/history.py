"""What a database says of itself and of its migrations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kimbledb.errors import HistoryError
from kimbledb.model.migration import AppliedMigration
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.retry import decided
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session

if TYPE_CHECKING:
    from kimbledb.model.state import DatabaseState


@frozen
class Glance:
    """What is enough to see that there is nothing to do."""

    #: As in :class:`kimbledb.model.state.DatabaseState`.
    hosted: bool
    history: tuple[AppliedMigration, ...]
    #: As in :class:`kimbledb.model.state.DatabaseState`.
    history_owner: str | None


async def look(session: Session, schema: str) -> DatabaseState:
    """Ask what there is: one round trip, no lock, on a standby too.

    Raises:
        HistoryError: ``migration_history`` is there in a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    from kimbledb.model.state import DatabaseState
    from kimbledb.server.locks import lock_condition  # a start with nothing to do takes a glance, and no more

    literal = quote_literal(schema)
    shape = queries.filled("history_shape", schema=literal)
    with decided():
        answer: dict[str, Any] = await session.ask(
            queries.block("look", schema=literal, shape=shape, at_work=lock_condition(schema), trusted=trusted())
        )
    rows = answer.get("history")
    return DatabaseState(
        server_version=answer["version"],
        version_number=answer["version_number"],
        encoding=answer["encoding"],
        standby=answer["standby"],
        read_only=answer["read_only"],
        database=answer["database"],
        busy=answer["busy"],
        process_id=answer["process_id"],
        role=answer["role"],
        superuser=answer["superuser"],
        hosted=answer["hosted"],
        schema_exists=answer["schema_exists"],
        occupied=answer["occupied"],
        extension_home=answer["extension_home"],
        extensions={name: (version, home) for name, (version, home) in answer["extensions"].items()},
        history=None if rows is None else _history(rows),
        log_position=answer.get("head"),
        looked=answer.get("looked", False),
        history_owner=answer.get("owner"),
        stranger=answer.get("stranger"),
    )


async def log_position(session: Session) -> str | None:
    """Ask how far the write-ahead log is, where the role may know."""
    answers = await session.send(
        "BEGIN READ ONLY;\n" + session.settings() + queries.block("log_position") + "COMMIT;\n"
    )
    return str(answers[0].value) if answers else None


async def glance(session: Session, schema: str) -> Glance | None:
    """Read history in one round trip and one statement, or None where it takes a closer look.

    That is where there is no such table, one of another shape, one that policies hide or
    one of somebody whom we do not trust.
    """
    quoted = quote_identifier(schema)
    rows = queries.filled("glance_rows", schema=quoted)
    table = quote_literal(f"{quoted}.migration_history")
    answer = await session.read(queries.filled("glance", rows=quote_literal(rows), table=table))
    if answer is None:
        return None
    text = answer["history"].partition("<h>")[2].rpartition("</h>")[0]
    for escaped, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escaped, character)
    return Glance(answer["hosted"], _history(json.loads(text)), answer["owner"])


async def was_written(session: Session, schema: str, run: str, event: str, name: str | None) -> bool:
    """Ask whether a run wrote an event to the log: not a rival that did the same.

    Args:
        session: Where to ask.
        schema: The target schema.
        run: The name of the run.
        event: The name of the event.
        name: The name of the migration, or None for an event of any migration or of none.
    """
    block = queries.question(
        "written_by",
        schema=quote_identifier(schema),
        event=quote_literal(event),
        name="NULL" if name is None else quote_literal(name),
        run=quote_literal(run),
    )
    return bool(await session.ask(block))


async def made_by_migrations(session: Session, schema: str) -> tuple[frozenset[str], frozenset[str]]:
    """Ask the log what migrations made on tables that were there: constraints, indexes, statistics.

    Returns:
        These, as ``kind name``; and the names of the migrations of which that is known.
    """
    found = await session.ask(queries.question("made_before", schema=quote_identifier(schema)))
    return frozenset(found["made"]), frozenset(found["migrations"])


def _history(rows: list[list[Any]]) -> tuple[AppliedMigration, ...]:
    # Of several rows of one name, which only another hand could write, the last one counts.
    return tuple({row.name: row for row in map(_row, rows)}.values())


def _row(row: list[Any]) -> AppliedMigration:
    name, success, checksum, applied_at, version, adopted, error = row
    if not isinstance(name, str) or not name:
        raise HistoryError(
            "migration_history holds a row without a migration_name",
            hint="look at it: SELECT * FROM migration_history WHERE migration_name IS NULL",
        )
    return AppliedMigration(
        name, success, checksum, applied_at, version, bool(adopted), error, legacy=version is None and not adopted
    )
