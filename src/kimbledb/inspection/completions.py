"""Foresees completions: for each pending migration of which a part is there, what will be written to bring the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence

from attrs import evolve

from kimbledb.errors import PreflightError
from kimbledb.inspection import rows, snapshot
from kimbledb.model.evidence import Evidence
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.plan import Plan, Step, StepState
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import few
from kimbledb.planning.completion import Rows, Unfinished, is_begun, with_declared
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.planner import Planner
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import ServerError
from kimbledb.server.search_path import guard_of
from kimbledb.server.session import Session


async def foresee(
    session: Session,
    planner: Planner,
    plan: Plan,
    shown: Evidence,
    forms: Forms,
    state: DatabaseState,
    schema: str,
    *,
    online: bool = False,
) -> Plan:
    """Return a plan whose steps have their completions; a step whose rest cannot be written is in conflict.

    Asks nothing where no part of a pending migration is there. A step whose online.sql was interrupted has no completion:
    online.sql continues, and the rest of the migration runs after it.

    Args:
        session: The session.
        planner: The planner, which has the migrations and their order.
        plan: The plan by evidence.
        shown: The evidence.
        forms: The forms that history records.
        state: The state of the database.
        schema: The target schema.
        online: Whether online.sql can be run.
    """
    begun = [step for step in plan.pending if is_begun(step.migration, shown)]
    if not begun:
        return plan
    continued: frozenset[str] = frozenset()
    if online and state.log_position is not None:
        continued = await _under_way(session, (step.migration for step in begun if step.migration.online_sql), schema)
    reaches = [name for migration in planner.catalog for name in migration.reaches]
    path = state.search_path(schema, planner.catalog.extensions)
    found = await snapshot.take(session, schema, path, reached=reaches, sources=True, needs=True)
    completed: dict[str, Step] = {}
    migrations: list[Migration] = []
    later_rows = LaterRows.of(found)
    for step in plan.steps:
        if step.is_applied:
            migrations.append(step.migration)
        elif step.to_apply:
            migrations.append(step.migration)
            if step not in begun or step.name in continued:
                if step.name in continued:
                    completed[step.name] = evolve(step, online=True)
                found = with_declared(found, step.migration, hosted=shown.hosted)
                continue
            unfinished = Unfinished(
                migration=step.migration,
                migrations=tuple(migrations),
                found=found,
                forms=forms,
                hosted=shown.hosted,
                begun=shown.findings[step.name].begun,
                rows_before=later_rows,
            )
            allowed, unread = await _allowed(
                session, rows.question(schema, path, unfinished), path, schemas_reached(planner.catalog)
            )
            # In a thread: a large schema would block the event loop.
            completion = evolve(await asyncio.to_thread(unfinished.complete, allowed), unread=unread)
            found, later_rows = completion.after, unfinished.rows_after
            if completion.runs_script:
                found = with_declared(found, step.migration, hosted=shown.hosted)
            later = evolve(step, completion=completion)
            if completion.conflicts:
                later = evolve(
                    later, state=StepState.CONFLICTING, reason=f"not in history; {few(completion.conflicts)}"
                )
            completed[step.name] = later
    return evolve(plan, steps=tuple(completed.get(step.name, step) for step in plan.steps))


async def _allowed(
    session: Session, question: str | None, path: Sequence[str], reached: Sequence[str]
) -> tuple[Rows, str | None]:
    """Ask what the rows allow, and return it, or the reason why they were not looked at.

    To plan a query of a table can call what hangs on the table: where strangers own such objects none is read.
    """
    if question is None:
        return Rows(), None
    try:
        return rows.rows_of(await session.ask(f"DO {quote_literal(guard_of(path, reached))};\n{question}")), None
    except PreflightError:
        return Rows(), "strangers own objects in the schema, which a query could call"
    except ServerError as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        return Rows(), "this role may not read the tables"


async def _under_way(session: Session, migrations: Iterable[Migration], schema: str) -> frozenset[str]:
    """Return the names of the migrations whose online.sql was interrupted. Asks nothing where there are none."""
    wanted = [{"name": each.name, "checksum": each.checksum} for each in migrations]
    if not wanted:
        return frozenset()
    question = queries.question(
        "online_under_way", migrations=quote_literal(json.dumps(wanted)), schema=quote_identifier(schema)
    )
    return frozenset(await session.ask(question))
