"""Takes snapshots: of a schema, or of named objects of it.

``sql/queries/objects/`` holds the query: one fragment for each kind of object, ``scope.sql`` with the rows of the
catalogs that the fragments read, and ``spelling/`` with the expressions that several of them use. A statement is put
together from the fragments of the kinds that are wanted. The fragments document the differences between versions of
PostgreSQL, and even them out.

Parts of fragments stand between marks. What follows ``-- when: word`` belongs to the query if the word is wanted, a kind
of object for most, and if such objects exist. What follows ``-- there: word`` belongs to it if they exist. ``-- end``
ends both. ``guards.sql`` has the conditions under which they exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from hashlib import md5
from typing import Any, NamedTuple

from attrs import field, frozen

from kimbledb.inspection.index_definition import columns_of
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import OBJECT_KINDS, PARTS, DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.reach import home_of, is_own, name_of, own
from kimbledb.model.snapshot import Snapshot
from kimbledb.server import queries
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session

#: The kinds whose objects are about others: a comment is found by the rows of the other kinds.
_LATER = ("comment", "privilege", "default privilege")
#: The kinds that a table or a view may have with it.
_WITH_RELATIONS = (
    *("table", "view", "sequence", "column", "constraint", "index", "trigger", "rule", "policy", "statistics"),
    *("comment", "privilege"),
)
#: The facts whose texts the server keeps in the order in which they were set.
_UNORDERED = ("options", "foreign_options")
#: The elements of a row up to its facts.
_FACTS = 3
#: A table has eight privileges since version 17.
_ALL_PRIVILEGES = 8
_MARK = re.compile(r"-- (end|(when|there): ([\w ]+))")
_SPELLED = re.compile(r"\{(\w+):([^{}]+)\}")
#: The query itself sets the path by which the server prints, before it reads anything.
_PATH_FIRST = "(SELECT set_config('search_path', $2, true) OFFSET 0) AS path CROSS JOIN "


async def take(
    session: Session,
    schema: str,
    path: Iterable[str],
    *,
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
        reached: Objects of other schemas to look at besides, as in ``reaches``: ``auth.users``, ``audit``, ``schema private``.
        identities: Whether the snapshot holds the identity of each object.
        sources: Whether it holds the statements that make functions, views and rules.
        needs: Whether it holds the objects that each object needs. Its objects are then in the order in which they
            were made, columns in that of their table, and privileges in that in which they were granted.
        owners: Whether it holds the owner of each object.
    """
    return snapshot_of(
        await session.ask(
            question(
                schema,
                path,
                reached=reached,
                identities=identities,
                sources=sources,
                needs=needs,
                owners=owners,
            )
        )
    )


def question(
    schema: str,
    path: Iterable[str],
    *,
    reached: Iterable[str] = (),
    identities: bool = False,
    sources: bool = False,
    needs: bool = False,
    owners: bool = False,
) -> str:
    """Return the block that answers with the value that ``snapshot_of()`` reads, for a transaction that is open.

    The search_path must be the server's own schema alone when the block begins, and is that again when it ends.

    The arguments are those of ``take()``.
    """
    details = {"identity": identities, "source": sources, "owner": owners}
    return _Question(schema, OBJECT_KINDS, None, reached, details, needs=needs).block(path_of(tuple(path)))


def scope_of(schema: str, keys: Iterable[Key]) -> tuple[tuple[str, ...], dict[str, set[str]]]:
    """Return the kinds and names that a snapshot of some objects looks at.

    A table or a view brings its parts, its indexes, its statistics and the sequences that it owns, and a part or an index
    brings its table. Comments and privileges come with their object.

    Args:
        schema: The target schema.
        keys: Objects, by kind and name.

    Returns:
        The kinds, and for each schema the names of relations, routines, types and the like, as ``query()`` takes them.
        The name of a schema that is looked at itself is that of an own one in ``reaches``.
    """
    kinds: set[str] = set()
    names: dict[str, set[str]] = {schema: set()}
    for each in keys:
        kind, name = _described(*each)
        if kind == "schema":
            kinds.update(("schema", "default privilege", "privilege", "comment"))
            if name:
                names.setdefault(own(parts_of(name)[0]), set())
            continue
        parts = parts_of(name.rpartition(" using ")[0] if kind in ("operator class", "operator family") else name)
        if kind in PARTS:
            parts = parts[:-1]
        kinds.update(_WITH_RELATIONS if kind in _WITH_RELATIONS else (kind, "comment", "privilege"))
        if kind in ("column", "constraint"):
            kinds.add("type")  # a comment may be on an attribute or a constraint of a type
        names.setdefault(parts[0] if len(parts) > 1 else schema, set()).add(parts[-1])
    return tuple(kind for kind in OBJECT_KINDS if kind in kinds), names


def _described(kind: str, name: str) -> Key:
    """Return the object that a comment or a privilege is about, or the object itself."""
    if kind == "default privilege":
        return ("schema", name.partition(" to ")[2].partition(" in ")[2])
    if kind not in ("comment", "privilege"):
        return (kind, name)
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
    forms: bool = False,
    owners: bool = False,
    homes: bool = False,
    wanted: str = "",
) -> str:
    """Return the text of the query that gives the objects of a schema: one SELECT of one value of type json.

    The value is ``{"details": [...], "objects": [[kind, name, facts, expressions, detail, ...], ...], "needs": null}``. An
    array ends with the expressions where no details were asked for, and with the facts where there are no expressions
    either. ``snapshot_of()`` reads the value: the columns of an index are still in its definition. The query must be
    planned with a search_path that holds the server's own schema alone, and run with the path whose schemas' names are
    to be left out: the block ``printed`` does both.

    Args:
        schema: The target schema.
        kinds: The kinds of objects to give.
        names: For each schema the names of the relations, routines, types and the like to look at, without quotes;
            None for all of the target schema. ``scope_of()`` gives them for objects. A name brings every object of
            ``kinds`` that has it or belongs to what has it.
        reached: Objects of other schemas to look at besides, as in ``reaches``: ``auth.users``, ``audit``, ``schema private``.
        identities: Whether to give the identity of each object, as a detail.
        sources: Whether to give the statements that make functions, views and rules, as a detail.
        needs: Whether to give the objects in order, and with ``needs`` rows of an object and one that it needs: two
            kinds with their names.
        forms: Whether to give the form of each object, a hash of its expressions as this server prints them, as a detail.
        owners: Whether to give the owner of each object, as a detail.
        homes: Whether to give, as a detail, what each object is a part of, or itself: the catalog and the number.
        wanted: The variable, of type name[], that holds the names to look at in all schemas; without ``names``.
    """
    details = {"form": forms, "identity": identities, "source": sources, "owner": owners, "home": homes}
    return _Question(schema, kinds, names, reached, details, wanted, needs=needs).text()


def snapshot_of(answer: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot that the value of a query gives.

    Args:
        answer: The value, as ``query()`` describes it.
    """
    # A schema has thousands of objects, of which most are a kind, a name and facts without lists.
    objects: dict[Key, Facts] = {}
    expressions: dict[Key, Any] = {}
    for row in answer["objects"]:
        key = (row[0], row[1])
        objects[key] = facts = row[2]
        if len(row) > _FACTS and row[_FACTS] is not None:
            expressions[key] = row[_FACTS]
            facts.update(row[_FACTS])
        if row[0] == "index":
            facts["columns"], include = columns_of(facts.pop("definition"))
            if include:
                facts["include"] = include
        for name, value in facts.items():
            if type(value) is list:
                facts[name] = _texts(name, value)
    details = {
        detail: {(row[0], row[1]): row[place] for row in answer["objects"] if row[place] is not None}
        for place, detail in enumerate(answer["details"], _FACTS + 1)
    }
    return Snapshot(
        objects,
        _Forms(expressions),
        {key: tuple(identity) for key, identity in details.get("identity", {}).items()},
        details.get("source", {}),
        _needs(answer["needs"] or ()),
        details.get("owner", {}),
        _defaults(answer.get("defaults") or ()),
        _given(answer.get("defaults") or ()),
        frozenset(answer.get("inherited") or ()),
    )


def _texts(name: str, value: list[str]) -> tuple[str, ...]:
    if name in ("may", "lacks") and len(value) == _ALL_PRIVILEGES:
        # Before version 17 these were seven.
        return tuple(each for each in value if not each.startswith("maintain"))
    return tuple(sorted(value) if name in _UNORDERED else value)


def _needs(rows: Iterable[tuple[str, str, str, str]]) -> dict[Key, set[Key]]:
    found: dict[Key, set[Key]] = {}
    for kind, name, other_kind, other_name in rows:
        found.setdefault((kind, name), set()).add((other_kind, other_name))
    return found


def _defaults(rows: Iterable[tuple[str, str, str, str, bool]]) -> dict[tuple[str, str, str], set[str]]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for of, owner, role, may, _ in rows:
        found.setdefault((of, owner, role), set()).add(may)
    return found


def _given(rows: Iterable[tuple[str, str, str, str, bool]]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for of, _, role, may, is_given in rows:
        if is_given:
            found.setdefault((of, role), set()).add(may)
    return found


class _Forms(Mapping[Key, str]):
    """The forms of objects, each computed when it is asked for: few are."""

    def __init__(self, expressions: Mapping[Key, Any]) -> None:
        self._expressions = expressions

    def __getitem__(self, key: Key) -> str:
        return form_of(self._expressions[key])

    def __iter__(self) -> Iterator[Key]:
        return iter(self._expressions)

    def __len__(self) -> int:
        return len(self._expressions)


def form_of(expressions: Mapping[str, Any]) -> str:
    """Return the form of the expressions of an object, as the server computes it from their text in a jsonb.

    Args:
        expressions: The expressions, as ``query()`` gives them.
    """
    ordered = {name: expressions[name] for name in sorted(expressions, key=lambda name: (len(name), name))}
    return md5(json.dumps(ordered, ensure_ascii=False).encode(), usedforsecurity=False).hexdigest()


class _Part(NamedTuple):
    """A part of the query, and the words of ``guards.sql`` that must hold for it."""

    text: str
    words: frozenset[str]


@frozen
class _Question:
    """The objects that a query is to give, and the details of each."""

    schema: str
    kinds: Collection[str]
    names: Mapping[str, Collection[str]] | None
    reached: Iterable[str]
    #: Whether each detail is wanted.
    details: Mapping[str, bool]
    #: The variable that holds the names to look at, if one does.
    wanted: str = ""
    needs: bool = field(kw_only=True)

    def text(self) -> str:
        """Return the query with the parts of all kinds that are wanted."""
        homes = self._homes()
        scope = self._scope(homes)
        related = _fragment("no_relations" if scope == "all" else "related", scope)
        text = "\n".join(part.text for part in self._parts(scope))
        return queries.fill(text, related=related, path_first="", **self._values(homes))

    def block(self, path: str) -> str:
        """Return the block that puts the query of all objects together from the parts whose objects exist, and answers it.

        Args:
            path: The search_path by which the server prints.
        """
        homes = self._homes()
        scope = self._scope(homes)
        values = self._values(homes)
        guards = _guards()
        parts = self._parts(scope)
        words = {word for part in parts for word in part.words} & guards.keys()
        shown = (
            (part.words & words, queries.fill(part.text, related="SELECT unnest($1)", path_first=_PATH_FIRST, **values))
            for part in parts
        )
        return queries.block(
            "snapshot",
            path=quote_literal(path),
            schemas=quote_array(homes),
            related="NULL" if scope == "all" else queries.fill(_related(scope), **values),
            guards=", ".join(["('', false)", *(guards[word] for word in sorted(words))]),
            parts=", ".join(
                f"({place}, {quote_array(sorted(needed))}, {queries.quoted(text, 'part')})"
                for place, (needed, text) in enumerate(shown)
            ),
        )

    def _homes(self) -> dict[str, frozenset[str] | None]:
        """Return the schemas to look at, the target first, each with the names to look at or None for all."""
        homes: dict[str, frozenset[str] | None] = {self.schema: None if self.names is None else frozenset()}
        for each, named in (self.names or {}).items():
            homes[home_of(each)] = (homes.get(home_of(each)) or frozenset()) | frozenset(named)
        for each in self.reached:
            home, name = home_of(each), name_of(each)
            those = homes.get(home, frozenset())
            if name is None and self.names is not None:
                continue  # a scope names the objects of other schemas, too
            homes[home] = None if name is None or those is None else those | {name}
        return homes

    def _scope(self, homes: Collection[str]) -> str:
        if self.names is not None or self.wanted:
            return "only"
        return "named" if len(homes) > 1 else "all"

    def _values(self, homes: Mapping[str, frozenset[str] | None]) -> dict[str, str]:
        own_ones = {home_of(each) for each in (*self.reached, *(self.names or ())) if is_own(each)} - {self.schema}
        rows = (
            f"({quote_literal(home)}, {quote_literal('' if home == self.schema else quoted(home) + '.')}, "
            f"{self._names_in(those)}, {str(home in own_ones).lower()})"
            for home, those in homes.items()
        )
        details = quote_literal(json.dumps([detail for detail in _DETAILS if self.details.get(detail)]))
        return {"schema": quote_literal(self.schema), "homes": ", ".join(rows), "details": details}

    def _names_in(self, those: Collection[str] | None) -> str:
        """Return the names to look at in a schema, of which all or ``those`` may be looked at."""
        given = "NULL::name[]" if those is None else f"{quote_array(sorted(those))}::name[]"
        if not self.wanted:
            return given
        return self.wanted if those is None else f"ARRAY(SELECT unnest({self.wanted}) INTERSECT SELECT unnest({given}))"

    def _parts(self, scope: str) -> tuple[_Part, ...]:
        # Privileges alone are those of all objects.
        alone = set(self.kinds) <= set(_LATER)
        beside = {
            **self.details,
            "privileges of relations": alone or not {"table", "view"}.isdisjoint(self.kinds),
            **{f"privileges of {kind}s": alone or kind in self.kinds for kind in ("sequence", "function", "type")},
            "detail": any(self.details.values()),
            "needs": self.needs,
            "the schema": (self.names is None and not self.wanted) or "schema" in self.kinds,
        }
        words = (
            *(kind for kind in OBJECT_KINDS if kind in self.kinds),
            *(word for word, holds in beside.items() if holds),
        )
        return _parts_of(words, scope)


#: The details of an object, in the order in which ``answer.sql`` gives them.
_DETAILS = ("form", "identity", "source", "owner", "home")


@cache
def _parts_of(wanted: tuple[str, ...], scope: str) -> tuple[_Part, ...]:
    """Return the parts of the query, with the placeholders of the values.

    Args:
        wanted: The kinds and details that are wanted.
        scope: As in ``_fragment()``.
    """
    objects = [_one_of(kind, scope) for kind in wanted if kind in OBJECT_KINDS and kind not in _LATER]
    text = queries.fill(
        _fragment("answer", scope),
        scope=_fragment("scope", scope),
        objects="\n".join([_fragment("nothing", scope), *objects]),
        others="\n".join(_one_of(kind, scope) for kind in wanted if kind in _LATER),
        needs_rows=_fragment("needs", scope) if "needs" in wanted else "NULL",
    )
    return tuple(_between_marks(text, wanted))


def _one_of(kind: str, scope: str) -> str:
    return f"-- when: {kind}\nUNION ALL\n{_fragment(kind, scope)}\n-- end"


def _between_marks(text: str, wanted: Collection[str]) -> Iterator[_Part]:
    """Yield the parts of a text between its marks that may belong to the query, without comments and indentation."""
    lines: list[str] = []
    inside: list[tuple[str, bool]] = []
    for line in map(str.strip, text.splitlines()):
        mark = _MARK.fullmatch(line)
        if mark is None:
            if not line.startswith("--") and all(shown for _, shown in inside):
                lines.append(line)
            continue
        if lines:
            yield _Part("\n".join(lines), frozenset(word for word, _ in inside))
            lines = []
        if mark[1] == "end":
            inside.pop()
        else:
            inside.append((mark[3], mark[2] == "there" or mark[3] in wanted))
    yield _Part("\n".join(lines), frozenset())


@cache
def _guards() -> dict[str, str]:
    """Return the conditions of ``guards.sql`` by their words, each as the row of a VALUES."""
    rows = queries.text_of("objects/guards").splitlines()
    return {row.split("'")[1]: row for row in rows}


@cache
def _related(scope: str) -> str:
    return queries.fill(_fragment("related_oids", scope), related=_fragment("related", scope))


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
