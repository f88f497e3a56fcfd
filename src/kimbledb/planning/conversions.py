"""Conversions: the rules by which a column gets another type and keeps what its values mean. Pure.

One list serves all: the completion of a table that was there before, and the repairs that say by ``expects`` which type
a column must have. A change of type that no rule names is a conflict, and is never tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kimbledb.model.completion import Conversion
from kimbledb.model.objects import Facts, Key, parts_of, quoted
from kimbledb.planning.fold import split
from kimbledb.planning.writer.names import own_name

_TEXTS = frozenset({"text", "character varying", "character"})
#: Types of numbers, each with those that hold all of its values.
_WIDER = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric", "double precision"),
    "numeric": ("double precision",),
    "real": ("double precision", "numeric"),
}
#: By the earlier and the later type: the expression of the later value, with ``{}`` for the column.
_RULES = {
    ("uuid", "text"): "{}::text",
    ("json", "jsonb"): "{}::jsonb",
    ("text", "jsonb"): "{}::jsonb",
    ("text", "json"): "{}::json",
    # A time without a zone is UTC here, whatever the session says.
    ("timestamp without time zone", "timestamp with time zone"): "timezone('UTC', {})",
    ("date", "timestamp with time zone"): "timezone('UTC', {}::timestamp)",
    ("date", "timestamp without time zone"): "{}::timestamp",
}
#: A type and what stands in parentheses, which may be inside of it: ``timestamp(3) with time zone``.
_MODIFIER = re.compile(r"\(([\d, ]+)\)")
_FOREIGN_KEY = re.compile(r"FOREIGN KEY \((?P<own>[^)]*)\) REFERENCES (?P<table>[^(]+)\((?P<others>[^)]*)\)")
_NAME = re.compile(r'"(?:[^"]|"")*"|[^\s,]+')


def conversion_of(column: str, before: str, after: str) -> Conversion | None:
    """Return the conversion of a column, or None if no rule names it.

    Args:
        column: The column, such as ``users.id``.
        before: Its type, as the server prints it.
        after: Its later type.
    """
    using = _using(*_split(before), *_split(after))
    return None if using is None else Conversion(column, before, after, using.format(own_name(column), type=after))


def with_references(conversions: Iterable[Conversion], found: Mapping[Key, Facts]) -> Iterator[Conversion | str]:
    """Yield conversions with those of the columns that foreign keys tie to them: a key joins columns of one type.

    Args:
        conversions: The conversions.
        found: The objects of the schema.

    Yields:
        Conversions; and as a text each column at the other end of a key that no rule converts.
    """
    ends: dict[str, list[str]] = {}
    for own, other in _tied(found):
        ends.setdefault(own, []).append(other)
        ends.setdefault(other, []).append(own)
    waiting = list(conversions)
    known = {each.column for each in waiting}
    for each in waiting:
        yield each
        for other in ends.get(each.column, ()):
            there = found.get(("column", other))
            if other in known or there is None or there.get("type") == each.after:
                continue
            known.add(other)
            following = conversion_of(other, str(there["type"]), each.after)
            if following is None:
                yield f"column {other} is {there['type']}, refers to {each.column} and cannot become {each.after}"
            else:
                waiting.append(following)


def _tied(found: Mapping[Key, Facts]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of columns that foreign keys join."""
    for (kind, name), facts in found.items():
        key = _FOREIGN_KEY.match(str(facts.get("key", ""))) if kind == "constraint" else None
        if key is None:
            continue
        table = split(name)[0]
        other = ".".join(map(quoted, parts_of(key["table"].strip())))
        for one, two in zip(_NAME.findall(key["own"]), _NAME.findall(key["others"]), strict=True):
            yield f"{table}.{one}", f"{other}.{two}"


def _split(kind: str) -> tuple[str, tuple[int, ...]]:
    """Return a type without its modifier, and the numbers of the modifier."""
    found = _MODIFIER.search(kind)
    if found is None:
        return kind, ()
    return kind[: found.start()] + kind[found.end() :], tuple(map(int, found[1].split(",")))


def _using(old: str, size: tuple[int, ...], new: str, later: tuple[int, ...]) -> str | None:
    if old == new:
        return "{}::{type}" if _is_wider(old, size, later) else None
    if old in _TEXTS and new in _TEXTS:
        # What a character(n) pads is no part of its value.
        return "{}::{type}" if not later or (size and size <= later) else None
    if not later and new in _WIDER.get(old, ()):
        return "{}::{type}"
    rule = _RULES.get(("text" if old in _TEXTS else old, new))
    return rule if not later or new.startswith("timestamp") else None


def _is_wider(kind: str, size: tuple[int, ...], later: tuple[int, ...]) -> bool:
    """Return whether a type with another modifier holds all values."""
    if not later:
        return True
    if not size:
        return False
    if kind == "numeric":
        digits, scale = (*size, 0)[:2]
        more, finer = (*later, 0)[:2]
        return finer >= scale and more - finer >= digits - scale
    return size <= later
