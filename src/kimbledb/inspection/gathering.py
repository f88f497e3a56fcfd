"""Evidence of a database: one snapshot of the schema, compared with what a catalog declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.inspection import forms, snapshot
from kimbledb.model.evidence import Evidence
from kimbledb.model.forms import Forms
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import DatabaseState
from kimbledb.planning import evidence
from kimbledb.planning.planner import Planner
from kimbledb.server.session import Session


@frozen(eq=False)
class Looked:
    """The state of declared objects in a database."""

    #: The objects of the schema.
    found: Snapshot
    #: The forms that history records.
    recorded: Forms


async def look(session: Session, planner: Planner, state: DatabaseState, schema: str) -> Looked | None:
    """Look at the objects of a schema. One round trip, or none and None where the schema is empty.

    Args:
        session: The session.
        planner: The planner, which has the migrations and their order.
        state: The state of the database.
        schema: The target schema.
    """
    if not state.occupied and not any(row.legacy for row in state.history or ()):
        return None
    path = state.search_path(schema, planner.catalog.extensions)
    return looked_of(await session.ask_all(questions(planner.catalog, schema, path)))


def questions(catalog: Catalog, schema: str, path: Sequence[str], *, owners: bool = False) -> list[str]:
    """Return the questions for the objects of a schema and for their recorded forms, for ``Session.ask_all()``.

    Args:
        catalog: The migrations.
        schema: The target schema.
        path: The schema and those of extensions, as a snapshot has them.
        owners: As in ``snapshot.take()``.
    """
    reaches = [name for migration in catalog for name in migration.reaches]
    return [snapshot.question(schema, path, reached=reaches, owners=owners), forms.question(schema, path)]


def looked_of(answers: Sequence[Any]) -> Looked:
    """Return the objects and forms in the answers to ``questions()``."""
    found, recorded = answers
    return Looked(snapshot.snapshot_of(found), forms.forms_of(recorded))


def weighed(planner: Planner, state: DatabaseState, looked: Looked | None, known: Forms | None = None) -> Evidence:
    """Return the evidence of every migration.

    Args:
        planner: The planner, which has the migrations and their order.
        state: The state of the database.
        looked: The objects that it shows, or None if the schema is empty.
        known: The forms that this server gives to the declared objects; None for those that history records.
    """
    if looked is None:
        return Evidence(hosted=state.hosted, gathered=True)
    migrations = evidence.as_applied(planner.in_order(), state.history or ())
    return evidence.weigh(
        migrations, looked.found, hosted=state.hosted, forms=known or looked.recorded, extensions=state.extensions
    )
