"""Carries out a completion: in the transaction of its migration it looks at the schema, writes what is missing, and runs it.

The plan foresees a completion from what the schema showed then. The transaction that carries it out looks again, under the
lock, since migrations before it have changed the schema, and others may have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from kimbledb.errors import ConflictingObjectsError
from kimbledb.execution.located_error import LocatedError
from kimbledb.execution.transaction import Transactions
from kimbledb.execution.work import Outcome, PlanMoved, ScriptError, Work
from kimbledb.inspection import rows, snapshot
from kimbledb.inspection.proof import Site
from kimbledb.model.completion import Completion, Copy
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_literal, words_in
from kimbledb.model.objects import parts_of, quoted
from kimbledb.model.script import Script
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.text import few
from kimbledb.planning import locks_ahead, online
from kimbledb.planning.completion import Rows, Scope, Unfinished
from kimbledb.planning.fold import relation_of
from kimbledb.planning.writer.names import written as sql_name
from kimbledb.server import queries
from kimbledb.server.session import Session
from kimbledb.server.settings import setting

#: Characters of a statement that an error shows.
_LONGEST = 100
#: The objects that the server remakes by itself with a column's new type, and names in no error.
_HANGING = ("index ", "statistics ", "constraint ", "column ")
#: The server records no dependence of a function whose body is a text.
_HEAD = "SET LOCAL check_function_bodies = off;\n"


@frozen(eq=False, kw_only=True)
class Background:
    """The facts beside the schema itself against which a completion is checked."""

    #: The migrations that are applied, and the one that is completed, in the order of the plan.
    migrations: Sequence[Migration]
    #: The forms that history records.
    forms: Forms
    hosted: bool
    #: Whether a part of the migration's own objects is there.
    begun: bool = True
    #: All migrations of the catalog.
    catalog: Sequence[Migration] | None = None
    #: The tables that are set aside.
    aside: Collection[str] = ()
    #: The statements that were signed, as ``Completion.sql_lines``; None where none were.
    signed: Sequence[str] | None = None
    #: Whether all of them must be sent. After migrations before it some may be done already: the plan foresees a policy to
    #: be made anew, which then need not be.
    signed_whole: bool = True

    def is_signed(self, completion: Completion) -> bool:
        """Whether a completion sends what was signed, if anything was.

        Args:
            completion: The completion.
        """
        if self.signed is None:
            return True
        statements = [*completion.sql_lines]
        return statements == self.signed if self.signed_whole else set(statements) <= {*self.signed}

    def unfinished(self, migration: Migration, found: Snapshot) -> Unfinished:
        """Return a migration beside the schema.

        Args:
            migration: The migration that is completed.
            found: The objects of the schema.
        """
        return Unfinished(
            Scope(
                migration=migration,
                migrations=self.migrations,
                found=found,
                forms=self.forms,
                hosted=self.hosted,
                begun=self.begun,
                catalog=self.catalog,
                set_aside=self.aside,
            )
        )


@frozen(eq=False)
class Look:
    """A migration beside the schema as it is now, with what its rows allow."""

    unfinished: Unfinished
    rows: Rows


def written(work: Work, completion: Completion) -> Work:
    """Return work whose script is what completes its migration.

    Args:
        work: The migration.
        completion: The statements, and what they leave.
    """
    text = "".join(f"{each};\n" for each in completion.statements)
    if not completion.runs_script:
        text += "".join(copying(completion))
    derived = Script(f"{work.migration.file('apply')} (completion)", _HEAD + text if text else "")
    left = frozenset(f"{kind} {name}" for kind, name in (*completion.left, *completion.unproven))
    columns = (*(each.column for each in completion.converted), *completion.filled)
    converted = tuple((parts_of(each)[0], parts_of(each)[-1]) for each in columns)
    guard = work.guard and evolve(work.guard, converted=converted)
    return evolve(
        work,
        derived=derived,
        left=work.left | left,
        kept=completion.left_forms,
        guard=guard,
        detail=_detail(work, completion),
    )


def _detail(work: Work, completion: Completion) -> Mapping[str, object]:
    """Return the facts for the log, with what the completion does by name.

    Of a table that stands in place of one that was set aside, a rollback leaves the columns whose names the old one had. Those of
    which a computed one is made stay with it.
    """
    aside = {each.table for each in completion.set_aside}
    columns = [each for each in work.migration.creates if each.kind == "column" and relation_of(each.key) in aside]
    named = {
        f"{relation_of(each.key)}.{quoted(word)}"
        for each in columns
        for word in words_in(str((each.facts or {}).get("generated", "")))
    }
    found = dict.fromkeys((*work.detail.get("found", ()), *(str(each) for each in columns if each.name in named)))
    detail = {**work.detail, "found": list(found)} if named else work.detail
    return {**detail, "completion": completion.acts} if completion.acts else detail


def copying(completion: Completion) -> list[str]:
    """Return the statements that copy the rows of tables which were set aside, and those that come after them.

    Args:
        completion: The completion.
    """
    copied = [_copying(each) for each in completion.set_aside]
    return [*copied, *(f"{each};\n" for each in completion.afterwards)]


def _copying(copy: Copy) -> str:
    table, source = sql_name(copy.table), sql_name(copy.source)
    columns = ", ".join(map(sql_name, copy.values))
    counted = (
        f"PERFORM setval(pg_get_serial_sequence({quote_literal(table)}, {quote_literal(parts_of(each)[-1])}),"
        f" greatest(max({sql_name(each)}), 1), max({sql_name(each)}) IS NOT NULL) FROM {table};"
        for each in copy.counted
    )
    reason = "not_copied"
    misfits = (
        f"WHEN {column} IS NOT NULL AND NOT ({fits}) THEN {quote_literal(column)}" for column, fits in copy.fits.items()
    )
    return queries.block(
        "copy_rows",
        source=source,
        only="" if copy.is_partitioned else "ONLY ",
        insert=f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE" if columns else f"INSERT INTO {table}",
        values=", ".join(f"({value})" for value in copy.values.values()),
        misfit=f"CASE {' '.join(misfits)} END" if copy.fits else "NULL::text" if columns else "'no column'",
        literal=quote_literal(source),
        reason=reason,
        column=quote_literal(reason),
        count="\n    ".join(counted),
        shown=quote_literal(copy.table),
        shown_source=quote_literal(copy.source),
    )


async def carry_out(transactions: Transactions, work: Work, log_position: int, background: Background) -> Outcome:
    """Complete a migration in a transaction of its own.

    Args:
        transactions: The session.
        work: The migration.
        log_position: The id of the log's newest entry when the plan was made.
        background: The facts against which it is checked.

    Raises:
        Retry: Another run holds the lock or was quicker, or the application held a lock for too long. Nothing is left.
        ScriptError: A statement failed. Nothing is left.
        ConflictingObjectsError: The schema holds what no statement reaches. Nothing is left.
        ChecksFailed: The verification failed. Nothing is left.
        Suspected: It may have lost data, which must be counted. Nothing is left.
        Lost: It would have lost data. Nothing is left.
        ConnectionLostError: Whether it was committed is unknown.
    """
    await transactions.open(work, log_position)
    return await complete(transactions, work, background)


async def look(
    ask: Callable[[str], Awaitable[Any]], site: Site, work: Work, background: Background, *, holding: bool = False
) -> Look:
    """Look at the schema, and at what its rows allow.

    Args:
        ask: Asks a question.
        site: The schema.
        work: The migration.
        background: The facts against which it is checked.
        holding: Whether tables whose columns are converted are locked, in the transaction that converts them.
    """
    found = await ask(
        snapshot.question(site.schema, site.path, reached=work.migration.reaches, sources=True, needs=True, owners=True)
    )
    unfinished = background.unfinished(work.migration, snapshot.snapshot_of(found))
    asked = rows.question(site.schema, site.path, unfinished.questions)
    if asked is None:
        return Look(unfinished, Rows())
    # No value comes between the question and the conversion.
    tables = locks_ahead.children_first(unfinished.questions.held, unfinished.scope.found.objects)
    held = "".join(f"LOCK TABLE {sql_name(each)} IN ACCESS EXCLUSIVE MODE;\n" for each in tables)
    if held and holding:
        asked = f"{Session.path(site.path)}{held}{Session.path()}{asked}"
    return Look(unfinished, rows.rows_of(await ask(asked)))


async def complete(transactions: Transactions, work: Work, background: Background) -> Outcome:
    """Complete a migration in the transaction that is open, and commit it.

    Args:
        transactions: The session.
        work: The migration.
        background: The facts against which it is checked.

    Raises:
        Exception: As for ``carry_out()``.
    """

    async def ask(question: str) -> Any:
        return await transactions.ask(work, question)

    looked = await look(ask, transactions.messages.site, work, background, holding=True)
    found = looked.unfinished.scope.found
    completion = looked.unfinished.complete(looked.rows)
    if completion.conflicts:
        await transactions.session.roll_back()
        raise ConflictingObjectsError([(work.migration.name, few(completion.conflicts, between="; "))])
    if not background.is_signed(completion):
        await transactions.session.roll_back()
        raise PlanMoved([f"{work.migration.name}: other statements would be sent than those that were signed"])
    # The leftovers of an interrupted run beside large tables are not needed any more.
    ahead = (*locks_ahead.statements(completion, found.objects), *online.left_over(found, completion))
    completion = evolve(completion, statements=(*ahead, *completion.statements))
    completing = written(work, completion)
    noting = setting("kimbledb.step", transactions.messages.facts(completing))
    if completion.runs_script:
        await transactions.run(work, completing.script)
        outcome = await transactions.finish(work, noting=noting, more=copying(completion))
        return evolve(outcome, notes=tuple(completion.notes))
    try:
        return evolve(await transactions.finish(completing, noting=noting), notes=tuple(completion.notes))
    except ScriptError as failure:
        failure.located = _named(failure.located, completion, found)
        raise


def _named(located: LocatedError, completion: Completion, found: Snapshot) -> LocatedError:
    """Return an error with the statement that failed, and with what hangs on a column whose type it changes."""
    statement = located.statement or ""
    words = " ".join(statement.split())[:_LONGEST]
    message = f"{words}: {located.message}" if words else located.message
    if statement.startswith("ALTER TABLE") and " TYPE " in statement:
        converted = {each.key for each in completion.converted}
        hanging = sorted(f"{key[0]} {key[1]}" for key, needs in found.needs.items() if not converted.isdisjoint(needs))
        message += f"; on converted columns: {', '.join(each for each in hanging if each.startswith(_HANGING))}"
    return evolve(located, message=message)
