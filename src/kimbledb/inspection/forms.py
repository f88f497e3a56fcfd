"""The recorded forms of a database: what history says of the expressions of each migration's objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kimbledb.inspection.proof import Site
from kimbledb.model.forms import Forms, Origin, RecordedForms
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.session import Session


async def read(session: Session, schema: str, path: Iterable[str]) -> Forms:
    """Read the recorded forms in one question, on a standby too. No record is returned where there is no history.

    Args:
        session: The session.
        schema: The target schema, whose history the role may read.
        path: The schema and those of extensions, as a snapshot has them.
    """
    return forms_of(await session.ask(question(schema, path)))


def question(schema: str, path: Iterable[str]) -> str:
    """Return the block that answers with the value that ``forms_of()`` reads. Arguments are those of ``read()``."""
    history = quote_literal(f"{quote_identifier(schema)}.migration_history")
    return queries.block("recorded_forms", history=history, path=quote_array(path))


def forms_of(answer: Mapping[str, Any]) -> Forms:
    """Return the recorded forms that the answer to ``question()`` holds."""
    return Forms(
        Origin(answer["server"], answer["system"], answer["table"]),
        {name: RecordedForms.of(value) for name, value in answer["recorded"].items()},
        tuple(answer["unseen"]),
    )


async def lacking(session: Session, site: Site) -> frozenset[str]:
    """Return the names of the applied migrations for which history has no record of forms that is valid here.

    Args:
        session: The session.
        site: The target schema of the database, which has a history of kimbledb's shape.
    """
    question = queries.question("unrecorded_forms", schema=quote_identifier(site.schema), origin=site.origin)
    return frozenset(await session.ask(question))
