"""The one way from a database to a plan: history, evidence, other tools' histories, hazards.

Each step asks the database one question, and only where the answer can change the plan.
"""

from __future__ import annotations

from attrs import evolve, frozen

from kimbledb.errors import AlternativesError
from kimbledb.inspection import foreign_histories, gathering, history
from kimbledb.model.migration import Evidence
from kimbledb.model.plan import Plan, StepState
from kimbledb.model.state import DatabaseState
from kimbledb.planning.planner import Goal
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session


@frozen(eq=False, kw_only=True)
class LoadedPlan:
    """A plan, and what it rests on."""

    state: DatabaseState
    #: Without findings where nobody has looked at the schema.
    evidence: Evidence
    plan: Plan
    #: Whether evidence can change nothing in the plan.
    is_final: bool


async def load_plan(runner: Runner, session: Session, goal: Goal) -> LoadedPlan:
    """Read from a database all that a plan shows. Nothing is written.

    Args:
        runner: Of the call, to say what it is doing.
        session: In which the questions are asked.
        goal: What the call wants.

    Raises:
        PlanningError: No plan can be made.
        HistoryError: ``migration_history`` is there in a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    loaded = await from_history(runner, session, goal)
    if loaded.is_final:
        return loaded
    return await with_hazards(runner, session, goal, await with_evidence(runner, session, goal, loaded))


async def from_history(runner: Runner, session: Session, goal: Goal, known: Evidence | None = None) -> LoadedPlan:
    """Read history, in one round trip, and plan by it.

    Where history does not decide between alternatives, the schema may still: the plan then
    shows how each migration stands, and is not final.

    Args:
        runner: Of the call, to say what it is doing.
        session: In which the questions are asked.
        goal: What the call wants.
        known: What an earlier look at the schema showed.

    Raises:
        PlanningError: No plan can be made.
        HistoryError: ``migration_history`` is there in a shape that cannot be read.
        PreflightError: The role may not read it.
    """
    runner.doing = "reading the history"
    state = await history.look(session, goal.schema)
    shown = known or Evidence(hosted=state.hosted)
    try:
        plan = goal.plan(state.history, shown)
    except AlternativesError:
        if shown.gathered:
            raise
        plan = evolve(goal, deciding=False).plan(state.history, shown)
        return LoadedPlan(state=state, evidence=shown, plan=plan, is_final=False)
    undecided = plan.pending or plan.count(StepState.UNDECIDED)
    return LoadedPlan(state=state, evidence=shown, plan=plan, is_final=shown.gathered or not undecided)


async def with_evidence(runner: Runner, session: Session, goal: Goal, loaded: LoadedPlan) -> LoadedPlan:
    """Look at the schema, and at other tools' histories where there is none of ours, and plan by both.

    Args:
        runner: Of the call, to say what it is doing.
        session: In which the questions are asked.
        goal: What the call wants.
        loaded: What history shows.

    Raises:
        PlanningError: No plan can be made.
    """
    runner.doing = "looking at the schema"
    state = loaded.state
    shown = await gathering.gather(session, goal.catalog, state, goal.schema)
    plan = await foreign_histories.with_histories(session, goal.plan(state.history, shown), state, goal.schema)
    return LoadedPlan(state=state, evidence=shown, plan=plan, is_final=True)


async def with_hazards(runner: Runner, session: Session, goal: Goal, loaded: LoadedPlan) -> LoadedPlan:
    """Ask what the pending steps would do to tables that hold rows, and which take their online script.

    Args:
        runner: Of the call, to know whether a second session can be had.
        session: In which the questions are asked.
        goal: What the call wants.
        loaded: With evidence.
    """
    if not loaded.plan.pending or not loaded.state.occupied:
        return loaded
    from kimbledb.inspection import sizes  # needed only where tables may hold rows

    online = runner.can_open_second_session(session, loaded.state.process_id)
    return evolve(loaded, plan=await sizes.with_hazards(session, loaded.plan, goal.schema, online=online))
