"""Prove: every migration of a catalog through the whole cycle, on throwaway databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError, KimbleDBError
from kimbledb.events import Done, Proved
from kimbledb.execution.command import ExitCode
from kimbledb.execution.recording_servers import Learned, branches, learn
from kimbledb.execution.throwaway import Throwaway, throwaway
from kimbledb.inspection import history
from kimbledb.model.catalog_report import CatalogCase, CatalogReport, Proof
from kimbledb.model.clock import stopwatch
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.model.state import PLATFORMS
from kimbledb.operations.declare import out_of_step
from kimbledb.operations.prove.bench import OF_THE_SERVER, OPTIONS, SCHEMA, Bench
from kimbledb.operations.prove.cycle import Cycle, State
from kimbledb.operations.prove.orders import Orders
from kimbledb.planning.planner import Planner
from kimbledb.server.notifications import call_scope, notify

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.events import Watcher
    from kimbledb.execution.command import Invocation

GROUPS = ()
EXAMPLE = "kimbledb prove migrations --platform bare"


async def prove(
    catalog: Catalog | None = None,
    *,
    server: str | None = None,
    platform: Literal["bare", "hosted"] | None = None,
    cuts: int | None = 3,
    progress: Watcher | None = None,
) -> CatalogReport:
    """Try every migration of a catalog on throwaway databases, and report what does not hold.

    Of each migration, on a bare and on a hosted server, with each alternative in its place: it is applied to an empty
    database, and its checks pass; its rollback leaves the schema as it was, and it can be applied again; interrupted between
    two statements it is completed to the same end; beside rows in the tables that are there before it, it ends in the same
    schema and keeps the rows, and so does its rollback; beside large tables it ends where its script ends; after nothing but
    what it requires, and in other orders that ``requires`` allows, the schema is the same; its checks do not pass before it
    is applied; its declarations say what it does.

    The rows are made up from the types, keys and checks of the tables, as far as the server takes them. What no such row
    shows is not seen.

    Args:
        catalog: The migrations; None for the built-in ones.
        server: The DSN of a server, on which databases are made and dropped again: only its own platform is tried.
            None for private embedded servers of both platforms.
        platform: ``bare`` or ``hosted``, to try them on an embedded server of that platform alone; None for both.
        cuts: The number of places in its scripts at which each migration is interrupted. None for each statement.
        progress: Called with a ``Proved`` event for each thing that was tried. None for no notifications.

    Returns:
        Everything that was tried, and what failed. ``report.ok`` says whether nothing did.

    Raises:
        ConfigurationError: The server cannot be used.
        ConnectionLostError: The server cannot be reached.
        EmbeddedServerError: No embedded server can be started.
    """
    clock = stopwatch()
    if cuts is not None and cuts < 0:
        raise ConfigurationError(f"cuts must be 0 or more, or None for each statement, not {cuts}")
    if platform is not None and server is not None:
        raise ConfigurationError("platform and server exclude each other", hint="a server has a platform of its own")
    catalog = Catalog.builtin() if catalog is None else catalog
    with call_scope("prove", progress):
        proving = _Proving(
            catalog,
            server,
            None if platform is None else platform == "hosted",
            cuts,
            lambda case: notify(progress, Proved(case)),
        )
        await proving.run()
        order = {migration.name: place for place, migration in enumerate(catalog)}
        kinds = list(Proof)
        cases = sorted(proving.cases, key=lambda each: (order[each.migration], each.platform, kinds.index(each.kind)))
        report = CatalogReport(tuple(cases), proving.version, clock(), tuple(dict.fromkeys(proving.notes)))
        notify(progress, Done(report.seconds, report))
    return report


class _Proving:
    """One call, on all platforms."""

    def __init__(
        self,
        catalog: Catalog,
        server: str | None,
        hosted: bool | None,
        cuts: int | None,
        on_case: Callable[[CatalogCase], None],
    ) -> None:
        """Take the wishes of a call.

        Args:
            catalog: As for ``prove()``.
            server: As for ``prove()``.
            hosted: Whether the one platform is the hosted one; None for both, or for that of the server.
            cuts: As for ``prove()``.
            on_case: Called with each case.
        """
        self._catalog = catalog
        self._server = server
        self._hosted = hosted
        self._cuts = cuts
        self._on_case = on_case
        self.cases: list[CatalogCase] = []
        self.notes: list[str] = []
        self.version = ""

    async def run(self) -> None:
        """Try everything on each platform on which the catalog runs."""
        learned = await self._learned()
        platforms = [each.hosted for each in learned] or ([False, True] if self._hosted is None else [self._hosted])
        for place, hosted in enumerate(platforms[:1] if self._server is not None else platforms):
            async with throwaway(self._server, "prove", OPTIONS, hosted=hosted) as databases:
                await self._on_platform(databases, hosted=hosted, first=place == 0)
        if any(migration.declared_checksum is not None for migration in self._catalog):
            self._compare(learned)
        elif learned:
            self.notes.append(
                "no migration is declared: `kimbledb declare` records what each makes; more is proved then"
            )

    async def _learned(self) -> list[Learned]:
        """Return the effects of the migrations on each platform on which they run, or nothing if they fail on both."""
        try:
            learned = await learn(
                self._catalog, list(self._catalog), self._server, attribute=False, hosted=self._hosted
            )
        except OF_THE_SERVER:
            raise
        except KimbleDBError:
            return []  # the cycle meets it, too, and names it
        self.notes += [note for each in learned for note in each.notes]
        return learned

    def _compare(self, learned: Sequence[Learned]) -> None:
        for migration in self._catalog:
            found = out_of_step(migration, learned, given=self._server is not None or self._hosted is not None)
            if found is None:
                continue
            case = CatalogCase(
                migration=migration.name,
                kind=Proof.DECLARED,
                platform=" and ".join(PLATFORMS[each.hosted] for each in learned),
                message="; ".join(found) + "; run `kimbledb declare`" if found else None,
            )
            self.cases.append(case)
            self._on_case(case)

    async def _on_platform(self, databases: Throwaway, *, hosted: bool, first: bool) -> None:
        """Try everything on one platform.

        Args:
            databases: Makes databases on its server.
            hosted: Whether new databases become those of a hosted platform.
            first: Whether no other platform was tried. What concerns the scripts alone is tried once.
        """
        async with databases.database() as target, target.session(OPTIONS) as session:
            state = await history.look(session, SCHEMA)
        self.version = state.server_version
        bench = Bench(self._catalog, databases, hosted=hosted or state.hosted, on_case=self._on_case)
        try:
            for prefer, only in branches(self._catalog, list(self._catalog)):
                if only is not None and only.default_when == "hosted" and not bench.hosted:
                    continue
                planner = Planner(self._catalog, prefer=prefer)
                plan = planner.plan(evidence=Evidence(), to=None if only is None else only.name)
                end = await self._walk(bench, plan, prefer, only, first=first)
                if only is None and first:
                    await Orders(bench, plan, prefer).prove(None if end is None else end.look)
        finally:
            self.cases += bench.cases

    async def _walk(
        self, bench: Bench, plan: Plan, prefer: Sequence[str], only: Migration | None, *, first: bool
    ) -> State | None:
        """Try the migrations of a plan in its order, each in copies of the database after those before it.

        Args:
            bench: Makes databases.
            plan: The plan of an empty database.
            prefer: The alternatives that are chosen.
            only: The migration for which the alternatives are chosen so; the others are applied. None to try all.
            first: As for ``_on_platform()``.

        Returns:
            The database at the end, which is dropped already, or None if a migration could not be applied.
        """
        failed: set[str] = set()
        stack = AsyncExitStack()
        try:
            target = await stack.enter_async_context(bench.empty())
            before = State(target, await bench.look(target))
            for step in plan.pending:
                if only is not None and step.migration is not only:
                    await bench.apply(before.target, step.migration, prefer)
                    before = State(before.target, await bench.look(before.target))
                    continue
                if lacking := [name for name in step.needs if name in failed]:
                    failed.add(step.name)
                    bench.note(step.migration, Proof.APPLY, skipped=f"it requires {lacking[0]}, which failed")
                    continue
                async with AsyncExitStack() as next_stack:
                    copy = await next_stack.enter_async_context(bench.copy(before.target))
                    cycle = Cycle(bench, step.migration, before, prefer, cuts=self._cuts, with_checks=first)
                    after = await cycle.run(copy)
                    if after is None:
                        failed.add(step.name)
                        continue
                    before = after
                    await stack.aclose()
                    stack = next_stack.pop_all()
        finally:
            await stack.aclose()
        return None if failed else before


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="the folder of migrations (the built-in ones)")
    parser.add_argument(
        "--catalog", action="append", metavar="DIR", help="the same as DIR; each further one builds on those before it"
    )
    parser.add_argument("--server", metavar="DSN", help="try them on this server (embedded ones, bare and hosted)")
    parser.add_argument("--platform", choices=("bare", "hosted"), help="try them on that platform alone (both)")
    parser.add_argument(
        "--cuts",
        type=_cuts,
        metavar="N",
        default=3,
        help="interrupt each migration at N places, or after each statement: all (3)",
    )
    parser.add_argument("--junit", metavar="FILE", help="write what was tried as JUnit XML, for a CI server")
    parser.add_argument("--markdown", metavar="FILE", help="write the report as Markdown")
    parser.add_argument("--json", action="store_true", help="print one JSON value on standard output")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the report and errors, no progress")


def _cuts(text: str) -> int | None:
    return None if text == "all" else int(text)


async def command(invocation: Invocation) -> int:
    """Try every migration on throwaway databases: the way back, interrupted, beside rows, in other orders.

    The exit code is 1 if one of them fails.
    """
    given = invocation.given
    if given.directory is not None:
        given.catalog = [*(given.catalog or ()), given.directory]
    report = await prove(
        invocation.catalog,
        server=given.server,
        platform=given.platform,
        cuts=given.cuts,
        progress=invocation.watcher,
    )
    for file, write in ((given.junit, report.to_junit), (given.markdown, report.to_markdown)):
        if file is not None:
            invocation.write(write(), file)
    invocation.show(report)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED
