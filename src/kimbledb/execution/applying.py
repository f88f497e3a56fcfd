"""Applying: each migration in one transaction, several in one message, safe in many replicas at once.

A step is one transaction: lock, settings, script, proof, history row, COMMIT. The transaction
takes the lock that protects it, and the lock ends with it. A run that does not get the lock
gives its connection back, sleeps and looks again. After any doubt (another run was quicker, a
connection was lost) the history rows decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from kimbledb.errors import (
    ConflictingObjectsError,
    MigrationError,
    PlanChangedError,
    PreflightError,
)
from kimbledb.events import Applied, Applying, Failed, Planned
from kimbledb.execution import apply_errors, bootstrap, completing, load_plan, nontransactional, staging
from kimbledb.execution.apply_errors import ROWS_DELETED
from kimbledb.execution.load_plan import LoadedPlan
from kimbledb.execution.messages import Messages
from kimbledb.execution.run import Run, Sent
from kimbledb.execution.transaction import Transactions
from kimbledb.execution.work import ChecksFailed, Outcome, PlanMoved, ScriptError, Work
from kimbledb.inspection import data_loss, foreign_histories, forms, history, preflight
from kimbledb.inspection.data_loss import Guard, Lost, Measured, Suspect, Suspected, may_set_sequences, may_undo_parts
from kimbledb.inspection.proof import Site
from kimbledb.model.check import Check
from kimbledb.model.completion import Completion
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import AppliedStep, Migration, schemas_reached
from kimbledb.model.plan import Plan
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.model.set_aside import SetAside
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import Step
from kimbledb.planning import refused_plans
from kimbledb.planning.planner import Goal
from kimbledb.server.locks import describe_holders, lock_holders
from kimbledb.server.notifications import notify
from kimbledb.server.observer import observed
from kimbledb.server.retry import Retry
from kimbledb.server.session import Session

if TYPE_CHECKING:  # few runs are given a plan
    from kimbledb.execution.signature import Signature

#: The most migrations in one message, and the most characters of their files. The server keeps a whole message, and what
#: it has read of it, until the message ends; and a larger one saves no more time.
_MOST_IN_MESSAGE = 50
_LONGEST_MESSAGE = 1_000_000


class UnderWay:
    """The migrations of a message that are not known to be committed."""

    def __init__(self, waiting: list[Step], log_position: int) -> None:
        """Take the steps of a message.

        Args:
            waiting: The steps, in order.
            log_position: The id of the newest entry of the log before them.
        """
        self.waiting = waiting
        self.log_position = log_position

    @property
    def step(self) -> Step:
        """The first of them: the one that the server runs, or at which it stopped."""
        return self.waiting[0]

    @property
    def migration(self) -> Migration:
        """The migration of the first of them."""
        return self.step.migration

    def committed(self, outcome: Outcome) -> None:
        """Note that the first of them is committed."""
        del self.waiting[0]
        self.log_position = outcome.log_position


class ApplyRun:
    """One call of apply(), across all its connections: what it wants, and what it has achieved so far."""

    def __init__(
        self, goal: Goal, run: Run, *, verify: bool, allow_data_loss: bool, signature: Signature | None
    ) -> None:
        """Begin with nothing achieved.

        Args:
            goal: The migrations that the call wants to be applied.
            run: The run that carries it.
            signature: The plan that must be what is carried out; None where the call was given none.
            verify: Whether each migration's checks run in its transaction and must pass.
            allow_data_loss: Whether rows and values may be lost, also where a migration does not declare it.
        """
        self.goal = goal
        self.run = run
        self.runner = run.runner
        self.progress = run.request.progress
        self.verify = verify
        self.allow_data_loss = allow_data_loss
        self.signature = signature
        self.first_plan: Plan | None = None
        self.checks: list[Check] = []
        #: By the migration's name: the data that its script took away.
        self.measured: dict[str, Measured] = {}
        #: By the migration's name: the tables whose rows must be counted when its script runs again.
        self.suspects: dict[str, tuple[Suspect, ...]] = {}
        #: By the migration's name: the tables that were set aside.
        self.set_aside: dict[str, tuple[SetAside, ...]] = {}
        #: The names of the migrations that waited in vain for a lock on a table.
        self.waited: set[str] = set()
        self.lsn: str | None = None
        #: The findings of the first look at the schema. Later plans combine them with history, which
        #: this run and its rivals write.
        self.evidence: Evidence | None = None
        #: The names of the migrations that take the online strategy, since their tables hold rows.
        self.online: frozenset[str] = frozenset()
        #: By the migration's name: what brings the rest of one that is there in part.
        self.completions: dict[str, Completion] = {}
        #: The plan that is carried out.
        self._plan: Plan | None = None
        #: Whether the records of forms were renewed, or need not be.
        self._renewed = False
        #: Whether another run was at work when this one looked.
        self.gave_way = False
        #: Whether the database is a hosted one.
        self.hosted = False
        #: As ``MigrationReport.history_owner``.
        self.history_owner: str | None = None

    @property
    def applied(self) -> list[AppliedStep]:
        """The migrations that this run applied."""
        return self.run.achieved

    @property
    def report(self) -> MigrationReport:
        """The migrations that were applied so far, with their checks and losses."""
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
            set_aside=tuple(each for step in self.applied for each in self.set_aside.get(step.migration.name, ())),
        )

    @property
    def _refuses_deleted_rows(self) -> bool:
        return ROWS_DELETED in self.runner.options.refuse_hazards

    async def work(self, session: Session) -> None:
        """Apply all pending migrations, beginning with what the database shows now.

        Args:
            session: A session of the target. Each call of this method may get another one.

        Raises:
            Retry: Another run is at work or was quicker. What is committed stays.
            KimbleDBError: As ``kimbledb.migrate()`` raises it.
        """
        if self.gave_way:
            await self._give_way(session)  # while the other run works, no further question is worth asking
        loaded = await self._load(session)
        plan = self._plan = loaded.plan
        if self.first_plan is None:
            self.first_plan = plan
            notify(self.progress, Planned(plan))
        refused_plans.refuse_changed(plan)
        if not plan.pending:
            if self.applied and self.lsn is None:
                self.lsn = await history.wal_position(session)
            return
        state = await self._prepare(session, loaded.state, plan)
        assert state.log_position is not None  # the bootstrap made the log
        log_position = state.log_position
        await self._renew(session, state, plan)
        pending = list(plan.pending)
        is_own = len(pending) > 1 and await bootstrap.ready(
            session, self.goal.schema, connected_here=self.runner.target.address is not None
        )
        site = Site.of(state, self.goal.schema, self.goal.catalog)
        transactions = Transactions(Messages(session, site), is_own=is_own)
        while pending:
            message = self._next_message(pending)
            log_position = await self._apply(transactions, message, log_position, last=pending[-1])
            del pending[: len(message)]

    async def _load(self, session: Session) -> LoadedPlan:
        """Load the plan, settle what was in flight, and refuse a plan that must not be carried out."""
        goal, signature = self.goal, self.signature
        # A signed plan is compared with what is there now, until the run itself has begun.
        known = self.evidence if signature is None or self.applied else None
        loaded = await load_plan.from_history(self.runner, session, goal, known)
        state, plan = loaded.state, loaded.plan
        self.hosted = state.hosted
        self.history_owner = state.history_owner
        await preflight.check_history(session, state, goal.schema, writing=False)
        refused_plans.refuse_another_application(goal.schema, plan)
        await self._settle(session, state, plan)
        if state.busy and (plan.pending or not loaded.is_final):
            # Evidence takes long to gather, and in vain while another run changes the schema.
            await self._give_way(session)
        if signature is not None and loaded.is_final:
            await signature.check(session, state, plan, applied=self.applied, looked=False)
        if loaded.is_final:
            # An earlier session of this call has looked at the schema.
            steps = (evolve(step, completion=self.completions.get(step.name)) for step in plan.steps)
            return evolve(loaded, plan=evolve(plan, steps=tuple(steps)))
        if signature is not None:
            await signature.look(session, state)
        loaded = await load_plan.with_evidence(self.runner, session, goal, loaded)
        loaded = await load_plan.with_hazards(self.runner, session, goal, loaded)
        if signature is not None:
            await signature.check(session, state, loaded.plan, looked=True)
        self.evidence = loaded.evidence
        refused_plans.refuse_unrecorded(goal.schema, loaded.plan, loaded.evidence, adopt_has_looked=state.looked)
        foreign_histories.refuse(loaded.plan, loaded.evidence, loaded.foreign)
        refused_plans.refuse_conflicts(loaded.plan)
        refused_plans.refuse_hazards(loaded.plan, self.runner.options.refuse_hazards)
        self.online = frozenset(step.name for step in loaded.plan.pending if step.online)
        self.completions = {step.name: step.completion for step in loaded.plan.pending if step.completion is not None}
        return loaded

    async def _prepare(self, session: Session, state: DatabaseState, plan: Plan) -> DatabaseState:
        """Write the backup that was asked for, and make the schema, extensions and history tables that are missing."""
        migrations = [step.migration for step in plan.pending]
        reached = schemas_reached(self.goal.catalog)
        if self.run.wants_backup:
            # A reason to refuse the run must be found before the backup's file is made.
            await preflight.check(session, state, self.goal.schema, migrations, reached)
            await self.run.back_up(session, state)
        self.runner.doing = "preparing the database"
        async with observed(self.runner, session):
            return await bootstrap.prepare(session, state, self.goal.schema, migrations, reached)

    async def _renew(self, session: Session, state: DatabaseState, plan: Plan) -> None:
        """Renew, once in a call, the records of forms that applied migrations lack, as after a restore or an upgrade."""
        applied = [step.migration for step in plan.steps if step.is_applied]
        if self._renewed or not applied:
            return
        site = Site.of(state, self.goal.schema, self.goal.catalog)
        lacking = await forms.lacking(session, site)
        if any(each.name in lacking and each.is_declared for each in applied):
            from kimbledb.execution import renewal  # 20 ms, and records are seldom to be renewed

            self.runner.doing = "renewing the recorded forms"
            await renewal.renew_applied(session, state, self.goal.schema, self.goal.planner, applied)
        self._renewed = True

    async def _give_way(self, session: Session) -> None:
        """Leave the schema to another run if one is at work on it.

        Raises:
            Retry: Another run is at work.
        """
        self.runner.doing = "waiting for another run"
        if at_work := await session.ask(lock_holders(self.goal.schema)):
            self.gave_way = True
            raise Retry(blockers=describe_holders(at_work))

    async def _settle(self, session: Session, state: DatabaseState, plan: Plan) -> None:
        """Bring the record of this run in step with history.

        Migrations that were in flight when a connection was lost are added if they were committed. Migrations
        whose commits the server lost in a crash are removed.
        """
        there = {step.name for step in plan.steps if step.is_applied}
        known = len(self.run.in_flight)
        await self.run.settle(
            session, state, shown=lambda sent: sent.migration is not None and sent.migration.name in there
        )
        if len(self.run.in_flight) < known:
            self.lsn = None
        self.applied[:] = [step for step in self.applied if step.migration.name in there]
        self.checks = [check for check in self.checks if check.migration in there]

    def _next_message(self, pending: Sequence[Step]) -> list[Step]:
        """Return the first of the pending steps, as many as go into one message."""
        message: list[Step] = []
        length = 0
        for step in pending[:_MOST_IN_MESSAGE]:
            length += sum(len(script.text) for script in step.migration.applied_scripts(hosted=self.hosted).values())
            length += sum(len(query.sql) for query in step.migration.verification_queries)
            alone = self._goes_alone(step)
            if message and (alone or length > _LONGEST_MESSAGE):
                break
            message.append(step)
            if alone:
                break
        return message

    def _by_script(self, step: Step) -> bool:
        """Whether a step is one script in one transaction: its migration's, or none where all of it is there."""
        alone = step.completion is not None and not step.completion.is_empty
        return step.migration.transactional and step.name not in self.online and not alone

    def _goes_alone(self, step: Step) -> bool:
        """Whether a step has a message of its own.

        It is not a script alone, waited in vain, has losses to be counted, or a limit of its own.
        """
        return (
            not self._by_script(step)
            or step.name in self.suspects
            or step.name in self.waited
            or step.migration.statement_timeout is not None
        )

    async def _apply(
        self, transactions: Transactions, message: Sequence[Step], log_position: int, *, last: Step
    ) -> int:
        """Apply the migrations of one message, and return the id of the newest entry of the log after them.

        Args:
            transactions: The session that does it.
            message: The steps.
            log_position: The id of the newest entry of the log before them.
            last: The last step of the plan, whose COMMIT makes all before it durable.
        """
        under_way = UnderWay(list(message), log_position)
        self._announce(under_way.migration)
        try:
            with self.run.sending(
                *(Sent("apply", step.migration) for step in message), in_doubt=lambda: transactions.in_doubt
            ):
                await self._carry_out(transactions, under_way, last)
        except ScriptError as failure:
            stopped = apply_errors.of_script(under_way.migration, failure, self.applied)
            await self._record_failure(transactions, stopped, failure.located.for_history)
            raise stopped from failure.__cause__
        except ChecksFailed as failure:
            names = ", ".join(check.name for check in failure.failing)
            stopped = apply_errors.of_checks(under_way.migration, failure, self.applied)
            await self._record_failure(transactions, stopped, f"the verification failed: {names}")
            raise stopped from failure.__cause__
        except Lost as refused:
            loss = apply_errors.of_losses(
                under_way.migration, refused, self.applied, refuses_hazard=self._refuses_deleted_rows
            )
            notify(self.progress, Failed(under_way.migration, loss.message, type(loss).__name__))
            raise loss from refused.__cause__
        except PlanMoved as moved:
            if not self.applied:
                raise Retry from moved  # the next look finds the difference
            assert self.signature is not None
            assert self._plan is not None
            raise PlanChangedError(
                moved.what, signed=self.signature.fingerprint, found=self._plan.fingerprint, applied=self.applied
            ) from moved
        except ConflictingObjectsError as error:
            raise ConflictingObjectsError(
                error.conflicts, applied=self.applied, standing=apply_errors.standing_of(self.applied)
            ) from error
        except PreflightError as error:
            # Objects of strangers were made after the first look; the script was not sent.
            raise PreflightError(error.gaps, applied=self.applied) from error
        except Retry as retry:
            if retry.contended is not None:
                self.waited.add(under_way.migration.name)
            raise
        return under_way.log_position

    def _announce(self, migration: Migration) -> None:
        """Note and notify that the server begins a migration."""
        assert self.first_plan is not None
        notify(self.progress, Applying(migration, len(self.applied) + 1, len(self.first_plan.pending)))
        self.runner.doing = f"applying {migration.name}"
        self.runner.standing = None

    def _note(self, under_way: UnderWay, outcome: Outcome) -> None:
        """Note and notify that the migration that is under way is committed, and begin the next one of its message."""
        migration = under_way.migration
        seconds = self.run.step_clock()
        self.applied.append(AppliedStep(migration, seconds, outcome.held, outcome.notes))
        self.checks.extend(outcome.checks)
        self.measured[migration.name] = outcome.measured
        self.set_aside[migration.name] = outcome.set_aside
        self.lsn = outcome.lsn
        self.run.committed()
        under_way.committed(outcome)
        notify(self.progress, Applied(migration, seconds, len(outcome.checks)))
        if under_way.waiting:
            self._announce(under_way.migration)

    def _work_of(self, migration: Migration, *, last: bool = True) -> Work:
        kept = self.evidence.kept if self.evidence is not None else {}
        completion = self.completions.get(migration.name)
        text = "\n".join(each.text for each in migration.applied_scripts(hosted=self.hosted).values())
        sequences = may_set_sequences(text) or (
            migration.name in self.online and may_set_sequences(migration.online_sql)
        )
        brief = (
            migration.transactional
            and completion is None
            and not sequences
            and migration.name not in self.online
            and migration.name not in self.suspects
        )
        work = Work(
            migration=migration,
            part="apply",
            hosted=self.hosted,
            verify=self.verify,
            own_forms=tuple(
                f"{kind} {name}" for (kind, name), each in kept.items() if migration.name in each.migrations
            ),
            last=last,
            run=self.runner.run_id,
            # Roles of a platform own something, which takes the long look at once.
            brief=brief and not self.hosted,
            condition=self.signature.guard if self.signature is not None and self._is_first(migration) else "",
            detail=self._detail(migration) | self._signed(migration),
            guard=Guard(
                schema=self.goal.schema,
                reaches=migration.reaches,
                undoing=may_undo_parts(text),
                sequences=sequences,
                allowed=(self.allow_data_loss or migration.deletes is not None) and not self._refuses_deleted_rows,
                suspects=self.suspects.get(migration.name, ()),
                brief=brief,
                light=brief and data_loss.seems_to_lose_nothing(text),
                sizes=not brief or data_loss.may_rewrite(text),
            ),
        )
        # Where all of it exists nothing is written, and the proof shows whether that still holds.
        return completing.written(work, completion) if completion is not None and completion.is_empty else work

    def _is_first(self, migration: Migration) -> bool:
        """Whether a migration is the first one that this run applies."""
        assert self._plan is not None
        return not self.applied and migration is self._plan.pending[0].migration

    def _signed(self, migration: Migration) -> dict[str, object]:
        """Return the facts that the log keeps of a signed plan, with the forecast of the migration."""
        return {} if self.signature is None else self.signature.noted(migration.name, first=self._is_first(migration))

    async def _background(self, transactions: Transactions, migration: Migration) -> completing.Background:
        """Return the facts against which the completion of a migration is checked now."""
        assert self._plan is not None
        site = transactions.messages.site
        done = {step.migration.name for step in self.applied}
        return completing.Background(
            migrations=[
                step.migration
                for step in self._plan.steps
                if step.is_there or step.name in done or step.migration is migration
            ],
            forms=await forms.read(transactions.session, self.goal.schema, site.path),
            hosted=self.hosted,
            begun=self._is_begun(migration) or self._is_in_place_of_script(migration),
            catalog=self._plan.migrations,
            aside=self.goal.set_aside,
            signed=self._signed_statements(migration),
            signed_whole=self._is_first(migration),
        )

    def _signed_statements(self, migration: Migration) -> list[str] | None:
        """Return the statements that a completion must send to be that of a signed plan; None where nothing is signed.

        What runs outside of a transaction has changed the schema before the SQL of the rest is written.
        """
        completion = self.completions.get(migration.name)
        if self.signature is None or completion is None or completion.online:
            return None
        return list(completion.sql_lines)

    def _is_begun(self, migration: Migration) -> bool:
        finding = self.evidence.findings.get(migration.name) if self.evidence is not None else None
        return finding is not None and finding.begun

    def _is_in_place_of_script(self, migration: Migration) -> bool:
        """Whether the declarations of a migration serve in place of its script, though nothing of it need be there."""
        completion = self.completions.get(migration.name)
        return completion is not None and bool(completion.online) and not completion.runs_script

    def _is_online(self, migration: Migration) -> bool:
        """Whether a part of a migration runs outside of a transaction, since its tables hold rows."""
        completion = self.completions.get(migration.name)
        return migration.name in self.online or (completion is not None and bool(completion.online))

    def _detail(self, migration: Migration) -> dict[str, object]:
        """Return the facts for the log: the strategy, and the objects of the migration that it finds there.

        What it finds under another name counts, too: a conversion makes such a key anew, and a rollback must not drop it.
        """
        detail: dict[str, object] = {"strategy": "online"} if self._is_online(migration) else {}
        assert self._plan is not None
        step = self._plan.step(migration.name)
        if step.runs_again and step.recorded is not None and not step.recorded.adopted:
            return {**detail, "again": True}  # what it finds there is what it made before
        finding = self.evidence.findings.get(migration.name) if self.evidence is not None else None
        present = finding.present if finding is not None else ()
        completion = self.completions.get(migration.name)
        renamed = [str(each) for _, each in completion.renamed] if completion is not None else []
        if present or renamed:
            declared = {str(each) for each in migration.creates}
            if found := [each for each in dict.fromkeys((*present, *renamed)) if each in declared]:
                detail["found"] = found
        return detail

    async def _carry_out(self, transactions: Transactions, under_way: UnderWay, last: Step) -> None:
        """Apply migrations by their strategies. A try that may have lost data is undone and repeated with a count."""
        while under_way.waiting:
            first = under_way.step
            together = [first] if self._goes_alone(first) else under_way.waiting
            works = [self._work_of(each.migration, last=each is last) for each in together]
            try:
                if self._by_script(first):
                    await self._send(transactions, under_way, works)
                else:
                    self._note(under_way, await self._carry_out_alone(transactions, under_way, works[0]))
            except Suspected as found:
                stopped = under_way.migration
                self.suspects[stopped.name] = found.suspects
                if self._is_online(stopped) or not stopped.transactional:
                    raise Retry from found  # its statements have written entries into the log

    async def _send(self, transactions: Transactions, under_way: UnderWay, works: Sequence[Work]) -> None:
        """Send migrations in one message, and note each as soon as it is known to be committed."""
        async with observed(self.runner, transactions.session, under_way.migration) as observation:

            def note(outcome: Outcome) -> None:
                self._note(under_way, outcome)
                if under_way.waiting:
                    observation.turn_to(under_way.migration)

            await transactions.carry_out_all(works, under_way.log_position, note)

    async def _carry_out_alone(self, transactions: Transactions, under_way: UnderWay, work: Work) -> Outcome:
        """Apply a migration that cannot run in a transaction, takes the online strategy, or is there in part."""
        migration, log_position = work.migration, under_way.log_position
        if not migration.transactional:
            return await nontransactional.carry_out(self.runner, transactions, work, log_position)
        if under_way.step.completion is None:
            return await nontransactional.carry_out_online(self.runner, transactions, work, log_position)
        if under_way.step.completion.online and self.runner.direct is not None:
            background = await self._background(transactions, migration)
            outcome = await staging.carry_out(self.runner, transactions, work, log_position, background)
            # The report lists the acts of a completion. Of other migrations nothing existed.
            return outcome if self._is_begun(migration) else evolve(outcome, notes=())
        return await self._complete(transactions, work, log_position)

    async def _complete(self, transactions: Transactions, work: Work, log_position: int) -> Outcome:
        """Bring the rest of a migration that is there in part."""
        background = await self._background(transactions, work.migration)
        async with observed(self.runner, transactions.session, work.migration):
            return await completing.carry_out(transactions, work, log_position, background)

    async def _record_failure(self, transactions: Transactions, error: MigrationError, message: str) -> None:
        migration = error.failed
        assert migration is not None  # the error is about one
        notify(self.progress, Failed(migration, message, type(error).__name__, error.sqlstate))
        await transactions.record_failure(self._work_of(migration), message, self.run.step_clock())
