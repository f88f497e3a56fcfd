"""Rolling back: newest first, one transaction for each migration, and never data unasked.

The counterpart of ``kimbledb.execution.applying``. A migration without a rollback.sql gets a derived script
(``kimbledb.execution.rollback_scripts``). The losses are not derived from what
migrations declare. The scripts run in a transaction that is rolled back, and their losses are
measured (``kimbledb.inspection.data_loss``); the transactions that commit measure them once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from kimbledb.errors import DataLossError, RollbackError, RollbackRefusedError
from kimbledb.events import Failed, RolledBack, RollingBack
from kimbledb.execution import load_plan, rollback_scripts
from kimbledb.execution.messages import Messages
from kimbledb.execution.rollback_scripts import RollbackScripts
from kimbledb.execution.run import Run, Sent
from kimbledb.execution.suspects import Suspects
from kimbledb.execution.transaction import Transactions
from kimbledb.execution.try_run import try_run
from kimbledb.execution.work import Outcome, ScriptError, Work
from kimbledb.inspection import history, preflight, snapshot
from kimbledb.inspection.data_loss import Guard, Lost, Measured, Suspect, Suspected, may_set_sequences, may_undo_parts
from kimbledb.inspection.proof import Site
from kimbledb.model.loss import Loss
from kimbledb.model.migration import AppliedStep, Migration
from kimbledb.model.objects import DatabaseObject, Key, has_expressions, parts_of
from kimbledb.model.operator_reports import RollbackReport
from kimbledb.model.plan import Plan
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import Step
from kimbledb.model.text import counted
from kimbledb.planning.fold import FoldedObject, fold
from kimbledb.planning.planner import Goal, Planner
from kimbledb.planning.rollback_selection import RollbackGoal, Selection, removable
from kimbledb.server.notifications import notify
from kimbledb.server.observer import observed
from kimbledb.server.session import Session


class RollbackRun:
    """One call of rollback(), across all its connections: what it wants, and what it has achieved so far."""

    def __init__(self, goal: RollbackGoal, run: Run, *, allow_data_loss: bool, dry_run: bool) -> None:
        """Begin with nothing achieved.

        Args:
            goal: Which migrations the call wants to be taken back.
            run: The run that carries it.
            allow_data_loss: Whether rows and values may be lost.
            dry_run: Whether only to find out what would be lost.
        """
        self.goal = goal
        self.run = run
        self.runner = run.runner
        self.schema = run.request.schema
        self.progress = run.request.progress
        self.allow_data_loss = allow_data_loss
        self.dry_run = dry_run
        self.losses: tuple[Loss, ...] = ()
        #: The tables whose rows must be counted in the transactions that may lose them.
        self.suspects = Suspects()
        #: The objects that would be dropped and belong to no other object.
        self.objects: tuple[DatabaseObject, ...] = ()
        #: The objects that would be dropped with them and that no migration made.
        self.handmade: tuple[DatabaseObject, ...] = ()
        #: The applied migrations, in the order of the plan, and whether the database is a hosted one.
        self.applied: list[Migration] = []
        self.hosted = False
        #: The migrations that this call takes back, once selected. A later try takes back the rest of them.
        self.selection: Selection | None = None
        #: The scripts that no file holds.
        self.scripts = RollbackScripts()
        #: The SQL of each derived rollback of this call, by the migration's name.
        self.derived: dict[str, str] = {}

    @property
    def taken_back(self) -> list[AppliedStep]:
        """The migrations that this run took back, or with ``dry_run`` would take back."""
        return self.run.achieved

    @property
    def report(self) -> RollbackReport:
        """The migrations that were taken back so far, and the losses."""
        return RollbackReport(
            tuple(self.taken_back),
            self.losses,
            self.run.clock(),
            self.dry_run,
            self.objects,
            self.selection.dependents if self.selection is not None else (),
            self.handmade,
            dict(self.derived),
        )

    async def work(self, session: Session) -> None:
        """Take the selected migrations back, beginning with what the database shows now.

        Args:
            session: A session of the target. Each call of this method may get another one.

        Raises:
            Retry: Another run is at work or was quicker. What is committed stays.
            KimbleDBError: As ``kimbledb.rollback()`` raises it.
        """
        state, plan = await self._load(session)
        there = removable(plan)
        if self.selection is None:
            self.selection = self.goal.select(plan)
        await self._settle(session, state, there)
        done = {step.migration.name for step in self.taken_back}
        remaining = [each for each in self.selection.migrations if each.name in there and each.name not in done]
        if not remaining or state.log_position is None:
            return
        preflight.check_server(state)
        self.hosted = state.hosted
        self.applied = [step.migration for step in plan.steps if step.is_applied]
        self.scripts = await rollback_scripts.load(session, self.schema, plan, remaining, hosted=state.hosted)
        self.derived |= {name: script.text for name, script in self.scripts.derived.items()}
        transactions = Transactions(Messages(session, Site.of(state, self.schema, self.goal.catalog)))
        await self._try_run(transactions, remaining, state)
        if self.dry_run:
            self.taken_back[:] = [AppliedStep(migration, 0.0) for migration in remaining]
            return
        self._refuse_losses()
        await self.run.back_up(session, state)
        await self._take_back(transactions, remaining, state.log_position)

    async def _load(self, session: Session) -> tuple[DatabaseState, Plan]:
        """Load the plan, with evidence only where history does not decide between alternatives."""
        goal = Goal(planner=Planner(self.goal.catalog), schema=self.schema, deciding=False)
        loaded = await load_plan.from_history(self.runner, session, goal)
        await preflight.check_history(session, loaded.state, self.schema)
        if not loaded.is_final:
            loaded = await load_plan.with_evidence(self.runner, session, goal, loaded, foreseeing=False)
        return loaded.state, loaded.plan

    def _refuse_losses(self) -> None:
        """Stop where handmade objects would be dropped, or data lost that the caller did not allow to be lost."""
        if self.handmade:
            raise RollbackRefusedError(
                f"the rollback would also drop objects that no migration made; {self._standing('nothing was touched')}:\n"
                + "\n".join(f"  {each}" for each in self.handmade),
                hint="drop them first, and make them again afterwards where they still fit",
            )
        if self.losses and not self.allow_data_loss:
            raise DataLossError(
                self.losses,
                objects=self.objects,
                applied=self.taken_back,
                standing=self._standing("nothing was touched"),
            )

    async def _settle(self, session: Session, state: DatabaseState, there: dict[str, Step]) -> None:
        """Bring the record of this run in step with history.

        A migration that was in flight when a connection was lost is added if its rollback was committed.
        Migrations whose rollback the server lost in a crash are removed, but not those that another run
        has applied again since.
        """
        await self.run.settle(
            session, state, shown=lambda sent: sent.migration is not None and sent.migration.name not in there
        )
        for step in [step for step in self.taken_back if step.migration.name in there]:
            if not await self.run.did(session, state, Sent("rollback", step.migration)):
                self.taken_back.remove(step)

    async def _try_run(self, transactions: Transactions, migrations: Sequence[Migration], state: DatabaseState) -> None:
        """Run the scripts in a transaction that is rolled back, and keep which data and objects they would take.

        Raises:
            RollbackRefusedError: A derived one leaves an object, or does not give it back.
        """
        self.runner.doing = "measuring what would be lost"
        assert state.log_position is not None  # history is there
        question = self.scripts.question(self.schema, transactions.messages.path, migrations)
        works = [self._work_of(migration, None) for migration in migrations]
        suspects: tuple[Suspect, ...] = ()
        while True:
            guard = Guard(
                schema=self.schema,
                reaches=tuple(reach for migration in migrations for reach in migration.reaches),
                rolling_back=True,
                report_only=True,
                sequences=True,
                undoing=any(may_undo_parts(work.script.text) for work in works),
                suspects=suspects,
            )
            try:
                async with observed(self.runner, transactions.session):
                    tried = await try_run(transactions.messages, works, state.log_position, guard, question)
            except ScriptError as failure:
                raise self._rollback_error(failure) from failure.__cause__
            if not tried.measured.suspects:
                break
            suspects += tried.measured.suspects
        self.suspects = await Suspects.ask(transactions.session, suspects)
        if tried.answer is not None:
            found = snapshot.snapshot_of(tried.answer)
            self.scripts.check(found, standing=self._standing("nothing was touched"))
        self.handmade = await self._made_by_hand(transactions.session, migrations, tried.parts)
        self._keep_losses(tried.measured, tried.objects)

    def _keep_losses(self, measured: Measured, objects: Sequence[Sequence[str]]) -> None:
        """Keep what the first try run measured, which covers the whole call; a later one may only stop it."""
        if not self.taken_back:
            self.losses = measured.losses
            self.objects = tuple(DatabaseObject(kind, name) for kind, name in objects)
        elif not self.allow_data_loss:
            self.losses = measured.losses

    async def _made_by_hand(
        self, session: Session, migrations: Sequence[Migration], parts: Sequence[Sequence[str]]
    ) -> tuple[DatabaseObject, ...]:
        """Return the parts of columns that no migration declares or made: keys, checks, indexes, statistics.

        Nothing is returned where history does not say what each of the migrations made.
        """
        declared = self._declared_names()
        left = [DatabaseObject(kind, name) for kind, name in parts if (kind, name) not in declared]
        if not left:
            return ()
        made, known = await history.made_by_migrations(session, self.schema)
        if any(each.name not in known and not each.is_declared for each in migrations):
            return ()
        return tuple(each for each in left if str(each) not in made)

    def _declared_names(self) -> set[Key]:
        """Return every kind and name that a migration of the catalog gives an object, without quotes, as the server has it."""
        planner = Planner(self.goal.catalog)
        names: set[Key] = set()
        for hosted in (False, True):
            folded = fold(planner.in_order(), hosted=hosted)
            names |= {*folded.objects, *folded.gone}
        return {(kind, ".".join(parts_of(name))) for kind, name in names}

    async def _take_back(self, transactions: Transactions, migrations: Sequence[Migration], log_position: int) -> None:
        """Take migrations back, each in one transaction."""
        total = len(self.taken_back) + len(migrations)
        for migration in migrations:
            notify(self.progress, RollingBack(migration, len(self.taken_back) + 1, total))
            self.runner.doing = f"rolling back {migration.name}"
            try:
                with self.run.sending(Sent("rollback", migration), in_doubt=lambda: transactions.in_doubt):
                    outcome = await self._carry_out(transactions, migration, log_position)
            except ScriptError as failure:
                message = failure.located.for_history
                notify(self.progress, Failed(migration, message, RollbackError.__name__, failure.located.sqlstate))
                await transactions.record_failure(self._work_of(migration, None), message, self.run.step_clock())
                raise self._rollback_error(failure) from failure.__cause__
            except Lost as refused:
                error = self._loss_error(migration, refused)
                notify(self.progress, Failed(migration, error.message, type(error).__name__))
                raise error from refused.__cause__
            log_position = outcome.log_position
            seconds = self.run.step_clock()
            self.taken_back.append(AppliedStep(migration, seconds, outcome.held))
            notify(self.progress, RolledBack(migration, seconds))

    async def _carry_out(self, transactions: Transactions, migration: Migration, log_position: int) -> Outcome:
        """Take one migration back. A try that may lose data unforeseen is undone and repeated with a count."""
        script = self._work_of(migration, None).script.text
        suspects = self.suspects.in_script(script)
        while True:
            # With leave to lose data no guard is needed: the try run has counted the losses.
            guard = Guard(
                schema=self.schema,
                reaches=migration.reaches,
                rolling_back=True,
                sequences=may_set_sequences(script),
                suspects=suspects,
            )
            work = self._work_of(migration, None if self.allow_data_loss else guard, self._restored(migration))
            try:
                async with observed(self.runner, transactions.session):
                    return await transactions.carry_out(work, log_position)
            except Suspected as found:
                suspects = found.suspects

    def _restored(self, migration: Migration) -> tuple[FoldedObject, ...]:
        """Return the objects with expressions that the rollback of a migration gives back in an earlier form."""
        if not (migration.changes or migration.drops or migration.declarations.renames):
            return ()  # what it only makes had no earlier form
        gone = {step.migration.name for step in self.taken_back}
        there = [each for each in self.applied if each.name not in gone]
        before = fold([each for each in there if each is not migration], hosted=self.hosted)
        after = fold(there, hosted=self.hosted)
        return tuple(
            item
            for key, item in before.objects.items()
            if has_expressions(item.each.facts or {})
            and (key not in after.objects or after.objects[key].migration is migration)
        )

    def _work_of(self, migration: Migration, guard: Guard | None, restored: tuple[FoldedObject, ...] = ()) -> Work:
        detail = {"losses": [str(loss) for loss in self.losses]} if self.losses else {}
        return Work(
            migration=migration,
            part="rollback",
            run=self.runner.run_id,
            guard=guard,
            hosted=self.hosted,
            restored=restored,
            detail=detail,
            derived=self.scripts.derived.get(migration.name),
            grants=self.scripts.grants.get(migration.name, ()),
        )

    def _standing(self, nothing: str) -> str:
        """Return the number of migrations that this run took back, in words, or ``nothing`` where there are none."""
        if not self.taken_back:
            return nothing
        were = "was" if len(self.taken_back) == 1 else "were"
        return f"{counted(self.taken_back, 'migration')} {were} taken back before it"

    def _loss_error(self, migration: Migration, refused: Lost) -> DataLossError:
        return DataLossError(
            refused.losses,
            applied=self.taken_back,
            failed=migration,
            standing=self._standing("nothing was touched"),
        )

    def _rollback_error(self, failure: ScriptError) -> RollbackError:
        found = failure.located
        return RollbackError(
            f"the rollback failed: {found}\n{self._standing(failure.standing or 'nothing was touched')}",
            applied=self.taken_back,
            failed=failure.migration,
            **found.attributes,
        )
