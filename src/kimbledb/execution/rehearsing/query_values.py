"""Values for the parameters of queries: of rows in the column that a parameter is for, and others of its type. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from kimbledb.model.names import quote_literal, words_in

#: The most different values of a column that are tried.
_MOST = 4
#: The most executions of one query.
_MOST_TRIES = 10
_NAME = r'"?(?P<column>\w+)"?'
_COMPARED = re.compile(
    rf"{_NAME}\s*(?:=\s*(?:any|all)\b|[=<>!]+|(?:not\s+)?(?:i?like|in|between)\b)\s*\(?\s*\$(?P<number>\d+)",
    re.IGNORECASE,
)
_INSERTED = re.compile(
    r"\binsert\s+into\s+[\w.\"]+\s*(?:as\s+\w+\s*)?\((?P<columns>[^()]*)\)\s*(?:overriding\s+\w+\s+value\s+)?values\s*\(",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"\s*\$(?P<number>\d+)\s*(?:::.*)?", re.DOTALL)
#: Two values for each category of types (manual, pg_type.typcategory), and one that no row has.
_OF_CATEGORY: Mapping[str, tuple[str, ...]] = {
    "N": ("1", "12345.6", "1000003"),
    "S": ("x", "x" * 60, "fresh"),
    "B": ("true", "false", "true"),
    "D": ("2000-01-01", "2040-02-03", "2031-04-05"),
    "T": ("1 day", "2 days", "3 days"),
    "A": ("{}", "{}", "{}"),
    "R": ("empty", "empty", "empty"),
    "I": ("127.0.0.1", "127.0.0.2", "127.0.0.3"),
}
_OF_TYPE: Mapping[str, tuple[str, ...]] = {
    "int2": ("1", "30000", "30001"),
    "int4": ("1", "2000000000", "1000003"),
    "int8": ("1", "3000000000", "1000003"),
    "time": ("00:00", "23:59", "12:00"),
    "timetz": ("00:00", "23:59", "12:00"),
    "uuid": tuple(f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)),
    "json": ("{}", "[]", "{}"),
    "jsonb": ("{}", "[]", "{}"),
    "bytea": (r"\x00", r"\x01", r"\x02"),
}


@frozen
class HeldTable:
    """A table with some of its rows."""

    oid: int
    name: str
    #: The number of each column, by its name.
    columns: Mapping[str, int]
    #: The columns of its keys and unique indexes.
    keys: Sequence[str]
    rows: Sequence[Mapping[str, Any]]


@frozen
class Parameter:
    """The type of a parameter: its name, its category, and the labels of an enum."""

    type: str
    category: str
    labels: Sequence[str] = ()

    @property
    def values(self) -> tuple[str | None, ...]:
        """Some values of the type, the last of which stands in no row; None for NULL."""
        if self.labels:
            return (*self.labels[: _MOST + 2], self.labels[0])
        return _OF_TYPE.get(self.type) or _OF_CATEGORY.get(self.category) or (None,)


def tries_of(query: str, parameters: Sequence[Parameter], held: Sequence[HeldTable]) -> list[tuple[str, ...]]:
    """Return the values with which a query is executed, as SQL: one tuple for each time.

    Args:
        query: The query, with numbered placeholders.
        parameters: Their types.
        held: The tables with rows.
    """
    if not parameters:
        return [()]
    words = words_in(query)
    inserted = dict(_inserted(query))
    columns = {int(each["number"]): each["column"] for each in _COMPARED.finditer(query)} | inserted
    tables = [each for each in held if each.name in words]
    found = [_values_in(tables, columns.get(number), each) for number, each in enumerate(parameters, 1)]
    keys = {number for number, name in inserted.items() if any(name in each.keys for each in tables)}
    fresh = [number in keys for number in range(1, len(found) + 1)]

    def row(turn: int) -> list[str | None]:
        return [
            each.values[-1] if is_fresh else (own[turn % len(own)] if own else each.values[0])
            for own, each, is_fresh in zip(found, parameters, fresh, strict=True)
        ]

    tries = [row(turn) for turn in range(max(1, *map(len, found)))]
    for turn in range(max(len(each.values) for each in parameters)):
        tries.append([each.values[turn % len(each.values)] for each in parameters])
    for place, each in enumerate(parameters):
        for value in each.values[:-1]:
            changed = row(0)
            changed[place] = value
            tries.append(changed)
    unique = dict.fromkeys(tuple(map(_written, each)) for each in tries)
    return list(unique)[:_MOST_TRIES]


def _inserted(query: str) -> Iterator[tuple[int, str]]:
    """Yield the parameters that an INSERT writes into columns."""
    for found in _INSERTED.finditer(query):
        names = [each.strip().strip('"') for each in found["columns"].split(",")]
        for name, item in zip(names, _items(query, found.end()), strict=False):
            if alone := _PARAMETER.fullmatch(item):
                yield int(alone["number"]), name


def _items(text: str, start: int) -> Iterator[str]:
    """Yield the parts between commas up to the parenthesis that closes."""
    depth, begin = 0, start
    for place in range(start, len(text)):
        if text[place] == "(":
            depth += 1
        elif depth == 0 and text[place] in ",)":
            yield text[begin:place]
            begin = place + 1
            if text[place] == ")":
                return
        elif text[place] == ")":
            depth -= 1


def _values_in(tables: Sequence[HeldTable], column: str | None, parameter: Parameter) -> list[str | None]:
    if column is None:
        return []
    found: dict[str | None, None] = {}
    for table in tables:
        if column in table.columns:
            for row in table.rows:
                found.setdefault(_text(row.get(column), parameter))
    known = [each for each in found if each is not None][:_MOST]
    return [*known, None] if None in found else [*known]


def _text(value: Any, parameter: Parameter) -> str | None:
    if value is None:
        return None
    if parameter.category == "A":
        items = value if isinstance(value, list) else [value]
        return "{" + ",".join(json.dumps(each if isinstance(each, str) else json.dumps(each)) for each in items) + "}"
    return value if isinstance(value, str) and not parameter.type.startswith("json") else json.dumps(value)


def _written(value: str | None) -> str:
    return "NULL" if value is None else quote_literal(value).strip()
