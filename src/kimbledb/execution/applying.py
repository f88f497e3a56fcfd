"""Applying: one transaction for each migration, safe in many replicas at once.

A step is one message: lock, settings, script, proof, history row, COMMIT. The
lock is taken inside the transaction that it protects and dies with it; whoever
does not get it gives the connection back, sleeps and looks again. After any
doubt (another was quicker, a connection lost) the history row is the truth.
"""

from __future__ import annotations

from kimbledb.errors import (
    ChangedMigrationError,
    ConflictingObjectsError,
    DataLossError,
    HazardError,
    HistoryError,
    MigrationError,
    PreflightError,
    RenamedMigrationError,
    UnrecordedObjectsError,
    VerificationError,
)
from kimbledb.events import Applied, Applying, Failed, Planned
from kimbledb.execution import bootstrap, load_plan
from kimbledb.execution.run import Run, Sent
from kimbledb.execution.transaction import ChecksFailed, Outcome, ScriptError, Transactions, Work
from kimbledb.inspection import foreign_histories, history, preflight
from kimbledb.inspection.data_loss import Guard, Lost, Measured, Suspect, Suspected, sets_sequences, takes_back
from kimbledb.model.migration import AppliedStep, Check, Evidence, Hazard, Loss, Migration, ObjectState, schemas_reached
from kimbledb.model.plan import Plan, Step, StepState
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import counted, few
from kimbledb.planning.planner import Goal
from kimbledb.server.locks import describe_holders, lock_holders
from kimbledb.server.notifications import notify
from kimbledb.server.observer import observed
from kimbledb.server.retry import Retry
from kimbledb.server.session import Session

#: The hazard that is refused by what was measured, too.
_ROWS_DELETED = "rows_deleted"


class ApplyRun:
    """One call of apply(): what it has achieved so far, across connections."""

    def __init__(self, goal: Goal, run: Run, *, verify: bool, allow_data_loss: bool) -> None:
        self.goal = goal
        self.run = run
        self.runner = run.runner
        self.progress = run.request.progress
        self.verify = verify
        self.allow_data_loss = allow_data_loss
        self.first_plan: Plan | None = None
        self.checks: list[Check] = []
        #: By the migration's name: what went with it, and what has to be counted when it is run again.
        self.measured: dict[str, Measured] = {}
        self.suspects: dict[str, tuple[Suspect, ...]] = {}
        self.lsn: str | None = None
        #: What the schema showed at the first look; later ones rest on history, which
        #: this run and its rivals write.
        self.evidence: Evidence | None = None
        #: Those that take their online road, since tables hold rows.
        self.online: frozenset[str] = frozenset()
        #: Whether another run was at work when this one came.
        self.gave_way = False
        #: As in the report.
        self.history_owner: str | None = None

    @property
    def applied(self) -> list[AppliedStep]:
        """The migrations that it applied."""
        return self.run.achieved

    @property
    def report(self) -> MigrationReport:
        """What it has achieved."""
        assert self.first_plan is not None  # the work is done only after planning
        measured = [self.measured[step.migration.name] for step in self.applied if step.migration.name in self.measured]
        return MigrationReport(
            tuple(self.applied),
            self.first_plan,
            self.run.clock(),
            VerificationReport(tuple(self.checks)),
            self.lsn,
            losses=tuple(loss for each in measured for loss in each.losses),
            updates=tuple(update for each in measured for update in each.updates),
            history_owner=self.history_owner,
        )

    async def work(self, session: Session) -> None:
        """Go on from what the database shows now, to the end."""
        goal = self.goal
        if self.gave_way:
            await self._give_way(session)  # while they are at it there is no use in looking further
        loaded = await load_plan.from_history(self.runner, session, goal, self.evidence)
        state, plan = loaded.state, loaded.plan
        self.history_owner = state.history_owner
        await preflight.check_history(session, state, goal.schema, writing=False)
        _refuse_another_application(goal.schema, plan)
        await self._settle(session, state, plan)
        if state.busy and (plan.pending or not loaded.is_final):
            # To look at everything takes long, and is in vain while another run goes on.
            await self._give_way(session)
        if not loaded.is_final:
            loaded = await load_plan.with_evidence(self.runner, session, goal, loaded)
            self.evidence = loaded.evidence
            _refuse_unrecorded(goal.schema, state, loaded.plan, loaded.evidence)
            foreign_histories.refuse(loaded.plan, loaded.evidence, goal.schema)
            _refuse_conflicts(loaded.plan)
            plan = (await load_plan.with_hazards(self.runner, session, goal, loaded)).plan
            self._refuse_hazards(plan)
            self.online = frozenset(step.name for step in plan.pending if step.online)
        if self.first_plan is None:
            self.first_plan = plan
            notify(self.progress, Planned(plan))
        _refuse_changed(plan)
        if not plan.pending:
            if self.applied and self.lsn is None:
                self.lsn = await history.log_position(session)
            return
        if self.run.wants_backup:
            # What would stop the run stops it before there is a file.
            migrations = [step.migration for step in plan.pending]
            await preflight.check(session, state, goal.schema, migrations, schemas_reached(goal.catalog))
            await self.run.back_up(session, state)
        self.runner.doing = "preparing the database"
        async with observed(self.runner, session):
            state = await bootstrap.prepare(
                session, state, goal.schema, [step.migration for step in plan.pending], schemas_reached(goal.catalog)
            )
        assert state.log_position is not None  # the preparation made the log
        head = state.log_position
        path = state.search_path(goal.schema, goal.catalog.extensions)
        transactions = Transactions(session, goal.schema, path, schemas_reached(goal.catalog))
        for step in plan.pending:
            head = await self._apply(transactions, step, head, last=step is plan.pending[-1])

    def _refuse_hazards(self, plan: Plan) -> None:
        if refused := self.runner.options.refuse_hazards:
            from kimbledb.planning import hazards  # few calls refuse any

            hazards.refuse(plan, refused)

    async def _give_way(self, session: Session) -> None:
        """Let another run that is at work go on."""
        self.runner.doing = "waiting for another run"
        if at_work := await session.ask(lock_holders(self.goal.schema)):
            self.gave_way = True
            raise Retry(blockers=describe_holders(at_work))

    async def _settle(self, session: Session, state: DatabaseState, plan: Plan) -> None:
        """Count what was in flight when a connection was lost, and no more what the server lost when it crashed."""
        there = {step.name for step in plan.steps if step.is_applied}
        sent = self.run.in_flight
        shown = sent is not None and sent.migration is not None and sent.migration.name in there
        await self.run.settle(session, state, shown=shown)
        if shown:
            self.lsn = None
        self.applied[:] = [step for step in self.applied if step.migration.name in there]
        self.checks = [check for check in self.checks if check.migration in there]

    async def _apply(self, transactions: Transactions, step: Step, head: int, *, last: bool) -> int:
        migration = step.migration
        assert self.first_plan is not None
        notify(self.progress, Applying(migration, len(self.applied) + 1, len(self.first_plan.pending)))
        self.runner.doing = f"applying {migration.name}"
        self.runner.standing = None
        try:
            with self.run.sending(Sent("apply", migration), lambda: transactions.in_doubt):
                outcome = await self._carry_out(transactions, migration, head, last=last)
        except ScriptError as failure:
            await self._give_up(transactions, migration, failure.diagnosis.for_history)
            found = failure.diagnosis
            how = "failed and was rolled back" if failure.standing is None else "failed"
            raise MigrationError(
                f"{migration.name} {how}: {found}\n{self._standing(failure.standing)}",
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
                transactions, migration, f"the verification failed: {', '.join(check.name for check in failing)}"
            )
            how = "its verification failed" + (", and it was rolled back" if failure.standing is None else "")
            raise VerificationError(
                f"{migration.name} ran, {how}:\n{shown}\n{self._standing(failure.standing)}",
                checks=failing,
                applied=self.applied,
                failed=migration,
                file=failing[0].file,
                line=failing[0].line,
            ) from failure.__cause__
        except Lost as refused:
            error = self._refusal(migration, refused)
            notify(self.progress, Failed(migration, error.message))
            raise error from refused.__cause__
        except PreflightError as error:
            # Strangers came in after the first look; the script was not sent.
            raise PreflightError(error.gaps, applied=self.applied) from error
        seconds = self.run.step_clock()
        self.applied.append(AppliedStep(migration, seconds, outcome.held))
        self.checks.extend(outcome.checks)
        self.measured[migration.name] = outcome.measured
        self.lsn = outcome.lsn
        notify(self.progress, Applied(migration, seconds, len(outcome.checks)))
        return outcome.head

    def _work_of(self, migration: Migration, *, last: bool = True) -> Work:
        refused = _ROWS_DELETED in self.runner.options.refuse_hazards
        return Work(
            migration=migration,
            part="apply",
            verify=self.verify,
            last=last,
            run=self.runner.run_id,
            detail={"road": "online"} if migration.name in self.online else {},
            guard=Guard(
                schema=self.goal.schema,
                reaches=migration.reaches,
                undoing=takes_back(migration.apply_sql),
                sequences=sets_sequences(migration.apply_sql)
                or (migration.name in self.online and sets_sequences(migration.online_sql)),
                allowed=(self.allow_data_loss or migration.deletes is not None) and not refused,
                suspects=self.suspects.get(migration.name, ()),
            ),
        )

    async def _carry_out(self, transactions: Transactions, migration: Migration, head: int, *, last: bool) -> Outcome:
        """Apply one migration; where it may have lost data, undone and once more, counting."""
        online = migration.name in self.online
        while True:
            work = self._work_of(migration, last=last)
            try:
                if migration.transactional and not online:
                    async with observed(self.runner, transactions.session, migration):
                        return await transactions.carry_out(work, head)
                from kimbledb.execution import nontransactional  # few migrations are of that kind

                carry_out = nontransactional.carry_out_online if online else nontransactional.carry_out
                return await carry_out(self.runner, transactions, work, head)
            except Suspected as found:
                self.suspects[migration.name] = found.suspects
                if online or not migration.transactional:
                    raise Retry from found  # its statements have moved the log on

    def _refusal(self, migration: Migration, refused: Lost) -> DataLossError | HazardError:
        losses = refused.losses
        standing = "it was rolled back, and " if refused.standing is None else ""
        standing += self._standing(refused.standing)
        if _ROWS_DELETED in self.runner.options.refuse_hazards:
            hazards = [(migration.name, _hazard(loss)) for loss in losses]
            return HazardError(hazards, applied=self.applied, standing=standing)
        where = (
            '`-- kimbledb: deletes = "why"` at its head'
            if migration.is_flat
            else 'deletes = "why" in its migration.toml'
        )
        return DataLossError(
            losses,
            applied=self.applied,
            failed=migration,
            standing=standing,
            hint=f"if that is meant, write {where}, or pass allow_data_loss=True (--allow-data-loss); make a backup first",
        )

    async def _give_up(self, transactions: Transactions, migration: Migration, message: str) -> None:
        notify(self.progress, Failed(migration, message))
        await transactions.record_failure(self._work_of(migration), message, self.run.step_clock())

    def _standing(self, outside: str | None) -> str:
        """Say what stays, given what a step did outside of transactions."""
        if not self.applied:
            return outside or "nothing was applied"
        before = f"{outside}\n" if outside else ""
        return f"{before}what was applied before it stays: {counted(self.applied, 'migration')}; run again to go on"


def _hazard(loss: Loss) -> Hazard:
    return Hazard(
        _ROWS_DELETED,
        loss.name,
        loss.count,
        0,
        f"it was measured while it ran: {loss}",
        "make a backup first: `backup=`",
    )


def _refuse_unrecorded(schema: str, state: DatabaseState, plan: Plan, shown: Evidence) -> None:
    """Stop where the schema holds what these migrations make, and no history says so."""
    if state.looked or any(step.is_recorded for step in plan.steps):
        return
    objects = [each for finding in shown.findings.values() for each in (*finding.present, *finding.conflicts)]
    if any(finding.state is not ObjectState.MISSING for finding in shown.findings.values()) and objects:
        adoptable = [step.name for step in plan.steps if step.state is StepState.ADOPTABLE]
        raise UnrecordedObjectsError(schema, list(dict.fromkeys(objects)), adoptable)


def _refuse_conflicts(plan: Plan) -> None:
    conflicting = [step for step in plan.pending if step.state is StepState.CONFLICTING]
    if conflicting:
        raise ConflictingObjectsError([(step.name, step.reason) for step in conflicting])


def _refuse_another_application(schema: str, plan: Plan) -> None:
    """Stop where history holds migrations of a kimbledb, and not one of them is of this catalog.

    Another build of the same application shares what came before both. Names alone say
    nothing: two applications may both begin with an ``init.sql``.
    """
    applied = [step for step in plan.steps if step.recorded and step.recorded.is_applied and not step.recorded.legacy]
    others = [step.name for step in applied if step.state is StepState.UNKNOWN]
    if others and all(step.state in (StepState.UNKNOWN, StepState.CHANGED) for step in applied):
        raise HistoryError(
            f'the history in the schema "{schema}" is another application\'s: it holds {few(others)} and nothing of this '
            "catalog; nothing was run",
            hint="give this catalog a schema of its own (schema=..., --schema ...); where it is the same application, and "
            "its migrations were renamed or folded together, let adopt() record what is there",
        )


def _refuse_changed(plan: Plan) -> None:
    renamed = [step for step in plan.steps if step.state is StepState.RENAMED and step.selected]
    if renamed:
        raise RenamedMigrationError(
            [(step.recorded.name, step.name) for step in renamed if step.recorded], plan.schema or "public"
        )
    changed = [step for step in plan.steps if step.state is StepState.CHANGED and step.selected]
    if changed:
        raise ChangedMigrationError(
            [
                (step.name, (step.recorded and step.recorded.checksum) or "none", step.migration.checksum)
                for step in changed
            ],
            alone=all(
                step.state is StepState.CHANGED for step in plan.steps if step.recorded and step.recorded.is_applied
            ),
        )
