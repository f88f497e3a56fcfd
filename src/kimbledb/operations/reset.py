"""Reset: drop every object of a schema, one after the other, and nothing else.

The objects, their dependencies and the dependents outside of the schema come from
the server's own record (pg_depend). Nothing is dropped with CASCADE: if that record
were incomplete, the server would refuse, and nothing would be touched.
"""

from __future__ import annotations

import graphlib
import json
import os
from typing import TYPE_CHECKING, Any

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError, ConfirmationError, DataLossError, ResetRefusedError
from kimbledb.execution import history_tables
from kimbledb.execution.messages import begin_step
from kimbledb.execution.run import Request, Run, Sent
from kimbledb.inspection import data_loss, history
from kimbledb.inspection.preflight import check_history, check_server
from kimbledb.model.loss import Loss
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.objects import PARTS, DatabaseObject, parts_of
from kimbledb.model.operator_reports import ResetReport
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import one_line
from kimbledb.planning.fold import fold, split
from kimbledb.server import queries
from kimbledb.server.codes import DATA_LOSS, own_code
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.locks import BOOTSTRAP_KEY, lock_key, take_lock
from kimbledb.server.notifications import call_scope
from kimbledb.server.observer import observed
from kimbledb.server.options import Options
from kimbledb.server.retry import Retry, meaning
from kimbledb.server.session import BEGIN, Session
from kimbledb.server.settings import setting
from kimbledb.server.targets import TargetLike, target_of
from kimbledb.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database", "backup", "asking")
EXAMPLE = "kimbledb reset --confirm shop --backup before.dump"
#: The SQLSTATE of a DROP of an object that others depend on (manual, appendix A).
_NEEDED = "2BP01"


class Reset:
    """One call of ``kimbledb.reset()``, with its progress across connections."""

    def __init__(
        self,
        request: Request,
        *,
        catalog: Catalog | None,
        confirm: str,
        allow_data_loss: bool,
        dry_run: bool,
        backup: str | os.PathLike[str] | None,
    ) -> None:
        self.schema = request.schema
        self.catalog = catalog
        self.confirm = confirm
        self.allow_data_loss = allow_data_loss
        self.dry_run = dry_run
        self._run = Run(request, backup=backup)
        self.runner = self._run.runner
        self.losses: tuple[Loss, ...] = ()
        #: The objects whose DROP was sent, and those that are dropped.
        self.sent: tuple[DatabaseObject, ...] = ()
        self.dropped: tuple[DatabaseObject, ...] = ()

    async def run(self) -> ResetReport:
        """Reset the schema, and return the report."""
        database = await self._run.until_done(self._work)
        return self._run.done(
            ResetReport(database, self.schema, self.dropped, self.losses, self._run.clock(), self.dry_run)
        )

    async def _work(self, session: Session) -> str:
        self.runner.doing = "looking at the schema"
        state = await history.look(session, self.schema)
        if self.confirm != state.database and not self.dry_run:
            raise ConfirmationError(self.confirm, state.database)
        if await self._run.settle(session, state):
            # Objects that are present now were made after the reset.
            self.dropped = self.sent
            return state.database
        objects_of = queries.filled("schema_objects", **self._objects_of(state))
        found: dict[str, Any] = await session.ask(queries.question("reset_look", objects=objects_of))
        if not found["objects"] and not state.history:
            return state.database
        check_server(state)
        await check_history(session, state, self.schema)
        if found["outsiders"]:
            raise ResetRefusedError(
                f'objects outside of the schema "{self.schema}" depend on objects in it; nothing was touched:\n'
                + "\n".join(
                    f"  {one_line(outsider)} needs {one_line(needed)}" for outsider, needed in found["outsiders"]
                ),
                hint="drop or change them first, or name the catalog whose migrations made them: catalog=...",
                dependents=[outsider for outsider, _ in found["outsiders"]],
            )
        objects = _in_order(found["objects"])
        await self._weigh(session, found["with_data"])
        if self.dry_run:
            self.dropped = _named(objects)
            return state.database
        await self._run.back_up(session, state)
        await self._drop(session, state, found, objects)
        return state.database

    def _objects_of(self, state: DatabaseState) -> dict[str, str]:
        """Return the values of the query of the objects: those of the schema, and those that migrations made elsewhere."""
        applied = {row.name for row in state.history or () if row.is_applied}
        migrations = [each for each in self.catalog or () if each.name in applied]
        reaches = any(each.reaches for each in migrations)
        there = fold(migrations, hosted=state.hosted).objects if reaches else {}
        made = [
            key
            for migration in migrations
            for each in migration.creates
            if (key := each.key) in there and len(parts_of(key[1])) > (2 if key[0] in PARTS else 1)
        ]
        parts = [(parts_of(name)[-1], split(name)[0]) for kind, name in made if kind in ("trigger", "policy")]
        return {
            "schema": quote_literal(self.schema),
            "own": quote_array(parts_of(name)[0] for kind, name in there if kind == "schema"),
            "relations": quote_array(name for kind, name in made if kind in ("table", "view", "sequence")),
            "parts": quote_array(own for own, _ in parts),
            "homes": quote_array(home for _, home in parts),
        }

    async def _weigh(self, session: Session, with_data: list[list[Any]]) -> None:
        """Count the rows that would be lost, and refuse to lose them unasked."""
        self.runner.doing = "counting what would go"
        # Counting the rows of a table can call functions in its policies and views.
        await session.send("BEGIN READ ONLY;\n" + session.settings() + session.guarded([self.schema]) + "COMMIT;\n")
        self.losses = await data_loss.count(session, self.schema, with_data)
        if self.losses and not self.allow_data_loss and not self.dry_run:
            raise DataLossError(self.losses)

    async def _drop(
        self, session: Session, state: DatabaseState, found: dict[str, Any], objects: list[dict[str, Any]]
    ) -> None:
        self.runner.doing = f'resetting the schema "{self.schema}"'
        dropped = _named(objects)
        detail = {
            "run": self.runner.run_id,
            "objects": [str(each) for each in dropped],
            "losses": [str(loss) for loss in self.losses],
        }
        quoted = quote_identifier(self.schema)
        before = after = ""
        if not self.allow_data_loss:
            counted_now = data_loss.suspects_of_drop([oid for kind, _, oid, _ in found["with_data"] if kind != "S"])
            reaches = tuple(each for migration in self.catalog or () for each in migration.reaches)
            guard = data_loss.Guard(schema=self.schema, reaches=reaches, suspects=counted_now)
            before, after = guard.before(), guard.after()
        message = (
            BEGIN
            + session.settings()
            + setting("kimbledb.step", {"version": __version__, "detail": detail})
            # The bootstrap's lock, too: history's tables are created again below.
            + take_lock(BOOTSTRAP_KEY)
            + (
                take_lock(lock_key(self.schema))
                if state.log_position is None
                else begin_step(self.schema, state.log_position)
            )
            + session.guarded([self.schema])
            + session.path()
            + queries.block(
                "guard_objects",
                objects=queries.filled("schema_objects", **self._objects_of(state)),
                expected=quote_literal(found["fingerprint"]),
            )
            + before
            + "".join(each["statement"] + ";\n" for each in objects)
            + after
            + f"DROP TABLE IF EXISTS {quoted}.migration_history;\n"
            + history_tables.creation(self.schema, version=__version__, take_over=False)
            + queries.block("record_reset", schema=quoted)
            + "COMMIT;\n"
        )
        self.sent = dropped
        with self._run.sending(Sent("reset")):
            try:
                async with observed(self.runner, session):
                    await session.send(message)
            except ServerError as error:
                if (meant := _meaning(error)) is None:
                    raise
                raise meant from error
        self.dropped = dropped


async def reset(
    target: TargetLike = None,
    *,
    confirm: str,
    catalog: Catalog | None = None,
    schema: str | None = None,
    allow_data_loss: bool = False,
    dry_run: bool = False,
    backup: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> ResetReport:
    """Drop every object of a schema, one after the other, without CASCADE.

    With a catalog go the schemas that its applied migrations made for themselves, and the tables, views, sequences, triggers
    and policies that they made in others, as far as they are declared.

    The reset is one transaction. Extensions and their objects stay, and so do the schema
    itself, its owner, its grants and its default privileges. History starts again empty;
    ``migration_log`` is kept, and gets an entry for the reset.

    Args:
        target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None
            reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        confirm: The name of the database, which must be that of the target. A dry run does not look at it.
        catalog: The migrations that made objects in other schemas; None where none did.
        schema: The name of the target schema; None for ``public``.
        allow_data_loss: Whether rows may be lost.
        dry_run: Whether only to report what would be dropped and lost.
        backup: The path of a new file for a backup of the whole database, made before anything is changed,
            and only if there is something to do. ``restore()`` brings it back. An existing
            file is never overwritten. None for no backup.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The dropped objects, in the order in which they were dropped, and the number of rows that were lost with them.

    Raises:
        ConfirmationError: The database has another name.
        ResetRefusedError: Something outside of the schema needs what is in it.
        DataLossError: There are rows, and ``allow_data_loss`` is not set.
        BackupError: The backup cannot be made.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    with call_scope("reset") as call:
        request = Request(target, schema=schema, options=options)
        call.about(request.target.label, request.schema)
        helper = Reset(
            request,
            catalog=catalog,
            confirm=confirm,
            allow_data_loss=allow_data_loss,
            dry_run=dry_run,
            backup=backup,
        )
        return await helper.run()


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--confirm",
        metavar="NAME",
        help="the name of the database: it must be that of the target. A terminal is asked for it; elsewhere the call needs "
        "it, or --yes for the database that the call names",
    )
    parser.add_argument("--allow-data-loss", action="store_true", help="reset even if rows or values are lost")


async def command(invocation: Invocation) -> int:
    """Drop every object of the schema.

    One transaction, and never with CASCADE. Rows stop it unless --allow-data-loss is given. Extensions and the schema
    itself stay.
    """
    given = invocation.given
    wanted: dict[str, Any] = {
        "catalog": invocation.catalog,
        "schema": invocation.schema,
        "options": invocation.options,
    }
    async with invocation.target() as target:
        label = target_of(target).label
        if given.dry_run:
            invocation.show(await reset(target, confirm="", **wanted, dry_run=True))
            return 0
        confirm = label.rpartition("/")[2] if given.confirm is None else given.confirm
        if given.confirm is None and invocation.can_ask:
            would = await reset(target, confirm="", **wanted, dry_run=True)
            invocation.show(would)
            # A loss that is not allowed is refused below, whatever the answer.
            if not would.losses or given.allow_data_loss:
                confirm = invocation.ask(f"Drop all of this? The name of the database in {one_line(label)}: ")
        elif given.confirm is None and not given.yes:
            raise ConfigurationError(
                "a reset drops every object of the schema, and nobody can be asked here",
                hint="name the database by --confirm NAME, or pass --yes",
            )
        report = await reset(
            target, confirm=confirm, **wanted, allow_data_loss=given.allow_data_loss, backup=given.backup
        )
    invocation.show(report)
    return 0


def _meaning(error: ServerError) -> Exception | None:
    """Return the exception that an error of the server means for a reset, or None if nothing but its SQLSTATE is known."""
    if (meant := meaning(error)) is not None:
        return meant
    if own_code(error) == DATA_LOSS:
        # Rows that came after the count are a loss; tables that were filled after it are counted again.
        found = data_loss.measured(json.loads(error.detail or "{}"))
        return Retry() if found.suspects else DataLossError(found.losses)
    if error.sqlstate == _NEEDED:
        return ResetRefusedError(
            f"{first_line(error)}; nothing was touched:\n{error.detail}", hint="drop or change them first"
        )
    return None


def _named(objects: list[dict[str, Any]]) -> tuple[DatabaseObject, ...]:
    return tuple(DatabaseObject(each["kind"], each["name"]) for each in objects)


def _in_order(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects in an order in which each comes before all that it needs.

    Raises:
        ResetRefusedError: Some need each other.
    """
    by_place = {each["place"]: each for each in objects}
    order = graphlib.TopologicalSorter({place: each["needs"] for place, each in by_place.items()})
    try:
        return [by_place[place] for place in reversed([*order.static_order()])]
    except graphlib.CycleError as error:
        circle = [by_place[place] for place in error.args[1]]
        raise ResetRefusedError(
            "these objects depend on each other, so that none can be dropped first; nothing was touched: "
            + " <- ".join(str(DatabaseObject(each["kind"], each["name"])) for each in circle),
            hint="drop one of them by hand",
        ) from None
