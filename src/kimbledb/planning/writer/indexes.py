"""Indexes and extended statistics."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kimbledb.model.names import split_list
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning.writer.names import (
    changed_options,
    list_of,
    options,
    own_name,
    parenthesized,
    text,
    texts,
    with_options,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, attachment_of, facts_of

#: The columns of a key.
_KEYED = re.compile(r"(?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) \((.*?)\)(?: |$)")
#: The options after a column of an index.
_ORDER = re.compile(r"(?: DESC)?(?: NULLS (?:FIRST|LAST))?$")
#: The facts of an index that a statement changes; any other change makes another index.
_CHANGEABLE = frozenset({"options", "tablespace", "statistics", "invalid"})


def create(index: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make an index.

    The index of a partitioned table is made after those of its partitions, and takes up those that fit. Where it must
    not take up all, or where several fit, it is made alone, and those of the partitions are attached to it by name.
    """
    facts = facts_of(index)
    on = str(facts["on"])
    needs: set[Key] = {("table", on), ("view", on), *(each.key for each in around.parts("column", on))}
    needs |= around.needs_of(index.key)
    alone = is_made_alone(index.name, around)
    if alone:
        needs |= {attachment_of(each) for each in around.children(on)}
    else:
        needs |= {each.key for each in around.below(on, index.name)}
    yield Piece(_statement(index, facts, "ONLY " if alone else ""), Rank.INDEX, (index.key,), needs)
    yield from attachment(index, around)
    for step in _statistics({}, facts):
        yield Piece(f"ALTER INDEX {written(index.name)} {step}", Rank.MARK, needs={index.key})


def attachment(index: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that attaches an index of a partition to that of its parent, where this is made alone.

    Args:
        index: The index of the partition.
        around: The objects around it.
    """
    facts = facts_of(index)
    parent = text(facts, "partition_of")
    if parent is not None and ("index", parent) in around.made and is_made_alone(parent, around):
        statement = f"ALTER INDEX {written(parent)} ATTACH PARTITION {written(index.name)}"
        needs = {index.key, ("index", parent), attachment_of(str(facts["on"]))}
        yield Piece(statement, Rank.MARK, (_attached(index.name),), needs)


def _attached(index: str) -> Key:
    """Return what a statement needs that comes after the index of a partition is attached to that of its parent."""
    return ("index attachment", index)


def attachments_below(index: DatabaseObject, around: Surroundings) -> Iterator[Key]:
    """Yield what a statement needs that comes after the index of a partitioned table is valid.

    Args:
        index: The index.
        around: The objects around it.
    """
    for each in around.below(str(facts_of(index).get("on")), index.name):
        if each.kind == "index":
            yield _attached(each.name)
            yield from attachments_below(each, around)


def is_made_alone(name: str, around: Surroundings) -> bool:
    """Return whether an index of a partitioned table is made without those of the partitions.

    Args:
        name: The index.
        around: The objects around it.
    """
    facts = around.facts("index", name)
    on = str(facts.get("on"))
    if "partition_by" not in around.facts("table", on):
        return False
    own = _columns(facts)
    return bool(facts.get("invalid")) or any(
        [_columns(facts_of(each)) for each in (*around.indexes(table), *around.parts("constraint", table))].count(own)
        > 1
        for table in (on, *around.children(on))
    )


def _columns(facts: Facts) -> tuple[str, ...] | None:
    """Return the columns of an index or a key without their order: by them the server finds an index that fits."""
    keyed = _KEYED.match(str(facts.get("key", "")))
    columns = split_list(keyed[1]) if keyed else texts(facts, "columns")
    return tuple(_ORDER.sub("", each) for each in columns) or None


def _statement(index: DatabaseObject, facts: Facts, only: str) -> str:
    # An index is made in the schema of its table, which stands in no name of a new one.
    name = own_name(index.name)
    words = [f"CREATE {'UNIQUE ' if facts.get('unique') else ''}INDEX {name} ON {only}{written(str(facts['on']))}"]
    if method := text(facts, "method"):
        words.append(f"USING {written(method)}")
    words.append(f"({', '.join(texts(facts, 'columns'))})")
    if include := texts(facts, "include"):
        words.append(f"INCLUDE ({list_of(include)})")
    if facts.get("nulls_not_distinct"):
        words.append("NULLS NOT DISTINCT")
    if values := options(facts):
        words.append(f"WITH {with_options(values)}")
    if tablespace := text(facts, "tablespace"):
        words.append(f"TABLESPACE {written(tablespace)}")
    if where := text(facts, "where"):
        words.append(f"WHERE {parenthesized(where)}")
    return " ".join(words)


def _statistics(old: Facts, new: Facts) -> Iterator[str]:
    before, after = (dict(each.split(" ") for each in texts(facts, "statistics")) for facts in (old, new))
    for column in {**before, **after}:
        if before.get(column) != after.get(column):
            yield f"ALTER COLUMN {column} SET STATISTICS {after.get(column, -1)}"


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change an index, or None if it must be dropped and made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    fixed = {fact for fact in {*old, *new} - _CHANGEABLE if old.get(fact) != new.get(fact)}
    if fixed - {"partition_of"} or (fixed and "partition_of" in old) or (new.get("invalid") and not old.get("invalid")):
        return None
    return _changed(after, old, new)


def _changed(index: DatabaseObject, old: Facts, new: Facts) -> Iterator[str]:
    own = written(index.name)
    for step in (*changed_options(options(old), options(new)), *_statistics(old, new)):
        yield f"ALTER INDEX {own} {step}"
    if old.get("tablespace") != new.get("tablespace"):
        yield f"ALTER INDEX {own} SET TABLESPACE {written(text(new, 'tablespace') or 'pg_default')}"
    if old.get("invalid") and not new.get("invalid"):
        yield f"REINDEX INDEX {own}"
    if "partition_of" in new and "partition_of" not in old:
        yield f"ALTER INDEX {written(str(new['partition_of']))} ATTACH PARTITION {own}"


def drop(index: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops an index."""
    del around
    return f"DROP INDEX {written(index.name)}"


def rename(index: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives an index another name."""
    del around
    return f"ALTER INDEX {written(index.name)} RENAME TO {to}"


def create_statistics(statistics: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make extended statistics."""
    facts = facts_of(statistics)
    on = str(facts["on"])
    kinds = f" ({list_of(texts(facts, 'kinds'))})" if "kinds" in facts else ""
    items = [*map(written, texts(facts, "columns")), *map(parenthesized, texts(facts, "expressions"))]
    home: set[Key] = {("table", on), ("view", on), *(each.key for each in around.parts("column", on))}
    yield Piece(
        f"CREATE STATISTICS {written(statistics.name)}{kinds} ON {', '.join(items)} FROM {written(on)}",
        Rank.STATISTICS,
        (statistics.key,),
        home | around.needs_of(statistics.key),
    )
    if "target" in facts:
        yield Piece(_target(statistics, facts), Rank.MARK, needs={statistics.key})


def _target(statistics: DatabaseObject, facts: Facts) -> str:
    return f"ALTER STATISTICS {written(statistics.name)} SET STATISTICS {facts.get('target', -1)}"


def alter_statistics(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statement that changes extended statistics, or None if they must be dropped and made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    if any(old.get(fact) != new.get(fact) for fact in {*old, *new} - {"target"}):
        return None
    return iter([_target(after, new)])
