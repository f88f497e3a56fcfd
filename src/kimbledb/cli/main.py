"""The command line: a thin skin over the functions, with the same words.

Exit codes: 0 it is done, or there was nothing to do; 1 the database, a
migration or a verification said no (`plan --check`: a run would be refused); 2 the call itself is wrong (no DSN, an
unknown name); 3 `plan --check` found something to apply; 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import evolve

from kimbledb._embedded import embedded
from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.scaffold import new_migration
from kimbledb.cli.terminal import Display
from kimbledb.errors import CatalogError, ConfigurationError, KimbleDBError, UnknownMigrationError
from kimbledb.execution.run import schema_of
from kimbledb.model.outputs import json
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Json, Report, error_as_dict
from kimbledb.operations import api
from kimbledb.planning.planner import Planner
from kimbledb.server.options import Options
from kimbledb.server.targets import DSN_VARIABLES, target_of
from kimbledb.version import __version__

_DONE, _REFUSED, _MISUSED, _PENDING, _INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    every = list(sys.argv[1:] if arguments is None else arguments)
    if _has_stray_dsn(every):
        # Here, since argparse, or an error about a migration of that name, would print it with its password.
        parser.error("a DSN is given by --dsn, or by the environment")
    given = parser.parse_args(every)
    display = Display(sys.stderr if getattr(given, "json", False) else sys.stdout)
    try:
        code: int = asyncio.run(given.run(given, display))
    except (ConfigurationError, CatalogError, UnknownMigrationError) as error:
        return _explain(given, error, _MISUSED)
    except KimbleDBError as error:
        return _explain(given, error, _REFUSED)
    except KeyboardInterrupt:
        print("interrupted; each migration is either whole and recorded, or absent", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone, as `| head` does. What is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _REFUSED
    return code


def _has_stray_dsn(arguments: Sequence[str]) -> bool:
    """Whether a DSN stands where another argument is meant."""
    before = ["", *arguments]
    return any(
        re.match(r"postgres\w*(?:\+\w+)?:/", each) and not option.startswith("--d")
        for option, each in zip(before, arguments, strict=False)
    )


def _explain(given: argparse.Namespace, error: KimbleDBError, code: int) -> int:
    if getattr(given, "json", False):
        _print_json(error_as_dict(error))
    print(f"kimbledb: {error}", file=sys.stderr)
    return code


# The commands. Each gets its arguments and where to write, and returns the exit code.


async def _plan(given: argparse.Namespace, display: Display) -> int:
    limits = {"to": given.to, "phase": given.phase, "prefer": given.prefer}
    if given.empty:
        plan = _plan_for_nothing(given, **limits)
    else:
        async with _target(given) as target:
            plan = await api.plan(target, **_common(given), **limits)
    for file, picture in ((given.svg, plan.to_svg), (given.mermaid, plan.to_mermaid)):
        if file is not None:
            Path(file).write_text(picture(), encoding="utf-8")
    _show(given, display, plan)
    if given.check and plan.refused:
        return _REFUSED
    return _PENDING if given.check and plan.pending else _DONE


def _plan_for_nothing(
    given: argparse.Namespace, *, to: str | int | None, phase: int | None, prefer: Sequence[str]
) -> Plan:
    """Return the plan for an empty database, whatever the environment names."""
    if given.dsn is not None or given.embedded is not None:
        raise ConfigurationError(f"--empty and --{'dsn' if given.dsn is not None else 'embedded'} exclude each other")
    common = _common(given)
    planner = Planner(common["catalog"], prefer=prefer)
    return planner.plan(to=to, phase=phase, schema=schema_of(common["schema"]))


async def _migrate(given: argparse.Namespace, display: Display) -> int:
    async with _target(given) as target:
        limits = {"to": given.to, "phase": given.phase, "prefer": given.prefer}
        if not given.json:
            display.show(await api.plan(target, **_common(given), **limits))
        report = await api.migrate(
            target,
            **_common(given),
            **limits,
            verify=not given.no_verify,
            backup=given.backup,
            allow_data_loss=given.allow_data_loss,
            progress=None if given.json else display,
        )
        verification = None if given.no_verify else await api.verify(target, **_common(given))
        if given.json:
            checked = None if verification is None else verification.as_dict()
            _print_json({**report.as_dict(), "verification": checked})
        else:
            display.show(report)
            if verification is not None:
                display.show(verification, detail=True)
    return _DONE if verification is None or verification.ok else _REFUSED


async def _status(given: argparse.Namespace, display: Display) -> int:
    async with _target(given) as target:
        status = await api.status(target, **_common(given))
    _show(given, display, status)
    return _DONE


async def _verify(given: argparse.Namespace, display: Display) -> int:
    async with _target(given) as target:
        report = await api.verify(target, **_common(given), only=given.only or None)
    _show(given, display, report, detail=True)
    return _DONE if report.ok else _REFUSED


async def _rollback(given: argparse.Namespace, display: Display) -> int:
    if sum(each is not None for each in (given.name, given.phase, given.to)) != 1:
        raise ConfigurationError(
            "a rollback wants exactly one of a migration, --phase and --to",
            hint="`kimbledb rollback NAME` takes one migration back, --phase 17 a phase, --to 12 all that came after #12, "
            "--to 0 everything",
        )
    async with _target(given) as target:
        report = await api.rollback(
            target,
            given.name,
            phase=given.phase,
            to=given.to,
            cascade=given.cascade,
            allow_data_loss=given.allow_data_loss,
            include_adopted=given.include_adopted,
            dry_run=given.dry_run,
            backup=given.backup,
            progress=None if given.json else display,
            **_common(given),
        )
    _show(given, display, report)
    return _DONE


async def _reset(given: argparse.Namespace, display: Display) -> int:
    common = _common(given)
    del common["catalog"]
    async with _target(given) as target:
        report = await api.reset(
            target, confirm=given.confirm, allow_data_loss=given.allow_data_loss, backup=given.backup, **common
        )
    _show(given, display, report)
    return _DONE


async def _restore(given: argparse.Namespace, display: Display) -> int:
    async with _target(given) as target:
        await api.restore(given.file, target, options=_common(given)["options"])
    if given.json:
        _print_json({"restored": given.file})
    else:
        display.line(f"brought back {given.file}")
    return _DONE


async def _adopt(given: argparse.Namespace, display: Display) -> int:
    async with _target(given) as target:
        report = await api.adopt(target, **_common(given), prefer=given.prefer, dry_run=given.dry_run)
    _show(given, display, report)
    return _DONE


async def _render(given: argparse.Namespace, display: Display) -> int:
    text = api.render(None if given.catalog is None else Catalog.from_directory(given.catalog))
    if given.output is None:
        print(text, end="")
    else:
        Path(given.output).write_text(text, encoding="utf-8")
        display.line(f"wrote {given.output}: run it whole in an SQL editor")
    return _DONE


async def _new(given: argparse.Namespace, display: Display) -> int:
    folder = new_migration(given.directory, given.name, title=given.title, requires=tuple(given.requires))
    display.line(f"made {folder}: write apply.sql, verify.sql and rollback.sql")
    return _DONE


def _common(given: argparse.Namespace) -> dict[str, Any]:
    options = Options(refuse_hazards=getattr(given, "refuse_hazard", ()))
    if given.direct_dsn is not None:
        options = evolve(options, direct_dsn=given.direct_dsn)
    if given.deadline is not None:
        options = evolve(options, deadline=given.deadline)
    return {
        "catalog": Catalog.builtin() if given.catalog is None else Catalog.from_directory(given.catalog),
        "schema": given.schema,
        "options": options,
    }


@asynccontextmanager
async def _target(given: argparse.Namespace) -> AsyncIterator[str | None]:
    """Give the DSN of the call. A deployment that lost its DSN must not succeed on a throwaway database."""
    if given.embedded is None:
        try:
            target_of(given.dsn)
        except ConfigurationError as error:
            if given.run is _plan and not api.has_dsn(given.dsn):
                error.hint = f"{error.hint}; --empty plans for a database in which there is nothing yet"
            raise
        yield given.dsn
    elif given.dsn is not None:
        raise ConfigurationError("--dsn and --embedded exclude each other")
    else:
        async with embedded(given.embedded or None) as dsn:
            yield dsn


# What is shown, and what is printed for programs.


def _show(given: argparse.Namespace, display: Display, report: Report, *, detail: bool = False) -> None:
    if given.json:
        _print_json(report.as_dict())
    else:
        display.show(report, detail=detail)


def _print_json(value: dict[str, Json]) -> None:
    print(json.write(value))


# The arguments.


def _name_or_number(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kimbledb",
        description="Bring a PostgreSQL database to the KimbleAI v4 schema, or to your own folder of migrations.",
        epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong call, 3 `plan --check` found something to apply.",
    )
    parser.add_argument("--version", action="version", version=f"kimbledb {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    database = argparse.ArgumentParser(add_help=False)
    database.add_argument("--dsn", help=f"the database; else {' or '.join(DSN_VARIABLES)} from the environment")
    database.add_argument(
        "--direct-dsn",
        metavar="DSN",
        help="the same database past a pooler, for steps that want a session of their own",
    )
    database.add_argument(
        "--embedded",
        nargs="?",
        const="",
        metavar="DATA_DIR",
        help="a private PostgreSQL that this command starts and stops; its data stays where a folder is given",
    )
    database.add_argument("--schema", help="the target schema (public)")
    database.add_argument("--catalog", metavar="DIR", help="a folder of migrations (the built-in ones)")
    database.add_argument("--deadline", type=float, metavar="SECONDS", help="for the whole call (600)")
    database.add_argument("--json", action="store_true", help="print one JSON value on standard output")

    limits = argparse.ArgumentParser(add_help=False)
    limits.add_argument("--to", type=_name_or_number, metavar="MIGRATION", help="that one and all it needs, no more")
    limits.add_argument("--phase", type=int, help="that phase and all it needs, no more")
    limits.add_argument(
        "--prefer", action="append", default=[], metavar="MIGRATION", help="take this alternative; may be repeated"
    )

    backup = argparse.ArgumentParser(add_help=False)
    backup.add_argument("--backup", metavar="FILE", help="first write a backup there, if there is anything to do")

    plan = commands.add_parser("plan", parents=[database, limits], help="say what would be applied, and why")
    plan.add_argument("--empty", action="store_true", help="for a database in which there is nothing yet: asks none")
    plan.add_argument("--check", action="store_true", help="exit with 3 where something would be applied")
    plan.add_argument("--svg", metavar="FILE", help="draw the plan into a file")
    plan.add_argument("--mermaid", metavar="FILE", help="write the plan as a Mermaid flowchart")
    plan.set_defaults(run=_plan)

    migrate = commands.add_parser(
        "migrate", parents=[database, limits, backup], help="apply what is missing, and prove it"
    )
    migrate.add_argument(
        "--refuse-hazard", action="append", default=[], metavar="NAME", help="stop where a migration would do that"
    )
    migrate.add_argument(
        "--allow-data-loss", action="store_true", help="even where rows or values go, and the migration does not say so"
    )
    migrate.add_argument("--no-verify", action="store_true", help="leave the verification out")
    migrate.set_defaults(run=_migrate)

    status = commands.add_parser("status", parents=[database], help="say how the database stands")
    status.set_defaults(run=_status)

    verify = commands.add_parser("verify", parents=[database], help="ask whether what is applied is really there")
    verify.add_argument("only", nargs="*", type=_name_or_number, metavar="MIGRATION", help="these alone")
    verify.set_defaults(run=_verify)

    rollback = commands.add_parser(
        "rollback", parents=[database, backup], help="take migrations back, never data unasked"
    )
    rollback.add_argument("name", nargs="?", type=_name_or_number, metavar="MIGRATION", help="that one")
    rollback.add_argument("--phase", type=int, help="all of that phase")
    rollback.add_argument(
        "--to", type=_name_or_number, metavar="MIGRATION", help="all that came after that one; 0 is everything"
    )
    rollback.add_argument("--cascade", action="store_true", help="those that need it, too")
    rollback.add_argument("--allow-data-loss", action="store_true", help="even where rows or values go with it")
    rollback.add_argument("--include-adopted", action="store_true", help="even what was adopted")
    rollback.add_argument("--dry-run", action="store_true", help="only say what would go")
    rollback.set_defaults(run=_rollback)

    _add_rare_commands(commands, database, backup)
    return parser


def _add_rare_commands(commands: Any, database: argparse.ArgumentParser, backup: argparse.ArgumentParser) -> None:
    reset = commands.add_parser("reset", parents=[database, backup], help="take everything out of the schema")
    reset.add_argument("--confirm", required=True, metavar="NAME", help="the name of the database")
    reset.add_argument("--allow-data-loss", action="store_true", help="even where rows go with it")
    reset.set_defaults(run=_reset)

    restore = commands.add_parser("restore", parents=[database], help="bring a backup back into an empty database")
    restore.add_argument("file", metavar="FILE", help="what --backup wrote")
    restore.set_defaults(run=_restore)

    adopt = commands.add_parser("adopt", parents=[database], help="record what is there already, and run nothing")
    adopt.add_argument(
        "--prefer", action="append", default=[], metavar="MIGRATION", help="take this alternative; may be repeated"
    )
    adopt.add_argument("--dry-run", action="store_true", help="only say what would be recorded")
    adopt.set_defaults(run=_adopt)

    render = commands.add_parser("render", help="write one SQL file of all migrations, for an SQL editor")
    render.add_argument("-o", "--output", metavar="FILE", help="the file (standard output)")
    render.add_argument("--catalog", metavar="DIR", help="a folder of migrations (the built-in ones)")
    render.set_defaults(run=_render)

    new = commands.add_parser("new", help="make the folder of a new migration")
    new.add_argument("name", help="its name, such as add-invoices")
    new.add_argument("--directory", default="migrations", help="the folder of migrations (migrations)")
    new.add_argument("--title", default="")
    new.add_argument("--requires", action="append", default=[], metavar="MIGRATION", help="may be repeated")
    new.set_defaults(run=_new)
