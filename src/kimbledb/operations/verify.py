"""Verify: run the checks of the applied migrations, and those of the whole database. Nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import HistoryError, PlanningError, PreflightError
from kimbledb.execution.command import ExitCode, Invocation, name_or_number
from kimbledb.execution.run import Request
from kimbledb.inspection import forms, history, security, snapshot
from kimbledb.inspection.checks import verify_migrations
from kimbledb.model.check import Check
from kimbledb.model.forms import Forms
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import Key
from kimbledb.model.reports import VerificationReport
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import StepState
from kimbledb.model.text import few
from kimbledb.planning import drift, evidence
from kimbledb.planning.fold import fold
from kimbledb.planning.planner import Goal, Planner
from kimbledb.server import queries
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.runner import Runner
from kimbledb.server.search_path import gaps_of, path_of, strangers_in
from kimbledb.server.session import Session
from kimbledb.server.targets import TargetLike

if TYPE_CHECKING:
    from argparse import ArgumentParser

GROUPS = ("database", "many")
#: How many of its findings a check names. ``rows`` holds them all.
_SHOWN = 5


class Verifier(Request):
    """Checks that what history records as applied is present and right. It never writes.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.
        progress: Called with each ``Event``; None for nobody.

    Raises:
        ConfigurationError: The target or the schema cannot be used.
    """

    async def verify(
        self, only: str | int | Iterable[str | int] | None = None, *, strict: bool = False
    ) -> VerificationReport:
        """Run the checks of the applied migrations, and those of the whole database.

        Args:
            only: A migration's name or number, or several: run their checks alone, applied or not.
                None for all.
            strict: Whether the security checks fail that otherwise warn of what is in no closed catalog.

        Returns:
            Every check with what it expected and found; ``report.ok`` is the verdict.

        Raises:
            UnknownMigrationError: ``only`` names nothing.
        """
        runner = Runner(self.target, self.options, self.progress)

        async def work(session: Session) -> VerificationReport:
            runner.doing = "verifying"
            try:
                state = await history.look(session, self.schema)
            except (HistoryError, PreflightError) as error:
                # Verification exists to report such faults.
                unread = Check(
                    None,
                    "history",
                    passed=False,
                    expected="a history that can be read",
                    found=error.message,
                    hint=error.hint,
                )
                found_too = await security.check(
                    session, self.schema, closed=None if strict else self._closed((), hosted=False)
                )
                return VerificationReport((unread, *found_too))
            path = state.search_path(self.schema, self.catalog.extensions)
            reached = schemas_reached(self.catalog)
            if only is not None:
                keys = [only] if isinstance(only, str | int) else list(only)
                chosen = [self.catalog[key] for key in keys]
                return VerificationReport(tuple(await verify_migrations(session, chosen, path, reached)))
            found = await snapshot.take(session, self.schema, path, reached=self._reaches, owners=True)
            recorded = await forms.read(session, self.schema, path)
            applied, pending = self._standing(state, found, recorded)
            owner = state.history_owner if state.stranger is None else None
            checks = await verify_migrations(session, applied, path, reached, owner=owner)
            if applied:
                checks += self._drift(state, found, recorded, applied, pending)
            checks += await self._whole_database(session, path)
            checks += await _trust(session, self.schema, path, reached, owner)
            declared = fold(applied, hosted=state.hosted).objects if applied else None
            checks += await security.check(
                session, self.schema, declared, closed=None if strict else self._closed(applied, hosted=state.hosted)
            )
            return VerificationReport(tuple(checks))

        return await runner.run(work)

    def _closed(self, applied: Sequence[Migration], *, hosted: bool) -> Collection[Key] | None:
        """Return what migrations of a closed catalog declare, or None where all migrations are such."""
        if all(each.closed for each in applied or self.catalog):
            return None
        return fold([each for each in applied if each.closed], hosted=hosted).objects.keys()

    @property
    def _reaches(self) -> list[str]:
        return [name for migration in self.catalog for name in migration.reaches]

    def _standing(
        self, state: DatabaseState, found: Snapshot, recorded: Forms
    ) -> tuple[list[Migration], list[Migration]]:
        """Return the migrations that history records as applied, in order, and the others."""
        planner = Planner(self.catalog)
        goal = Goal(planner=planner, schema=self.schema, deciding=False)
        try:
            known = evidence.as_applied(planner.in_order(), state.history or ())
            shown = evidence.weigh(known, found, hosted=state.hosted, forms=recorded)
            plan = goal.plan(state.history, shown)
        except PlanningError:  # migrate() reports why; what history records is verified all the same
            names = {row.name for row in state.history or () if row.is_applied}
            return [each for each in self.catalog if each.name in names], []
        steps = [step for step in plan.steps if step.state not in (StepState.REPLACED, StepState.UNKNOWN)]
        return (
            evidence.as_applied(
                (step.migration for step in steps if step.is_recorded and not step.runs_again), state.history or ()
            ),
            [step.migration for step in steps if not step.is_recorded or step.runs_again],
        )

    def _drift(
        self,
        state: DatabaseState,
        found: Snapshot,
        recorded: Forms,
        applied: Sequence[Migration],
        pending: Sequence[Migration],
    ) -> list[Check]:
        # Migrations of a newer version may have changed what this version declares.
        newer = any(row.version and row.is_applied and row.name not in self.catalog for row in state.history or ())
        return drift.checks(applied, pending, found, forms=recorded, hosted=state.hosted, informative=newer)

    async def _whole_database(self, session: Session, path: Sequence[str]) -> list[Check]:
        rows = await session.ask(
            queries.printed(
                "whole_database",
                quote_literal(path_of(path)),
                schema=quote_literal(self.schema),
                extensions=quote_array(self.catalog.extensions),
            )
        )
        return [
            Check(
                migration=None,
                name=row["name"],
                passed=row["passed"],
                expected=row.get("expected"),
                found=row.get("found"),
                rows=tuple(row.get("rows") or ()),
                hint=row.get("hint"),
                informative=row.get("informative", False),
            )
            for row in rows
        ]


async def verify(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    schema: str | None = None,
    only: str | int | Iterable[str | int] | None = None,
    strict: bool = False,
    options: Options | None = None,
) -> VerificationReport:
    """Check that what history records as applied is present and right. It never writes.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        only: A migration's name or number, or several: run their checks alone, applied or not. None for all.
        strict: Whether the security checks fail that otherwise warn of what is in no closed catalog.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Returns:
        Every check with what it expected and found; ``report.ok`` is the verdict.

    Raises:
        ConfigurationError: The target cannot be used.
        UnknownMigrationError: ``only`` names nothing.
    """
    with call_scope("verify") as call:
        helper = Verifier(target, catalog=catalog, schema=schema, options=options)
        call.about(helper.target.label, helper.schema)
        return call.done(await helper.verify(only, strict=strict))


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("only", nargs="*", type=name_or_number, metavar="MIGRATION", help="these alone")
    parser.add_argument("--strict", action="store_true", help="fail where a security check would only warn")


async def command(invocation: Invocation) -> int:
    """Check that what is applied is present and right."""
    async with invocation.target() as target:
        report = await verify(
            target,
            catalog=invocation.catalog,
            schema=invocation.schema,
            only=invocation.given.only or None,
            strict=invocation.given.strict,
            options=invocation.options,
        )
    invocation.show(report, detail=True)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


async def _trust(
    session: Session, schema: str, path: Sequence[str], reached: Sequence[str], owner: str | None
) -> list[Check]:
    """Check that no stranger owns or may make what would be called, and report what of one's own is worth knowing."""
    dangers = gaps_of(await session.ask(queries.answering(strangers_in(path, reached, owner=owner))))
    strangers = Check(
        migration=None,
        name="strangers",
        passed=not dangers,
        expected=f"every object in the schemas belongs to a role that {owner or 'this role'} trusts",
        found=few([gap for gap, _ in dangers], _SHOWN, "; "),
        rows=tuple({"found": gap, "cure": cure} for gap, cure in dangers),
        hint="; ".join(cure for _, cure in dangers[:_SHOWN]) or None,
    )
    told = [strangers]
    for name, expected, question in (
        (
            "functions beside the server's",
            "known: scripts and checks call them where their arguments fit better",
            queries.question("overloads", schemas=quote_array(path)),
        ),
        (
            "triggers on history",
            "known: they fire where history is written",
            queries.question("beside_history", schema=quote_literal(schema)),
        ),
    ):
        if found := await session.ask(question):
            told.append(
                Check(
                    migration=None,
                    name=name,
                    passed=True,
                    expected=expected,
                    found=few(found, _SHOWN, "; "),
                    rows=tuple({"object": each} for each in found),
                    informative=True,
                )
            )
    return told
