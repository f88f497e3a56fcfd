"""Which objects an object names in its facts and in its statement. Pure.

The server records what each object needs; declarations do not. Names show it well enough to find an order: a name too
many costs a needless constraint on the order, and no more. What the order gives is proven on a server.
"""

from __future__ import annotations

from collections.abc import Iterable

from kimbledb.model.names import words_in
from kimbledb.model.objects import PARTS, DatabaseObject, Facts, Key, parts_of
from kimbledb.planning.fold import split

#: The facts of a kind that name no other object.
_SILENT: dict[str, frozenset[str]] = {
    "comment": frozenset({"text"}),
    "privilege": frozenset({"may", "lacks"}),
    "default privilege": frozenset({"may"}),
    "type": frozenset({"labels"}),
}
#: Kinds whose statement says what facts hold as a hash.
_HASHED = ("query", "rule", "sql_body")
#: Kinds that nothing else needs.
NOT_NEEDED = frozenset({"trigger", "rule", "policy", "statistics", "comment", "privilege", "default privilege"})
#: Kinds that name no table and no view but the one they belong to.
_WITHOUT_RELATIONS = frozenset({"index", "statistics", "trigger", "operator", "operator class", "operator family"})
#: Facts of a table that name an index.
_OF_INDEXES = ("clustered_on", "replica_identity")


def needs(one: DatabaseObject, other: DatabaseObject) -> bool:
    """Return whether an object may need another one, by the names that it holds.

    Args:
        one: The object that may need the other.
        other: The other object.
    """
    if one.key == other.key or other.kind in NOT_NEEDED:
        return False
    facts = one.facts or {}
    if other.kind in ("index", "constraint"):
        index = parts_of(other.name)[-1]
        return one.kind in ("table", "view") and any(
            index in words_in(str(facts.get(fact, ""))) for fact in _OF_INDEXES
        )
    if other.kind == "operator":
        return word_of(other) in _text_of(one)
    found = mentioned(one)
    if other.kind == "column":
        relation, _ = split(other.name)
        is_there = (one.kind in PARTS and split(one.name)[0] == relation) or facts.get("on") == relation
        return parts_of(other.name)[-1] in found and (is_there or parts_of(relation)[-1] in found)
    if other.kind in ("table", "view") and not _may_name_relations(one, facts):
        return False
    return word_of(other) in found


def needs_among(some: Iterable[DatabaseObject], others: Iterable[DatabaseObject]) -> dict[Key, set[Key]]:
    """Return for each of some objects the others that it may need, by the names that it holds.

    Args:
        some: The objects that may need others.
        others: The objects that may be needed.
    """
    named: dict[str, list[DatabaseObject]] = {}
    for other in others:
        if other.kind not in NOT_NEEDED:
            named.setdefault(word_of(other), []).append(other)
    symbols = {word for word in named if not word[:1].isidentifier()}
    return {
        one.key: {
            other.key
            for word in (mentioned(one) & named.keys()) | symbols
            for other in named[word]
            if needs(one, other)
        }
        for one in some
    }


def word_of(each: DatabaseObject) -> str:
    """Return the word by which others name an object: its last identifier, or the symbol of an operator.

    Args:
        each: The object.
    """
    if each.kind == "operator":
        return each.name.partition("(")[0]
    return parts_of(each.name.partition(" using ")[0])[-1]


def _may_name_relations(one: DatabaseObject, facts: Facts) -> bool:
    if one.kind == "constraint":
        return "REFERENCES" in str(facts.get("key", ""))
    return one.kind not in _WITHOUT_RELATIONS


def mentioned(each: DatabaseObject) -> frozenset[str]:
    """Return the words in the facts and the statement of an object that can be names, in lower case unless quoted.

    Args:
        each: The object.
    """
    return words_in(_text_of(each))


def _text_of(each: DatabaseObject) -> str:
    facts = each.facts or {}
    silent = _SILENT.get(each.kind, frozenset())
    texts = [
        str(one)
        for name, value in facts.items()
        if name not in silent
        for one in (value if isinstance(value, tuple) else (value,))
    ]
    if each.source is not None and any(fact in facts for fact in _HASHED):
        texts.append(each.source)
    if each.kind in ("function", "operator"):
        texts.append(each.name)  # it holds the types of the arguments
    return "\n".join(texts)
