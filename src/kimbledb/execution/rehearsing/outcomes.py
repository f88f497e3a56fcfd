"""Compare the outcomes of a query on two versions of the schema. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from kimbledb.catalog import statements
from kimbledb.model.redaction import MASK
from kimbledb.model.text import one_line

#: The classes of SQLSTATEs of values: which a type, a rule or a script does not take.
_OF_VALUES = ("22", "23", "P0")
_NOT_NULL = "23502"
#: The classes of SQLSTATEs that the server itself raises when it plans and executes a query.
_OF_SERVER = ("0A", "21", "22", "23", "25", "2F", "38", "39", "40", "42", "44", "53", "54", "55", "57")
#: A value in an error about values.
_VALUE = re.compile(r'"(?:[^"]|"")*"')
#: Types whose values every driver takes for each other.
_SAME_TYPES = {"varchar": "text", "varchar[]": "text[]"}
#: Categories of types within which a parameter may change: numbers, and texts.
_WIDE = ("N", "S")
_ORDER = re.compile(
    r".*\border\s+by\b(?P<items>[^()]*?)(?:\b(?:limit|offset|fetch|for)\b.*)?", re.IGNORECASE | re.DOTALL
)
_ITEM = re.compile(r'\s*(?:\w+\.)?"?(?P<name>\w+)"?\s*(?:\b(?:asc|desc)\b)?\s*(?:\bnulls\s+\w+)?\s*', re.IGNORECASE)
_CUT = re.compile(r"\b(?:limit|offset|fetch)\b", re.IGNORECASE)

Columns = Sequence[tuple[str, str]]
#: The rows that a table has afterwards and had not before, and the reverse.
_Change = tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]


@frozen
class Tables:
    """The tables of one version: the name of each, and the number of each column, by oid."""

    names: Mapping[int, str] = field(factory=dict)
    columns: Mapping[int, Mapping[str, int]] = field(factory=dict)
    #: The tables that did not take all of the rows that are held.
    refused: Collection[int] = ()

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Tables:
        """Return those of an answer to a round."""
        found = {int(oid): each for oid, each in answer["tables"].items()}
        return cls(
            {oid: name for oid, (name, _) in found.items()},
            {oid: columns for oid, (_, columns) in found.items()},
            frozenset(answer["refused"]),
        )

    def same(self, oid: int, there: Tables) -> int | None:
        """Return the table of another version that a table of this one is: itself, or the one of its name; else None."""
        if oid in there.names:
            return oid
        name = self.names.get(oid)
        return next((other for other, each in there.names.items() if each == name), None)


@frozen
class Outcome:
    """The outcome of one execution."""

    #: SQLSTATE and message of what it meets; None where it works.
    error: tuple[str, str] | None
    #: The values of each row, in the order of its columns.
    rows: Sequence[tuple[str, ...]] = ()
    #: The types of its parameters, each after the letter of its category.
    parameters: Sequence[str] = ()
    #: The changed rows of each table, by oid.
    left: Mapping[int, _Change] = field(factory=dict)
    #: The tables that it reads or writes.
    touched: Collection[int] = ()
    #: Whether it ran as its role: to become another one takes a superuser.
    assumed: bool = True

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Outcome:
        """Return the outcome of an answer."""
        error = answer["error"]
        return cls(
            None if error is None else (error[0], error[1].splitlines()[0] if error[1] else ""),
            [
                tuple(json.dumps(value) for _, value in json.loads(row, object_pairs_hook=list))
                for row in answer["rows"]
            ],
            answer["parameters"] or (),
            {int(oid): (new, old) for oid, (new, old) in answer["left"].items()},
            frozenset(answer["touched"]),
            answer["assumed"],
        )


@frozen
class Before:
    """An execution before the plan, twice: what differs there is not compared."""

    first: Outcome
    second: Outcome
    tables: Tables

    @property
    def works(self) -> bool:
        """Whether it works."""
        return self.first.error is None and self.second.error is None


def changed_columns(before: Columns, after: Columns) -> str | None:
    """Return the difference between the columns of two results in words, or None."""
    known, there = ([(name, _SAME_TYPES.get(kind, kind)) for name, kind in each] for each in (before, after))
    if known == there:
        return None
    was, now = dict(known), dict(there)
    lines = [f"column {name} {kind} is gone" for name, kind in was.items() if name not in now]
    lines += [f"column {name} {kind} is new" for name, kind in now.items() if name not in was]
    lines += [
        f"column {name} changes from {was[name]} to {kind}" for name, kind in now.items() if was.get(name, kind) != kind
    ]
    return f"its result is another: {', '.join(lines) or 'its columns are in another order'}"


def difference(
    query: str, columns: Columns, before: Before, after: Outcome, there: Tables, *, fixed: bool
) -> str | None:
    """Return the reason why an execution no longer works as before, or None.

    Args:
        query: The query.
        columns: The columns of its result.
        before: Its outcomes before the plan.
        after: Its outcome now.
        there: The tables that are there now.
        fixed: Whether the rows lie in the tables in the same order as before, so that LIMIT takes the same ones.
    """
    if after.error is not None:
        return described(after.error) if _is_new(before, after.error) else None
    if not before.works:
        return None
    if (other := _other_parameters(before.first, after)) is not None:
        return other
    touched = {before.tables.same(oid, there) for oid in before.first.touched} | set(after.touched)
    if touched & set(there.refused):
        return None  # the rows are not the same
    return _other_rows(query, columns, before, after, fixed=fixed) or next(
        _left_otherwise(before, after, there, fixed=fixed), None
    )


def described(error: tuple[str, str]) -> str:
    """Return an error as a reason, without any value of a row: those of types quote one, and a script's own may."""
    code, message = error
    if code.startswith("22"):
        message = _VALUE.sub(f'"{MASK}"', message)
    elif not code.startswith(_OF_SERVER):
        message = "an error that a function raises"
    return one_line(f"{message} (SQLSTATE {code})")


def _is_new(before: Before, error: tuple[str, str]) -> bool:
    """Whether an error is another than before: values that are made up for parameters break rules, as well."""
    known = [each.error for each in (before.first, before.second) if each.error is not None]
    if not known:
        return True
    if error[0] == _NOT_NULL:
        return error not in known
    if error[0] in {code for code, _ in known}:
        return False
    return not (error[0].startswith(_OF_VALUES) and any(code.startswith(_OF_VALUES) for code, _ in known))


def _other_parameters(before: Outcome, after: Outcome) -> str | None:
    for number, (was, now) in enumerate(zip(before.parameters, after.parameters, strict=False), 1):
        if was != now and not (was[0] == now[0] and was[0] in _WIDE):
            return f"parameter {number} changes from {was[2:]} to {now[2:]}"
    return None


def _other_rows(query: str, columns: Columns, before: Before, after: Outcome, *, fixed: bool) -> str | None:
    first, second, now = before.first.rows, before.second.rows, after.rows
    if len(first) != len(second):
        return None
    if len(first) != len(now):
        return f"it returns {len(now)} rows instead of {len(first)}"
    skeleton = next((each.skeleton for each in statements.split(query)), query)
    order = _ordering(skeleton, [name for name, _ in columns])
    stable = [place for place in range(len(columns)) if _column(first, place) == _column(second, place)]
    if fixed or _CUT.search(skeleton) is None:
        if _project(first, stable) != _project(second, stable):
            return None
        if _project(first, stable) != _project(now, stable):
            other = ", ".join(columns[place][0] for place in stable if _column(first, place) != _column(now, place))
            return f"it returns other values of {other}" if other else "it returns other rows"
    sorted_by = [place for place in order if place in stable]
    if sorted_by == order and order and [_of(row, order) for row in first] != [_of(row, order) for row in now]:
        return "it returns its rows in another order"
    return None


def _ordering(skeleton: str, columns: Sequence[str]) -> list[int]:
    """Return the places of the columns by which a result is sorted, as far as they are in it."""
    found = _ORDER.fullmatch(skeleton.rstrip().rstrip(";"))
    if found is None:
        return []
    places = []
    for item in found["items"].split(","):
        name = _ITEM.fullmatch(item)
        if name is not None and name["name"].isdigit() and 0 < int(name["name"]) <= len(columns):
            places.append(int(name["name"]) - 1)
        elif name is not None and name["name"] in columns:
            places.append(columns.index(name["name"]))
        else:
            break
    return places


def _of(row: Sequence[str], places: Sequence[int]) -> tuple[str, ...]:
    return tuple(row[each] for each in places if each < len(row))


def _column(rows: Sequence[Sequence[str]], place: int) -> Counter[tuple[str, ...]]:
    return Counter(_of(row, [place]) for row in rows)


def _project(rows: Sequence[Sequence[str]], places: Sequence[int]) -> Counter[tuple[str, ...]]:
    return Counter(_of(row, places) for row in rows)


def _left_otherwise(before: Before, after: Outcome, there: Tables, *, fixed: bool) -> Iterator[str]:
    """Yield how the rows that it leaves differ."""
    tables = before.tables
    seen = set()
    for oid in before.first.left:
        now = tables.same(oid, there)
        if now is None or now not in there.columns:
            continue
        seen.add(now)
        numbers = there.columns[now]
        # A column that was renamed has its number, and one of another table its name.
        names = {name: name if now != oid else _named(numbers, number) for name, number in tables.columns[oid].items()}
        for name, new in names.items():
            first, second = (_net(each.left.get(oid), name) for each in (before.first, before.second))
            if new is None or new not in numbers or first != second:
                continue
            added, removed = _net(after.left.get(now), new)
            # The migration may have changed the values of rows that are removed.
            if first[0] != added or (first[1] != removed if fixed else first[1].total() != removed.total()):
                yield f"it leaves other values in column {tables.names[oid]}.{name}"
    for oid, change in after.left.items():
        if oid not in seen and oid in tables.names and any(change):
            yield f"it changes rows of {tables.names[oid]}"


def _named(numbers: Mapping[str, int], number: int) -> str | None:
    return next((name for name, each in numbers.items() if each == number), None)


def _net(change: _Change | None, column: str) -> tuple[Counter[str], Counter[str]]:
    """Return the values that a column has more often, and less often, than before."""
    new, old = (Counter(json.dumps(row.get(column)) for row in rows) for rows in change or ((), ()))
    return new - old, old - new
