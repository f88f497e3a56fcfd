"""Plan: show what a run would do, and why. Nothing is written."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.errors import ConfigurationError
from kimbledb.execution.command import ExitCode, Invocation, limits_of
from kimbledb.execution.run import catalog_of, schema_of
from kimbledb.model.plan import Plan
from kimbledb.operations.migrate import Executor
from kimbledb.planning.planner import Planner
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.targets import TargetLike, is_named

GROUPS = ("database", "limits", "many")
EXAMPLE = "kimbledb plan --check --catalog migrations"


async def plan(
    target: TargetLike = None,
    *,
    catalog: CatalogLike = None,
    schema: str | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    set_aside: Iterable[str] = (),
    options: Options | None = None,
) -> Plan:
    """Return what ``migrate()`` would do, and why. Only reads, on a standby too.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables. Without any of
            these, the plan is that for an empty database.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        to: The name or number of a migration: plan only this one and those that it needs. None for all.
        phase: The number of a phase: plan only its migrations and those that they need. None for all.
        prefer: The names of alternatives to choose instead of the default ones.
        set_aside: The names of the tables to set aside, as ``migrate()`` does it.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Raises:
        ConfigurationError: The target cannot be used.
        PlanningError: No plan can be made.
    """
    if not is_named(target):
        return Planner(catalog_of(catalog), prefer=prefer).plan(to=to, phase=phase, schema=schema_of(schema))
    with call_scope("plan") as call:
        executor = Executor(target, catalog=catalog, schema=schema, options=options)
        call.about(executor.target.label, executor.schema)
        return call.done(await executor.plan(to=to, phase=phase, prefer=prefer, set_aside=set_aside))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--empty", action="store_true", help="plan for an empty database, and ask none")
    parser.add_argument("--check", action="store_true", help="exit with 3 where something would be applied")
    parser.add_argument(
        "--markdown",
        nargs="?",
        const="",
        metavar="FILE",
        help="write what is not applied as Markdown, for a pull request, into a file or instead of the table",
    )
    parser.add_argument(
        "--fingerprint", action="store_true", help="print the fingerprint alone, which `migrate --plan` takes"
    )
    parser.add_argument("--svg", metavar="FILE", help="draw the plan into a file")
    parser.add_argument("--mermaid", metavar="FILE", help="write the plan as a Mermaid flowchart")


async def command(invocation: Invocation) -> int:
    """Show what would be applied, and why.

    Only reads. With --check the exit code is 3 if something would be applied, and 1 if a run would be refused.
    """
    given = invocation.given
    if given.markdown == "" and given.json:
        raise ConfigurationError("--markdown and --json exclude each other", hint="give --markdown a file")
    if given.fingerprint and (given.json or given.markdown == ""):
        raise ConfigurationError("--fingerprint prints nothing else", hint="give --markdown a file, and omit --json")
    found = _for_nothing(invocation) if given.empty else await _for_target(invocation)
    for file, picture in (
        (given.svg, found.to_svg),
        (given.mermaid, found.to_mermaid),
        (given.markdown, found.to_markdown),
    ):
        if file:
            invocation.write(picture(), file)
    if given.fingerprint:
        invocation.write(f"{found.fingerprint}\n", None)
    elif given.markdown == "":
        invocation.write(found.to_markdown(), None)
    else:
        invocation.show(found)
    if given.check and found.refused:
        return ExitCode.REFUSED
    return ExitCode.PENDING if given.check and found.pending else ExitCode.DONE


def _for_nothing(invocation: Invocation) -> Plan:
    """Return the plan for an empty database, whatever DSN the environment names."""
    given = invocation.given
    if given.dsn is not None or given.embedded is not None:
        raise ConfigurationError(f"--empty and --{'dsn' if given.dsn is not None else 'embedded'} exclude each other")
    planner = Planner(invocation.catalog, prefer=given.prefer)
    return planner.plan(to=given.to, phase=given.phase, schema=schema_of(invocation.schema))


async def _for_target(invocation: Invocation) -> Plan:
    given = invocation.given
    try:
        async with invocation.target() as target:
            return await plan(
                target,
                catalog=invocation.catalog,
                schema=invocation.schema,
                **limits_of(given),
                options=invocation.options,
            )
    except ConfigurationError as error:
        if given.embedded is None and not is_named(given.dsn):
            error.hint = f"{error.hint}; --empty plans for an empty database"
        raise
