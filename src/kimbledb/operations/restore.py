"""Restore: load a backup into an empty database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kimbledb.execution import backup
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.targets import TargetLike, target_of

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database",)
EXAMPLE = "kimbledb restore before.dump --dsn postgresql://localhost/empty"


async def restore(path: str | os.PathLike[str], target: TargetLike = None, *, options: Options | None = None) -> None:
    """Load a backup into an empty database: all of it, or nothing.

    Owners and privileges are restored, so that the roles must exist.
    The database may hold extensions and empty schemas.

    Args:
        path: The path of the file that ``backup`` wrote.
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
            The database must be empty.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Raises:
        BackupError: The database is not empty, the file cannot be read, or
            something in it cannot be made there; nothing was touched.
    """
    with call_scope("restore") as call:
        where = target_of(target)
        call.about(where.label, None)
        await backup.restore(path, where, options=options)
        call.done(None)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", metavar="FILE", help="the file that --backup wrote")


async def command(invocation: Invocation) -> int:
    """Load a backup into an empty database.

    Brings all of the backup or nothing. The roles that it names must be there.
    """
    file = invocation.given.file
    async with invocation.target() as target:
        await restore(file, target, options=invocation.options)
    invocation.json({"restored": file})
    invocation.line(f"restored {file}")
    return 0
