"""The arguments that several commands share, by the names under which a command asks for them."""

from __future__ import annotations

import argparse

from kimbledb.execution.command import name_or_number
from kimbledb.server.targets import DSN_VARIABLES


def groups() -> dict[str, argparse.ArgumentParser]:
    """Return a parser for each group of arguments."""
    return {"database": _database(), "limits": _limits(), "backup": _backup(), "asking": _asking(), "many": _many()}


def _database() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    # A group of its own stands below the options of the command, which are what its help is asked for.
    database = parser.add_argument_group("database and output")
    database.add_argument(
        "--dsn", help=f"the database; else {', '.join(DSN_VARIABLES)} or libpq's variables from the environment"
    )
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
    database.add_argument(
        "--schema",
        action="append",
        metavar="NAME",
        help="the target schema (public); plan, migrate and verify take several: repeat it",
    )
    database.add_argument(
        "--catalog",
        action="append",
        metavar="DIR",
        help="a folder of migrations, or `builtin` (the built-in ones); each further one builds on those before it",
    )
    database.add_argument(
        "--declared", metavar="FILE", help="the declarations of the catalog, where `declare --output` wrote them"
    )
    database.add_argument("--deadline", type=float, metavar="SECONDS", help="the time for the whole call (600)")
    database.add_argument("--json", action="store_true", help="print one JSON value on standard output")
    loudness = database.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print what is asked for and errors, no progress")
    loudness.add_argument("-v", "--verbose", action="store_true", help="print each statement and check, a line each")
    return parser


def _limits() -> argparse.ArgumentParser:
    limits = argparse.ArgumentParser(add_help=False)
    limits.add_argument(
        "--to", type=name_or_number, metavar="MIGRATION", help="only that migration and all that it needs"
    )
    limits.add_argument("--phase", type=int, help="only that phase and all that it needs")
    limits.add_argument(
        "--prefer", action="append", default=[], metavar="MIGRATION", help="take this alternative; may be repeated"
    )
    limits.add_argument(
        "--set-aside",
        action="append",
        default=[],
        metavar="TABLE",
        help="rename this table with its rows, make the declared one and copy the rows that fit; may be repeated",
    )
    return limits


def _backup() -> argparse.ArgumentParser:
    backup = argparse.ArgumentParser(add_help=False)
    backup.add_argument("--backup", metavar="FILE", help="first write a backup there, if there is anything to do")
    return backup


def _asking() -> argparse.ArgumentParser:
    asking = argparse.ArgumentParser(add_help=False)
    asking.add_argument("--dry-run", action="store_true", help="only show what would go, and change nothing")
    asking.add_argument(
        "-y",
        "--yes",
        action="store_true",
        help="ask nothing. Without it a terminal is shown what would go, and asked. Where there is no terminal, with --json "
        "or with CI set, nothing is asked. It allows no loss: that takes --allow-data-loss",
    )
    return asking


def _many() -> argparse.ArgumentParser:
    many = argparse.ArgumentParser(add_help=False)
    many.add_argument(
        "--concurrency",
        type=int,
        default=8,
        metavar="N",
        help="with several --schema: the most connections that are open at once (8)",
    )
    many.add_argument(
        "--per-server",
        type=int,
        metavar="N",
        help="with several --schema: the most of these connections to one server (no limit of its own)",
    )
    return many
