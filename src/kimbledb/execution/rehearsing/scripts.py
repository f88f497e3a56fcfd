"""Runs the statements of a plan on a clone, and looks after each at the relations that it locked, rewrote and scanned.

Those of a transactional migration run in one transaction, as in a run. A statement that fails since the clone has no rows
proves nothing: the transaction is begun anew without it. One that fails for another reason fails on the target, too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from kimbledb.catalog import statements
from kimbledb.execution.messages import Messages, before_script, check_reach
from kimbledb.execution.rehearsing import sights
from kimbledb.execution.rehearsing.pieces import Piece, Stage, ahead_of, stages_of
from kimbledb.execution.rehearsing.sights import Seen, Sight
from kimbledb.execution.work import Work
from kimbledb.inspection import preflight, snapshot
from kimbledb.model.clock import stopwatch
from kimbledb.model.names import quote_identifier
from kimbledb.model.objects import quoted
from kimbledb.model.rehearsal import RehearsedStatement
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.step import Step
from kimbledb.model.text import one_line
from kimbledb.planning.forecasts import Effort, TableWork, changes_all, changes_rows, checks_rows, is_open, made_in
from kimbledb.planning.rehearsed_rows import Asked, RowsSoFar
from kimbledb.server import queries
from kimbledb.server.codes import ABOUT_ROWS, NEEDS_NO_TRANSACTION, own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.loops import END_OF_SCRIPT
from kimbledb.server.session import Session
from kimbledb.server.settings import PINNED_FOR_QUESTIONS, pin

#: The commands that may add a rule to columns of a type.
_OF_TYPES = re.compile(r"(?:alter\s+domain|do)\b", re.IGNORECASE)
#: The commands that may change rows, so that a deferred constraint fails at COMMIT.
_CHANGES = re.compile(r"(?:insert|update|delete|merge|with|select|do|call)\b", re.IGNORECASE)
_SAVEPOINT = "kimbledb_sight"
#: The commands that change tables, also without rows.
_DEFINES = re.compile(r"(?:alter|create)\b", re.IGNORECASE)
#: The prefix of the reason, if a statement fails on rows of the sample.
ON_ROWS = "it fails on rows of the target"
HISTORY = frozenset(preflight.HISTORY)
_FOREIGN_KEY = "23503"
#: By these the server would choose to read a small table from end to end where it need not. A statement that scans all the
#: same must do so on a large one, too.
_MUST = "".join(f"SET LOCAL enable_{way} = off;\n" for way in ("seqscan", "indexonlyscan", "mergejoin"))


@frozen
class Ran:
    """A statement that ran on the clone."""

    piece: Piece
    seen: Seen = field(factory=Seen)
    seconds: float = 0.0
    #: The error by which it fails on the target, too.
    error: str | None = None
    #: The error by which it failed for want of rows.
    wants_rows: str | None = None
    #: Its questions about the rows of the target, by the name of the violated constraint.
    asked: Mapping[str, Asked] = field(factory=dict)
    #: The questions that cannot be asked.
    unknown: tuple[str, ...] = ()


class _Fails(Exception):
    """A statement failed on the clone: its number in the stage, and the server's error."""

    def __init__(self, number: int, error: ServerError) -> None:
        super().__init__()
        self.number = number
        self.error = error


@define(eq=False)
class Rehearser:
    """Rehearses the steps of a plan on one clone."""

    session: Session
    messages: Messages
    hosted: bool
    schema: str
    #: The statements so far, as the report has them.
    found: list[RehearsedStatement] = field(factory=list)
    #: The tables that were there before the plan, by oid.
    origin: Sight = field(init=False, factory=Sight)
    #: The questions about the rows of the target, by the number of the statement in ``found``.
    asked: dict[int, Mapping[str, Asked]] = field(factory=dict)
    #: Whether the clone holds rows of the target.
    sampled: bool = False
    #: Whether the plan stops at a statement that fails.
    stopped: bool = False
    #: The schema and name in the target of each table that the statements touch, by the name under which they do.
    touched: dict[str, tuple[str, str]] = field(factory=dict)
    #: The tables of the target schema that hold rows, by their names.
    filled: frozenset[str] = frozenset()
    #: Whether any table of the target holds rows.
    holds_rows: bool = False
    #: The work of each statement there, by its number in ``found``; none for a failing one.
    efforts: dict[int, Effort] = field(factory=dict)
    #: The rows of the target by now; None where no table holds any.
    _rows: RowsSoFar | None = field(init=False, default=None)
    #: Whether statements that asked nothing changed the tables since, and which tables they rewrote.
    _behind: bool = field(init=False, default=False)
    _rewritten: set[int] = field(init=False, factory=set)
    _transactions: int = 0
    #: The names of functions that are not the server's own.
    _functions: set[str] = field(init=False, factory=set)
    #: The objects that existed before the running migration.
    _there: Sight = field(init=False, factory=Sight)

    async def begin(self) -> None:
        """Set the session up."""
        settings = self.session.settings(for_session=True)
        await self.session.send(settings + self.session.path(self.messages.path, for_session=True))
        self.origin = await self._look()
        if self.holds_rows:
            self._functions = set(await self.session.ask(queries.question("rehearse_functions")))
        if self.filled:
            found = await snapshot.take(self.session, self.schema, self.messages.path, identities=True)
            self._rows = RowsSoFar.of(found)

    async def run(self, step: Step) -> None:
        """Run what a plan would run for a step. A statement that fails for certain ends the rehearsal.

        Args:
            step: The step.
        """
        self._there = await self._look()
        if step.completion is not None and step.completion.conflicts:
            why = "; ".join(step.completion.conflicts)
            self._fail(step, f"the plan is in conflict: {why}")
            return
        try:
            stages = stages_of(step, hosted=self.hosted)
        except ValueError as error:
            self._fail(step, f"it cannot be told apart: {error}")
            return
        for stage in stages:
            if self.stopped:
                return
            if not stage.pieces:
                continue
            if not stage.together:
                await self._apart(step, stage)
            else:
                ahead = await self._ahead(step) if step.completion is not None else []
                await self._together(step, evolve(stage, pieces=(*ahead, *stage.pieces)))

    def _fail(self, step: Step, why: str) -> None:
        self.stopped = True
        file = step.migration.file("apply")
        self.found.append(RehearsedStatement(migration=step.name, file=file, line=None, will_fail=why))

    async def _ahead(self, step: Step) -> list[Piece]:
        """Return the statements that a completion runs before its first one, by the objects that exist now."""
        assert step.completion is not None
        there = await snapshot.take(self.session, self.schema, self.messages.path, reached=step.migration.reaches)
        return ahead_of(step.completion, there, step.migration.file("apply"))

    # In one transaction.

    async def _together(self, step: Step, stage: Stage) -> bool:
        """Run statements in one transaction, and return whether the server lets them run in one."""
        self._transactions += 1
        wanting: dict[int, ServerError] = {}
        #: The error of a statement on rows of the sample, without which it then ran.
        broken: dict[int, str | None] = {}
        #: The observations of statements before rows of the sample were removed.
        kept: dict[int, Ran] = {}
        rows = self._rows
        while True:
            ran: list[Ran] = []
            self._rows, self._behind, self._rewritten = rows, False, set()
            try:
                async for each in self._one_try(stage, wanting):
                    ran.append(each)
            except _Fails as failure:
                error, number = failure.error, _blamed(failure.number, stage.pieces, wanting)
                if not stage.together and error.sqlstate in NEEDS_NO_TRANSACTION:
                    self._transactions -= 1
                    return False
                if _wants_rows(error) and number not in wanting:
                    if number not in broken and await self._empty(stage.pieces[number], error):
                        broken[number] = _on_rows(error) if _is_of_sample(error) else None
                        kept = {**dict(enumerate(ran[:number])), **kept}
                    else:
                        wanting[number] = error
                    continue
                ran = ran[:number]
                ran.append(Ran(stage.pieces[number], error=_described(error)))
                self.stopped = True
            seen = [kept.get(place, each) for place, each in enumerate(ran)]
            seen = [evolve(each, error=broken.get(place) or each.error) for place, each in enumerate(seen)]
            self._note(step, seen, self._transactions)
            return True

    async def _empty(self, piece: Piece, error: ServerError) -> bool:
        """Take the rows away on which a statement failed that changes tables, and return whether that was possible."""
        if not (self.sampled and _DEFINES.match(piece.skeleton)):
            return False
        there = (each for each in (await self._look()).relations.values() if each.schema == self.schema)
        tables = [each.name for each in there if each.kind in "rp" and each.name not in HISTORY]
        named = {error.table_name} if error.table_name in tables else statements.names_in(piece.text)
        tables = [each for each in tables if each in named] or tables
        names = ", ".join(f"{quote_identifier(self.schema)}.{quote_identifier(each)}" for each in tables)
        try:
            await self.session.send(f"TRUNCATE {names} CASCADE;\n")
        except ServerError:
            return False
        return True

    async def _one_try(self, stage: Stage, wanting: Mapping[int, ServerError]) -> AsyncIterator[Ran]:
        """Run the statements of a stage in a transaction, without those that want rows."""
        work = self._work(stage)
        begin = await self._begin(stage, work)
        before = begin
        file = stage.pieces[0].file if stage.pieces else ""
        for number, piece in enumerate(stage.pieces):
            if number in wanting:
                yield self._left_out(piece, wanting[number])
                continue
            between = "" if piece.file == file or piece.line is None else self.messages.between(work, closing=False)
            file = piece.file
            clock = stopwatch()
            await self._send(number, between + piece.text + END_OF_SCRIPT)
            seconds = clock()
            after = await self._look_inside()
            seen = sights.seen_inside(self._there, begin, before, after, piece)
            asked, unknown = await self._ask_rows(stage, piece, seen, after, inside=True)
            yield Ran(piece, seen, seconds, asked=asked, unknown=unknown)
            before = after
        if not stage.asks:
            await self._catch_up(before, inside=True)
        await self._send(len(stage.pieces), self._ending(stage, work))

    async def _begin(self, stage: Stage, work: Work) -> Sight:
        migration = stage.migration
        ahead = self.messages.settings(work) + before_script(self.schema, self.messages.path, migration.reaches)
        await self.session.transact(self.messages.begin(work), ahead + _MUST + stage.ahead)
        return await self._look_inside(everything=True)

    def _ending(self, stage: Stage, work: Work) -> str:
        """Return the end of a transaction: what a run checks, and the COMMIT. The counts of scans begin anew after it."""
        return (
            self.messages.after(work)
            + self.messages.settings(work)
            + self.session.path()
            + check_reach(self.schema, stage.migration.reaches)
            + self.session.leaving()
            + "SELECT pg_catalog.pg_stat_force_next_flush();\nCOMMIT;\n"
        )

    async def _send(self, number: int, text: str) -> None:
        try:
            await self.session.send(text)
        except ServerError as error:
            raise _Fails(number, error) from error

    # Each by itself.

    async def _apart(self, step: Step, stage: Stage) -> None:
        for piece in stage.pieces:
            if self.stopped:
                return
            alone = statements.runs_alone(piece.skeleton)
            if alone or not await self._together(step, evolve(stage, pieces=(piece,))):
                self._note(step, [await self._outside(stage, piece)], None)

    async def _outside(self, stage: Stage, piece: Piece) -> Ran:
        """Run a statement in no transaction."""
        before = await self._look()
        clock = stopwatch()
        try:
            await self.session.send(piece.text)
        except ServerError as error:
            return self._failed(piece, error)
        seconds = clock()
        after = await self._look()
        seen = sights.seen_outside(self._there, before, after, piece)
        asked, unknown = await self._ask_rows(stage, piece, seen, after, inside=False)
        if not stage.asks:
            await self._catch_up(after, inside=False)
        return Ran(piece, seen, seconds, asked=asked, unknown=unknown)

    def _failed(self, piece: Piece, error: ServerError) -> Ran:
        if _wants_rows(error):
            return self._left_out(piece, error)
        self.stopped = True
        return Ran(piece, error=_described(error))

    def _left_out(self, piece: Piece, error: ServerError) -> Ran:
        """Return a statement that failed on the rows of the clone, or for want of rows, and was left out."""
        if self.sampled and _is_of_sample(error):
            return Ran(piece, error=_on_rows(error))
        return Ran(piece, wants_rows=_described(error))

    # Observations.

    async def _look(self) -> Sight:
        """Look at everything where no transaction is open."""
        return sights.sight_of(await self.session.ask(sights.question(everything=True)))

    async def _look_inside(self, *, everything: bool = False) -> Sight:
        """Look in the transaction that is open, whose settings come back afterwards."""
        return sights.sight_of(await self._answer(sights.question(everything=everything)))

    async def _answer(self, question: str, settings: str = "") -> Any:
        """Ask a question in the transaction that is open, whose settings come back afterwards."""
        settings = settings or self.session.path()
        [answer] = await self.session.send(
            f"SAVEPOINT {_SAVEPOINT};\nSET LOCAL ROLE NONE;\n{settings}{question}"
            f"ROLLBACK TO {_SAVEPOINT};\nRELEASE {_SAVEPOINT};\n"
        )
        return answer.value

    async def _ask_rows(
        self, stage: Stage, piece: Piece, seen: Seen, after: Sight, *, inside: bool
    ) -> tuple[Mapping[str, Asked], tuple[str, ...]]:
        """Return the questions of a statement about the rows of the target, and those that cannot be asked."""
        if self._rows is None:
            return {}, ()
        self._rows = self._rows.changed(self._names(after.changed_rows, after))
        filled = [each for each in seen.ruled if self._is_filled(each)]
        if not filled and _OF_TYPES.match(piece.skeleton) is None:
            return {}, ()
        if not stage.asks:
            self._rewritten |= set(seen.rewrites)
            self._behind = True
            return {}, ()
        found = await self._snapshot(inside=inside)
        rewritten = self._names(seen.rewrites, after)
        self._rows, asked, unknown = self._rows.after(found, piece.text, rewritten)
        those = {name: each for name, each in asked.items() if each.breaking.table in self._names_filled(after)}
        return those, tuple(unknown)

    async def _catch_up(self, after: Sight, *, inside: bool) -> None:
        """Note the objects and the rows after statements that asked nothing of them."""
        if self._rows is not None and self._behind:
            found = await self._snapshot(inside=inside)
            self._rows, _, _ = self._rows.after(found, "", self._names(self._rewritten, after))
        self._behind, self._rewritten = False, set()

    async def _snapshot(self, *, inside: bool) -> Snapshot:
        path = self.messages.path
        if inside:
            question = snapshot.question(self.schema, path, identities=True)
            settings = self.session.settings() + pin(PINNED_FOR_QUESTIONS)
            return snapshot.snapshot_of(await self._answer(question, settings))
        return await snapshot.take(self.session, self.schema, path, identities=True)

    def _is_filled(self, oid: int) -> bool:
        was = self.origin.relations.get(oid)
        return was is not None and was.schema == self.schema and was.name in self.filled

    def _names_filled(self, after: Sight) -> set[str]:
        return self._names((oid for oid in self.origin.relations if self._is_filled(oid)), after)

    def _names(self, oids: Iterable[int], after: Sight) -> set[str]:
        """Return the present names of tables of the target schema, as snapshots have them."""
        now = {oid: after.relations.get(oid) or self.origin.relations.get(oid) for oid in oids}
        return {quoted(each.name) for each in now.values() if each is not None and each.schema == self.schema}

    def _note(self, step: Step, ran: Sequence[Ran], transaction: int | None) -> None:
        for each in ran:
            names = sights.named({*each.seen.locks, *each.seen.rewrites, *each.seen.scans}, self._there, self.schema)
            for oid, name in names.items():
                if (was := self.origin.relations.get(oid)) is not None:
                    self.touched[name] = was.schema, was.name
            statement = RehearsedStatement(
                migration=step.name,
                file=each.piece.file,
                line=each.piece.line,
                sql=each.piece.shown,
                locks={
                    names[oid]: mode for oid, mode in sorted(each.seen.locks.items(), key=lambda one: names[one[0]])
                },
                rewrites=tuple(sorted(names[oid] for oid in each.seen.rewrites)),
                scans=tuple(sorted(names[oid] for oid in each.seen.scans)),
                seconds=each.seconds,
                transaction=transaction,
                will_fail=each.error,
                unknown="; ".join(_unknown(each)) or None,
            )
            if each.asked:
                self.asked[len(self.found)] = each.asked
            if each.error is None and each.wants_rows is None:
                self.efforts[len(self.found)] = self._effort(each)
            self._functions |= made_in(each.piece.skeleton)
            self.found.append(statement)

    def _effort(self, ran: Ran) -> Effort:
        """Return the work of a statement on the tables of the target."""
        seen, piece = ran.seen, ran.piece
        works = []
        changed: set[int] = set()
        if changes_rows(piece.skeleton):
            named = statements.names_in(piece.text)
            changed = {oid for oid in seen.changed if self._there.relations[oid].name in named}
        for oid in {*seen.rewrites, *seen.scans, *changed}:
            if (was := self.origin.relations.get(oid)) is not None:
                works.append(
                    TableWork(
                        (was.schema, was.name),
                        is_rewritten=oid in seen.rewrites,
                        reads=seen.reads.get(oid, 0),
                        built=seen.built.get(oid, 0),
                        is_keyed=oid in seen.keyed,
                        is_checked=oid not in seen.keyed and checks_rows(piece.skeleton),
                        is_changed=oid in changed,
                    )
                )
        return Effort(
            tuple(works),
            ran.seconds,
            is_open=self.holds_rows and is_open(piece.text, piece.skeleton, self._functions),
            all_rows=changes_all(piece.skeleton),
        )

    def _work(self, stage: Stage) -> Work:
        return Work(migration=stage.migration, part="apply", hosted=self.hosted, last=False, run="")


def _blamed(number: int, pieces: Sequence[Piece], wanting: Mapping[int, ServerError]) -> int:
    """Return the statement to which an error belongs: at the end of a transaction to the last one that may change rows."""
    if number < len(pieces):
        return number
    changing = (at for at, each in enumerate(pieces) if at not in wanting and _CHANGES.match(each.skeleton))
    return max(changing, default=len(pieces) - 1)


def _unknown(ran: Ran) -> Iterator[str]:
    if ran.wants_rows is not None:
        yield f"on the clone, which lacks rows, it fails: {ran.wants_rows}"
    yield from ran.unknown


def _wants_rows(error: ServerError) -> bool:
    return own_code(error) is None and error.sqlstate[:2] in ABOUT_ROWS


def _on_rows(error: ServerError) -> str:
    return f"{ON_ROWS}: {_described(error)}"


def _is_of_sample(error: ServerError) -> bool:
    """Whether a statement fails on a sample as on all rows. A key may refer to a row that is not in the sample."""
    return error.sqlstate[:2] in ("21", "22", "23") and error.sqlstate != _FOREIGN_KEY


def _described(error: ServerError) -> str:
    """Return an error without any value: the words of a script's own error may hold some, and there are no rows."""
    return one_line(f"{error.message.splitlines()[0]} (SQLSTATE {error.sqlstate})")
