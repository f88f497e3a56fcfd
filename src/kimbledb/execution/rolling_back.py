"""Rolling back: newest first, one transaction for each migration, and never data unasked.

The counterpart of :mod:`kimbledb.execution.applying`. The losses are not derived from what
migrations declare. The scripts run in a transaction that is rolled back, and their losses are
measured (:mod:`kimbledb.inspection.data_loss`); the transactions that commit measure them once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kimbledb.errors import DataLossError, DependentsError, RollbackError, RollbackRefusedError
from kimbledb.events import Failed, RolledBack, RollingBack
from kimbledb.execution import load_plan
from kimbledb.execution.run import Run, Sent
from kimbledb.execution.transaction import Outcome, ScriptError, Transactions, Work
from kimbledb.inspection import history, preflight
from kimbledb.inspection.data_loss import Guard, Lost, Suspect, Suspected, sets_sequences, takes_back
from kimbledb.model.migration import AppliedStep, DatabaseObject, Loss, Migration, schemas_reached
from kimbledb.model.operator_reports import RollbackReport
from kimbledb.model.plan import Plan, Step, StepState
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import counted, one_line
from kimbledb.planning.planner import Goal, Planner
from kimbledb.server.notifications import notify
from kimbledb.server.observer import observed
from kimbledb.server.session import Session

#: States in which a part of what another hand recorded is there.
_IN_PART = (StepState.PARTIAL, StepState.CONFLICTING)


class RollbackRun:
    """One rollback: which migrations go, and what it has achieved so far, across connections."""

    def __init__(
        self,
        run: Run,
        *,
        name: str | int | None,
        phase: int | None,
        to: str | int | None,
        cascade: bool,
        allow_data_loss: bool,
        include_adopted: bool,
        dry_run: bool,
    ) -> None:
        self.run = run
        self.runner = run.runner
        self.catalog, self.schema = run.request.catalog, run.request.schema
        self.progress = run.request.progress
        self.name, self.phase, self.to = name, phase, to
        self.cascade, self.allow_data_loss = cascade, allow_data_loss
        self.include_adopted, self.dry_run = include_adopted, dry_run
        self.losses: tuple[Loss, ...] = ()
        #: What has to be counted in the transactions that may take it.
        self.suspects: tuple[Suspect, ...] = ()
        #: What goes that stands by itself, and the migrations that go because they need another.
        self.objects: tuple[DatabaseObject, ...] = ()
        self.dependents: tuple[str, ...] = ()
        #: What goes along and no migration made.
        self.handmade: tuple[DatabaseObject, ...] = ()
        #: What this call takes back, once decided; a later try takes the rest of it.
        self.chosen: list[Migration] | None = None

    @property
    def taken_back(self) -> list[AppliedStep]:
        """The migrations that it took back, or with ``dry_run`` would take back."""
        return self.run.achieved

    @property
    def report(self) -> RollbackReport:
        """What it has achieved."""
        return RollbackReport(
            tuple(self.taken_back),
            self.losses,
            self.run.clock(),
            self.dry_run,
            self.objects,
            self.dependents,
            self.handmade,
        )

    async def work(self, session: Session) -> None:
        """Go on from what the database shows now, to the end."""
        goal = Goal(planner=Planner(self.catalog), schema=self.schema, deciding=False)
        loaded = await load_plan.from_history(self.runner, session, goal)
        state = loaded.state
        await preflight.check_history(session, state, self.schema)
        if not loaded.is_final:
            loaded = await load_plan.with_evidence(self.runner, session, goal, loaded)
        plan = loaded.plan
        there = {
            step.name: step for step in plan.steps if step.is_applied or (step.is_recorded and step.state in _IN_PART)
        }
        if self.chosen is None:
            self.chosen = self._choose(plan, there)
        await self._settle(session, state, there)
        done = {step.migration.name for step in self.taken_back}
        remaining = [each for each in self.chosen if each.name in there and each.name not in done]
        if not remaining or state.log_position is None:
            return
        preflight.check_server(state)
        path = state.search_path(self.schema, self.catalog.extensions)
        transactions = Transactions(session, self.schema, path, schemas_reached(self.catalog))
        await self._weigh(transactions, remaining, state.log_position)
        if self.dry_run:
            self.taken_back[:] = [AppliedStep(migration, 0.0) for migration in remaining]
            return
        if self.handmade:
            raise RollbackRefusedError(
                f"this would take along what no migration made; {self._standing('nothing was touched')}:\n"
                + "\n".join(f"  {each}" for each in self.handmade),
                hint="drop it first, and make it again afterwards where it still fits",
            )
        if self.losses and not self.allow_data_loss:
            raise DataLossError(
                self.losses,
                objects=self.objects,
                applied=self.taken_back,
                standing=self._standing("nothing was touched"),
            )
        await self.run.back_up(session, state)
        await self._take_back(transactions, remaining, state.log_position)

    def _choose(self, plan: Plan, there: dict[str, Step]) -> list[Migration]:
        """Return what is to go, newest first, or say why it may not."""
        if self.to is not None:
            order = [step.name for step in plan.steps]
            stays = 0 if self.to == 0 else order.index(self.catalog[self.to].name) + 1
            wanted = {name for name in order[stays:] if name in there}
        elif self.phase is not None:
            wanted = {name for name, step in there.items() if step.migration.phase == self.phase}
        else:
            assert self.name is not None
            migration = self.catalog[self.name]
            if migration.name not in there:
                raise RollbackRefusedError(
                    f"{migration.name} is not applied: {plan.step(migration.name).reason}",
                    hint="`kimbledb status` shows what is",
                )
            wanted = {migration.name}
        dependents = _dependents(wanted, there)
        if dependents and not self.cascade:
            shown = self.catalog[self.name].name if self.name is not None else f"phase {self.phase}"
            raise DependentsError(shown, [step.name for step in reversed(plan.steps) if step.name in dependents])
        going = [there[step.name] for step in reversed(plan.steps) if step.name in wanted | dependents]
        self._refuse_kept(plan, going)
        self.dependents = tuple(step.name for step in going if step.name in dependents)
        return [step.migration for step in going]

    def _refuse_kept(self, plan: Plan, going: Sequence[Step]) -> None:
        strangers = [step for step in plan.steps if step.is_newer]
        if going and strangers:
            shown = ", ".join(
                one_line(f"{step.name} (kimbledb {step.recorded.version})") for step in strangers if step.recorded
            )
            renamed = [step.name for step in plan.steps if step.state is StepState.RENAMED]
            raise RollbackRefusedError(
                f"history holds what this catalog does not know and what may need these: {shown}",
                hint="roll back with the version that wrote it"
                + (f"; if that was renamed to {', '.join(renamed)}, give it its old name" if renamed else ""),
            )
        adopted = [
            step.name for step in going if step.recorded is not None and (step.recorded.adopted or step.recorded.legacy)
        ]
        if adopted and not self.include_adopted:
            raise RollbackRefusedError(
                f"adopted and not made by these migrations: {', '.join(adopted)}",
                hint="pass include_adopted=True (--include-adopted) to take them back all the same",
            )
        for step in going:
            if step.migration.irreversible is not None:
                raise RollbackRefusedError(f"{step.name} cannot be rolled back: {step.migration.irreversible}")

    async def _settle(self, session: Session, state: DatabaseState, there: dict[str, Step]) -> None:
        """Count what was in flight when a connection was lost, and no more what the server lost when it crashed.

        What this run took back and another one has applied since stays.
        """
        sent = self.run.in_flight
        shown = sent is not None and sent.migration is not None and sent.migration.name not in there
        await self.run.settle(session, state, shown=shown)
        for step in [step for step in self.taken_back if step.migration.name in there]:
            if not await self.run.did(session, state, Sent("rollback", step.migration)):
                self.taken_back.remove(step)

    async def _weigh(self, transactions: Transactions, migrations: Sequence[Migration], head: int) -> None:
        """Run the scripts in a transaction that is rolled back, and keep what data and which objects they would take."""
        self.runner.doing = "finding out what would go"
        works = [self._work_of(migration, None) for migration in migrations]
        suspects: tuple[Suspect, ...] = ()
        reaches = tuple(reach for migration in migrations for reach in migration.reaches)
        while True:
            guard = Guard(
                schema=self.schema,
                reaches=reaches,
                back=True,
                telling=True,
                sequences=True,
                undoing=any(takes_back(work.script.text) for work in works),
                suspects=suspects,
            )
            try:
                async with observed(self.runner, transactions.session):
                    measured, vanished = await transactions.rehearse(works, head, guard)
            except ScriptError as failure:
                raise self._failure(failure) from failure.__cause__
            if not measured.suspects:
                break
            suspects += measured.suspects
        self.suspects = suspects
        self.handmade = await self._made_by_hand(transactions.session, migrations, vanished["parts"])
        if not self.taken_back:
            self.losses = measured.losses
            self.objects = tuple(DatabaseObject(kind, name) for kind, name in vanished["objects"])
        elif not self.allow_data_loss:
            self.losses = measured.losses

    async def _made_by_hand(
        self, session: Session, migrations: Sequence[Migration], parts: Sequence[Sequence[str]]
    ) -> tuple[DatabaseObject, ...]:
        """Return those of the parts that go with columns which no migration declares or made, as far as that is known."""
        declared = {each.key for migration in self.catalog for each in (*migration.creates, *migration.changes)}
        left = [DatabaseObject(kind, name) for kind, name in parts if (kind, name) not in declared]
        if not left:
            return ()
        made, known = await history.made_by_migrations(session, self.schema)
        if any(each.name not in known and not each.creates for each in migrations):
            return ()
        return tuple(each for each in left if str(each) not in made)

    async def _take_back(
        self,
        transactions: Transactions,
        migrations: Sequence[Migration],
        head: int,
    ) -> None:
        total = len(self.taken_back) + len(migrations)
        for migration in migrations:
            notify(self.progress, RollingBack(migration, len(self.taken_back) + 1, total))
            self.runner.doing = f"rolling back {migration.name}"
            try:
                with self.run.sending(Sent("rollback", migration), lambda: transactions.in_doubt):
                    outcome = await self._carry_out(transactions, migration, head)
            except ScriptError as failure:
                notify(self.progress, Failed(migration, failure.diagnosis.for_history))
                work = self._work_of(migration, None)
                await transactions.record_failure(work, failure.diagnosis.for_history, self.run.step_clock())
                raise self._failure(failure) from failure.__cause__
            except Lost as refused:
                error = DataLossError(
                    refused.losses,
                    applied=self.taken_back,
                    failed=migration,
                    standing=self._standing("nothing was touched"),
                )
                notify(self.progress, Failed(migration, error.message))
                raise error from refused.__cause__
            head = outcome.head
            seconds = self.run.step_clock()
            self.taken_back.append(AppliedStep(migration, seconds, outcome.held))
            notify(self.progress, RolledBack(migration, seconds))

    async def _carry_out(self, transactions: Transactions, migration: Migration, head: int) -> Outcome:
        """Take one back; where it may lose data that was not there when it was tried, undone and once more, counting."""
        while True:
            # What may go was counted when it was tried.
            guard = Guard(
                schema=self.schema,
                reaches=migration.reaches,
                back=True,
                sequences=sets_sequences(migration.rollback_sql),
                suspects=self.suspects,
            )
            work = self._work_of(migration, None if self.allow_data_loss else guard)
            try:
                async with observed(self.runner, transactions.session):
                    return await transactions.carry_out(work, head)
            except Suspected as found:
                self.suspects = found.suspects

    def _work_of(self, migration: Migration, guard: Guard | None) -> Work:
        detail = {"losses": [str(loss) for loss in self.losses]} if self.losses else {}
        return Work(
            migration=migration,
            part="rollback",
            run=self.runner.run_id,
            guard=guard,
            detail=detail,
        )

    def _standing(self, nothing: str) -> str:
        count = len(self.taken_back)
        return (
            f"{counted(self.taken_back, 'migration')} {'was' if count == 1 else 'were'} taken back before it"
            if count
            else nothing
        )

    def _failure(self, failure: ScriptError) -> RollbackError:
        found = failure.diagnosis
        return RollbackError(
            f"the rollback failed: {found}\n{self._standing(failure.standing or 'nothing was touched')}",
            applied=self.taken_back,
            failed=failure.migration,
            file=found.file,
            line=found.line,
            column=found.column,
            statement=found.statement,
            sqlstate=found.sqlstate,
            hint=found.hint,
        )


def _dependents(wanted: Iterable[str], there: dict[str, Step]) -> set[str]:
    """Return the applied migrations beyond ``wanted`` that need one of them, directly or not."""
    needed_by: dict[str, list[str]] = {}
    for step in there.values():
        for need in step.needs:
            needed_by.setdefault(need, []).append(step.name)
    found: set[str] = set()
    goals = list(wanted)
    while goals:
        for dependent in needed_by.get(goals.pop(), ()):
            if dependent not in found:
                found.add(dependent)
                goals.append(dependent)
    return found - set(wanted)
