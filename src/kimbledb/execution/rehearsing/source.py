"""Read from the target, in one read-only query and without any row of a table, the facts that a clone needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from kimbledb.model.names import quote_array, words_in
from kimbledb.model.plan import Plan
from kimbledb.model.rehearsal import RehearsedTable
from kimbledb.server import queries
from kimbledb.server.session import Session


@frozen(eq=False)
class Source:
    """The target's facts for a clone."""

    #: The role that migrates.
    role: str
    #: The name of the database.
    database: str
    #: The names of its schemas, without the server's own.
    schemas: tuple[str, ...]
    #: The schemas that a clone needs.
    needed: frozenset[str]
    #: Those that it would need, and that the role may not read.
    unreadable: tuple[str, ...]
    #: The extensions by name, each with its version and its schema.
    extensions: Mapping[str, tuple[str, str]]
    #: The roles that own something or are granted something, each with its attributes.
    roles: Sequence[Mapping[str, Any]]
    #: The memberships: a role and its member.
    members: Sequence[tuple[str, str]]
    #: The settings of the database (False) and of the role (True), by name.
    settings: Sequence[tuple[bool, str, str]]
    #: The tables, by schema and name.
    tables: Mapping[tuple[str, str], RehearsedTable]

    @property
    def left_out(self) -> list[str]:
        """The schemas that the clone does not need."""
        return [name for name in self.schemas if name not in self.needed]


async def look(session: Session, plan: Plan, schema: str, reached: Iterable[str]) -> Source:
    """Read the facts that a clone needs from the target.

    Args:
        session: A session of the target.
        plan: The plan that is rehearsed.
        schema: The target schema.
        reached: The schemas that migrations declare to reach.
    """
    words = words_of(plan)
    found = await session.ask(queries.question("rehearse_source", words=quote_array(sorted(words))))
    extensions = {name: (version, home) for name, version, home in found["extensions"]}
    first = {schema, *reached, *found["everywhere"], *(name for name in found["schemas"] if name in words)}
    first |= {home for _, home in extensions.values()}
    needed = needed_of(first, schema, [(one, other) for one, other in found["uses"]])
    unreadable = needed.intersection(found["unreadable"]) - {schema}
    return Source(
        role=found["role"],
        database=found["database"],
        schemas=tuple(found["schemas"]),
        needed=needed - unreadable,
        unreadable=tuple(sorted(unreadable)),
        extensions=extensions,
        roles=found["roles"],
        members=[(role, member) for role, member in found["members"]],
        settings=[(of_role, name, value) for of_role, name, value in found["settings"]],
        tables={
            (home, name): RehearsedTable(name if home == schema else f"{home}.{name}", rows, size, is_filled=filled)
            for home, name, rows, size, filled in found["tables"]
        },
    )


def words_of(plan: Plan) -> set[str]:
    """Return the words of all that a plan would run."""
    text = "\n".join(line for step in plan.pending for line in step.sql_lines)
    return {*words_in(text), *re.findall(r"[\w$]+", text)}


def needed_of(first: Iterable[str], schema: str, uses: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the schemas that a clone needs. Pure.

    What uses the target schema is needed, since a migration may break it or be stopped by it; and so is all that
    these use.

    Args:
        first: The schemas that are needed in any case.
        schema: The target schema.
        uses: Pairs of a schema and one that it uses.
    """
    users: dict[str, set[str]] = {}
    used: dict[str, set[str]] = {}
    for one, other in uses:
        users.setdefault(other, set()).add(one)
        used.setdefault(one, set()).add(other)
    return frozenset(_closure({*first, *_closure({schema}, users)}, used))


def _closure(first: set[str], further: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = set(first)
    while left:
        found |= left
        left = {each for name in left for each in further.get(name, ())} - found
    return found
