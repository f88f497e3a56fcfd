"""The sizes of the tables that are there, and so the hazards of what is pending."""

from __future__ import annotations

import asyncio

from attrs import evolve

from kimbledb.model.names import quote_literal
from kimbledb.model.plan import Plan
from kimbledb.planning import hazards
from kimbledb.server import queries
from kimbledb.server.session import Session


async def with_hazards(session: Session, plan: Plan, schema: str, *, online: bool) -> Plan:
    """Return a plan whose pending steps say their hazards, and whether online.sql runs first. Asks one question.

    Args:
        session: In which it is asked.
        plan: Of this schema.
        schema: The target schema.
        online: Whether online.sql can be run.
    """
    found = await session.ask(queries.question("table_sizes", schema=quote_literal(schema)))
    tables = hazards.Tables(schema, found["tables"], found["indexes"])
    # Long scripts are not read in the event loop.
    pending = [step.migration for step in plan.pending]
    told = await asyncio.to_thread(
        lambda: {each.name: hazards.by_strategy(each, tables, online=online) for each in pending}
    )
    return evolve(
        plan,
        steps=tuple(
            evolve(step, hazards=told[step.name][0], online=told[step.name][1]) if step.to_apply else step
            for step in plan.steps
        ),
    )
