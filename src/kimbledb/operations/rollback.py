"""Roll back migrations: newest first, one transaction each, and never data unasked."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from attrs import evolve

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.errors import ConfigurationError
from kimbledb.execution.command import ExitCode, Invocation, name_or_number
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

GROUPS = ("database", "backup", "asking")
EXAMPLE = "kimbledb rollback -1 --dry-run"


class Rollback(Request):
    """Rolls back migrations of a catalog.

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

    async def run(
        self,
        name: str | int | None = None,
        *,
        phase: int | None = None,
        to: str | int | None = None,
        steps: int | None = None,
        cascade: bool = False,
        allow_data_loss: bool = False,
        include_adopted: bool = False,
        dry_run: bool = False,
        backup: str | os.PathLike[str] | None = None,
    ) -> RollbackReport:
        """Roll back migrations, newest first, one transaction each.

        Exactly one of ``name``, ``phase``, ``to`` and ``steps`` says which.

        Args:
            name: The name or number of a migration: roll back this one.
            phase: The number of a phase: roll back all its migrations.
            to: The name or number of the last migration, in plan order, that stays; 0 rolls back everything.
            steps: The number of migrations to roll back: those that history shows as applied last.
            cascade: Whether to roll back the applied migrations that need one of these, too.
            allow_data_loss: Whether rows and values may be lost.
            include_adopted: Whether adopted migrations may be rolled back.
            dry_run: Whether only to report what would be lost. The same locks are taken for a moment.
            backup: The path of a new file for a backup of the whole database, made before anything is
                changed, and only if there is something to do. None for no backup.

        Returns:
            The migrations that were rolled back, and the data that was lost with them.

        Raises:
            ConfigurationError: Not exactly one of the four was given.
            KimbleDBError: As ``kimbledb.rollback()`` raises it; a script that failed was rolled back.
        """
        given = [each for each in (name, phase, to, steps) if each is not None]
        if len(given) != 1:
            raise ConfigurationError(
                "a rollback needs exactly one of a migration, a phase, `to` and `steps`",
                hint="a name or number rolls back one migration, phase=17 a phase, steps=2 the last two that were applied, "
                "to=12 all after #12, to=0 everything",
            )
        if steps is not None and steps < 1:
            raise ConfigurationError(f"steps is {steps!r}, but it must be at least 1")
        self._check_known(name, phase, to)
        goal = RollbackGoal(
            catalog=self.catalog,
            name=name,
            phase=phase,
            to=to,
            steps=steps,
            cascade=cascade,
            include_adopted=include_adopted,
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
    steps: int | None = None,
    catalog: CatalogLike = None,
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

    Exactly one of ``name``, ``phase``, ``to`` and ``steps`` says which.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        name: The name or number of a migration: roll back this one.
        phase: The number of a phase: roll back all its migrations.
        to: The name or number of the last migration, in plan order, that stays; 0 rolls back everything.
        steps: The number of migrations to roll back: those that history shows as applied last.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        schema: The name of the target schema; None for ``public``. It is never dropped.
        cascade: Whether to roll back the applied migrations that need one of these, too.
        allow_data_loss: Whether rows and values may be lost.
        include_adopted: Whether adopted migrations may be rolled back.
        dry_run: Whether only to report what would be lost. The same locks are taken for a moment.
        backup: The path of a new file for a backup of the whole database, made before anything is changed,
            and only if there is something to do. ``restore()`` brings it back. An existing
            file is never overwritten. None for no backup.
        progress: Called with each ``Event``. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The migrations that were rolled back, and the data that was lost with them.

    Raises:
        ConfigurationError: Not exactly one of the four was given.
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
            steps=steps,
            cascade=cascade,
            allow_data_loss=allow_data_loss,
            include_adopted=include_adopted,
            dry_run=dry_run,
            backup=backup,
        )


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "name",
        nargs="?",
        type=name_or_number,
        metavar="MIGRATION",
        help="roll back that one, by its name or number; `-1` rolls back the last one that was applied, `-N` the last N",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="the same as -N: the last N by history, newest first")
    parser.add_argument("--phase", type=int, help="roll back all of that phase")
    parser.add_argument(
        "--to", type=name_or_number, metavar="MIGRATION", help="roll back all after that one; 0 rolls back everything"
    )
    parser.add_argument("--cascade", action="store_true", help="roll back those that need it, too")
    parser.add_argument("--allow-data-loss", action="store_true", help="roll back even if rows or values are lost")
    parser.add_argument("--include-adopted", action="store_true", help="roll back adopted migrations, too")


async def command(invocation: Invocation) -> int:
    """Roll back migrations, and lose no data without permission.

    Each migration is taken back in a transaction of its own, newest first. Rows and values that would be lost are counted
    before, and stop it unless --allow-data-loss is given.
    """
    given = invocation.given
    name, steps = _last(given.name, given.steps)
    if sum(each is not None for each in (name, given.phase, given.to, steps)) != 1:
        raise ConfigurationError(
            "a rollback needs exactly one of a migration, -N, --phase and --to",
            hint="`kimbledb rollback NAME` rolls back one migration, -1 the one that was applied last, --phase 17 a phase, "
            "--to 12 all after #12, --to 0 everything",
        )
    wanted: dict[str, Any] = {
        "phase": given.phase,
        "to": given.to,
        "steps": steps,
        "catalog": invocation.catalog,
        "schema": invocation.schema,
        "cascade": given.cascade,
        "include_adopted": given.include_adopted,
        "options": invocation.options,
    }
    async with invocation.target() as target:
        if not given.dry_run and invocation.can_ask:
            would = await rollback(target, name, **wanted, dry_run=True)
            invocation.show(evolve(would, derived=dict.fromkeys(would.derived, "")))
            if not would.rolled_back:
                return ExitCode.DONE
            # A loss that is not allowed is refused below, whatever the answer.
            is_refused = bool(would.handmade) or (bool(would.losses) and not given.allow_data_loss)
            if not is_refused and invocation.ask("Roll back? [y/N] ").casefold() not in ("y", "yes"):
                invocation.line("nothing was changed")
                return ExitCode.REFUSED
        report = await rollback(
            target,
            name,
            **wanted,
            allow_data_loss=given.allow_data_loss,
            dry_run=given.dry_run,
            backup=given.backup,
            progress=invocation.watcher,
        )
    invocation.show(report)
    return ExitCode.DONE


def _last(name: str | int | None, steps: int | None) -> tuple[str | int | None, int | None]:
    """Return the name and the steps of a call: `-2` is no name."""
    if isinstance(name, str) and steps is None and re.fullmatch(r"-\d+", name):
        return None, -int(name)
    return name, steps
