"""A rehearsal from its begin to its end: a look at the target, the clone, and the report."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from kimbledb.errors import PreflightError, RehearsalError
from kimbledb.execution import bootstrap
from kimbledb.execution.load_plan import load_plan
from kimbledb.execution.messages import Messages
from kimbledb.execution.rehearsing import clone, contents, dump, failing, pace, query_sources, source
from kimbledb.execution.rehearsing import sample as sample_rows
from kimbledb.execution.rehearsing.clone import Clone
from kimbledb.execution.rehearsing.contents import Contents
from kimbledb.execution.rehearsing.old_queries import OldQueries
from kimbledb.execution.rehearsing.query_sources import Sources
from kimbledb.execution.rehearsing.sample import Sample
from kimbledb.execution.rehearsing.scripts import HISTORY, Rehearser
from kimbledb.execution.rehearsing.source import Source
from kimbledb.execution.run import Request
from kimbledb.inspection import history
from kimbledb.inspection.proof import Site
from kimbledb.model.clock import stopwatch
from kimbledb.model.completion import undecided
from kimbledb.model.forecast import Forecast, total
from kimbledb.model.migration import schemas_reached
from kimbledb.model.plan import Plan
from kimbledb.model.redaction import masked
from kimbledb.model.rehearsal import Rehearsal, RehearsedStatement, RehearsedTable
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import StepState
from kimbledb.model.text import few, one_line
from kimbledb.planning import forecasts
from kimbledb.planning.forecasts import Pace
from kimbledb.planning.planner import Goal
from kimbledb.server.codes import QUERY_CANCELLED
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session

_TOO_SLOW = "to read a few pages takes longer than Options.statement_timeout"
_ELSEWHERE = "name a server that has it: server=..."


@frozen(eq=False)
class _Original:
    """The target as read for the rehearsal."""

    state: DatabaseState
    plan: Plan
    source: Source
    contents: Contents
    sample: Sample
    schema: str
    queries: Sources


async def rehearse(
    request: Request,
    goal: Goal,
    *,
    server: str | None = None,
    sample: int | None = None,
    queries: Sources,
) -> Rehearsal:
    """Rehearse a plan.

    Args:
        request: The target, the catalog, and the limits.
        goal: Which migrations are wanted.
        server: The DSN of a server for the clone; None for an embedded one.
        sample: How many rows of each table the clone gets; None for none.
        queries: The queries of the application.

    Raises:
        KimbleDBError: As ``kimbledb.rehearse()`` raises it.
    """
    clock = stopwatch()
    runner = Runner(request.target, request.options)
    original = await runner.run(lambda session: _read(runner, session, request, goal, sample, queries))
    plan = original.plan
    if not plan.pending:
        version = original.state.server_version
        return Rehearsal(
            plan=plan, statements=(), server=version, target_server=version, notes=plan.notes, seconds=clock()
        )
    try:
        async with clone.cloned(original.source, original.state, original.schema, server, request.options) as made:
            cloned = Runner(made.target, request.options)
            cloned.doing = "rehearsing on the clone"
            rehearser, tried = await cloned.run(lambda session: _rehearse(session, request, goal, original, made))
    except ServerError as error:
        raise RehearsalError(f"the server of the clone refuses: {first_line(error)}") from error
    path = original.state.search_path(goal.schema, request.catalog.extensions)
    reached = schemas_reached(request.catalog)
    if rehearser.asked:
        runner = Runner(request.target, request.options)
        runner.doing = "looking at the rows"
        rehearser.found = await runner.run(
            lambda session: failing.asked(session, rehearser.found, rehearser.asked, path, reached)
        )
    unmeasured = await _forecast(request, rehearser, original.source)
    return Rehearsal(
        plan=_with_forecasts(plan, rehearser.found),
        statements=tuple(rehearser.found),
        breaks=tuple(evolve(each, place=original.queries.places.get(each.query)) for each in tried.breaks),
        queries=tried.count,
        tables=_tables(rehearser, original.source),
        migrations=len(plan.pending),
        server=made.server,
        target_server=original.state.server_version,
        sampled=original.sample.count,
        notes=(*_notes(original, made, rehearser, tried), *unmeasured),
        seconds=clock(),
    )


async def _read(
    runner: Runner, session: Session, request: Request, goal: Goal, number: int | None, queries: Sources
) -> _Original:
    """Read the plan, and what a clone needs, from the target."""
    loaded = await load_plan(runner, session, goal)
    reached = schemas_reached(request.catalog)
    runner.doing = "reading the schema"
    found = await source.look(session, loaded.plan, goal.schema, reached)
    kept = await contents.read(session, loaded.state, goal.schema, found.needed)
    queries = await query_sources.with_recorded(session, queries)
    text, rows = "", Sample()
    if loaded.plan.pending:
        if number is not None:
            runner.doing = "reading a sample of rows"
            rows = await sample_rows.read(session, found.needed, reached, number)
        text = await dump.schema_of(session, loaded.state, request.target, request.options, found.left_out)
    return _Original(loaded.state, loaded.plan, found, kept, rows, text, queries)


async def _rehearse(
    session: Session, request: Request, goal: Goal, original: _Original, made: Clone
) -> tuple[Rehearser, OldQueries]:
    """Run the plan on the clone."""
    await sample_rows.give(session, original.sample)
    await contents.give(session, original.contents, goal.schema)
    if made.as_role:
        await session.send(made.as_role)
    state = await history.look(session, goal.schema)
    migrations = [step.migration for step in original.plan.pending]
    try:
        state = await bootstrap.prepare(session, state, goal.schema, migrations, schemas_reached(request.catalog))
    except PreflightError as error:
        hint = _ELSEWHERE if made.is_own else None
        raise RehearsalError(f"the clone is not ready for the migrations: {error.message}", hint=hint) from error
    site = Site.of(state, goal.schema, request.catalog)
    rehearser = Rehearser(
        session,
        Messages(session, site),
        hosted=original.state.hosted,
        schema=goal.schema,
        sampled=original.sample.count > 0,
        holds_rows=any(
            each.is_filled and each.bytes is not None and name not in HISTORY
            for (_, name), each in original.source.tables.items()
        ),
        filled=frozenset(
            name
            for (home, name), each in original.source.tables.items()
            if home == goal.schema and each.is_filled and name not in HISTORY
        ),
    )
    await rehearser.begin()
    async with made.target.session(request.options) as second:
        if made.as_role:
            await second.send(made.as_role)
        tried = OldQueries(second, site.path, goal.schema, original.source.needed, sampled=original.sample.count > 0)
        await tried.begin(original.queries.texts)
        for step in original.plan.pending:
            if not rehearser.stopped:
                await rehearser.run(step)
            if not rehearser.stopped:
                await tried.after(step.name)
    return rehearser, tried


async def _forecast(request: Request, rehearser: Rehearser, found: Source) -> Sequence[str]:
    """Give each statement its forecast. Returns why there is none, or why one has no bounds."""
    tables = {each.table for effort in rehearser.efforts.values() for each in effort.works}
    filled = [each for each in tables if (table := found.tables.get(each)) is not None and table.is_filled]
    measured = Pace(0.0, {})
    if filled:
        runner = Runner(request.target, request.options)
        runner.doing = "measuring the server"
        try:
            measured = await runner.run(lambda session: pace.measure(session, filled, schemas_reached(request.catalog)))
        except ServerError as error:
            if error.sqlstate != QUERY_CANCELLED:
                raise
            return [f"no forecast of seconds: {_TOO_SLOW}"]
    for number, effort in rehearser.efforts.items():
        rehearser.found[number] = evolve(rehearser.found[number], forecast=forecasts.forecast(measured, effort))
    unread = {key: size.unread for key, size in measured.sizes.items() if size.unread is not None}
    return [f"no forecast for {name}: {why}" for (_, name), why in unread.items()]


def _with_forecasts(plan: Plan, found: Sequence[RehearsedStatement]) -> Plan:
    """Return a plan whose steps have the forecasts of their statements."""
    of_step: dict[str, list[Forecast | None]] = {}
    for each in found:
        of_step.setdefault(each.migration, []).append(each.forecast)
    known = {name: total(forecasts) for name, forecasts in of_step.items()}
    steps = (
        evolve(step, forecast=known[step.name]) if step.name in known and known[step.name].is_known else step
        for step in plan.steps
    )
    return evolve(plan, steps=tuple(steps))


def _tables(rehearser: Rehearser, found: Source) -> dict[str, RehearsedTable]:
    """Return the tables that statements touch, with their sizes in the target."""
    there = {name: found.tables.get(was) for name, was in rehearser.touched.items()}
    return {name: evolve(each, name=name) for name, each in there.items() if each is not None}


def _notes(original: _Original, made: Clone, rehearser: Rehearser, tried: OldQueries) -> Sequence[str]:
    notes = [*original.plan.notes, *made.notes]
    if original.source.unreadable:
        notes.append(f"the clone lacks schemas that the role may not read: {few(original.source.unreadable)}")
    for step in original.plan.pending:
        if step.completion is not None:
            notes += [f"{step.name}: {line}" for line in undecided(step.completion.undecided)]
    if original.sample.count:
        notes.append(f"the clone held {original.sample.count} rows of the target")
    notes += original.queries.notes
    if tried.untried:
        notes.append(f"queries are not tried as {few(sorted(tried.untried))}, since the server's role is no superuser")
    if tried.unfit:
        first = one_line(" ".join(masked(tried.unfit[0]).split()))
        notes.append(f"{len(tried.unfit)} of {tried.count} queries do not work before the plan, such as {first}")
    if places := [each for each in map(original.queries.places.get, tried.unfit) if each is not None]:
        notes.append(
            f"these literals of programs are not tried, since they do not work before the plan: {few(places, 20)}"
        )
    if original.sample.unread:
        notes.append(f"no rows, since the role may not read them: {few(original.sample.unread)}")
    conflicts = [step for step in original.plan.pending if step.state is StepState.CONFLICTING]
    notes += [f"a run refuses the plan: {step}" for step in conflicts]
    rehearsed = {each.migration for each in rehearser.found}
    if rehearser.stopped and (left := [step.name for step in original.plan.pending if step.name not in rehearsed]):
        notes.append(f"not rehearsed, since a run stops before: {', '.join(left)}")
    return notes
