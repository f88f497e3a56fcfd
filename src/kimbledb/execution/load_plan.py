"""The one way from a database to a plan: history, evidence, other tools' histories, hazards.

Each step asks the database one question, and only where the answer can change the plan. ``load_plan`` takes all
steps, for operations that report. Operations that write take them one by one, and refuse a plan between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from kimbledb.errors import AlternativesError
from kimbledb.inspection import history
from kimbledb.model.evidence import Evidence
from kimbledb.model.origin import Place
from kimbledb.model.plan import Plan
from kimbledb.model.state import DatabaseState
from kimbledb.planning.planner import Goal
from kimbledb.server.runner import Runner, meanwhile
from kimbledb.server.session import Session

if TYPE_CHECKING:
    from kimbledb.inspection.foreign_histories import ForeignHistory
    from kimbledb.planning.hazards import Tables


@frozen(eq=False, kw_only=True)
class LoadedPlan:
    """A plan, and the answers of the database from which it was made."""

    state: DatabaseState
    #: The findings about the schema's objects; none where the schema was not examined.
    evidence: Evidence
    plan: Plan
    #: Whether no further evidence can change the plan.
    is_final: bool
    #: The histories of other tools, where kimbledb has none.
    foreign: tuple[ForeignHistory, ...] = ()
    #: The tables of the schema with their sizes, or None where they were not asked for.
    tables: Tables | None = None


async def load_plan(runner: Runner, session: Session, goal: Goal) -> LoadedPlan:
    """Read all that a plan shows from a database. Nothing is written.

    Args:
        runner: The runner of the call, which reports the current activity.
        session: The session in which the questions are asked.
        goal: Which migrations the call wants, in which schema.

    Raises:
        PlanningError: No plan can be made.
        HistoryError: ``migration_history`` has a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    return await to_its_end(runner, session, goal, await from_history(runner, session, goal))


async def to_its_end(runner: Runner, session: Session, goal: Goal, loaded: LoadedPlan) -> LoadedPlan:
    """Read what a plan by history does not show yet.

    Args:
        runner: The runner of the call, which reports the current activity.
        session: The session in which the questions are asked.
        goal: Which migrations the call wants, in which schema.
        loaded: The plan by history.

    Raises:
        PlanningError: No plan can be made.
    """
    if loaded.is_final:
        return loaded
    return await with_hazards(runner, session, goal, await with_evidence(runner, session, goal, loaded))


async def from_history(runner: Runner, session: Session, goal: Goal, known: Evidence | None = None) -> LoadedPlan:
    """Read history in one round trip, and plan by it.

    Where history does not decide between alternatives, the schema may do so: the plan then shows the
    state of each migration, and is not final.

    Args:
        runner: The runner of the call, which reports the current activity.
        session: The session in which the questions are asked.
        goal: Which migrations the call wants, in which schema.
        known: The findings of an earlier look at the schema; None without one.

    Raises:
        PlanningError: No plan can be made.
        HistoryError: ``migration_history`` has a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    return by_history(runner, goal, await look(runner, session, goal), known)


async def look(runner: Runner, session: Session, goal: Goal) -> DatabaseState:
    """Read the state of a database with its history, in one round trip.

    Args:
        runner: The runner of the call, which reports the current activity.
        session: The session in which the question is asked.
        goal: Which migrations the call wants, in which schema.

    Raises:
        HistoryError: ``migration_history`` has a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    runner.doing = "reading the history"
    state, _ = await meanwhile(history.look(session, goal.schema), goal.catalog.begin)
    goal.catalog.expect(state.history or ())
    return state


def by_history(runner: Runner, goal: Goal, state: DatabaseState, known: Evidence | None = None) -> LoadedPlan:
    """Plan by history. Arguments, result and errors are those of ``from_history()``; ``state`` holds the history."""
    shown = known or Evidence(hosted=state.hosted)
    place = _place_of(runner, state)
    try:
        plan = evolve(goal.plan(state.history, shown), place=place)
    except AlternativesError:
        if shown.gathered:
            raise
        plan = evolve(evolve(goal, deciding=False).plan(state.history, shown), place=place)
        return LoadedPlan(state=state, evidence=shown, plan=plan, is_final=False)
    return LoadedPlan(state=state, evidence=shown, plan=plan, is_final=shown.gathered or plan.is_decided)


def _place_of(runner: Runner, state: DatabaseState) -> Place:
    return Place(state.system, state.database, state.database_oid, state.occupied, runner.target.label)


async def with_evidence(
    runner: Runner, session: Session, goal: Goal, loaded: LoadedPlan, *, foreseeing: bool = True
) -> LoadedPlan:
    """Examine the schema, and other tools' histories where kimbledb has none, and plan by both.

    Args:
        runner: The runner of the call, which reports the current activity.
        session: The session in which the questions are asked.
        goal: Which migrations the call wants, in which schema.
        loaded: The plan by history.
        foreseeing: Whether to find out what completes the pending steps.

    Raises:
        PlanningError: No plan can be made.
    """
    from kimbledb.inspection import gathering  # most of an import; history alone may decide

    runner.doing = "looking at the schema"
    state = loaded.state
    looked = await gathering.look(session, goal.planner, state, goal.schema)
    shown = gathering.weighed(goal.planner, state, looked)
    loaded = await by_evidence(session, goal, loaded, shown)
    if looked is None or not loaded.plan.pending or not foreseeing:
        return loaded
    from kimbledb.inspection import completions  # an empty schema holds nothing to complete

    large: frozenset[str] = frozenset()
    online = runner.can_open_second_session(session, state.process_id)
    if state.occupied:
        from kimbledb.inspection import sizes

        tables = await sizes.ask(session, goal.schema)
        loaded = evolve(loaded, tables=tables)
        if online:
            large = sizes.large(tables, session.options.large_table)
    plan = await completions.foresee(
        session,
        goal.planner,
        loaded.plan,
        shown,
        looked,
        state,
        goal.schema,
        online=online,
        aside=goal.set_aside,
        large=large,
    )
    return evolve(loaded, plan=plan)


async def by_evidence(session: Session, goal: Goal, loaded: LoadedPlan, shown: Evidence) -> LoadedPlan:
    """Plan by evidence, and by other tools' histories where kimbledb has none.

    Args:
        session: The session in which other tools' histories are looked for.
        goal: Which migrations the call wants, in which schema.
        loaded: The plan by history.
        shown: The evidence.

    Raises:
        PlanningError: No plan can be made.
    """
    from kimbledb.inspection import foreign_histories  # as above

    state = loaded.state
    plan = evolve(goal.plan(state.history, shown), place=loaded.plan.place)
    plan, foreign = await foreign_histories.with_histories(session, plan, shown, state, goal.schema, goal.catalog)
    return LoadedPlan(state=state, evidence=shown, plan=plan, is_final=True, foreign=foreign)


async def with_hazards(runner: Runner, session: Session, goal: Goal, loaded: LoadedPlan) -> LoadedPlan:
    """Add the hazards of pending steps for tables that hold rows, and decide which steps take the online strategy.

    Args:
        runner: The runner of the call, which knows whether a second session can be opened.
        session: The session in which the question is asked.
        goal: Which migrations the call wants, in which schema.
        loaded: The plan by evidence.
    """
    if not loaded.plan.pending or not loaded.state.occupied:
        return loaded
    from kimbledb.inspection import sizes  # 8 ms for the hazard rules, which a database without rows does not need

    online = runner.can_open_second_session(session, loaded.state.process_id)
    tables = loaded.tables or await sizes.ask(session, goal.schema)
    plan = await sizes.with_hazards(loaded.plan, tables, online=online, hosted=loaded.state.hosted)
    return evolve(loaded, plan=plan)
