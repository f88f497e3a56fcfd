"""How a database stands: everything that a person asks who looks at it."""

from __future__ import annotations

from kimbledb.execution.load_plan import load_plan
from kimbledb.execution.run import Request
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.operator_reports import Load, Status, TableUse
from kimbledb.planning.planner import Goal, Planner
from kimbledb.server import queries
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session


async def look(request: Request) -> Status:
    """Ask a database how it stands. See :func:`kimbledb.status`."""
    name = request.schema
    goal = Goal(planner=Planner(request.catalog), schema=name, deciding=False)
    runner = Runner(request.target, request.options)

    async def work(session: Session) -> Status:
        loaded = await load_plan(runner, session, goal)
        runner.doing = "looking how the database stands"
        state = loaded.state
        log = ()
        if state.head is not None:
            entries = await session.ask(queries.question("latest_events", schema=quote_identifier(name)))
            log = tuple(entries)
        usage = await session.ask(queries.question("usage", schema=quote_literal(name)))
        return Status(
            database=state.database,
            schema=name,
            server_version=state.server_version,
            hosted=state.hosted,
            plan=loaded.plan,
            history=state.history,
            extensions=state.extensions,
            log=log,
            tables=tuple(
                TableUse(name, rows, size, whole, by_index, tuple(unused))
                for name, rows, size, whole, by_index, unused in usage["tables"]
            ),
            load=Load(*usage["load"]),
        )

    return await runner.run(work)
