"""New: create the folder of a new migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.scaffold import new_migration

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ()
EXAMPLE = "kimbledb new add-invoices"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", help="its name, such as add-invoices")
    parser.add_argument("--directory", help="the folder of migrations (that of pyproject.toml, else migrations)")
    parser.add_argument("--title", default="", help="its title in a plan, one line")
    parser.add_argument(
        "--requires",
        action="append",
        default=[],
        metavar="MIGRATION",
        help="the migration that it needs; may be repeated",
    )
    parser.add_argument("--base", metavar="DIR", help="the folder on which the migrations build (the built-in ones)")


async def command(invocation: Invocation) -> int:
    """Create the folder of a new migration."""
    given = invocation.given
    base = None if given.base is None else Catalog.from_directory(given.base)
    directory = given.directory or invocation.folder
    folder = new_migration(directory, given.name, title=given.title, requires=tuple(given.requires), base=base)
    invocation.line(f"created {folder}: write apply.sql, then run `kimbledb declare {directory}`")
    return 0
