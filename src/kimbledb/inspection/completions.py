"""Foresees completions: for each pending migration of which a part is there, what will be written to bring the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Sequence

from attrs import define, evolve, field

from kimbledb.errors import PreflightError
from kimbledb.inspection import rows, snapshot
from kimbledb.inspection.gathering import Looked
from kimbledb.model.completion import Completion, undecided
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.plan import Plan
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import Step, StepState
from kimbledb.model.text import few
from kimbledb.planning.completion import Rows, Scope, Unfinished, is_begun
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.online import foreseen
from kimbledb.planning.planner import Planner
from kimbledb.planning.script_rows import ScriptRows, looks_at_rows
from kimbledb.planning.whole_declarations import is_declared_whole, touches
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE, QUERY_CANCELLED
from kimbledb.server.driver import ServerError
from kimbledb.server.search_path import guard_of
from kimbledb.server.session import Session

#: Why rows were not looked at, by the SQLSTATE of the question.
_UNREAD = {
    INSUFFICIENT_PRIVILEGE: "this role may not read the tables",
    QUERY_CANCELLED: "to look at the rows takes longer than Options.statement_timeout",
}


async def foresee(
    session: Session,
    planner: Planner,
    plan: Plan,
    shown: Evidence,
    looked: Looked,
    state: DatabaseState,
    schema: str,
    *,
    online: bool,
    aside: Collection[str],
    large: frozenset[str],
) -> Plan:
    """Return a plan whose steps have their completions; a step whose rest cannot be written, or that rows break, is in conflict.

    Asks nothing where no part of a pending migration is there, and none adds a key, a check or the like to a table that is
    there. A step whose online.sql was interrupted has no completion: online.sql continues, and the rest of the migration
    runs after it.

    Args:
        session: The session.
        planner: The planner, which has the migrations and their order.
        plan: The plan by evidence.
        shown: The evidence.
        looked: The objects of the schema, and the forms that history records.
        state: The state of the database.
        schema: The target schema.
        online: Whether online.sql can be run.
        aside: The tables that are set aside.
        large: The large tables, where a migration can be run in part outside of a transaction.
    """
    # The script of a repeatable migration is what changes that which its former text made.
    first = [step for step in plan.pending if not step.runs_again]
    begun = [step for step in first if is_begun(step.migration, shown)]
    staged = [step for step in first if step not in begun and _may_be_staged(step, large, hosted=shown.hosted)]
    if (
        not begun
        and not staged
        and not any(looks_at_rows(step.migration, looked.found, hosted=shown.hosted) for step in plan.pending)
    ):
        return plan
    continued: frozenset[str] = frozenset()
    if online and state.log_position is not None:
        continued = await _under_way(session, (step.migration for step in begun if step.migration.online_sql), schema)
    reaches = [name for migration in planner.catalog for name in migration.reaches]
    path = state.search_path(schema, planner.catalog.extensions)
    found = looked.found
    written = [*begun, *staged]
    if written:
        found = await snapshot.take(session, schema, path, reached=reaches, sources=True, needs=True, owners=True)
    foresight = _Foresight(session, path, schemas_reached(planner.catalog), plan, shown.hosted, found)
    reached_by_now: set[str] = set()
    for step in plan.steps:
        if not step.to_apply:
            continue
        reached_by_now.add(step.name)
        # A later migration that is there has left its mark on what the earlier ones make.
        migrations = [each.migration for each in plan.steps if each.is_there or each.name in reached_by_now]
        if step in written and step.name not in continued:
            scope = Scope(
                migration=step.migration,
                migrations=tuple(migrations),
                found=foresight.found,
                forms=looked.recorded,
                hosted=shown.hosted,
                begun=step in staged or shown.findings[step.name].begun,
                catalog=plan.migrations,
                set_aside=aside,
            )
            unfinished = Unfinished(scope, foresight.rows)
            question = rows.question(schema, path, unfinished.questions)
            await foresight.complete(step, unfinished, question, large, must=step in begun)
        else:
            # The rest of an interrupted online.sql may still correct rows.
            foresight.run_script(step, tuple(migrations), asks=step.name not in continued)
            if step.name in continued:
                foresight.steps[step.name] = evolve(step, online=True)
    await foresight.look_before_scripts()
    return evolve(plan, steps=tuple(foresight.steps.get(step.name, step) for step in plan.steps))


@define(eq=False)
class _Foresight:
    """The schema and its rows, as they will be before the next step of a plan."""

    session: Session
    path: Sequence[str]
    #: The schemas that migrations reach.
    reached: Sequence[str]
    plan: Plan
    hosted: bool
    #: The objects of the schema.
    found: Snapshot
    #: Its rows.
    rows: LaterRows = field(init=False)
    #: The steps so far that differ from those of the plan, by name.
    steps: dict[str, Step] = field(factory=dict)
    #: The errors of scripts, by the name of the step.
    scripts: dict[str, ScriptRows] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.rows = LaterRows.of(self.found)

    def run_script(self, step: Step, migrations: Sequence[Migration], *, asks: bool = True) -> None:
        """Run the script of a step.

        Args:
            step: The step.
            migrations: The migrations that are applied by then, and that of the step.
            asks: Whether rows that are there now are those that it meets.
        """
        script = ScriptRows(step.migration, migrations, self.found, self.rows, hosted=self.hosted)
        if asks:
            self.scripts[step.name] = script
        self.found, self.rows = script.found_after, script.rows_after

    async def complete(
        self, step: Step, unfinished: Unfinished, question: str | None, large: frozenset[str], *, must: bool
    ) -> None:
        """Complete a step, after asking what the rows allow.

        Args:
            step: The step.
            unfinished: Its migration beside the schema.
            question: The block that asks, or None.
            large: The large tables.
            must: Whether a part of it is there. Otherwise its script runs where that holds nobody up for longer.
        """
        allowed, unread = await self._allowed(question, unfinished.questions.breaking)
        # In a thread: a large schema would block the event loop.
        completion = evolve(await asyncio.to_thread(foreseen, unfinished, allowed, large), unread=unread)
        if not must and not _serves(completion):
            self.run_script(step, unfinished.scope.migrations)
            return
        self.found, self.rows = completion.after, unfinished.questions.rows_after
        later = evolve(step, completion=completion)
        if completion.conflicts:
            later = evolve(
                later, state=StepState.CONFLICTING, reason=f"not in history; {few(completion.conflicts, between='; ')}"
            )
        self.steps[step.name] = later
        if completion.runs_script:
            copied = self.rows
            self.run_script(step, unfinished.scope.migrations)
            self.rows = self.rows.with_rows(copied, [each.table for each in completion.set_aside])

    async def look_before_scripts(self) -> None:
        """Put the steps into conflict whose scripts rows break. Asks one question at most."""
        asked = {
            (name, of): each for name, script in self.scripts.items() for of, each in script.breaking_asked.items()
        }
        if not asked:
            return
        numbered = {str(number): each for number, each in enumerate(asked.values())}
        allowed, _ = await self._allowed(rows.question_of_breaking(self.path, numbered), numbered)
        conflicts: dict[str, list[str]] = {}
        doubts: dict[str, dict[str, str]] = {}
        for number, ((name, of), each) in enumerate(asked.items()):
            if count := allowed.breaking.get(str(number)):
                conflicts.setdefault(name, []).append(each.conflict(count))
            elif why := allowed.undecided.get(str(number)):
                doubts.setdefault(name, {})[of] = why
        for name, those in doubts.items():
            self._append_to_reason(name, "; ".join(undecided(those)))
        for name, lines in conflicts.items():
            self._append_to_reason(name, "; ".join(lines))
            self.steps[name] = evolve(self.steps[name], state=StepState.CONFLICTING)

    def _append_to_reason(self, name: str, words: str) -> None:
        step = self.steps.get(name) or self.plan.step(name)
        self.steps[name] = evolve(step, reason=f"{step.reason}; {words}")

    async def _allowed(self, question: str | None, breaking: Iterable[str]) -> tuple[Rows, str | None]:
        """Ask about the rows, and return the findings, or the reason why they were not looked at.

        To plan a query of a table can call what hangs on the table: where strangers own such objects none is read.
        """
        if question is None:
            return Rows(), None
        guard = f"DO {quote_literal(guard_of(self.path, self.reached))};\n"
        try:
            return rows.rows_of(await self.session.ask(guard + question)), None
        except PreflightError:
            why = "strangers own objects in the schema, which a query could call"
        except ServerError as error:
            if error.sqlstate not in _UNREAD:
                raise
            why = _UNREAD[error.sqlstate]
        return Rows(undecided=dict.fromkeys(breaking, why)), why


def _may_be_staged(step: Step, large: frozenset[str], *, hosted: bool) -> bool:
    """Whether a migration of which nothing is there may be done in part outside of a transaction, by its declarations."""
    return (
        bool(large)
        and not step.migration.online_sql
        and touches(step.migration, large)
        and is_declared_whole(step.migration, hosted=hosted)
    )


def _serves(completion: Completion) -> bool:
    """Whether a completion does what the script would do, and holds others up for less long."""
    return bool(completion.online) and not completion.conflicts and not completion.left


async def _under_way(session: Session, migrations: Iterable[Migration], schema: str) -> frozenset[str]:
    """Return the names of the migrations whose online.sql was interrupted. Asks nothing where there are none."""
    wanted = [{"name": each.name, "checksum": each.checksum} for each in migrations]
    if not wanted:
        return frozenset()
    question = queries.question(
        "online_under_way", migrations=quote_literal(json.dumps(wanted)), schema=quote_identifier(schema)
    )
    return frozenset(await session.ask(question))
