"""Adopt: record in history the migrations whose objects are present. No script is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.execution import bootstrap, load_plan, renewal
from kimbledb.execution.load_plan import LoadedPlan
from kimbledb.execution.messages import begin_step
from kimbledb.execution.run import Request, Run, Sent
from kimbledb.inspection import gathering, preflight
from kimbledb.inspection.gathering import Looked
from kimbledb.inspection.proof import Site
from kimbledb.model.evidence import Evidence, Finding, KeptObject, ObjectState
from kimbledb.model.forms import RecordedForms, kept_as_dict
from kimbledb.model.names import quote_identifier
from kimbledb.model.objects import Key
from kimbledb.model.operator_reports import AdoptionReport
from kimbledb.model.plan import Plan
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import Step, StepState
from kimbledb.planning.planner import Goal, Planner
from kimbledb.planning.records import Made, Records
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
EXAMPLE = "kimbledb adopt --dry-run"
_MISSING = Finding(ObjectState.MISSING)


class Adoption(Request):
    """Records in history the migrations of a catalog whose objects are present.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.
        progress: Called with each ``Event``. None for no notifications.

    Raises:
        ConfigurationError: The target or the schema cannot be used.
    """

    async def run(self, *, prefer: Iterable[str] = (), dry_run: bool = False) -> AdoptionReport:
        """Record in history the migrations whose objects are present. No script is run.

        Args:
            prefer: The names of alternatives to choose instead of the default ones.
            dry_run: Whether only to report what would be recorded.

        Returns:
            The recorded migrations, and the plan as it was before.

        Raises:
            PlanningError: No plan can be made.
            PreflightError: The role may not write history.
        """
        goal = Goal(planner=Planner(self.catalog, prefer=prefer), schema=self.schema)
        run = Run(self)
        sent: tuple[Plan, list[Step]] | None = None

        async def work(session: Session) -> tuple[Plan, list[Step]]:
            nonlocal sent
            loaded = await load_plan.from_history(run.runner, session, goal)
            if await run.settle(session, loaded.state) and sent is not None:
                return sent
            decided = await _decide(run, session, goal, loaded)
            loaded = decided.loaded
            plan, proved = loaded.plan, _proved(loaded.plan, loaded.evidence)
            records = decided.records(proved)
            if not dry_run and (proved or records or not _is_known(plan, loaded.state)):
                run.runner.doing = "recording what is there"
                await preflight.check_history(session, loaded.state, self.schema)
                sent = plan, proved
                async with observed(run.runner, session):
                    await self._record(run, session, loaded, proved, records)
            return plan, proved

        plan, proved = await run.until_done(work)
        return run.done(AdoptionReport(tuple(proved), plan, run.clock(), dry_run))

    async def _record(
        self,
        run: Run,
        session: Session,
        loaded: LoadedPlan,
        proved: list[Step],
        records: Mapping[str, RecordedForms],
    ) -> None:
        state = await bootstrap.prepare(session, loaded.state, self.schema, ())
        assert state.log_position is not None  # the bootstrap made the log
        kept = _kept(loaded.plan, loaded.evidence)
        rows = [
            {
                "name": step.name,
                "recorded": step.recorded and step.recorded.name,
                "checksum": step.migration.checksum,
                "evidence": _evidence_of(step, loaded.evidence),
            }
            for step in proved
        ]
        adopted = {
            "version": __version__,
            "run": run.runner.run_id,
            "rows": rows,
            "kept": kept_as_dict({key: each.facts for key, each in kept.items()}),
        }
        adopting = ""
        if proved or not _is_known(loaded.plan, loaded.state):
            adopting = queries.block("record_adopted", schema=quote_identifier(self.schema))
        # As for a migration: take the lock, and check that history has not changed since.
        message = (
            BEGIN
            + session.settings()
            + setting("kimbledb.adopted", adopted)
            + begin_step(self.schema, state.log_position)
            + adopting
            + renewal.recording(records, Site.of(state, self.schema, self.catalog))
            + "COMMIT;\n"
        )
        with run.sending(Sent("adopt")), decided():
            await session.send(message)


async def adopt(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    prefer: Iterable[str] = (),
    dry_run: bool = False,
    options: Options | None = None,
) -> AdoptionReport:
    """Record in history the migrations whose objects are present. No script is run.

    A migration is adopted if all the objects that it declares are present in
    their declared form, and every migration that it needs is applied or adopted.
    ``migrate()`` applies the rest, and completes what is present in part.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        prefer: The names of alternatives to choose instead of the default ones.
        dry_run: Whether only to report what would be recorded.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Raises:
        ConfigurationError: The target cannot be used.
        PlanningError: No plan can be made.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    with call_scope("adopt") as call:
        helper = Adoption(target, catalog=catalog, schema=schema, options=options)
        call.about(helper.target.label, helper.schema)
        return await helper.run(prefer=prefer, dry_run=dry_run)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--prefer", action="append", default=[], metavar="MIGRATION", help="take this alternative; may be repeated"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be recorded")


async def command(invocation: Invocation) -> int:
    """Record the migrations whose objects are present, and run nothing.

    For a database that SQL files or another tool made. A migration counts as applied if every object that it declares is
    there in its declared form. No object and no row is changed.
    """
    given = invocation.given
    async with invocation.target() as target:
        report = await adopt(
            target,
            catalog=invocation.catalog,
            schema=invocation.schema,
            prefer=given.prefer,
            dry_run=given.dry_run,
            options=invocation.options,
        )
    invocation.show(report)
    return 0


@frozen
class _Decided:
    """The facts on which ``adopt()`` decides, once the server has run the scripts that had to be run."""

    loaded: LoadedPlan
    looked: Looked | None
    #: The forms by the original statements, or None if these cannot be run.
    made: Made | None

    def records(self, proved: Sequence[Step]) -> dict[str, RecordedForms]:
        """Return the records of forms that history lacks of the applied migrations and of those that are adopted."""
        if self.looked is None:
            return {}
        plan, shown = self.loaded.plan, self.loaded.evidence
        names = {step.name for step in proved}
        recorded = [step.migration for step in plan.steps if step.is_applied or step.name in names]
        kept = _kept(plan, shown)
        records = Records(recorded, self.looked.found, self.looked.recorded, hosted=shown.hosted, kept=kept)
        return records.made(self.made)


async def _decide(run: Run, session: Session, goal: Goal, loaded: LoadedPlan) -> _Decided:
    """Examine the schema and plan by it. Where only the server can decide on an expression, it runs the original statements."""
    run.runner.doing = "looking at the schema"
    state, planner = loaded.state, goal.planner
    looked = await gathering.look(session, planner, state, goal.schema)
    shown = gathering.weighed(planner, state, looked)
    loaded = await load_plan.by_evidence(session, goal, loaded, shown)
    if looked is None:
        return _Decided(loaded, None, None)
    there = [
        step.migration
        for step in loaded.plan.steps
        if step.is_applied or shown.findings.get(step.name, _MISSING).state is not ObjectState.MISSING
    ]
    renewed = await renewal.renew(session, state, goal.schema, planner.catalog, there, looked)
    if renewed.records:
        shown = gathering.weighed(planner, state, looked, renewed.forms)
        loaded = await load_plan.by_evidence(session, goal, loaded, shown)
    return _Decided(loaded, looked, renewed.made)


def _proved(plan: Plan, shown: Evidence) -> list[Step]:
    """Return the steps whose objects are all present and whose needs are applied or proved, too.

    A step that needs a missing one is left to migrate(), which runs its script again without effect.
    """
    there: set[str] = set()
    proved = []
    for step in plan.steps:
        if step.state is StepState.APPLIED and not (
            step.name in shown.findings and step.recorded and step.recorded.legacy
        ):
            there.add(step.name)
        # A row that another tool wrote needs the same proof as no row.
        elif step.state in (StepState.ADOPTABLE, StepState.APPLIED) and all(need in there for need in step.needs):
            there.add(step.name)
            proved.append(step)
    return proved


def _evidence_of(step: Step, shown: Evidence) -> dict[str, list[str] | str]:
    """Return the evidence for an adopted migration, as history keeps it: the present objects, or the history that records it."""
    finding = shown.findings.get(step.name)
    return {"recorded": step.reason} if finding is None else {"present": list(finding.present)}


def _kept(plan: Plan, shown: Evidence) -> dict[Key, KeptObject]:
    """Return the columns and constraints that keep a form of their own.

    Where kimbledb has applied a migration that declares the object, another form is drift.
    """
    ours = {step.name for step in plan.steps if step.is_applied and step.recorded and not step.recorded.legacy}
    return {key: each for key, each in shown.kept.items() if ours.isdisjoint(each.migrations)}


def _is_known(plan: Plan, state: DatabaseState) -> bool:
    """Whether migrate() can go on without an entry of adopt(): the log has one, or history has a row."""
    return state.log_position is not None and (state.looked or any(step.is_applied for step in plan.steps))
