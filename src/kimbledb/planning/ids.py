"""Ids that become uuids: one for each, by its text, with all columns that refer to it, and a table that keeps the old ones. Pure.

A uuid is made of the SHA-256 of the id and of the column that it comes from (version 8 of RFC 9562, appendix B.2): by
functions that each server has, and the same again wherever the same id stands. A text that is a uuid stays that one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import evolve

from kimbledb.model.completion import Conversion
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import Facts, Key, parts_of, quoted
from kimbledb.planning.conversions import IS_UUID, conversion_of
from kimbledb.planning.fold import split
from kimbledb.planning.writer.names import own_name, written

#: The table that holds the ids from before.
TABLE = "migration_ids"
_IDS = frozenset({"text", "character varying", "smallint", "integer", "bigint"})
#: The parts of a foreign key, and the names in its lists of columns.
FOREIGN_KEY = re.compile(r"FOREIGN KEY \((?P<own>[^)]*)\) REFERENCES (?P<table>[^(]+)\((?P<others>[^)]*)\)")
NAME = re.compile(r'"(?:[^"]|"")*"|[^\s,]+')
_KEY_OF_ONE = re.compile(r'(?:PRIMARY KEY|UNIQUE)(?: NULLS NOT DISTINCT)? \((?P<own>"(?:[^"]|"")*"|[^",]+)\)')


def conversions(
    wanted: Mapping[str, str],
    found: Mapping[Key, Facts],
    *,
    declared: Iterable[tuple[str, Facts]] = (),
    enums: Mapping[str, Collection[str]] | None = None,
) -> Iterator[Conversion | tuple[str, str]]:
    """Yield the conversions of columns, with those of the columns that foreign keys tie to them: a key joins columns of one type.

    Args:
        wanted: The later types, by column.
        found: The objects of the schema.
        declared: The names and facts of further foreign keys, by which ids are found in other tables.
        enums: The labels of enums, by name, as they are afterwards.

    Yields:
        Conversions; and for each column that no rule converts, wanted or at the other end of a key, its name and the reason.
    """
    keys = list(foreign_keys((name, facts) for (kind, name), facts in found.items() if kind == "constraint"))
    above = dict([*foreign_keys(declared), *keys])
    ends: dict[str, list[str]] = {}
    for own, other in keys:
        ends.setdefault(own, []).append(other)
        ends.setdefault(other, []).append(own)
    ids = {*above, *above.values(), *keys_of_one(found)}
    waiting = [(column, kind, "") for column, kind in wanted.items()]
    known = set(wanted)
    for column, later, why in waiting:
        there = found.get(("column", column))
        if there is None or there.get("type") == later:
            continue
        before = str(there["type"])
        root = _root(column, above)
        conversion = conversion_of(column, before, later, enums=enums)
        if later == "uuid" and before.partition("(")[0] in _IDS and column in ids:
            conversion = _to_uuid(Conversion(column, before, later, None), root)
        if conversion is None:
            yield column, why or f"column {column} is {before} instead of {later}, and no rule converts it"
            continue
        if away := [other for other in ends.get(column, ()) if ("column", other) not in found]:
            yield (
                column,
                f"column {column} is {before} instead of {later}, and a foreign key ties it to {away[0]}: drop that key first",
            )
            continue
        yield conversion
        for other in ends.get(column, ()):
            if other not in known:
                known.add(other)
                kind = found.get(("column", other), {}).get("type")
                waiting.append(
                    (other, later, f"column {other} is {kind}, refers to {column} and cannot become {later}")
                )


def held(wanted: Mapping[str, str], found: Mapping[Key, Facts], declared: Mapping[str, str]) -> Iterator[str]:
    """Yield the columns that keep the type which a key gives them: it refers to a column that is declared with another type.

    Args:
        wanted: The later types, by column.
        found: The objects of the schema.
        declared: The declared types of all columns.
    """
    above = dict(foreign_keys((name, facts) for (kind, name), facts in found.items() if kind == "constraint"))
    for column, later in wanted.items():
        root = _root(column, above)
        if root != column and declared.get(root, later) != later:
            yield column


def _to_uuid(conversion: Conversion, root: str) -> Conversion:
    own = own_name(conversion.column)
    text = f"{own}::text"
    digest = f"encode(sha256(convert_to({quote_literal(f'{root}:')} || {text}, 'UTF8')), 'hex')"
    made = f"overlay(overlay(left({digest}, 32) PLACING '8' FROM 13) PLACING 'a' FROM 17)::uuid"
    if conversion.before.startswith(("text", "character")):
        made = f"(CASE WHEN {text} {IS_UUID} THEN {text}::uuid ELSE {made} END)"
    return evolve(conversion, using=made, ids_of=root)


def keeping(conversions: Iterable[Conversion], sources: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the statements that note the ids of columns which are about to become uuids.

    Args:
        conversions: The conversions.
        sources: The names of the tables that hold the ids, where they have others.
    """
    those = [each for each in conversions if each.ids_of == each.column]
    if not those:
        return
    yield (
        f"CREATE TABLE IF NOT EXISTS {TABLE} (column_name text NOT NULL, old_id text NOT NULL, new_id uuid NOT NULL,"
        " PRIMARY KEY (column_name, old_id))"
    )
    yield f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY"
    yield f"COMMENT ON TABLE {TABLE} IS 'The ids that rows had before a migration made uuids of them'"
    for each in those:
        own, table = own_name(each.column), split(each.column)[0]
        source = written((sources or {}).get(table, table))
        yield (
            f"INSERT INTO {TABLE} (column_name, old_id, new_id) SELECT {quote_literal(each.column)}, {own}::text, {each.using}"
            f" FROM ONLY {source} WHERE {own}::text <> ({each.using})::text"
            " ON CONFLICT (column_name, old_id) DO NOTHING"
        )


def _root(column: str, above: Mapping[str, str]) -> str:
    """Return the column from which the ids of a column come: the one at the end of its keys."""
    passed = [column]
    while (other := above.get(passed[-1])) is not None and other not in passed:
        passed.append(other)
    return passed[-1]


def foreign_keys(constraints: Iterable[tuple[str, Facts]]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of columns that foreign keys join, the referring one first.

    Args:
        constraints: The names and facts of constraints, foreign keys among them.
    """
    for name, facts in constraints:
        key = FOREIGN_KEY.match(str(facts.get("key", "")))
        if key is None:
            continue
        table = split(name)[0]
        other = ".".join(map(quoted, parts_of(key["table"].strip())))
        for one, two in zip(NAME.findall(key["own"]), NAME.findall(key["others"]), strict=True):
            yield f"{table}.{one}", f"{other}.{two}"


def keys_of_one(found: Mapping[Key, Facts]) -> Iterator[str]:
    """Yield the columns each of which is a primary or a unique key alone.

    Args:
        found: The objects of the schema.
    """
    for (kind, name), facts in found.items():
        key = _KEY_OF_ONE.match(str(facts.get("key", ""))) if kind == "constraint" else None
        if key is not None:
            yield f"{split(name)[0]}.{key['own'].strip()}"
