"""Wait: return when the schema is current, for an application that may only read history. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.events import Done, Watcher
from kimbledb.execution.awaited import Awaited
from kimbledb.execution.run import Request
from kimbledb.model.clock import stopwatch
from kimbledb.model.operator_reports import Status
from kimbledb.planning.planner import Goal, Planner
from kimbledb.server.notifications import call_scope, notify
from kimbledb.server.options import Options
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session
from kimbledb.server.targets import TargetLike

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database",)
EXAMPLE = "kimbledb wait --deadline 120"


async def wait(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> Status:
    """Return when the schema is current: when history shows every migration of the catalog as applied.

    For an application whose role may not migrate: another run does. SELECT on ``migration_history`` is enough, on a
    standby too. While it waits, it holds no connection; a server that cannot be reached yet is waited for as well.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        progress: Called with each ``Event``. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The state of the database, without the log, the use of tables and the load.

    Raises:
        MigrationError: A run recorded a failure after the wait began; an earlier one may be of another run.
        DeadlineExceededError: The options' deadline passed; it says what is pending.
        ConfigurationError: The target or an option cannot be used.
        PlanningError: A file was edited or renamed after it was applied, so that no run would help.
        HistoryError: The history is another application's, or has a shape that cannot be read.
        PreflightError: The role may not read history.
    """
    with call_scope("wait", progress) as call:
        request = Request(target, catalog=catalog, schema=schema, options=options, progress=progress)
        call.about(request.target.label, request.schema)
        return await _until_current(request)


async def _until_current(request: Request) -> Status:
    clock = stopwatch()
    runner = Runner(request.target, request.options, request.progress, patient=True)
    awaited = Awaited(runner, Goal(planner=Planner(request.catalog), schema=request.schema))

    async def work(session: Session) -> Status:
        loaded = await awaited.look(session)
        state = loaded.state
        return Status(
            database=state.database,
            schema=request.schema,
            server_version=state.server_version,
            hosted=state.hosted,
            plan=loaded.plan,
            history=state.history,
            extensions=state.extensions,
        )

    found = await runner.run(work)
    notify(request.progress, Done(clock(), found))
    return found


def add_arguments(parser: ArgumentParser) -> None:
    """Add no arguments: the command has only those that it shares."""


async def command(invocation: Invocation) -> int:
    """Wait until another run has brought the schema up to date.

    Only reads. The exit code is 1 if that run fails, or if the deadline passes.
    """
    async with invocation.target() as target:
        found = await wait(
            target,
            catalog=invocation.catalog,
            schema=invocation.schema,
            progress=invocation.watcher,
            options=invocation.options,
        )
    invocation.show(found)
    return 0
