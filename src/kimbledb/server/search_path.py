"""The search_path of a transaction, and the guard against objects of strangers on it.

A stranger is a role that the migrating role does not trust (``sql/queries/trusted.sql``): an object that a stranger
owns, or may create, on the search_path could be called in place of the object that a script means.
"""

from __future__ import annotations

from collections.abc import Sequence

from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.server import queries


def path_of(schemas: Sequence[str]) -> str:
    """Return the value of ``search_path`` for schemas; for no schema, the server's own alone."""
    return ", ".join([*map(quote_identifier, schemas or ("pg_catalog",)), "pg_temp"])


def guard_of(schemas: Sequence[str], reached: Sequence[str] = ()) -> str:
    """Return the body of a block that fails where strangers own or may create objects in schemas.

    Args:
        schemas: The schemas of the search_path.
        reached: The schemas that migrations declare to reach: the owners of these are trusted as well.
    """
    return queries.filled(
        "guard_path",
        trusted=trusted(reached),
        schemas=quote_array(schemas),
        dangers=quote_literal(strangers_in(schemas, reached)),
    )


def guard_briefly(schemas: Sequence[str]) -> str:
    """Return the body of a block that fails with ``LOOK_CLOSER`` unless it is plain that ``guard_of()`` would not fail.

    Args:
        schemas: The schemas of the search_path.
    """
    tables = (f"{quote_identifier(each)}.{name}" for each in schemas for name in ("migration_history", "migration_log"))
    return queries.filled(
        "guard_briefly",
        schemas=quote_array(schemas),
        tables=", ".join(f"to_regclass({quote_literal(each)})" for each in tables),
        closer=queries.filled("look_closer", what="'strangers'"),
    )


def strangers_in(schemas: Sequence[str], reached: Sequence[str] = (), *, owner: str | None = None) -> str:
    """Return the query that lists the objects that strangers own or may create in schemas: object, reason, cure.

    Args:
        schemas: The schemas.
        reached: The schemas that migrations declare to reach: the owners of these are trusted as well.
        owner: The role that owns history, for a report of a role that may only read it: strangers are then
            those whom the owner does not trust either. None for the current role alone.
    """
    named = "current_user" if owner is None else quote_literal(owner)
    return queries.filled("strangers", trusted=trusted(reached, owner=owner), schemas=quote_array(schemas), owner=named)


def trusted(reached: Sequence[str] = (), *, owner: str | None = None) -> str:
    """Return the query that gives the trusted roles. Arguments are those of ``strangers_in()``."""
    who = "current_user, session_user" + ("" if owner is None else f", {quote_literal(owner)}")
    return queries.filled("trusted", reached=quote_array(reached), who=who)


def gaps_of(dangers: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return the rows of ``strangers_in()`` as gaps of a PreflightError, each with its cure."""
    return [(f"{thing} {reason}", cure) for thing, reason, cure in dangers]
