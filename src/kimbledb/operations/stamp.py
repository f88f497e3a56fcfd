"""Stamp: write history by name, where nothing in the database could show what is applied. No script is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.errors import AlternativesError, ChangedMigrationError, ConfigurationError, UnknownMigrationError
from kimbledb.execution import bootstrap, load_plan
from kimbledb.execution.command import name_or_number
from kimbledb.execution.messages import begin_step
from kimbledb.execution.run import Request, Run, Sent
from kimbledb.inspection import preflight
from kimbledb.model.names import near, quote_identifier
from kimbledb.model.operator_reports import AdoptionReport
from kimbledb.model.plan import Plan
from kimbledb.model.step import Step, StepState
from kimbledb.planning import refused_plans
from kimbledb.planning.planner import Goal, Planner
from kimbledb.server import queries
from kimbledb.server.notifications import call_scope
from kimbledb.server.observer import observed
from kimbledb.server.options import Options
from kimbledb.server.retry import decided
from kimbledb.server.session import BEGIN, Session
from kimbledb.server.settings import setting
from kimbledb.server.targets import TargetLike
from kimbledb.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database",)
EXAMPLE = "kimbledb stamp 3"


async def stamp(
    target: TargetLike,
    names: str | int | Iterable[str | int],
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    applied: bool = True,
    options: Options | None = None,
) -> AdoptionReport:
    """Write history by name: these migrations are applied, or with ``applied=False`` are not. Nothing else is touched.

    For migrations of which nothing in the database gives evidence, such as changes of rows. Where there is
    evidence, ``adopt()`` finds it by itself. Objects are not looked at: ``verify()`` reports those that are missing.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        names: The name or number of a migration, or an iterable of these. With ``applied=False`` a name that history
            holds and the catalog does not, too.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        applied: Whether they are recorded as applied. False takes their rows away: ``migrate()`` applies them then.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The recorded or removed migrations, and the plan as it was before. A migration that history shows as wanted is not
        written again.

    Raises:
        ConfigurationError: The target cannot be used.
        UnknownMigrationError: A name is unknown.
        AlternativesError: An alternative of a migration is applied, or named beside it.
        ChangedMigrationError: History records a migration with the checksum of another text.
        HistoryError: The history is another application's, or has a shape that cannot be read.
        PreflightError: The role may not write history.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    wanted = (names,) if isinstance(names, str | int) else tuple(names)
    with call_scope("stamp") as call:
        stamping = _Stamping(target, catalog=catalog, schema=schema, options=options)
        call.about(stamping.target.label, stamping.schema)
        return await stamping.run(wanted, applied=applied)


class _Stamping(Request):
    """Writes history by name."""

    async def run(self, names: Sequence[str | int], *, applied: bool) -> AdoptionReport:
        goal = Goal(planner=Planner(self.catalog), schema=self.schema, deciding=False)
        if applied:
            for name in names:  # a wrong name is found before a connection is made
                self.catalog[name]
        run = Run(self)
        sent: tuple[Plan, list[Step]] | None = None

        async def work(session: Session) -> tuple[Plan, list[Step]]:
            nonlocal sent
            loaded = await load_plan.from_history(run.runner, session, goal)
            if await run.settle(session, loaded.state) and sent is not None:
                return sent
            plan = loaded.plan
            if applied:
                refused_plans.refuse_another_application(self.schema, plan)
            await preflight.check_history(session, loaded.state, self.schema, writing=False)
            steps = self._to_record(plan, names) if applied else self._to_remove(plan, names)
            if steps:
                run.runner.doing = "writing history"
                await preflight.check_history(session, loaded.state, self.schema)
                sent = plan, steps
                async with observed(run.runner, session):
                    state = await bootstrap.prepare(session, loaded.state, self.schema, ())
                    assert state.log_position is not None  # the bootstrap made the log
                    message = (
                        BEGIN
                        + session.settings()
                        + begin_step(self.schema, state.log_position)
                        + self._writing(run, steps, applied=applied)
                        + "COMMIT;\n"
                    )
                    with run.sending(Sent("adopt" if applied else "rollback")), decided():
                        await session.send(message)
            return plan, steps

        plan, steps = await run.until_done(work)
        return run.done(
            AdoptionReport(
                tuple(evolve(step, reason="recorded by name") for step in steps) if applied else (),
                plan,
                run.clock(),
                removed=() if applied else tuple(step.name for step in steps),
            )
        )

    def _to_record(self, plan: Plan, names: Sequence[str | int]) -> list[Step]:
        """Return the steps that history does not show as applied, in the order of the plan."""
        wanted = {self.catalog[name].name for name in names}
        steps = [step for step in plan.steps if step.name in wanted]
        there = {step.name for step in plan.steps if step.recorded is not None and step.recorded.is_applied}
        for step in steps:
            others = [other for other in step.migration.alternatives if other in there | wanted]
            if others and step.name not in there:
                raise AlternativesError(
                    f"{step.name} and {' and '.join(others)} exclude each other",
                    [step.name, *others],
                    hint=f"stamp one of them; applied=False takes {others[0]} out of history",
                )
        changed = [step for step in steps if step.state is StepState.CHANGED]
        if changed:
            error = ChangedMigrationError(
                [
                    (step.name, step.recorded.checksum or "none", step.migration.checksum)
                    for step in changed
                    if step.recorded
                ]
            )
            error.hint = "restore the file; or take the row out of history (applied=False) and stamp it anew"
            raise error
        return [step for step in steps if not (step.is_applied and step.recorded and not step.recorded.legacy)]

    def _to_remove(self, plan: Plan, names: Sequence[str | int]) -> list[Step]:
        """Return the steps that have a row in history, newest first; a failed one has a row, too."""
        known = {step.name: step for step in plan.steps}
        for each in names:
            if each not in known and each not in self.catalog:
                raise UnknownMigrationError(each, near(each, known) if isinstance(each, str) else ())
        wanted = {self.catalog[each].name if each in self.catalog else each for each in names}
        rows = [step for step in plan.steps if step.recorded is not None and step.state is not StepState.RENAMED]
        return [step for step in reversed(rows) if step.name in wanted]

    def _writing(self, run: Run, steps: Sequence[Step], *, applied: bool) -> str:
        schema = quote_identifier(self.schema)
        facts = {"version": __version__, "run": run.runner.run_id}
        if not applied:
            stamped = facts | {"names": [step.name for step in steps]}
            return setting("kimbledb.stamped", stamped) + queries.block("record_removed", schema=schema)
        rows = [
            {
                "name": step.name,
                "recorded": step.recorded and step.recorded.name,
                "checksum": step.migration.checksum,
                "evidence": {"stamped": True},
            }
            for step in steps
        ]
        adopted = facts | {"rows": rows, "kept": {}}
        return setting("kimbledb.adopted", adopted) + queries.block("record_adopted", schema=schema)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("names", nargs="+", type=name_or_number, metavar="MIGRATION", help="its name or number")
    parser.add_argument("--remove", action="store_true", help="take them out of history; nothing is rolled back")


async def command(invocation: Invocation) -> int:
    """Record migrations in history by name, where nothing could show that they are applied."""
    given = invocation.given
    every = [each for each in given.names if str(each).casefold() in ("all", "head", "heads", "latest")]
    if every and every[0] not in invocation.catalog:
        raise ConfigurationError(
            f"`kimbledb stamp` takes names and numbers, and {every[0]!r} is none",
            hint="`kimbledb adopt` records all that the database shows to be applied; stamp is for what it cannot show",
        )
    async with invocation.target() as target:
        report = await stamp(
            target,
            given.names,
            catalog=invocation.catalog,
            schema=invocation.schema,
            applied=not given.remove,
            options=invocation.options,
        )
    invocation.show(report)
    return 0
