"""Executing a plan: is there anything to do at all, and if so, doing it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kimbledb import history
from kimbledb.catalog import Catalog
from kimbledb.errors import ConnectionLostError, OutcomeUnknownError
from kimbledb.model import Evidence
from kimbledb.names import check_schema_name
from kimbledb.options import Options
from kimbledb.plan import Plan
from kimbledb.planner import Goal, Planner
from kimbledb.reports import MigrationReport, VerificationReport
from kimbledb.runner import Again, Runner, stopwatch
from kimbledb.session import Session
from kimbledb.siblings import Turn
from kimbledb.targets import target_of
from kimbledb.watching import anybody, tell

if TYPE_CHECKING:
    from kimbledb.applying import Application
    from kimbledb.events import Watcher


class Executor:
    """Brings a database to what a catalog describes."""

    def __init__(
        self,
        target: object = None,
        *,
        catalog: Catalog | None = None,
        schema: str | None = None,
        options: Options | None = None,
        progress: Watcher | None = None,
    ) -> None:
        self.options = options or Options()
        self.target = target_of(target)
        self.catalog = catalog if catalog is not None else Catalog.builtin()
        self.schema = check_schema_name(schema or "public")
        self.progress = progress

    async def plan(self, *, to: str | int | None = None, phase: int | None = None, prefer: Iterable[str] = ()) -> Plan:
        """Say what :meth:`apply` would do. It only reads."""
        goal = self._goal(to, phase, prefer)
        runner = Runner(self.target, self.options)

        async def work(session: Session) -> Plan:
            runner.doing = "reading the history"
            state = await history.look(session, self.schema)
            plan = goal.plan(state.history, Evidence(hosted=state.hosted))
            if not plan.pending:
                return plan
            from kimbledb import applying, evidence, foreign

            runner.doing = "looking at the schema"
            shown = await evidence.gather(session, self.catalog, state, self.schema)
            plan = await foreign.with_histories(session, goal.plan(state.history, shown), state, self.schema)
            return await applying.with_hazards(runner, session, plan, state, self.schema)

        return await runner.run(work)

    async def apply(
        self,
        *,
        to: str | int | None = None,
        phase: int | None = None,
        prefer: Iterable[str] = (),
        verify: bool = True,
        backup: str | os.PathLike[str] | None = None,
        allow_data_loss: bool = False,
    ) -> MigrationReport:
        """Apply what is pending. See :func:`kimbledb.migrate`."""
        goal = self._goal(to, phase, prefer)
        return await self._apply(goal, verify=verify, backup=backup, allow_data_loss=allow_data_loss)

    def _goal(self, to: str | int | None, phase: int | None, prefer: Iterable[str]) -> Goal:
        """Return what is wanted; faults of the call itself stop here, before a connection is made."""
        planner = Planner(self.catalog, prefer=prefer)
        if to is not None:
            self.catalog[to]
        if phase is not None:
            self.catalog.check_phase(phase)
        return Goal(planner=planner, schema=self.schema, to=to, phase=phase)

    async def _apply(
        self, goal: Goal, *, verify: bool, backup: str | os.PathLike[str] | None, allow_data_loss: bool
    ) -> MigrationReport:
        clock = stopwatch()
        turn = Turn(self.target.label, self.schema)
        runner = Runner(self.target, self.options, self.progress, turn)
        application: Application | None = None
        # A caller's own connection is not to be ended because somebody has locked history.
        may_glance = self.target.can_reconnect

        async def work(session: Session) -> MigrationReport:
            nonlocal application, may_glance
            if may_glance:
                may_glance = False
                runner.doing = "reading the history"
                glance = await self._glance(session, goal)
                if glance is not None:
                    plan, owner = glance
                    if anybody(self.progress):
                        from kimbledb.events import Planned

                        tell(self.progress, Planned(plan))
                    return MigrationReport((), plan, clock(), VerificationReport(()), history_owner=owner)
            if application is None:
                if turn.before is not None and not runner.has_waited:
                    may_glance = self.target.can_reconnect
                    raise Again(blockers=("another call of this process",))
                turn.take()
                from kimbledb.applying import Application  # a start with nothing to do needs nothing of it

                application = Application(
                    goal, runner, verify=verify, allow_data_loss=allow_data_loss, backup=backup, clock=clock
                )
            await application.work(session)
            return application.report

        try:
            report = await runner.run(work)
        except ConnectionLostError as error:
            if application is not None and application.in_flight is not None:
                raise OutcomeUnknownError(
                    application.in_flight.name, applied=application.applied, can_ask=self.target.can_reconnect
                ) from error
            raise
        finally:
            turn.end()
        if anybody(self.progress):
            from kimbledb.events import Done

            tell(self.progress, Done(report.seconds, report))
        return report

    async def _glance(self, session: Session, goal: Goal) -> tuple[Plan, str | None] | None:
        """Return the plan if a glance at history shows that there is nothing to do: most starts end here.

        With it comes who owns history, as in :attr:`MigrationReport.history_owner`.
        """
        try:
            seen = await history.glance(session, self.schema)
        except TimeoutError as error:
            raise Again from error  # a closer look says what is in the way
        if seen is None or any(row.legacy for row in seen.history):
            return None  # what another hand wrote is not believed at a glance
        plan = goal.plan(seen.history, Evidence(hosted=seen.hosted))
        return None if plan.pending or plan.refused else (plan, seen.history_owner)
