"""Objects of a schema, as a declaration or a snapshot names them.

An object is a kind, a name and facts. Each fact is one property that ``pg_dump`` would write, and a property
with PostgreSQL's default value is left out. Most facts read the same on every server version. The others are
*expressions*: the server prints them from its parse tree, and each version may print them otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from attrs import field, frozen

from kimbledb.model.text import one_line

#: The kinds of objects in declarations and snapshots.
OBJECT_KINDS = (
    "schema",
    "collation",
    "text search parser",
    "text search template",
    "text search dictionary",
    "text search configuration",
    "type",
    "sequence",
    "table",
    "column",
    "constraint",
    "index",
    "function",
    "operator",
    "operator family",
    "operator class",
    "conversion",
    "view",
    "trigger",
    "rule",
    "policy",
    "statistics",
    "comment",
    "privilege",
    "default privilege",
)
#: Kinds whose name is that of a table, a view or a domain, a dot, and a name of their own.
PARTS = frozenset({"column", "constraint", "trigger", "policy", "rule"})
#: Kinds whose name is that of the object that they are said of, with its kind.
SAID_OF_OTHERS = frozenset({"comment", "privilege"})
#: The classes of objects that default privileges are for, by kind.
BY_DEFAULT = {"table": "tables", "view": "tables", "sequence": "sequences", "function": "functions", "type": "types"}

#: The value of a fact: a text, a number, True, or several texts.
Fact = str | int | bool | tuple[str, ...]
#: The facts of an object, by name. Facts with PostgreSQL's default value are left out.
Facts = Mapping[str, Fact]
#: Kind and name, which identify an object in a schema.
Key = tuple[str, str]

#: The facts that a server prints from its parse tree. An expression among the columns of an index begins with a
#: parenthesis.
EXPRESSIONS = frozenset(
    {
        "argument_defaults",
        "check",
        "checks",
        "columns",
        "default",
        "exclude",
        "expressions",
        "generated",
        "partition_by",
        "query",
        "rule",
        "sql_body",
        "using",
        "when",
        "where",
        "with_check",
    }
)
#: The facts that hold no more than a hash of a text: they say nothing to a reader, and make nothing.
HASHED: Final = frozenset({"body", "query", "rule", "sql_body"})
#: The wording of facts in messages, in this order. A fact that is not listed reads as its name and its value.
_WORDS: Mapping[str, str] = {
    "materialized": "materialized",
    "kind": "{}",
    "type": "{}",
    "key": "{}",
    "restrictive": "restrictive",
    "event": "{}",
    "unique": "unique",
    "on": "on {}",
    "method": "using {}",
    "columns": "({})",
    "labels": "enum ({})",
    "attributes": "composite ({})",
    "for": "for {}",
    "to": "to {}",
    "may": "{}",
    "check": "check ({})",
    "using": "using ({})",
    "with_check": "with check ({})",
    "where": "where {}",
    "generated": "generated always as ({})",
    "text": "{}",
}
_PLACES = {kind: place for place, kind in enumerate(OBJECT_KINDS)}
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
#: A kind, the longest that fits, and a name.
_DESCRIBED = re.compile(rf"({'|'.join(sorted(OBJECT_KINDS, key=len, reverse=True))}) (.*)", re.DOTALL)
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".(]+)')


@frozen(order=True)
class DatabaseObject:
    """One object of a schema, in a declaration or a snapshot.

    ``str()`` gives the form of messages and files: ``column users.email``.
    """

    #: One of ``OBJECT_KINDS``.
    kind: str
    #: Its name without the schema: ``users``, ``users.email``, ``"Orders"."createdAt"``,
    #: ``search_knowledge_base(vector,double precision,integer)``. A name is quoted if it holds anything but
    #: lower-case letters, digits and underscores. An object of another schema has that schema's name in front.
    name: str
    #: Its facts, as a snapshot has them, or None if only its name is known.
    facts: Facts | None = field(default=None, order=False, hash=False)
    #: The statement that makes it, for kinds that facts alone cannot make: functions, views, rules. None where
    #: it is not known.
    source: str | None = field(default=None, eq=False, repr=False)

    @classmethod
    def of(cls, text: str, facts: Facts | None = None) -> DatabaseObject:
        """Return the object of a text such as ``column users.email``.

        Args:
            text: A kind, a space and a name.
            facts: The facts of the object, or None.

        Raises:
            ValueError: The text begins with no kind of object, or holds no name.
        """
        match = _DESCRIBED.match(text)
        if match is None or not (name := match[2].strip()):
            raise ValueError(f"{text!r} names no object (kinds: {', '.join(OBJECT_KINDS)})")
        return cls(match[1], name, facts)

    @property
    def key(self) -> Key:
        """Kind and name, which identify the object."""
        return (self.kind, self.name)

    @property
    def definition(self) -> str | None:
        """Its facts in words, for messages, or None if they are not known."""
        return None if self.facts is None else words(self.facts)

    @property
    def parts(self) -> tuple[str, ...]:
        """The identifiers of its name, without quotes and without the arguments of a function."""
        return parts_of(self.name)

    def __str__(self) -> str:
        return f"{self.kind} {one_line(self.name)}"


def facts_of(value: Mapping[str, Any]) -> Facts:
    """Return the facts that a JSON or TOML document holds: a list becomes a tuple.

    Args:
        value: The facts of an object, by name.
    """
    return {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in value.items()}


def without(facts: Facts, *names: str) -> dict[str, Fact]:
    """Return facts without some of them.

    Args:
        facts: The facts of an object.
        names: The names of the others.
    """
    return {name: fact for name, fact in facts.items() if name not in names}


def words(facts: Facts) -> str:
    """Return facts in words: ``numeric(10,2) not null default 0``. Hashes are left out.

    Args:
        facts: The facts of an object.
    """
    return " ".join(_in_words(name, facts[name]) for name in in_order(facts) if name not in HASHED)


def in_order(facts: Facts) -> list[str]:
    """Return the names of facts in the order in which people read them: what an object is, and then its details."""
    return [*(name for name in _WORDS if name in facts), *sorted(name for name in facts if name not in _WORDS)]


def _in_words(name: str, value: Fact) -> str:
    if value is True and name not in _WORDS:
        return name.replace("_", " ")
    shown = ", ".join(value) if isinstance(value, tuple) else str(value)
    return _WORDS.get(name, name.replace("_", " ") + " {}").format(shown)


def rank_of(each: DatabaseObject) -> tuple[int, str]:
    """Return the rank of an object among others: by kind, and then by name. The columns of a relation keep their order.

    Args:
        each: The object.
    """
    name = each.name
    if each.kind == "column":
        last = parts_of(name)[-1] if '"' in name else name.rpartition(".")[2]
        name = name[: -len(quoted(last))]
    return _PLACES[each.kind], name


def quoted(identifier: str) -> str:
    """Return an identifier as the names of objects hold it: in quotes where it is not plain.

    Unlike the server's ``quote_ident()``, this does not depend on the keywords of a version.
    """
    return identifier if _PLAIN.fullmatch(identifier) else '"' + identifier.replace('"', '""') + '"'


@lru_cache(maxsize=1 << 14)  # the names of a large schema are asked for again and again
def parts_of(name: str) -> tuple[str, ...]:
    """Return the identifiers of an object's name, without quotes and without the arguments of a function."""
    found: list[str] = []
    end = 0
    for match in _PART.finditer(name):
        if match.start() != end:
            break
        found.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        end = match.end()
        if name[end : end + 1] != ".":
            break
        end += 1
    return tuple(found)


def structure(facts: Facts) -> dict[str, Fact]:
    """Return the facts that read the same on every server version, with a mark in place of each expression.

    Args:
        facts: The facts of an object.
    """
    return {name: _without_expressions(name, value) for name, value in facts.items()}


def _without_expressions(name: str, value: Fact) -> Fact:
    if name not in EXPRESSIONS:
        return value
    if name == "columns" and isinstance(value, tuple):
        return tuple("(...)" if each.startswith("(") else each for each in value)
    return True


def has_expressions(facts: Facts) -> bool:
    """Return whether an object has a fact that each server version may print otherwise."""
    return any(name in EXPRESSIONS and _without_expressions(name, value) != value for name, value in facts.items())
