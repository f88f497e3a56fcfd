"""Takes snapshots: of a schema, or of named objects of it.

``sql/queries/objects/`` holds the query: one fragment for each kind of object, ``scope.sql`` with the relations,
routines and types that the fragments read, and ``spelling/`` with the expressions that several of them use. A statement
is put together from the fragments of the kinds that are wanted. The fragments document the differences between versions
of PostgreSQL, and even them out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import OBJECT_KINDS, PARTS, DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.server import queries
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session

#: The kinds whose fragments read the rows of the other fragments, or name an object once more.
_ABOUT_OTHERS = ("comment", "privilege", "default privilege")
#: The kinds that a table or a view may have with it.
_WITH_RELATIONS = (
    *("table", "view", "sequence", "column", "constraint", "index", "trigger", "rule", "policy", "statistics"),
    *("comment", "privilege"),
)
_UNION = "\nUNION ALL\n"
_SPELLED = re.compile(r"\{(\w+):([^{}]+)\}")


async def take(
    session: Session,
    schema: str,
    path: Iterable[str],
    *,
    only: Iterable[Key] | None = None,
    reached: Iterable[str] = (),
    identities: bool = False,
    sources: bool = False,
    needs: bool = False,
    owners: bool = False,
) -> Snapshot:
    """Take a snapshot of a schema.

    Args:
        session: The session.
        schema: The schema.
        path: The schema and those of extensions: the snapshot omits their names.
        only: The objects to look at, by kind and name; None for all. A table or a view brings its parts, its indexes,
            its statistics and the sequences that it owns, and a part or an index brings its table. Comments and
            privileges come with their object. The cost is in line with these objects.
        reached: Objects of other schemas to look at besides, such as ``auth.users``, ``audit.*`` or ``audit``.
        identities: Whether the snapshot holds the identity of each object.
        sources: Whether it holds the statements that make functions, views and rules.
        needs: Whether it holds the objects that each object needs. Its objects are then in the order in which they
            were made, columns in that of their table, and privileges in that in which they were granted.
        owners: Whether it holds the owner of each object.
    """
    kinds, names = (OBJECT_KINDS, None) if only is None else scope_of(schema, only)
    text = query(
        schema,
        kinds,
        names,
        reached=reached,
        identities=identities,
        sources=sources,
        needs=needs,
        owners=owners,
    )
    seen_from = quote_literal(path_of(tuple(path)))
    return snapshot_of(await session.ask(queries.block("printed", path=seen_from, question=text)))


def scope_of(schema: str, keys: Iterable[Key]) -> tuple[tuple[str, ...], dict[str, set[str]]]:
    """Return the kinds and names that a scoped snapshot looks at.

    Args:
        schema: The target schema.
        keys: Objects, by kind and name.

    Returns:
        The kinds, and for each schema the names of relations, routines, types and the like, as ``query()`` takes them.
    """
    kinds: set[str] = set()
    names: dict[str, set[str]] = {schema: set()}
    for kind, name in keys:
        if kind in ("comment", "privilege"):
            kind, name = _described(kind, name)  # noqa: PLW2901 - it is looked at with its object
        if kind in ("default privilege", "schema"):
            kinds.update(("default privilege", "privilege", "comment"))
            continue
        name = name.removesuffix(f" using {name.rpartition(' using ')[2]}")  # noqa: PLW2901 - the method is no part of it
        parts = parts_of(name)
        if kind in PARTS:
            parts = parts[:-1]
        kinds.update(_WITH_RELATIONS if kind in _WITH_RELATIONS else (kind, "comment", "privilege"))
        if kind == "constraint":
            kinds.add("type")
        names.setdefault(parts[0] if len(parts) > 1 else schema, set()).add(parts[-1])
    return tuple(kind for kind in OBJECT_KINDS if kind in kinds), names


def _described(kind: str, name: str) -> Key:
    described = name.rpartition(" to ")[0] if kind == "privilege" else name
    return ("schema", "") if described == "schema" else DatabaseObject.of(described).key


def query(
    schema: str,
    kinds: Collection[str] = OBJECT_KINDS,
    names: Mapping[str, Collection[str]] | None = None,
    *,
    reached: Iterable[str] = (),
    identities: bool = False,
    sources: bool = False,
    needs: bool = False,
    owners: bool = False,
) -> str:
    """Return the text of the query that gives the objects of a schema: one SELECT of one value of type json.

    The value is ``{"objects": [[kind, name, facts, form, identity, source, owner], ...], "needs": null}``. The form is a hash of the
    expressions of the object, as this server prints them, or null. The query must be planned with a search_path that
    holds the server's own schema alone, and run with the path whose schemas' names are to be left out: the block
    ``printed`` does both.

    Args:
        schema: The target schema.
        kinds: The kinds of objects to give.
        names: For each schema the names of the relations, routines, types and the like to look at, without quotes;
            None for all of the target schema. ``scope_of()`` gives them for objects. A name brings every object of
            ``kinds`` that has it or belongs to what has it.
        reached: Objects of other schemas to look at besides, such as ``auth.users``, ``audit.*`` or ``audit``.
        identities: Whether to give the identity of each object.
        sources: Whether to give the statements that make functions, views and rules.
        needs: Whether to give the objects in order, and with ``needs`` rows of an object and one that it needs: two
            kinds with their names.
        owners: Whether to give the owner of each object.
    """
    homes = _homes(schema, names, reached)
    scope = "only" if names is not None else "named" if len(homes) > 1 else "all"
    return queries.fill(
        _template(tuple(kind for kind in OBJECT_KINDS if kind in kinds), scope, needs=needs),
        schema=quote_literal(schema),
        homes=", ".join(homes),
        identities=str(identities).lower(),
        sources=str(sources).lower(),
        owners=str(owners).lower(),
    )


def snapshot_of(answer: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot that the value of a query gives.

    Args:
        answer: The value, as ``query()`` describes it.
    """
    rows = [((kind, name), *rest) for kind, name, *rest in answer["objects"]]
    return Snapshot(
        objects={key: _facts(facts) for key, facts, *_ in rows},
        forms={key: form for key, _, form, *_ in rows if form is not None},
        identities={key: tuple(identity) for key, _, _, identity, *_ in rows if identity is not None},
        sources={key: source for key, _, _, _, source, _ in rows if source is not None},
        owners={key: owner for key, _, _, _, _, owner in rows if owner is not None},
        needs=_needs(answer["needs"] or ()),
    )


def _needs(rows: Iterable[tuple[str, str, str, str]]) -> dict[Key, set[Key]]:
    found: dict[Key, set[Key]] = {}
    for kind, name, other_kind, other_name in rows:
        found.setdefault((kind, name), set()).add((other_kind, other_name))
    return found


def _facts(facts: Mapping[str, Any]) -> Facts:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


def _homes(schema: str, names: Mapping[str, Collection[str]] | None, reached: Iterable[str]) -> list[str]:
    """Return the schemas to look at: each with the prefix of its objects' names, and the names to look at or NULL."""
    wanted: dict[str, set[str] | None] = {schema: None}
    if names is not None:
        wanted = {home: set(those) for home, those in {schema: (), **names}.items()}
    for each in reached:
        home, _, name = each.partition(".")
        if name in ("", "*"):
            wanted[home] = None
        elif (known := wanted.setdefault(home, set())) is not None:
            known.add(name)
    return [
        f"({quote_literal(home)}, {quote_literal('' if home == schema else quoted(home) + '.')}, "
        f"{'NULL::name[]' if those is None else quote_array(sorted(those)) + '::name[]'})"
        for home, those in wanted.items()
    ]


@cache
def _template(kinds: tuple[str, ...], scope: str, *, needs: bool) -> str:
    """Return the query for some kinds, with the placeholders of the values."""
    objects = ["nothing", *(kind for kind in kinds if kind not in _ABOUT_OTHERS)]
    return queries.fill(
        _fragment("answer", scope),
        scope=queries.fill(
            _fragment("scope", scope), related=_fragment("no_relations" if scope == "all" else "related", scope)
        ),
        objects=_UNION.join(_fragment(each, scope) for each in objects),
        others="".join(_UNION + _fragment(each, scope) for each in kinds if each in _ABOUT_OTHERS),
        needs=_fragment("needs", scope) if needs else "NULL",
        place=", row_number() OVER () AS place" if needs else "",
        in_order=" ORDER BY oid, sub, place" if needs else "",
    )


def _fragment(name: str, scope: str) -> str:
    """Return a fragment with the expressions in ``spelling/`` in their places.

    Args:
        name: The file, a kind of object for most.
        scope: Which objects are looked at: ``all`` of the target schema, some that are ``named`` in other schemas
            besides, or ``only`` those that are named.
    """
    return spelled(queries.text_of(f"objects/{name.replace(' ', '_')}"), scope)


def spelled(text: str, scope: str = "all") -> str:
    """Return a text with the expressions in ``objects/spelling/`` in their places, such as that for ``{quoted:x}``.

    Args:
        text: The text.
        scope: As for a fragment of a snapshot.
    """
    while True:
        # From the inside out: an expression may stand in another.
        text, count = _SPELLED.subn(lambda found: _spelling(found[1], found[2], scope).replace("{x}", found[2]), text)
        if not count:
            return text


def _spelling(word: str, argument: str, scope: str) -> str:
    if word in ("form", "printing"):
        return queries.text_of(f"objects/{'forms' if word == 'form' else word}/{argument}")
    if word in ("named", "in_scope"):
        word = {"all": "anything", "named": word, "only": f"{word}_only"}[scope]
    return queries.text_of(f"objects/spelling/{word}")
