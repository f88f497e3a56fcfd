"""Applying: one transaction for each migration, safe in many replicas at once.

A step is one message: lock, settings, script, proof, history row, COMMIT. The
lock is taken inside the transaction that it protects and dies with it; whoever
does not get it gives the connection back, sleeps and looks again. After any
doubt (another was quicker, a connection lost) the history row is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg
from attrs import evolve

from kimbledb import history, nontransactional, preflight, queries
from kimbledb.catalog import Catalog
from kimbledb.errors import (
    ChangedMigrationError,
    ConnectionLostError,
    MigrationError,
    OutcomeUnknownError,
    UnrecordedObjectsError,
    VerificationError,
)
from kimbledb.events import Applied, Applying, Done, Failed, Planned, Watcher, tell
from kimbledb.history import DatabaseState
from kimbledb.model import AppliedStep, Check, Evidence, Migration
from kimbledb.names import check_schema_name, quote_identifier, quote_literal
from kimbledb.options import Options
from kimbledb.plan import Plan, Step, StepState
from kimbledb.planner import Planner
from kimbledb.reports import MigrationReport, VerificationReport
from kimbledb.runner import Again, Runner, stopwatch
from kimbledb.session import LOCK_BUSY, Session
from kimbledb.targets import target_of
from kimbledb.transaction import LOCK_CLASS, ChecksFailed, ScriptError, Transactions, Work


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
        planner = Planner(self.catalog, prefer=prefer)
        async with self.target.session(self.options) as session:
            return self.planned(planner, await history.look(session, self.schema), to, phase)

    async def apply(
        self,
        *,
        to: str | int | None = None,
        phase: int | None = None,
        prefer: Iterable[str] = (),
        verify: bool = True,
    ) -> MigrationReport:
        """Apply what is pending. See :func:`kimbledb.migrate`."""
        planner = Planner(self.catalog, prefer=prefer)
        # Faults of the call itself stop here, before a connection is made.
        planner.plan(to=to, phase=phase, evidence=Evidence(hosted=False))
        return await _Application(self, planner, to, phase, verify).run()

    def planned(self, planner: Planner, state: DatabaseState, to: str | int | None, phase: int | None) -> Plan:
        """Return the plan for a database in this state."""
        return planner.plan(state.history or (), history.evidence_of(state), to=to, phase=phase, schema=self.schema)


class _Application:
    """One call of apply(): what it has achieved so far, across connections."""

    def __init__(
        self, executor: Executor, planner: Planner, to: str | int | None, phase: int | None, verify: bool
    ) -> None:
        self.executor = executor
        self.planner = planner
        self.to, self.phase, self.verify = to, phase, verify
        self.progress = executor.progress
        self.runner = Runner(executor.target, executor.options, executor.progress)
        self.first_plan: Plan | None = None
        self.applied: list[AppliedStep] = []
        self.checks: list[Check] = []
        self.lsn: str | None = None
        #: Sent, and not answered: what became of it stands in history.
        self.in_flight: Migration | None = None
        self.clock = stopwatch()

    async def run(self) -> MigrationReport:
        try:
            await self.runner.run(self._work)
        except ConnectionLostError as error:
            if self.in_flight is not None:
                raise OutcomeUnknownError(self.in_flight.name) from error
            raise
        seconds = self.clock()
        tell(self.progress, Done(seconds))
        assert self.first_plan is not None  # the work is done only after planning
        return MigrationReport(
            tuple(self.applied), self.first_plan, seconds, VerificationReport(tuple(self.checks)), self.lsn
        )

    async def _work(self, session: Session) -> None:
        executor = self.executor
        self.runner.doing = "reading the history"
        state = await history.look(session, executor.schema)
        plan = executor.planned(self.planner, state, self.to, self.phase)
        self._settle(plan)
        if self.first_plan is None:
            self.first_plan = plan
            tell(self.progress, Planned(plan))
        _refuse_changed(plan)
        if not plan.pending:
            return
        state = await self._prepared(session, state, plan)
        assert state.head is not None  # the preparation made the log
        head = state.head
        path = state.search_path(
            executor.schema, (each.name for migration in executor.catalog for each in migration.extensions)
        )
        transactions = Transactions(session, executor.schema, path)
        for step in plan.pending:
            head = await self._apply(transactions, step, head, last=step is plan.pending[-1])

    def _settle(self, plan: Plan) -> None:
        """Count what was in flight when a connection was lost, if history shows that it is applied."""
        migration, self.in_flight = self.in_flight, None
        if migration is not None and plan.step(migration.name).state is StepState.APPLIED:
            self.applied.append(AppliedStep(migration, self._step_clock()))
            self.runner.achieved()

    async def _prepared(self, session: Session, state: DatabaseState, plan: Plan) -> DatabaseState:
        """Check what the first step needs, and make the schema, the extensions and the history tables."""
        executor = self.executor
        migrations = [step.migration for step in plan.pending]
        self.runner.doing = "preparing the database"
        present = await preflight.check(session, state, executor.schema, migrations)
        if present and not any(row.success is True for row in state.history or ()):
            raise UnrecordedObjectsError(executor.schema, present)
        missing = [each for each in preflight.wanted_extensions(migrations) if each.name not in state.extensions]
        if state.schema_exists and not missing and state.head is not None:
            return state
        schema = quote_identifier(executor.schema)
        home = state.extension_home
        statements = []
        if not state.schema_exists:
            statements.append(f"CREATE SCHEMA IF NOT EXISTS {schema};\n")
            if state.hosted:
                statements.append(queries.block("open_schema", schema=quote_literal(executor.schema)))
        statements += [
            f"CREATE EXTENSION IF NOT EXISTS {quote_identifier(each.name)} SCHEMA {quote_identifier(home)};\n"
            for each in missing
        ]
        try:
            answers = await session.send(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"
                + session.settings()
                + queries.block("bootstrap_lock", lock_class=str(LOCK_CLASS))
                + "".join(statements)
                + history.creation(executor.schema)
                + queries.question("bootstrapped", schema=schema)
                + "COMMIT;\n"
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == LOCK_BUSY:
                raise Again from error
            raise MigrationError(
                f"preparing the database failed: {error} (SQLSTATE {error.sqlstate})",
                sqlstate=error.sqlstate,
                hint=error.hint,
            ) from error
        [answer] = answers
        return evolve(
            state,
            head=answer.value["head"],
            extensions={name: (version, home) for name, (version, home) in answer.value["extensions"].items()},
        )

    async def _apply(self, transactions: Transactions, step: Step, head: int, *, last: bool) -> int:
        migration = step.migration
        assert self.first_plan is not None
        tell(self.progress, Applying(migration, len(self.applied) + 1, len(self.first_plan.pending)))
        self.runner.doing = f"applying {migration.name}"
        self._step_clock = stopwatch()
        work = Work(migration=migration, part="apply", record="record_applied", verify=self.verify, last=last)
        self.in_flight = migration
        try:
            if migration.transactional:
                outcome = await transactions.carry_out(work, head)
            else:
                executor = self.executor
                outcome = await nontransactional.carry_out(executor.target, executor.options, transactions, work, head)
        except ScriptError as failure:
            await self._give_up(transactions, work, failure.diagnosis.for_history)
            found = failure.diagnosis
            raise MigrationError(
                f"{migration.name} failed and was rolled back: {found}\n{self._standing()}",
                applied=self.applied,
                failed=migration,
                file=found.file,
                line=found.line,
                column=found.column,
                statement=found.statement,
                sqlstate=found.sqlstate,
                hint=found.hint,
            ) from failure.__cause__
        except ChecksFailed as failure:
            failing = [check for check in failure.checks if not check.passed]
            shown = "\n".join(f"  {check}" for check in failing)
            await self._give_up(
                transactions, work, f"the verification failed: {', '.join(check.name for check in failing)}"
            )
            raise VerificationError(
                f"{migration.name} ran, its verification failed, and it was rolled back:\n{shown}\n{self._standing()}",
                checks=failing,
                applied=self.applied,
                failed=migration,
                file=migration.file("verify"),
            ) from failure.__cause__
        except Again:
            self.in_flight = None
            raise
        self.in_flight = None
        self.runner.achieved()
        seconds = self._step_clock()
        self.applied.append(AppliedStep(migration, seconds))
        self.checks.extend(outcome.checks)
        self.lsn = outcome.lsn
        tell(self.progress, Applied(migration, seconds, len(outcome.checks)))
        return outcome.head

    async def _give_up(self, transactions: Transactions, work: Work, message: str) -> None:
        self.in_flight = None
        tell(self.progress, Failed(work.migration, message))
        await transactions.record_failure(work, message, self._step_clock())

    def _standing(self) -> str:
        if not self.applied:
            return "nothing was applied"
        return f"{len(self.applied)} migrations were applied before it and stay; run again to go on"


def _refuse_changed(plan: Plan) -> None:
    changed = [step for step in plan.steps if step.state is StepState.CHANGED and step.selected]
    if changed:
        raise ChangedMigrationError(
            [
                (step.name, (step.recorded and step.recorded.checksum) or "none", step.migration.checksum)
                for step in changed
            ]
        )
