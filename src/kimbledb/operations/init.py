"""Init: create a folder of migrations with its first migration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kimbledb.catalog.scaffold import new_migration
from kimbledb.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ()
EXAMPLE = "kimbledb init migrations"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "directory", nargs="?", help="the folder of migrations (that of pyproject.toml, else migrations)"
    )
    parser.add_argument("--name", default="first", help="the name of the first migration (first)")


def _demand_empty(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigurationError(
            f"{directory} is there, and not empty",
            hint=f"`kimbledb new NAME --directory {directory}` adds a migration to a folder of migrations",
        )


async def command(invocation: Invocation) -> int:
    """Create a folder of migrations with a first migration."""
    given = invocation.given
    directory = Path(given.directory or invocation.folder)
    _demand_empty(directory)
    folder = new_migration(directory, given.name)
    invocation.line(
        f"created {folder}. What is next:\n"
        f"  write {folder / 'apply.sql'}\n"
        f"  kimbledb declare {directory}    records what it makes\n"
        f"  kimbledb migrate --catalog {directory} --embedded    tries it on a throwaway server"
    )
    return 0
