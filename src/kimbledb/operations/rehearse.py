"""Rehearse: run the pending plan of a database on a clone of its schema, and report what each statement does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.errors import ConfigurationError
from kimbledb.execution.command import ExitCode, limits_of
from kimbledb.execution.rehearsing import rehearsing
from kimbledb.execution.rehearsing.query_sources import Sources, sources_of
from kimbledb.model.rehearsal import Rehearsal
from kimbledb.operations.migrate import Executor
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.targets import TargetLike

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database", "limits")
EXAMPLE = "kimbledb rehearse --sample 1000 --catalog migrations"


async def rehearse(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    set_aside: Iterable[str] = (),
    queries: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
    sample: int | None = None,
    server: str | None = None,
    options: Options | None = None,
) -> Rehearsal:
    """Run the pending plan of a database on a clone of its schema, and report what each statement does.

    The target is only read. Without ``sample`` no row of a table leaves it: the clone holds the schema, the roles' names,
    the history and statistics without values. The clone is a database of a private embedded server, and both are gone at the end.

    Args:
        target: As for ``plan()``, past any pooler: pg_dump reads the schema.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        to: The name or number of a migration: rehearse only this one and those that it needs. None for all.
        phase: The number of a phase: rehearse only its migrations and those that they need. None for all.
        prefer: The names of alternatives to choose instead of the default ones.
        set_aside: The names of the tables to set aside, as ``migrate()`` does it.
        queries: The queries of the application as it is now: texts and paths; or one path, of a file of SQL, of a program
            (.py, .js, .ts) whose string literals are looked through, or of a folder of these; or ``pg_stat_statements``,
            for those that the target's server has recorded. Each is prepared and executed, in a transaction that is rolled
            back, before the plan and after each of its migrations, as each role that is granted something, with values of
            rows and made-up ones for its parameters (``$1``, ``:name``, ``%s``, ``%(name)s``, ``?``). Without a sample the
            tables hold made-up rows meanwhile. None for none.
        sample: How many rows of each table the clone gets, with all rows that these refer to; None for none. Then triggers
            of rows fire, and an UPDATE that fails on a row is found.
        server: The DSN of a server on which the clone is made and dropped, such as one of the target's version, or with
            extensions that the embedded one lacks. None for an embedded server.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The statements with their locks, rewrites, scans and seconds, and the queries that the plan breaks.

    Raises:
        ConfigurationError: The target or the server cannot be used.
        PlanningError: No plan can be made.
        RehearsalError: No clone can be made: pg_dump cannot read the schema, or the server lacks what it needs.
        EmbeddedServerError: No embedded server can be started.
        ConnectionLostError: The target, or the server, went away.
        DeadlineExceededError: The options' deadline passed.
    """
    with call_scope("rehearse") as call:
        executor = _Rehearsing(target, catalog=catalog, schema=schema, options=options)
        call.about(executor.target.label, executor.schema)
        found = await executor.rehearse(
            to=to,
            phase=phase,
            prefer=prefer,
            set_aside=set_aside,
            queries=sources_of(queries),
            sample=sample,
            server=server,
        )
        return call.done(found)


class _Rehearsing(Executor):
    async def rehearse(
        self,
        *,
        to: str | int | None,
        phase: int | None,
        prefer: Iterable[str],
        set_aside: Iterable[str],
        queries: Sources,
        sample: int | None,
        server: str | None,
    ) -> Rehearsal:
        if sample is not None and sample < 1:
            raise ConfigurationError(f"sample is {sample}, and must be a number of rows above 0")
        goal = self._goal(to, phase, prefer, set_aside)
        return await rehearsing.rehearse(self, goal, server=server, sample=sample, queries=queries)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--queries",
        action="append",
        metavar="FILE",
        help="the queries of the application: a file of SQL, a .py, .js or .ts file, a folder, or pg_stat_statements; say "
        "which of them the plan breaks (may be repeated)",
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="copy N rows of each table, and all that these refer to, into the clone"
    )
    parser.add_argument(
        "--server", metavar="DSN", help="make the clone on this server, instead of a private embedded one"
    )
    parser.add_argument(
        "--markdown",
        nargs="?",
        const="",
        metavar="FILE",
        help="write the report as Markdown, into a file or instead of text",
    )


async def command(invocation: Invocation) -> int:
    """Run the plan on a clone of the schema, and show what it locks, rewrites and breaks.

    The target is only read. The exit code is 1 if a statement fails on the clone or a query breaks.
    """
    given = invocation.given
    async with invocation.target() as target:
        found = await rehearse(
            target,
            catalog=invocation.catalog,
            schema=invocation.schema,
            queries=[Path(each) for each in given.queries or ()],
            sample=given.sample,
            server=given.server,
            options=invocation.options,
            **limits_of(given),
        )
    if given.markdown:
        invocation.write(found.to_markdown(), given.markdown)
    if given.markdown == "":
        invocation.write(found.to_markdown(), None)
    else:
        invocation.show(found)
    return ExitCode.DONE if found.ok else ExitCode.REFUSED
