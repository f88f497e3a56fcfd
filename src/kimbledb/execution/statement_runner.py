"""The statements of a script, run one at a time in a session of their own, outside of the migration's transaction."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from attrs import evolve

from kimbledb.errors import ConnectionLostError
from kimbledb.events import Statement as StatementStarted
from kimbledb.execution.batches import fill
from kimbledb.execution.error_location import locate, offset_in
from kimbledb.execution.leftovers import Leftovers, TakenBack, never_valid, shown_constraint
from kimbledb.execution.located_error import LocatedError
from kimbledb.execution.messages import before_script, check_reach, take_back
from kimbledb.execution.script_statement import ScriptStatement, statements_of, statements_of_stage
from kimbledb.execution.statement_log import StatementLog
from kimbledb.execution.step_errors import with_cancel_reason
from kimbledb.execution.transaction import Transactions
from kimbledb.execution.work import ScriptError, Work
from kimbledb.inspection import data_loss
from kimbledb.inspection.data_loss import Lost, Measured, Suspected
from kimbledb.model.completion import Batches
from kimbledb.model.loss import Loss
from kimbledb.model.redaction import masked
from kimbledb.model.script import Script
from kimbledb.model.text import counted
from kimbledb.server.codes import DATA_LOSS, MEASURED, NEEDS_NO_TRANSACTION, own_code
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.notifications import notify
from kimbledb.server.observer import observed
from kimbledb.server.retry import meaning
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session
from kimbledb.server.settings import milliseconds

#: The names of the indexes that an interrupted REINDEX CONCURRENTLY leaves (manual, REINDEX, "Rebuilding Indexes Concurrently").
_LEFT_BY_REINDEX = re.compile(r"_cc(?:new|old)\d*$")
#: The number of times that an index is built where an invalid one is in the way.
_BUILDS = 2
#: Characters of a statement that are shown while it runs.
_SHOWN = 60


class StatementRunner:
    """Runs the statements of one script, one at a time."""

    def __init__(self, runner: Runner, holder: Transactions, worker: Session, work: Work) -> None:
        """Begin at the first statement.

        Args:
            runner: The runner of the call, which reports the session that blocks a statement.
            holder: The session that holds the schema's lock.
            worker: The session that runs the statements.
            work: The migration and its script.
        """
        self._runner = runner
        self._holder = holder
        self._worker = worker
        self._work = work
        #: The measurement of a statement's data loss.
        self._guard = work.guard
        self._measured: list[Measured] = []
        self._statements = statements_of(work.script.text)
        self._log = StatementLog(worker, holder.messages.schema, work)
        self._leftovers = Leftovers(worker, holder.messages.path, self._log)
        #: The number of completed statements.
        self._completed = 0
        #: Whether the statement that runs may commit parts of its work by itself.
        self._outside = False

    @property
    def worker(self) -> Session:
        """The session that runs the statements."""
        return self._worker

    @property
    def measured(self) -> Measured:
        """The data that the statements took away."""
        return data_loss.combined(self._measured)

    async def run(self) -> None:
        """Run the statements that are not completed yet.

        Raises:
            Retry: Another session is in the way. Completed statements stay completed.
            ScriptError: A statement failed.
            Lost: A statement would have lost data.
            ConnectionLostError: One of the two connections was lost.
        """
        await self.begin()
        await self._run_all(await self._log.completed())

    async def begin(self) -> None:
        """Set the session up, and clear away what an earlier try has left half done.

        Raises:
            Retry: Another session still builds an index.
            ConnectionLostError: The connection was lost.
        """
        await self._set_up()
        await self._continue_earlier_try()

    async def run_stage(self, script: Script, steps: Sequence[str | Batches]) -> None:
        """Run statements that were derived from what the schema lacks now, after ``begin()``: all of them.

        Args:
            script: The script with the steps.
            steps: The steps.

        Raises:
            Exception: As for ``run()``.
        """
        self._work = evolve(self._work, derived=script)
        self._statements = statements_of_stage(script.text, steps)
        await self._run_all(frozenset())

    async def _run_all(self, completed: Collection[str]) -> None:
        for place, statement in enumerate(self._statements):
            self._completed, self._outside = place, False
            self._runner.standing = self._standing_now()
            if statement.digest in completed:
                continue
            # The lock must still be held: without it another run may be at work.
            await self._holder.session.send("DO $$ BEGIN END $$;")
            await self._log.note(statement.digest, "begun", kind=statement.kind, words=statement.words)
            shown = " ".join(masked(statement.text).split())[:_SHOWN]
            notify(
                self._runner.progress,
                StatementStarted(self._work.migration, place + 1, len(self._statements), shown),
            )
            await self._run_one(statement)
        self._completed = len(self._statements)
        self._runner.standing = self._standing_now()

    def _limit(self) -> str:
        """Return the statement that sets the statement timeout of the migration, or that of the options."""
        own = self._work.migration.statement_timeout
        return f"SET statement_timeout = {milliseconds(self._worker.options.statement_timeout if own is None else own)}"

    async def _set_up(self) -> None:
        """Set the limits of the session, which is used for nothing else and closed at the end."""
        worker = self._worker
        await worker.send(
            worker.settings(statement_timeout=self._work.migration.statement_timeout, for_session=True)
            # No call lasts longer than its deadline: a client that has been silent for so long is frozen,
            # and its lock must end.
            + f"SET SESSION idle_session_timeout = {milliseconds(worker.options.deadline)};\n"
            # The server reports an index that exists already, valid or not, by a notice and by nothing else.
            + "SET SESSION client_min_messages = notice;\n"
            + worker.guarded(self._holder.messages.path, self._holder.messages.reached, for_session=True)
        )

    async def _continue_earlier_try(self) -> None:
        """Clear away, or finish, the statement in which an earlier try was interrupted."""
        found = await self._leftovers.find()
        self._log.added = {int(key["oid"]): shown_constraint(key) for key in found["constraints"]}
        await self._worker.send("SET lock_timeout = 0")
        async with observed(self._runner, self._worker, self._work.migration):
            await self._leftovers.clear(found)

    async def take_back(self) -> str:
        """After a failure, take back what would hinder the application: invalid indexes and unvalidated constraints.

        Returns:
            What stays and what was taken back, in words.
        """
        taken = TakenBack()
        lines = [self._standing()]
        try:
            await self._leftovers.take_back(taken)
        except (ServerError, ConnectionLostError) as error:
            taken.left.append(f"what the failing statement began, which could not be examined ({first_line(error)})")
        if self._outside:
            lines.append("the changes that the failing statement committed by itself stay")
        if taken.done:
            lines.append(f"taken back: {'; '.join(taken.done)}")
        if taken.left:
            lines.append(f"left for the next run: {'; '.join(taken.left)}")
        return "\n".join(lines)

    def _standing(self) -> str:
        """Return the completed part of the script, in words."""
        every, number = counted(self._statements, "statement"), self._completed
        if not number:
            done = f"none of its {every} is done"
        elif number == len(self._statements):
            done = f"its {every} {'stays' if number == 1 else 'stay'} done"
        else:
            done = f"the first {'of' if number == 1 else f'{number} of'} its {every} {'stays' if number == 1 else 'stay'} done"
        return f"{self._work.script.file_name} runs outside of a transaction: {done}"

    def _standing_now(self) -> str:
        """Return the same, and which constraints are not validated yet."""
        added = self._log.added.values()
        return self._standing() + (f"; not validated yet: {', '.join(added)}" if added else "")

    async def _run_one(self, statement: ScriptStatement) -> None:
        """Run a statement, and note that it is completed."""
        try:
            async with observed(self._runner, self._worker, self._work.migration):
                if statement.batches is not None:
                    await self._fill(statement, statement.batches)
                elif statement.alone or not await self._run_in_transaction(statement):
                    await self._run_outside(statement)
        except ServerError as error:
            if (meant := meaning(error)) is not None:
                raise meant from error
            if own_code(error) == DATA_LOSS and self._guard is not None:
                await self._count_or_refuse(statement, data_loss.refusal(error, self._guard))
            elif not await self._leftovers.is_detached(statement, error):
                raise ScriptError(self._work.migration, await self._locate(statement, error)) from error

    async def _fill(self, statement: ScriptStatement, batches: Batches) -> None:
        """Fill rows in batches, and note that they are filled."""
        self._outside = True
        path, own, reaches = self._holder.messages.path, self._worker.path(), self._work.migration.reaches
        schema = self._holder.messages.schema
        begin = "BEGIN;\n" + before_script(schema, path, reaches)
        updated = await fill(self._worker, batches, begin=begin, end=own + check_reach(schema, reaches))
        if updated:
            self._measured.append(Measured(updates=(Loss("updated rows", batches.table, updated),)))
        await self._log.note(statement.digest, "done")

    async def _count_or_refuse(self, statement: ScriptStatement, refusal: Suspected | Lost) -> None:
        """Refuse a statement that would lose data. Where that is only suspected, run it again and count the loss."""
        assert self._guard is not None
        if isinstance(refusal, Lost):
            raise refusal
        self._guard = evolve(self._guard, suspects=refusal.suspects)
        await self._run_one(statement)

    async def _locate(self, statement: ScriptStatement, error: ServerError) -> LocatedError:
        work = self._work
        offset = offset_in(error, statement.text, statement.start)
        located = locate(error, work.migration, work.script, offset=offset, exact=bool(error.position))
        return await with_cancel_reason(self._worker, error, located)

    async def _run_in_transaction(self, statement: ScriptStatement) -> bool:
        """Run a statement and note its completion in one transaction, so that no crash comes between.

        Returns:
            False where the server refuses to run it in a transaction.
        """
        try:
            await self._worker.send(f"SET lock_timeout = {milliseconds(self._worker.options.lock_timeout)}")
            if statement.kind == "index":
                await self._build_in_transaction(statement)
            else:
                before, after = self._measuring(statement)
                await self._begin(before)
                answers = await self._worker.send(f"{statement.text}\n;\n{self._ending(statement, after)}")
                self._measured += [data_loss.measured(each.value) for each in answers if each.code == MEASURED]
                self._log.heed(answers)
        except ServerError as error:
            if error.sqlstate in NEEDS_NO_TRANSACTION:
                return False
            raise
        return True

    async def _build_in_transaction(self, statement: ScriptStatement) -> None:
        """Build an index in a transaction. An invalid one in its way is dropped, and the build is repeated.

        Raises:
            Retry: An invalid index is in the way even then.
        """
        for _ in range(_BUILDS):
            await self._begin()
            passed_over = await self._leftovers.send(statement)
            if not passed_over:
                self._log.heed(await self._worker.send(self._ending(statement)))
                return
            await self._worker.roll_back()
            await self._leftovers.drop(passed_over[0])
        raise never_valid(passed_over[0])

    async def _begin(self, measuring: str = "") -> None:
        path, migration = self._holder.messages.path, self._work.migration
        before = before_script(self._holder.messages.schema, path, migration.reaches, closed=migration.closed)
        await self._worker.send(f"BEGIN;\n{measuring}{before}")

    def _ending(self, statement: ScriptStatement, measuring: str = "") -> str:
        """Return the end of a statement's transaction: its reach is checked, its completion noted."""
        reach = self._worker.path() + (take_back() if self._work.migration.closed else "")
        reach += check_reach(self._holder.messages.schema, self._work.migration.reaches)
        return reach + measuring + self._log.closing(statement.digest, "done", before=self._log.unvalidated)

    def _measuring(self, statement: ScriptStatement) -> tuple[str, str]:
        """Return the text before and after a statement in its transaction that measures data loss."""
        if self._guard is None or statement.kind:
            return "", ""
        path, own = self._worker.path(self._holder.messages.path), self._worker.path()
        return own + self._guard.before() + path, own + self._guard.after()

    async def _run_outside(self, statement: ScriptStatement) -> None:
        """Run a statement in no transaction, and note in one that it is completed."""
        worker, leftovers = self._worker, self._leftovers
        if self._guard is not None and not self._guard.allowed and statement.may_delete:
            raise Lost([Loss("statement", " ".join(masked(statement.text).split()[:2]), 0, exact=False)])
        # CONCURRENTLY waits for transactions to end, and blocks no reader or writer while it does: to
        # give up early would throw a long build away.
        limit = 0 if statement.concurrently else milliseconds(worker.options.lock_timeout)
        # A derived build blocks nobody, and no author set a limit for it: the deadline of the call bounds it.
        unlimited = self._work.derived is not None and statement.concurrently
        await worker.send(f"SET lock_timeout = {limit}" + (";\nSET statement_timeout = 0" if unlimited else ""))
        self._outside = not statement.kind
        if statement.concurrently:
            await leftovers.refuse_beside_another_build(statement)
        passed_over = await leftovers.send(statement)
        for index in passed_over:
            if statement.kind == "index" or _LEFT_BY_REINDEX.search(index["name"]):
                await leftovers.drop(index)
            else:
                await leftovers.repair(index)
        if passed_over and statement.kind == "index" and await leftovers.send(statement):
            raise never_valid(passed_over[0])
        if unlimited:
            await worker.send(self._limit())
        await self._log.note(statement.digest, "done")
