"""Status: report the state of a database: server, history, plan, tables, load and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.execution import load_plan
from kimbledb.execution.run import Request
from kimbledb.model.forecast import Forecast, PastForecasts
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.operator_reports import Load, Status, TableUse
from kimbledb.planning.planner import Goal, Planner
from kimbledb.server import queries
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.runner import Runner, meanwhile
from kimbledb.server.session import Session
from kimbledb.server.targets import TargetLike

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database",)
EXAMPLE = "kimbledb status --json"


async def status(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    options: Options | None = None,
) -> Status:
    """Report the state of a database: server, extensions, history, plan, tables, load and the latest events.

    Only reads, on a standby too.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Raises:
        ConfigurationError: The target cannot be used.
    """
    with call_scope("status") as call:
        request = Request(target, catalog=catalog, schema=schema, options=options)
        call.about(request.target.label, request.schema)
        return call.done(await _look(request))


async def _look(request: Request) -> Status:
    name = request.schema
    goal = Goal(planner=Planner(request.catalog), schema=name, deciding=False)
    runner = Runner(request.target, request.options)

    async def work(session: Session) -> Status:
        state = await load_plan.look(runner, session, goal)
        runner.doing = "reading the state of the database"
        questions = [queries.question("usage", schema=quote_literal(name))]
        if state.log_position is not None:
            schema_name = quote_identifier(name)
            questions += (queries.question(each, schema=schema_name) for each in ("latest_events", "past_forecasts"))
        (usage, *of_log), loaded = await meanwhile(
            session.ask_all(questions), lambda: load_plan.by_history(runner, goal, state)
        )
        log, forecasts = of_log or ((), ())
        loaded = await load_plan.to_its_end(runner, session, goal, loaded)
        return Status(
            database=state.database,
            schema=name,
            server_version=state.server_version,
            hosted=state.hosted,
            plan=loaded.plan,
            history=state.history,
            extensions=state.extensions,
            log=tuple(log),
            tables=tuple(
                TableUse(name, rows, size, whole, by_index, tuple(unused))
                for name, rows, size, whole, by_index, unused in usage["tables"]
            ),
            load=Load(*usage["load"]),
            forecasts=PastForecasts.of((Forecast(low, high), taken / 1000) for low, high, taken in forecasts),
        )

    return await runner.run(work)


def add_arguments(parser: ArgumentParser) -> None:
    """Add no arguments: the command has only those that it shares."""


async def command(invocation: Invocation) -> int:
    """Show the state of the database."""
    async with invocation.target() as target:
        found = await status(target, catalog=invocation.catalog, schema=invocation.schema, options=invocation.options)
    invocation.show(found)
    return 0
