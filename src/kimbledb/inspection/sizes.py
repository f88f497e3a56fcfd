"""The sizes of the existing tables, and with these the hazards of the pending migrations."""

from __future__ import annotations

import asyncio
import sys

from attrs import evolve

from kimbledb.model.basis import digest
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import quoted
from kimbledb.model.origin import TableState
from kimbledb.model.plan import Plan
from kimbledb.planning import hazards
from kimbledb.planning.hazards import Tables
from kimbledb.server import queries
from kimbledb.server.session import Session


async def ask(session: Session, schema: str) -> Tables:
    """Return the tables of a schema with their sizes. Asks one question.

    Args:
        session: The session.
        schema: The target schema.
    """
    found = await session.ask(queries.question("table_sizes", schema=quote_literal(schema)))
    return Tables(schema, found["tables"], found["indexes"])


def large(tables: Tables, least: int) -> frozenset[str]:
    """Return the names of the large tables, as snapshots have them.

    Args:
        tables: The tables with their sizes.
        least: The bytes from which a table is large, as ``Options.large_table``.
    """
    return frozenset(quoted(name) for name, facts in tables.tables.items() if facts["own_bytes"] >= least)


def states(tables: Tables) -> dict[str, TableState]:
    """Return the states of the tables that a plan keeps, by their names.

    Args:
        tables: The tables with their sizes.
    """
    return {
        name: TableState(
            None if facts["busy"] else facts["filled"],
            sys.intern(digest([facts["columns"], sorted(facts["constraints"])])),
        )
        for name, facts in tables.tables.items()
    }


async def with_hazards(plan: Plan, tables: Tables, *, online: bool, hosted: bool) -> Plan:
    """Return a plan whose pending steps have their hazards, and whether online.sql runs first.

    Args:
        plan: The plan for this schema.
        tables: The tables of the schema with their sizes.
        online: Whether online.sql can be run.
        hosted: Whether the database has the roles of a hosted platform.
    """
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
        tables=states(tables),
        steps=tuple(
            evolve(step, hazards=found_hazards[step.name][0], online=found_hazards[step.name][1])
            if step.to_apply
            else step
            for step in plan.steps
        ),
    )
