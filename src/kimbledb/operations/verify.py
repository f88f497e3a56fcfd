"""Verify: run the checks of the applied migrations, and those of the whole database. Nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.errors import HistoryError, PlanningError, PreflightError
from kimbledb.execution.command import ExitCode, Invocation, name_or_number
from kimbledb.execution.run import Request
from kimbledb.inspection import gathering, history, security
from kimbledb.inspection.checks import verify_migrations
from kimbledb.inspection.gathering import Looked
from kimbledb.model.check import Check
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import Key
from kimbledb.model.plan import Plan
from kimbledb.model.reports import VerificationReport
from kimbledb.model.state import DatabaseState
from kimbledb.model.step import StepState
from kimbledb.model.text import few
from kimbledb.planning import drift, evidence
from kimbledb.planning.fold import Fold, fold
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

T = TypeVar("T")

GROUPS = ("database", "many")
EXAMPLE = "kimbledb verify --catalog migrations"
#: The most findings that a check names. ``rows`` holds all of them.
_SHOWN = 5
#: Seconds in which a message leaves this machine.
_ON_ITS_WAY = 0.001


class Verifier(Request):
    """Checks that what history records as applied is present and right. It never writes.

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

    async def verify(
        self, only: str | int | Iterable[str | int] | None = None, *, strict: bool = False
    ) -> VerificationReport:
        """Run the checks of the applied migrations, and those of the whole database.

        Args:
            only: The name or number of a migration, or an iterable of these: run only their checks, applied or not.
                None for all.
            strict: Whether security findings on objects of no closed catalog fail. Otherwise they are warnings.

        Returns:
            Every check with what it expected and found; ``report.ok`` is the verdict.

        Raises:
            UnknownMigrationError: ``only`` names nothing.
        """
        runner = Runner(self.target, self.options, self.progress)

        async def work(session: Session) -> VerificationReport:
            runner.doing = "verifying"
            try:
                state = await history.look(session, self.schema, running=False)
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
                return VerificationReport(tuple((await verify_migrations(session, chosen, path, reached))[0]))
            owner = state.history_owner if state.stranger is None else None
            standing = self._by_history(state)
            # Before checks of migrations it is asked whom this role trusts, and not whom the owner of history does.
            asking = owner is not None or standing is None or not standing.applied
            # The snapshot is the longest answer, and comes first: it is read while the server answers the others.
            found, recorded, whole, overloads, beside, *answers = await session.ask_all(
                [
                    *gathering.questions(self.catalog, self.schema, path, owners=True),
                    *self._questions(path),
                    *([queries.answering(strangers_in(path, reached, owner=owner))] if asking else ()),
                ]
            )
            dangers = gaps_of(answers.pop()) if asking else None
            looked = cache(partial(gathering.looked_of, (found, recorded)))
            known = standing or self._by_schema(state, looked())
            # The server runs the checks while this process works on what it has.
            (of_migrations, gaps), drifted, found_too = await asyncio.gather(
                verify_migrations(session, known.applied, path, reached, owner=owner),
                _meanwhile(lambda: self._drift(state, looked(), known)),
                _meanwhile(lambda: self._security(state, known, answers, strict=strict)),
            )
            of_database = map(_check_of, whole)
            trust = _trust(owner, gaps if dangers is None else dangers, overloads, beside)
            return VerificationReport((*of_migrations, *drifted, *of_database, *trust, *found_too))

        return await runner.run(work)

    def _closed(self, applied: Sequence[Migration], *, hosted: bool) -> Collection[Key] | None:
        """Return the objects that migrations of a closed catalog declare, or None where all migrations are of one."""
        if all(each.closed for each in applied or self.catalog):
            return None
        return fold([each for each in applied if each.closed], hosted=hosted).objects.keys()

    def _by_history(self, state: DatabaseState) -> _Standing | None:
        """Return the applied migrations and the others where history alone decides it, else None."""
        history = state.history or ()
        try:
            plan = self._goal.plan(history, Evidence(hosted=state.hosted))
        except PlanningError:  # migrate() reports why; what history records is verified all the same
            names = {row.name for row in history if row.is_applied}
            return _Standing.of([each for each in self.catalog if each.name in names], [], state)
        return _Standing.by(plan, state) if plan.is_decided else None

    def _by_schema(self, state: DatabaseState, looked: Looked) -> _Standing:
        """Return the applied migrations and the others, by history and by the objects of the schema."""
        goal = self._goal
        return _Standing.by(goal.plan(state.history, gathering.weighed(goal.planner, state, looked)), state)

    @property
    def _goal(self) -> Goal:
        return Goal(planner=Planner(self.catalog), schema=self.schema, deciding=False)

    def _drift(self, state: DatabaseState, looked: Looked, standing: _Standing) -> list[Check]:
        if not standing.applied:
            return []
        # Migrations of a newer version may have changed what this version declares.
        newer = any(row.version and row.is_applied and row.name not in self.catalog for row in state.history or ())
        return drift.checks(
            standing.applied,
            standing.pending,
            looked.found,
            forms=looked.recorded,
            hosted=state.hosted,
            informative=newer,
        )

    def _questions(self, path: Sequence[str]) -> list[str]:
        """Return the questions about the whole database, of which the last are those of security."""
        whole = queries.filled(
            "whole_database", schema=quote_literal(self.schema), extensions=quote_array(self.catalog.extensions)
        )
        return [
            queries.anonymous(queries.printed(whole, quote_literal(path_of(path)))),
            queries.question("overloads", schemas=quote_array(path)),
            queries.question("beside_history", schema=quote_literal(self.schema)),
            *security.questions(self.schema),
        ]

    def _security(
        self, state: DatabaseState, standing: _Standing, answers: Sequence[Any], *, strict: bool
    ) -> list[Check]:
        declared = standing.declared.objects if standing.applied else None
        closed = None if strict else self._closed(standing.applied, hosted=state.hosted)
        return security.checks_of(answers, declared, closed=closed)


async def verify(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    only: str | int | Iterable[str | int] | None = None,
    strict: bool = False,
    options: Options | None = None,
) -> VerificationReport:
    """Check that what history records as applied is present and right. It never writes.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        only: The name or number of a migration, or an iterable of these: run only their checks, applied or not. None for all.
        strict: Whether security findings on objects of no closed catalog fail. Otherwise they are warnings.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

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
    parser.add_argument(
        "only", nargs="*", type=name_or_number, metavar="MIGRATION", help="check these alone, by name or number"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a security check would only warn")


async def command(invocation: Invocation) -> int:
    """Check that what is applied is present and right.

    Only reads: the checks of each migration, the declared objects, and the security of the schema. The exit code is 1 if
    a check fails.
    """
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


@frozen
class _Standing:
    """The applied migrations and the others, as history records them."""

    #: In the order of the plan.
    applied: Sequence[Migration]
    #: The others of the catalog, without the alternatives that are not used.
    pending: Sequence[Migration]
    #: The declarations of the applied migrations.
    declared: Fold

    @classmethod
    def of(cls, applied: Sequence[Migration], pending: Sequence[Migration], state: DatabaseState) -> _Standing:
        return cls(applied, pending, fold(applied, hosted=state.hosted))

    @classmethod
    def by(cls, plan: Plan, state: DatabaseState) -> _Standing:
        steps = [step for step in plan.steps if step.state not in (StepState.REPLACED, StepState.UNKNOWN)]
        applied = (step.migration for step in steps if step.is_recorded and not step.runs_again)
        pending = [step.migration for step in steps if not step.is_recorded or step.runs_again]
        return cls.of(evidence.as_applied(applied, state.history or ()), pending, state)


async def _meanwhile(work: Callable[[], T]) -> T:
    """Do work of this process that ``asyncio.gather()`` begins once a message is on its way."""
    # A socket takes a part of a long message at once. The event loop sends the rest, and cannot during the work.
    await asyncio.sleep(_ON_ITS_WAY)
    return work()


def _check_of(row: Mapping[str, Any]) -> Check:
    return Check(
        migration=None,
        name=row["name"],
        passed=row["passed"],
        expected=row.get("expected"),
        found=row.get("found"),
        rows=tuple(row.get("rows") or ()),
        hint=row.get("hint"),
        informative=row.get("informative", False),
    )


def _trust(
    owner: str | None, dangers: Sequence[tuple[str, str]], overloads: Sequence[str], beside: Sequence[str]
) -> list[Check]:
    """Return the check that no stranger owns or may make what would be called, and what of one's own is worth knowing."""
    strangers = Check(
        migration=None,
        name="strangers",
        passed=not dangers,
        expected=f"every object in the schemas belongs to a role that {owner or 'this role'} trusts",
        found=few([gap for gap, _ in dangers], _SHOWN, "; "),
        rows=tuple({"found": gap, "cure": cure} for gap, cure in dangers),
        hint="; ".join(cure for _, cure in dangers[:_SHOWN]) or None,
    )
    checks = [strangers]
    for name, expected, found in (
        (
            "functions beside the server's",
            "known: scripts and checks call them where their arguments fit better",
            overloads,
        ),
        ("triggers on history", "known: they fire where history is written", beside),
    ):
        if found:
            checks.append(
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
    return checks
