"""The sizes of the existing tables, and with these the hazards of the pending migrations."""

from __future__ import annotations

import asyncio

from attrs import evolve

from kimbledb.model.names import quote_literal
from kimbledb.model.plan import Plan
from kimbledb.planning import hazards
from kimbledb.server import queries
from kimbledb.server.session import Session


async def with_hazards(session: Session, plan: Plan, schema: str, *, online: bool, hosted: bool) -> Plan:
    """Return a plan whose pending steps have their hazards, and whether online.sql runs first. Asks one question.

    Args:
        session: The session.
        plan: The plan for this schema.
        schema: The target schema.
        online: Whether online.sql can be run.
        hosted: Whether the database has the roles of a hosted platform.
    """
    found = await session.ask(queries.question("table_sizes", schema=quote_literal(schema)))
    tables = hazards.Tables(schema, found["tables"], found["indexes"])
    # In a thread: long scripts would block the event loop.
    found_hazards = await asyncio.to_thread(
        lambda: {
            step.name: hazards.by_strategy(
                step.migration,
                tables,
                online=online,
                begun=step.online,
                hosted=hosted,
                completion=step.completion,
            )
            for step in plan.pending
        }
    )
    return evolve(
        plan,
        steps=tuple(
            evolve(step, hazards=found_hazards[step.name][0], online=found_hazards[step.name][1])
            if step.to_apply
            else step
            for step in plan.steps
        ),
    )
