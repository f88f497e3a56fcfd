"""Renewal: the records of forms that history lacks, or that another server or database made.

A writing operation renews them once, before it relies on them. Where the declared text does not show the form, the
original statements run in a scratch schema (``kimbledb.execution.scratch``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from attrs import evolve, field, frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.execution.messages import begin_step
from kimbledb.execution.scratch import NoScratch, Scratch
from kimbledb.inspection import gathering
from kimbledb.inspection.gathering import Looked
from kimbledb.inspection.proof import Site
from kimbledb.model.forms import Forms, RecordedForms
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_identifier
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import counted
from kimbledb.planning.planner import Planner
from kimbledb.planning.rebuilding import LeftOut
from kimbledb.planning.records import Made, Records
from kimbledb.server import queries
from kimbledb.server.notifications import log
from kimbledb.server.retry import decided
from kimbledb.server.session import BEGIN, Session
from kimbledb.server.settings import setting


@frozen
class Renewal:
    """The records of forms of a database, with those that are made anew."""

    #: All records.
    forms: Forms
    #: Those that are made anew, by the migration.
    records: Mapping[str, RecordedForms] = field(factory=dict)
    #: The forms by the original statements, or None if these cannot be run.
    made: Made | None = None
    #: The statements that cannot run beside the live schema, so that the forms of what they make are not known.
    left_out: tuple[LeftOut, ...] = ()
    #: The reason why no original statement can be run, or None.
    refused: str | None = None


async def renew(
    session: Session,
    state: DatabaseState,
    schema: str,
    catalog: Catalog,
    migrations: Sequence[Migration],
    looked: Looked,
) -> Renewal:
    """Make the records that history lacks. History is not written.

    Args:
        session: The session, in which no transaction is open.
        state: The state of the database.
        schema: The target schema.
        catalog: The migrations of the call.
        migrations: The migrations that are applied, or whose objects exist, in the order of the plan.
        looked: The objects of the schema, and the recorded forms.

    Raises:
        PreflightError: Strangers own, or may create, objects on the search_path.
        ConnectionLostError: The connection is lost.
    """
    records = Records(migrations, looked.found, looked.recorded, hosted=state.hosted)
    made: Made | None = Made()
    left_out: tuple[LeftOut, ...] = ()
    refused = None
    if records.undecided:
        try:
            async with Scratch(session, state, schema, catalog) as scratch:
                made = Made(await scratch.forms(migrations))
                if records.fed_back(made):
                    made = evolve(made, second=await scratch.second_forms())
                left_out = tuple(scratch.left_out)
        except NoScratch as reason:
            made, refused = None, str(reason)
            log(
                logging.WARNING,
                "forms_not_renewed",
                "the forms of %s cannot be renewed: %s",
                counted(records.undecided, "object"),
                reason,
            )
    renewed = records.made(made)
    known = evolve(looked.recorded, recorded={**looked.recorded.recorded, **renewed})
    return Renewal(known, renewed, made, left_out, refused)


async def renew_applied(
    session: Session, state: DatabaseState, schema: str, planner: Planner, applied: Sequence[Migration]
) -> None:
    """Write the records that applied migrations lack into history, in a transaction of its own that takes the lock.

    Args:
        session: The session, in which no transaction is open.
        state: The state of the database, which has a history and a log.
        schema: The target schema.
        planner: The planner of the call, which has the migrations.
        applied: The applied migrations, in the order of the plan.

    Raises:
        PreflightError: Strangers own, or may create, objects on the search_path.
        Retry: Another run holds the lock or has written to the log since.
        ConnectionLostError: The connection is lost.
    """
    site = Site.of(state, schema, planner.catalog)
    looked = await gathering.look(session, planner, state, schema)
    if looked is None:
        return
    renewal = await renew(session, state, schema, planner.catalog, applied, looked)
    if renewal.records:
        with decided():
            await session.send(
                BEGIN
                + session.settings()
                + begin_step(schema, state.log_position)
                + recording(renewal.records, site)
                + "COMMIT;\n"
            )


def recording(records: Mapping[str, RecordedForms], site: Site) -> str:
    """Return the statements that write renewed records into history, for a transaction that holds the lock.

    Args:
        records: The records, by the migration.
        site: The target schema of the database in which they are valid.
    """
    if not records:
        return ""
    values = {name: record.as_dict() for name, record in records.items()}
    return setting("kimbledb.renewed", values) + queries.block(
        "renew_forms", schema=quote_identifier(site.schema), origin=site.origin
    )
