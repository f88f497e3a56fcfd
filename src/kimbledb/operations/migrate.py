"""Migrate: bring a database to the state that a catalog describes.

Most starts end with a glance at history, which shows that nothing is pending. What applies migrations
is imported only where something is: it takes most of the time of an import.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from kimbledb.errors import AlternativesError, ConfigurationError
from kimbledb.execution.run import Request, Run
from kimbledb.inspection.glance import Glance, glance
from kimbledb.model.names import near
from kimbledb.model.presentation import Report
from kimbledb.planning.held import holds_all
from kimbledb.server.in_process_lock import InProcessLock
from kimbledb.server.notifications import call_scope, has_listener, notify
from kimbledb.server.retry import Retry
from kimbledb.server.runner import Runner, meanwhile
from kimbledb.server.session import Session

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.catalog.catalog import CatalogLike
    from kimbledb.catalog.checksums import Checksums
    from kimbledb.events import Watcher
    from kimbledb.execution.applying import ApplyRun
    from kimbledb.execution.awaited import Awaited
    from kimbledb.execution.command import Invocation
    from kimbledb.execution.signature import Signature
    from kimbledb.model.plan import Plan
    from kimbledb.model.presentation import Json
    from kimbledb.model.reports import MigrationReport, VerificationReport
    from kimbledb.model.tables import Table
    from kimbledb.planning.planner import Goal
    from kimbledb.server.options import Options
    from kimbledb.server.targets import Target, TargetLike

GROUPS = ("database", "limits", "backup", "many")
EXAMPLE = "kimbledb migrate --catalog migrations"


class Executor(Request):
    """Brings a database to the state that a catalog describes.

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

    async def plan(
        self,
        *,
        to: str | int | None = None,
        phase: int | None = None,
        prefer: Iterable[str] = (),
        set_aside: Iterable[str] = (),
    ) -> Plan:
        """Return the plan that ``apply()`` would follow. Only reads.

        Args:
            to: The name or number of a migration: plan only this one and those that it needs. None for all.
            phase: The number of a phase: plan only its migrations and those that they need. None for all.
            prefer: The names of alternatives to choose instead of the default ones.
            set_aside: The names of the tables to set aside, as ``apply()`` does it.

        Returns:
            Each migration with its state, the reason, and its hazards.

        Raises:
            PlanningError: No plan can be made.
        """
        from kimbledb.execution.load_plan import load_plan  # a start with nothing to do needs the glance alone

        goal = self._goal(to, phase, prefer, set_aside)
        runner = Runner(self.target, self.options)
        loaded = await runner.run(lambda session: load_plan(runner, session, goal))
        return loaded.plan

    async def apply(
        self,
        *,
        to: str | int | None = None,
        phase: int | None = None,
        prefer: Iterable[str] = (),
        verify: bool = True,
        backup: str | os.PathLike[str] | None = None,
        allow_data_loss: bool = False,
        set_aside: Iterable[str] = (),
        plan: Plan | Mapping[str, Json] | str | None = None,
    ) -> MigrationReport:
        """Apply what is pending.

        Args:
            to: The name or number of a migration: apply only this one and those that it needs. None for all.
            phase: The number of a phase: apply only its migrations and those that they need. None for all.
            prefer: The names of alternatives to choose instead of the default ones.
            verify: Whether the checks of each migration run in its transaction and must pass.
            backup: The path of a new file for a backup of the whole database, made before anything is
                changed, and only if there is something to do. None for no backup.
            allow_data_loss: Whether a migration may delete existing rows and values without a ``deletes`` in its
                migration.toml.
            set_aside: The names of existing tables that cannot be converted to their declared form. Each is renamed
                with its rows, the declared table is made beside it, and the rows that fit are copied.
            plan: The plan to carry out, as ``kimbledb.migrate()`` takes it. The other arguments must be those by which
                it was made. None for all that is pending.

        Returns:
            The migrations that were applied, the plan, and the checks.

        Raises:
            KimbleDBError: As ``kimbledb.migrate()`` raises it; a migration that failed was rolled back.
        """

        @cache
        def goal() -> Goal:
            return self._goal(to, phase, prefer, set_aside)

        signature = None if plan is None else self._signature(plan)
        in_process_lock = InProcessLock(self.target.label, self.schema)
        run = Run(self, backup=backup, in_process_lock=in_process_lock)
        apply_run: ApplyRun | None = None
        awaited: Awaited | None = None
        # If history is locked, the glance ends its connection, which must not be a caller's own.
        # A glance does not show which database this is.
        may_glance = self.target.can_reconnect and signature is None

        is_whole = to is None and phase is None and not prefer and not set_aside
        checksums = self._checksums(goal, whole=may_glance and is_whole)

        async def work(session: Session) -> MigrationReport:
            nonlocal apply_run, awaited, may_glance
            if may_glance:
                may_glance = False
                run.runner.doing = "reading the history"
                report = await self._glance(session, run, checksums, goal)
                if report is not None:
                    return report
            if self.options.or_wait and apply_run is None:
                awaited = awaited or await self._awaited(session, goal(), run.runner)
                if awaited is not None:
                    loaded = await awaited.look(session)
                    if signature is not None:
                        await signature.check(session, loaded.state, loaded.plan, looked=False)
                    owner = loaded.state.history_owner
                    return _report_of()(loaded.plan, run.clock(), owner)
            if apply_run is None:
                if in_process_lock.holder is not None and not run.runner.has_waited:
                    may_glance = self.target.can_reconnect and signature is None
                    raise Retry(blockers=("another call of this process",))
                in_process_lock.acquire()
                from kimbledb.execution.applying import ApplyRun  # a start with nothing to do applies nothing

                apply_run = ApplyRun(goal(), run, verify=verify, allow_data_loss=allow_data_loss, signature=signature)
            await apply_run.work(session)
            return apply_run.report

        try:
            return run.done(await run.until_done(work))
        finally:
            in_process_lock.release()

    def _signature(self, plan: Plan | Mapping[str, Json] | str) -> Signature:
        """Return the plan that must be what is carried out."""
        from kimbledb.execution.signature import Signature  # few calls are given a plan

        return Signature(plan, self.schema)

    async def _awaited(self, session: Session, goal: Goal, runner: Runner) -> Awaited | None:
        """Return the wait for a run of another role, where this role or this server may not migrate; else None."""
        # Only a start with something to do, and only where it was asked for.
        from kimbledb.execution.awaited import Awaited
        from kimbledb.inspection import history, preflight

        state = await history.look(session, self.schema)
        gaps = await preflight.role_gaps(session, state, self.schema)
        return Awaited(runner, goal, gaps[0][0]) if gaps else None

    def _goal(self, to: str | int | None, phase: int | None, prefer: Iterable[str], set_aside: Iterable[str]) -> Goal:
        """Return the goal of a call. Faults of the call itself are raised here, before a connection is made."""
        from kimbledb.planning.planner import Goal, Planner  # a start whose history holds all needs no plan

        planner = Planner(self.catalog, prefer=prefer)
        if to is not None:
            self.catalog[to]
        if phase is not None:
            self.catalog.check_phase(phase)
        aside = frozenset((set_aside,) if isinstance(set_aside, str) else set_aside)
        if aside:
            self._check_tables(aside)
        return Goal(planner=planner, schema=self.schema, to=to, phase=phase, set_aside=aside)

    def _check_tables(self, names: Iterable[str]) -> None:
        """Refuse names of tables that no migration declares.

        Raises:
            ConfigurationError: There is such a name.
        """
        tables = {each.name for migration in self.catalog for each in migration.creates if each.kind == "table"}
        for name in sorted(names):
            if name not in tables:
                similar = near(name, tables)
                raise ConfigurationError(
                    f"set_aside names {name!r}, and no migration declares a table of that name",
                    hint=f"did you mean {similar[0]}?"
                    if similar
                    else "a name must be that of a table that a migration makes; `kimbledb declare` records what they make",
                )

    def _checksums(self, goal: Callable[[], Goal], *, whole: bool) -> Checksums | None:
        """Return the checksums of the catalog, or None where the goal decides. Faults of the call are raised here.

        Args:
            goal: Returns the goal of the call.
            whole: Whether the call wants the whole catalog, and a glance at history may show that it is there.
        """
        if whole:
            return self.catalog.checksums
        goal()
        return None

    async def _glance(
        self, session: Session, run: Run, checksums: Checksums | None, goal: Callable[[], Goal]
    ) -> MigrationReport | None:
        """Return the report if a glance at history shows that nothing is pending, else None."""
        try:
            seen, report_of = await meanwhile(glance(session, self.schema), _report_of)
        except TimeoutError as error:
            raise Retry from error  # the next look reports what is in the way
        plan = None if seen is None else self._nothing_to_do(seen, checksums, goal)
        if seen is None or plan is None:
            return None
        report = report_of(plan, run.clock(), seen.history_owner)
        if has_listener(self.progress):
            from kimbledb.events import Planned

            notify(self.progress, Planned(report.plan))
        return report

    def _nothing_to_do(
        self, seen: Glance, checksums: Checksums | None, goal: Callable[[], Goal]
    ) -> PlanByHistory | None:
        """Return the maker of the plan if history shows that nothing is pending, else None.

        Args:
            seen: The glance.
            checksums: The checksums of all that the call wants, or None where it does not want the whole catalog.
            goal: Returns the goal of the call.
        """
        plan = PlanByHistory(goal, self.schema, self.target.label, seen.rows, hosted=seen.hosted)
        if checksums is not None and holds_all(seen.rows, checksums):
            return plan
        if any(row.legacy for row in seen.history):
            return None  # rows that another tool wrote need evidence
        try:
            found = plan()
        except AlternativesError:
            return None  # evidence may decide
        return None if found.pending or found.refused else plan


class PlanByHistory:  # every start makes this class: with attrs that takes longer
    """Makes the plan of a schema whose history shows that nothing is pending, when it is called."""

    def __init__(
        self, goal: Callable[[], Goal], schema: str, label: str, rows: Iterable[Sequence[Any]], *, hosted: bool
    ) -> None:
        """Keep the facts of a glance.

        Args:
            goal: Returns the goal of the call.
            schema: The name of the target schema.
            label: The name of the target in messages.
            rows: The rows of history, as of ``Glance``.
            hosted: Whether the database is a hosted one.
        """
        self.goal = goal
        self.schema = schema
        self.label = label
        self.rows = rows
        self.hosted = hosted
        self._plan: Plan | None = None

    def __call__(self) -> Plan:
        """Return the plan."""
        if self._plan is None:
            # These are most of an import, and a start whose history holds all needs no plan.
            from attrs import evolve

            from kimbledb.inspection.history import history_of
            from kimbledb.model.evidence import Evidence
            from kimbledb.model.origin import Place

            # A glance asks for no more of the place.
            place = Place(0, "", 0, occupied=True, label=self.label)
            rows = history_of(self.rows)
            goal = self.goal()
            goal.catalog.expect(rows)
            self._plan = evolve(goal.plan(rows, Evidence(hosted=self.hosted)), place=place)
        return self._plan


def _report_of() -> Callable[[Plan | Callable[[], Plan], float, str | None], MigrationReport]:
    """Return the function that makes the report of a call that applied nothing."""
    from kimbledb.model.reports import MigrationReport, VerificationReport  # 1 ms, in which a server answers

    return lambda plan, seconds, owner: MigrationReport((), plan, seconds, VerificationReport(()), history_owner=owner)


async def migrate(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    verify: bool = True,
    backup: str | os.PathLike[str] | None = None,
    allow_data_loss: bool = False,
    set_aside: Iterable[str] = (),
    plan: Plan | Mapping[str, Json] | str | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> MigrationReport:
    """Bring a database to the state that a catalog describes.

    Each migration is one transaction: lock, script, proof, history row. If nothing
    is pending, nothing is locked or written. Any number of processes may call
    migrate() at once.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``. It is made if missing.
        to: The name or number of a migration: apply only this one and those that it needs. None for all.
        phase: The number of a phase: apply only its migrations and those that they need. None for all.
        prefer: The names of alternatives to choose instead of the default ones.
        verify: Whether the checks of each migration run in its transaction and must pass.
        backup: The path of a new file for a backup of the whole database, made before anything is changed,
            and only if there is something to do. ``restore()`` brings it back. An existing
            file is never overwritten. None for no backup.
        allow_data_loss: Whether a migration may delete existing rows and values without a ``deletes`` in its
            migration.toml.
        set_aside: The names of existing tables that cannot be converted to their declared form. Each is renamed
            with its rows and keys (``orders_set_aside``), the declared table is made beside it, and the rows that
            fit are copied. ``MigrationReport.set_aside`` holds their number and a query for the others. The name of a
            table that does not exist, or is set aside already, changes nothing.
        plan: The plan to carry out: if anything in it has changed, nothing is run. A ``Plan`` holds catalog, schema,
            to, phase, prefer and set_aside, and excludes these arguments. For a plan from another process, pass its
            fingerprint or the values of its ``as_dict()`` (``kimbledb plan --json``), and these arguments as they were
            when it was made. If another run of the plan has applied all of it, there is nothing to do. None for all
            that is pending.
        progress: Called with each ``Event``. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The migrations that were applied, the plan, and the checks.

    Raises:
        ConfigurationError: The target or an option cannot be used.
        PlanningError: No plan can be made.
        PlanChangedError: The plan of now is not the given one; the error lists the changes.
        PreflightError: The server lacks what a migration needs; nothing was touched. Where the role may not migrate,
            ``Options.or_wait`` waits instead.
        BackupError: The backup cannot be made; nothing was touched.
        UnrecordedObjectsError: The schema holds objects of the catalog, and no history.
        MigrationError: A migration failed and was rolled back; it carries what was applied before.
        DataLossError: A migration would have lost data without permission, and was rolled back.
        LockUnavailableError: Another session held a lock in every attempt.
        DeadlineExceededError: The options' deadline passed.
        ConnectionLostError: The server went away and stayed away.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    if plan is not None and not isinstance(plan, str | Mapping):
        from attrs import astuple  # few calls are given a plan

        from kimbledb.catalog.catalog import Catalog
        from kimbledb.model.plan import Plan

        if isinstance(plan, Plan):
            _check_alone(plan, catalog=catalog, schema=schema, to=to, phase=phase, prefer=prefer, set_aside=set_aside)
            catalog, schema = Catalog(plan.migrations), plan.schema
            to, phase, prefer, set_aside = astuple(plan.wishes)
    with call_scope("migrate", progress) as call:
        executor = Executor(target, catalog=catalog, schema=schema, options=options, progress=progress)
        call.about(executor.target.label, executor.schema)
        return await executor.apply(
            to=to,
            phase=phase,
            prefer=prefer,
            verify=verify,
            backup=backup,
            allow_data_loss=allow_data_loss,
            set_aside=set_aside,
            plan=plan,
        )


def _check_alone(plan: Plan, **others: object) -> None:
    """Refuse arguments that a plan holds, and a plan that holds no SQL.

    Raises:
        ConfigurationError: There is such an argument, or the plan comes from another process.
    """
    given = [name for name, value in others.items() if value is not None and value != ()]
    if given:
        raise ConfigurationError(
            f"plan excludes {', '.join(given)}", hint="the plan was made by these arguments, and holds them"
        )
    if not all(migration.holds_sql for migration in plan.migrations):
        raise ConfigurationError(
            "this plan was pickled, and holds no SQL",
            hint="pass its fingerprint, with the catalog, the schema and the limits by which it was made",
        )


class _Due(Report):
    """The part of a plan that a run is about. `kimbledb plan` shows all of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def summary(self) -> str:
        return self.plan.summary

    def as_tables(self) -> tuple[Table, ...]:
        return (self.plan.due_as_table(),)

    def as_dict(self) -> dict[str, Json]:
        return self.plan.as_dict()


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--refuse-hazard", action="append", default=[], metavar="NAME", help="stop if a migration has this hazard"
    )
    parser.add_argument(
        "--allow-data-loss",
        action="store_true",
        help="apply even if rows or values are lost and the migration does not say so",
    )
    parser.add_argument(
        "--plan",
        metavar="FINGERPRINT",
        help="apply only if the plan has this fingerprint, or is that of the file which `plan --json` or `rehearse --json` wrote",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show the plan, and change nothing")
    parser.add_argument(
        "--no-verify", action="store_true", help="skip the checks of each migration and the verification afterwards"
    )
    parser.add_argument(
        "--halt-after",
        metavar="N",
        help="with several --schema: start no further one after N failures, or a share of the finished ones such as 10%%",
    )
    parser.add_argument(
        "--or-wait", action="store_true", help="where this role may not migrate, wait until another one has"
    )


async def command(invocation: Invocation) -> int:
    """Apply what is missing, and prove it.

    Each migration is one transaction: script, proof, history row. Afterwards all that is applied is verified. The exit
    code is 1 if a migration is refused or fails, or if the verification finds a fault. If nothing is pending, nothing is
    written.
    """
    from kimbledb.execution.command import ExitCode, limits_of  # only the command has an exit code and arguments
    from kimbledb.server.targets import kept  # only the command makes several calls

    given = invocation.given
    common: dict[str, Any] = {"catalog": invocation.catalog, "schema": invocation.schema, "options": invocation.options}
    limits = limits_of(given)
    signed = None if given.plan is None else _signed(given.plan)
    if signed is not None and given.dry_run:
        raise ConfigurationError(
            "--plan and --dry-run exclude each other", hint="`kimbledb plan --fingerprint` prints that of now"
        )
    async with invocation.target() as dsn, kept(dsn) as target:
        if given.dry_run:
            plan = await Executor(target, **common).plan(**limits)
            invocation.show(plan)
            return ExitCode.REFUSED if plan.refused else ExitCode.DONE
        if invocation.watcher is not None:
            invocation.show(_Due(await Executor(target, **common).plan(**limits)))
        report = await migrate(
            target,
            **common,
            **limits,
            verify=not given.no_verify,
            backup=given.backup,
            allow_data_loss=given.allow_data_loss,
            plan=signed,
            progress=invocation.watcher,
        )
        verification = None if given.no_verify else await _verified(target, **common)
        if given.json:
            verified = None if verification is None else verification.as_dict()
            invocation.json({**report.as_dict(), "verification": verified})
        if invocation.watcher is not None:
            invocation.line(report.summary)
            for loss in report.losses:
                invocation.line(f"  went: {loss}")
            for table in report.set_aside:
                invocation.line(f"  set aside: {table}")
            if verification is not None:
                invocation.show(verification, detail=True)
        elif verification is not None and not verification.ok and not given.json:
            invocation.show(verification)
    return int(verification is not None and not verification.ok)


async def _verified(target: Target, **common: Any) -> VerificationReport:
    from kimbledb.operations.verify import verify  # most of an import, which --no-verify saves

    return await verify(target, **common)


def _signed(given: str) -> Mapping[str, Json] | str:
    """Return the plan that ``--plan`` names: a fingerprint, or what a file holds.

    Raises:
        ConfigurationError: It is neither.
    """
    import json  # only where a plan is given
    from pathlib import Path

    from kimbledb.model.basis import is_fingerprint

    if is_fingerprint(given):
        return given
    try:
        found = json.loads(Path(given).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ConfigurationError(
            f"--plan {given}: no fingerprint of a plan, and no file of one: {reason}",
            hint="`kimbledb plan --fingerprint` prints a fingerprint, `kimbledb plan --json` a plan",
        ) from None
    # A rehearsal holds the plan that it is about.
    plan = found.get("plan", found) if isinstance(found, dict) else {}
    return plan if isinstance(plan, dict) else {}
