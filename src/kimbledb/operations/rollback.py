"""Roll back migrations: newest first, one transaction each, and never data unasked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError
from kimbledb.execution.command import Invocation, name_or_number
from kimbledb.execution.rolling_back import RollbackRun
from kimbledb.execution.run import Request, Run
from kimbledb.model.operator_reports import RollbackReport
from kimbledb.planning.rollback_selection import RollbackGoal
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.targets import TargetLike

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.events import Watcher

GROUPS = ("database", "backup")


class Rollback(Request):
    """Rolls back migrations of a catalog.

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

    async def run(
        self,
        name: str | int | None = None,
        *,
        phase: int | None = None,
        to: str | int | None = None,
        cascade: bool = False,
        allow_data_loss: bool = False,
        include_adopted: bool = False,
        dry_run: bool = False,
        backup: str | os.PathLike[str] | None = None,
    ) -> RollbackReport:
        """Roll back migrations, newest first, one transaction each.

        Exactly one of ``name``, ``phase`` and ``to`` says which.

        Args:
            name: A migration's name or number: roll back that one.
            phase: A phase's number: roll back all its migrations.
            to: The name or number of the last migration, in plan order, that stays; 0 rolls back everything.
            cascade: Whether to roll back the applied migrations that need one of these, too.
            allow_data_loss: Whether rows and values may be lost.
            include_adopted: Whether adopted migrations may be rolled back.
            dry_run: Whether only to report what would be lost. The same locks are taken for a moment.
            backup: The path of a file to write a backup of the whole database to, before anything is
                changed and only where there is something to do. None for no backup.

        Returns:
            The migrations that were rolled back, and the data that was lost with them.

        Raises:
            ConfigurationError: Not exactly one of the three was given.
            KimbleDBError: As ``kimbledb.rollback()`` raises it; a script that failed was rolled back.
        """
        given = [each for each in (name, phase, to) if each is not None]
        if len(given) != 1:
            raise ConfigurationError(
                "a rollback needs exactly one of a name, a phase and `to`",
                hint="a name or number rolls back one migration, phase=17 a phase, to=12 all after #12, to=0 everything",
            )
        self._check_known(name, phase, to)
        goal = RollbackGoal(
            catalog=self.catalog, name=name, phase=phase, to=to, cascade=cascade, include_adopted=include_adopted
        )
        run = Run(self, backup=backup)
        rollback = RollbackRun(goal, run, allow_data_loss=allow_data_loss, dry_run=dry_run)
        await run.until_done(rollback.work)
        return run.done(rollback.report)

    def _check_known(self, name: str | int | None, phase: int | None, to: str | int | None) -> None:
        if name is not None:
            self.catalog[name]
        if to not in (None, 0):
            self.catalog[to]
        if phase is not None:
            self.catalog.check_phase(phase)


async def rollback(
    target: TargetLike = None,
    name: str | int | None = None,
    *,
    phase: int | None = None,
    to: str | int | None = None,
    catalog: Catalog | None = None,
    schema: str | None = None,
    cascade: bool = False,
    allow_data_loss: bool = False,
    include_adopted: bool = False,
    dry_run: bool = False,
    backup: str | os.PathLike[str] | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> RollbackReport:
    """Roll back migrations, newest first, one transaction each.

    Exactly one of ``name``, ``phase`` and ``to`` says which.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        name: A migration's name or number: roll back that one.
        phase: A phase's number: roll back all its migrations.
        to: The name or number of the last migration, in plan order, that stays; 0 rolls back everything.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``. It is never dropped.
        cascade: Whether to roll back the applied migrations that need one of these, too.
        allow_data_loss: Whether rows and values may be lost.
        include_adopted: Whether adopted migrations may be rolled back.
        dry_run: Whether only to report what would be lost. The same locks are taken for a moment.
        backup: The path of a file to write a backup of the whole database to, before anything is changed
            and only where there is something to do. ``restore()`` brings it back. A file that is
            there is never overwritten. None for no backup.
        progress: Called with each ``Event``; None for nobody.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Returns:
        The migrations that were rolled back, and the data that was lost with them.

    Raises:
        ConfigurationError: Not exactly one of the three was given.
        RollbackRefusedError: The rollback would take more than was asked for: other migrations
            need one of these, data would be lost, one is not applied, or one was adopted.
        BackupError: The backup cannot be made; nothing was touched.
        RollbackError: A script failed, and was rolled back.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    with call_scope("rollback", progress) as call:
        helper = Rollback(target, catalog=catalog, schema=schema, options=options, progress=progress)
        call.about(helper.target.label, helper.schema)
        return await helper.run(
            name,
            phase=phase,
            to=to,
            cascade=cascade,
            allow_data_loss=allow_data_loss,
            include_adopted=include_adopted,
            dry_run=dry_run,
            backup=backup,
        )


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", nargs="?", type=name_or_number, metavar="MIGRATION", help="roll back that one")
    parser.add_argument("--phase", type=int, help="roll back all of that phase")
    parser.add_argument(
        "--to", type=name_or_number, metavar="MIGRATION", help="roll back all after that one; 0 rolls back everything"
    )
    parser.add_argument("--cascade", action="store_true", help="roll back those that need it, too")
    parser.add_argument("--allow-data-loss", action="store_true", help="even if rows or values are lost")
    parser.add_argument("--include-adopted", action="store_true", help="roll back adopted migrations, too")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be rolled back and lost")


async def command(invocation: Invocation) -> int:
    """Roll back migrations, and never lose data unasked."""
    given = invocation.given
    if sum(each is not None for each in (given.name, given.phase, given.to)) != 1:
        raise ConfigurationError(
            "a rollback needs exactly one of a migration, --phase and --to",
            hint="`kimbledb rollback NAME` rolls back one migration, --phase 17 a phase, --to 12 all after #12, "
            "--to 0 everything",
        )
    async with invocation.target() as target:
        report = await rollback(
            target,
            given.name,
            phase=given.phase,
            to=given.to,
            catalog=invocation.catalog,
            schema=invocation.schema,
            cascade=given.cascade,
            allow_data_loss=given.allow_data_loss,
            include_adopted=given.include_adopted,
            dry_run=given.dry_run,
            backup=given.backup,
            progress=invocation.watcher,
            options=invocation.options,
        )
    invocation.show(report)
    return 0
