"""Waiting for the run of another role: the state that history shows, and the failures that it records."""

from __future__ import annotations

from kimbledb.errors import MigrationError
from kimbledb.execution import load_plan
from kimbledb.execution.load_plan import LoadedPlan
from kimbledb.inspection import preflight
from kimbledb.model.plan import Plan
from kimbledb.model.step import Step, StepState
from kimbledb.model.text import counted, few
from kimbledb.planning import refused_plans
from kimbledb.planning.planner import Goal
from kimbledb.server.retry import Retry
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session


class Awaited:
    """Wait, across all connections of a call, until history shows the migrations of a goal as applied."""

    def __init__(self, runner: Runner, goal: Goal, why: str = "") -> None:
        """Begin to wait.

        Args:
            runner: The runner of the call.
            goal: The migrations.
            why: The reason why the call does not apply them itself, in words.
        """
        self._runner = runner
        self._goal = goal
        self._why = f" ({why})" if why else ""
        #: The failures that history held when the wait began, by the migration's name. The run that is waited for
        #: may begin only now, so that these are no failures of it.
        self._before: dict[str, str | None] | None = None

    async def look(self, session: Session) -> LoadedPlan:
        """Return the state of the database once nothing is pending. Nothing is written.

        Args:
            session: A session of the target.

        Raises:
            Retry: Something is pending.
            MigrationError: A run failed since the wait began.
            PlanningError: No run could help: a file was edited or renamed after it was applied.
            HistoryError: The history is another application's, or has a shape that cannot be read.
            PreflightError: The role may not read history.
        """
        loaded = await load_plan.from_history(self._runner, session, self._goal)
        await preflight.check_history(session, loaded.state, self._goal.schema, writing=False)
        refused_plans.refuse_another_application(self._goal.schema, loaded.plan)
        refused_plans.refuse_changed(loaded.plan)
        if any(step.recorded and step.recorded.legacy for step in loaded.plan.pending):
            # Rows that another tool wrote need evidence, and migrate() adds nothing to them.
            loaded = await load_plan.with_evidence(self._runner, session, self._goal, loaded)
        plan = loaded.plan
        awaited = plan.pending or [step for step in plan.steps if step.state is StepState.UNDECIDED]
        if not awaited:
            return loaded
        self._refuse_failures(plan)
        what = f"{counted(awaited, 'migration')} ({few([step.name for step in awaited])})"
        what += self._why + self._last_failure(plan)
        self._runner.doing = f"waiting for another run to apply {what}"
        raise Retry(awaited=f"another run is to apply {what}")

    def _refuse_failures(self, plan: Plan) -> None:
        failed = {step.name: step for step in plan.steps if _has_failed(step)}
        found = {name: step.recorded.applied_at for name, step in failed.items() if step.recorded is not None}
        before = self._before = found if self._before is None else self._before
        for name, at in found.items():
            if name not in before or before[name] != at:
                raise MigrationError(
                    f"the run that was waited for failed at {name}: {_error_of(failed[name])}",
                    failed=failed[name].migration,
                    hint="see the output of that run, or migration_log; then run it again, and wait again",
                )

    def _last_failure(self, plan: Plan) -> str:
        failed = [step for step in plan.pending if _has_failed(step)]
        return f"; the last attempt at {failed[0].name} failed: {_error_of(failed[0])}" if failed else ""


def _has_failed(step: Step) -> bool:
    return step.to_apply and step.recorded is not None and step.recorded.success is False


def _error_of(step: Step) -> str:
    error = step.recorded and step.recorded.error
    return (error or "no error is recorded").strip().splitlines()[0]
