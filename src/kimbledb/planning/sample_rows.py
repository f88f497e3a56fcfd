"""Sample rows for declared tables: INSERT statements that show whether a migration leaves existing rows alone. Pure.

A row is made up from the facts of its table: types, keys, checks with a list of values, and labels of enums. Not every
row fits its table; several variants are tried, and the rows that the server takes count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from attrs import frozen

from kimbledb.model.names import quote_literal
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.planning.fold import split
from kimbledb.planning.ids import FOREIGN_KEY, NAME
from kimbledb.planning.irrecoverable import TYPE
from kimbledb.planning.writer.names import written

#: For each variant of a row, the number for its values, and which columns get one: the required ones, all without a
#: default, all but references, or all; or every column that may be null is null.
_VARIANTS = ((1, "required"), (2, "all"), (3, "whole"), (0, "all"), (2, "no references"), (4, "nulls"))
_LITERAL = re.compile(r"'((?:[^']|'')*)'")


@frozen
class SampleTable:
    """A table with statements that insert sample rows into it."""

    name: str
    #: Each inserts one row, or fails.
    inserts: tuple[str, ...]


def sample_tables(objects: Mapping[Key, DatabaseObject], named_in: str | None = None) -> list[SampleTable]:
    """Return the tables that can hold rows, with the INSERT statements of sample rows, parents first.

    Args:
        objects: The objects of the schema.
        named_in: A text: the tables whose names it holds, and those that these refer to, are enough. None for all.
    """
    return list(_Samples(objects).tables(named_in))


@frozen
class _Reference:
    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


@frozen(slots=False, eq=False)
class _Samples:
    objects: Mapping[Key, DatabaseObject]

    def tables(self, named_in: str | None) -> Iterator[SampleTable]:
        """Yield the tables, parents first."""
        waiting = [
            name
            for (kind, name), each in self.objects.items()
            if kind == "table" and not {"server", "partition_of"} & (each.facts or {}).keys()
        ]
        if named_in is not None:
            near = dict.fromkeys(name for name in waiting if name in named_in)
            reached = list(near)
            for name in reached:
                further = [each.table for each in self._references.get(name, ()) if each.table not in near]
                near |= dict.fromkeys(further)
                reached += further
            waiting = [name for name in waiting if name in near]
        done: set[str] = set()
        while waiting:
            ready = [
                name
                for name in waiting
                if all(each.table in done or each.table == name for each in self._references.get(name, ()))
            ] or waiting[:1]  # in a circle
            for name in ready:
                yield SampleTable(name, tuple(dict.fromkeys(self._inserts(name))))
            done.update(ready)
            waiting = [name for name in waiting if name not in done]

    @cached_property
    def _columns(self) -> dict[str, list[DatabaseObject]]:
        found: dict[str, list[DatabaseObject]] = {}
        for (kind, name), each in self.objects.items():
            if kind == "column":
                found.setdefault(split(name)[0], []).append(each)
        return found

    @cached_property
    def _references(self) -> dict[str, list[_Reference]]:
        found: dict[str, list[_Reference]] = {}
        for (kind, name), each in self.objects.items():
            match = FOREIGN_KEY.match(str((each.facts or {}).get("key", ""))) if kind == "constraint" else None
            if match is not None:
                columns, targets = (tuple(map(_plain, NAME.findall(match[part]))) for part in ("own", "others"))
                found.setdefault(split(name)[0], []).append(
                    _Reference(columns, ".".join(map(quoted, parts_of(match["table"]))), targets)
                )
        return found

    @cached_property
    def _checks(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for (kind, name), each in self.objects.items():
            if kind == "constraint" and "check" in (each.facts or {}):
                found.setdefault(split(name)[0], []).append(str((each.facts or {})["check"]))
        return found

    @cached_property
    def _key_columns(self) -> set[tuple[str, str]]:
        """The columns of primary keys, which are not null."""
        return {
            (split(name)[0], _plain(column))
            for (kind, name), each in self.objects.items()
            if kind == "constraint" and str((each.facts or {}).get("key", "")).startswith("PRIMARY KEY")
            for column in NAME.findall(str((each.facts or {})["key"]).partition("(")[2].partition(")")[0])
        }

    def _inserts(self, table: str) -> Iterator[str]:
        for number, which in _VARIANTS:
            values = self._row(table, number, which)
            if values is not None:
                columns = ", ".join(written(quoted(column)) for column in values)
                row = f" ({columns}) VALUES ({', '.join(values.values())})" if values else " DEFAULT VALUES"
                yield f"INSERT INTO {written(table)}{row}"

    def _row(self, table: str, number: int, which: str) -> dict[str, str] | None:
        """Return the values of a row as SQL, by column, or None where a required column has a type without any."""
        references = self._referring(table, number, own=number > 1)
        row: dict[str, str] = {}
        for each in self._columns.get(table, ()):
            name, facts = parts_of(each.name)[-1], each.facts or {}
            if "generated" in facts or facts.get("identity") == "always":
                continue
            given = "default" in facts or "identity" in facts
            is_required = bool(facts.get("not_null") or (table, name) in self._key_columns)
            if given and not (which == "whole" or (which == "nulls" and not is_required)):
                continue
            if "identity" in facts or (which == "required" and not is_required):
                continue
            if which == "nulls" and not is_required:
                row[name] = "NULL"
                continue
            if name in references:
                if is_required or which != "no references":
                    row[name] = references[name]
                continue
            value = self._checked(table, name, number) or self._value(str(facts.get("type")), number)
            if value is not None:
                row[name] = value
            elif is_required and not given:
                return None
        return row

    def _referring(self, table: str, number: int, *, own: bool) -> dict[str, str]:
        """Return the values of the columns that refer to other rows. Two references to one table refer to two rows."""
        found: dict[str, str] = {}
        turns: dict[str, int] = {}
        for each in self._references.get(table, ()):
            if each.table == table and not own:
                continue
            turn = turns[each.table] = turns.get(each.table, number) + 1
            for column, target in zip(each.columns, each.targets, strict=False):
                found[column] = (
                    f"(SELECT {written(quoted(target))} FROM {written(each.table)} ORDER BY ctid OFFSET {turn % 2} LIMIT 1)"
                )
        return found

    def _checked(self, table: str, column: str, number: int) -> str | None:
        """Return a value that a check asks for: one of its list, or one at its lower bound; else None."""
        name = rf'(?<!\w)"?{re.escape(column)}"?(?:::[\w ]+)?\)?'
        for check in self._checks.get(table, ()):
            if column not in check:
                continue  # most are about others, and a pattern takes long to compile
            if re.search(f"{name} = ANY ", check):
                literals = _LITERAL.findall(check)
                return f"'{literals[number % len(literals)]}'" if literals else None
            if bounds := re.search(rf"{name} >=? (?P<low>\d+)(?:\D* <= (?P<high>\d+))?", check):
                low, high = int(bounds["low"]), int(bounds["high"] or 0)
                if low > 1 or high > 1:
                    return f"'{low + number}'"
                if high:
                    return f"'{low if number % 2 else high}'"
        return None

    def _value(self, of_type: str, number: int) -> str | None:
        found = TYPE.fullmatch(of_type)
        if found is None:
            return None
        name = f"{found['name']}{found['rest']}".strip()
        if found["array"]:
            value = self._value(of_type.removesuffix("[]"), number)
            return None if value is None or number == 0 else f"ARRAY[{value}]::{of_type}"
        own = self.objects.get(("type", ".".join(map(quoted, parts_of(name)))))
        if own is not None:
            return self._of_own_type(own.facts or {}, of_type, number)
        size = int(found["size"].split(",")[0]) if found["size"] else None
        make = _VALUES.get(name)
        return None if make is None else f"{make(number, size)}::{of_type}"

    def _of_own_type(self, facts: Facts, of_type: str, number: int) -> str | None:
        labels = facts.get("labels")
        if isinstance(labels, tuple):
            return f"{quote_literal(labels[number % len(labels)]).strip()}::{of_type}" if labels else None
        return self._value(str(facts["base"]), number) if "base" in facts else None


def _plain(text: str) -> str:
    return parts_of(text)[0] if text else text


def _text(number: int, size: int | None) -> str:
    return quote_literal(f"Sample {number}, longer than one word"[: size or None]).strip()


def _number(number: int, _size: int | None) -> str:
    return f"'{number}'"


def _fraction(number: int, size: int | None) -> str:
    return f"'{number % 10}.25'" if size != 1 else "'0.25'"


def _vector(_number: int, size: int | None) -> str:
    return f"'[{','.join(['0.1'] * (size or 3))}]'"


def _bits(_number: int, size: int | None) -> str:
    return f"B'{'1' * (size or 1)}'"


def _same(text: str) -> Callable[[int, int | None], str]:
    return lambda number, _size: text.replace("<n>", str(number))


_VALUES: Mapping[str, Callable[[int, int | None], str]] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid"), _number),
    **dict.fromkeys(("numeric", "real", "double precision", "money"), _fraction),
    **dict.fromkeys(("text", "character varying", "character", "citext", "name"), _text),
    **dict.fromkeys(("vector", "halfvec"), _vector),
    **dict.fromkeys(("bit", "bit varying"), _bits),
    **dict.fromkeys(("json", "jsonb"), _same("""'{"n": <n>, "list": [1, 2]}'""")),
    "boolean": lambda number, _size: f"'{number % 2 == 1}'",
    "uuid": lambda number, _size: f"'00000000-0000-4000-8000-{number:012}'",
    "date": _same("'200<n>-02-03'"),
    "timestamp without time zone": _same("'200<n>-02-03 04:05:06.789'"),
    "timestamp with time zone": _same("'200<n>-02-03 04:05:06.789+00'"),
    "time without time zone": _same("'0<n>:05:06.789'"),
    "time with time zone": _same("'0<n>:05:06.789+00'"),
    "interval": _same("'<n> day 2 hours'"),
    "bytea": _same(r"'\x0<n>ff'"),
    "inet": _same("'192.0.2.<n>'"),
    "cidr": _same("'192.0.<n>.0/24'"),
    "macaddr": _same("'08:00:2b:01:02:0<n>'"),
    "tsvector": _same("'sample:<n>'"),
    "tsquery": _same("'sample<n>'"),
    "xml": _same("'<a><n></a>'"),
    "point": _same("'(<n>,2)'"),
    "int4range": _same("'[<n>,9)'"),
    "int8range": _same("'[<n>,9)'"),
    "numrange": _same("'[<n>,9.5)'"),
    "daterange": _same("'[200<n>-01-01,2010-01-01)'"),
    "tstzrange": _same("'[200<n>-01-01,2010-01-01)'"),
    "tsrange": _same("'[200<n>-01-01,2010-01-01)'"),
    "hstore": _same("'n => <n>'"),
    "ltree": _same("'sample.n<n>'"),
}


def filling(tables: Iterable[SampleTable], row_count: int | None = None) -> str:
    """Return the body of a block that inserts the sample rows which fit their tables.

    Args:
        tables: The tables.
        row_count: The most rows for each table; None for all that fit.
    """
    attempts = "".join(
        f"    BEGIN\n{_unless_full(table, row_count)}        {insert};\n    EXCEPTION WHEN others THEN NULL;\n    END;\n"
        for table in tables
        for insert in table.inserts
    )
    return f"BEGIN\n{attempts}END"


def _unless_full(table: SampleTable, row_count: int | None) -> str:
    if row_count is None:
        return ""
    return f"        IF (SELECT count(*) FROM {written(table.name)}) >= {row_count} THEN RAISE EXCEPTION 'enough'; END IF;\n"
