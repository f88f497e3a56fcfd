"""Tables: CREATE TABLE with its columns and those constraints that may stand in it, and the settings of a table."""

from __future__ import annotations

from collections.abc import Iterator

from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning.writer import columns, constraints
from kimbledb.planning.writer.names import (
    changed_foreign_options,
    changed_options,
    foreign_options,
    list_of,
    options,
    own_name,
    text,
    texts,
    with_options,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, attachment_of, facts_of

#: The marks on a table, each with the words that set it and those that take it away.
_MARKS = {
    "row_security": ("ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY"),
    "forced": ("FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"),
    "unlogged": ("SET UNLOGGED", "SET LOGGED"),
}
#: The facts that no statement changes.
_FIXED = ("partition_by", "server")


def create(table: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a table, with its columns."""
    facts = facts_of(table)
    parts = [
        each
        for each in around.parts("column", table.name)
        if each.key in around.made and not columns.comes_late(each, around)
    ]
    inline = [
        each
        for each in around.parts("constraint", table.name)
        if each.key in around.made and constraints.stands_in_table(each, around)
    ]
    needs: set[Key] = around.needs_of(table.key, *(each.key for each in inline))
    needs.update(*(columns.early_needs(each, around) for each in parts))
    needs |= {("table", name) for name in texts(facts, "inherits")}
    needs |= {("type", name) for name in texts(facts, "of_type")}
    makes = (table.key, *(each.key for each in (*parts, *inline)))
    statement = _statement(table, [*_columns(parts, facts, around), *map(constraints.in_table, inline)])
    yield Piece(statement, Rank.TABLE, makes, needs - set(makes))
    yield from attachment(table, around)
    home = {table.key}
    for mark in ("row_security", "forced"):
        if facts.get(mark):
            yield Piece(f"ALTER TABLE {written(table.name)} {_MARKS[mark][0]}", Rank.SECURITY, needs=home)
    for step, index in _marked_indexes(facts):
        keys = [
            ("index", index),
            *(each.key for each in around.parts("constraint", table.name) if own_name(each.name) == written(index)),
        ]
        yield Piece(f"ALTER TABLE {written(table.name)} {step}", Rank.MARK, needs=home.union(keys if index else ()))


def _columns(parts: list[DatabaseObject], facts: Facts, around: Surroundings) -> Iterator[str]:
    for each in parts:
        if "of_type" in facts:
            if words := list(columns.constraints(each, around)):
                yield f"{own_name(each.name)} WITH OPTIONS {' '.join(words)}"
        elif "partition_of" in facts or not facts_of(each).get("inherited"):
            yield f"{own_name(each.name)} {columns.definition(each, around)}"
        elif columns.has_own_not_null(each):
            yield f"CONSTRAINT {columns.not_null_name(each, around)} NOT NULL {own_name(each.name)}"


def _statement(table: DatabaseObject, lines: list[str]) -> str:
    facts = facts_of(table)
    kind = "FOREIGN TABLE" if "server" in facts else "UNLOGGED TABLE" if facts.get("unlogged") else "TABLE"
    of_type = text(facts, "of_type")
    body = "(\n    " + ",\n    ".join(lines) + "\n)" if lines else "" if of_type else "()"
    words = [f"CREATE {kind} {written(table.name)}", f"OF {written(of_type)}" if of_type else "", body]
    if "inherits" in facts:
        words.append(f"INHERITS ({list_of(texts(facts, 'inherits'))})")
    if partitioned := text(facts, "partition_by"):
        words.append(f"PARTITION BY {partitioned}")
    if server := text(facts, "server"):
        words.append(f"SERVER {written(server)}")
    words.append(foreign_options(facts))
    if method := text(facts, "access_method"):
        words.append(f"USING {written(method)}")
    if values := options(facts):
        words.append(f"WITH {with_options(values)}")
    if tablespace := text(facts, "tablespace"):
        words.append(f"TABLESPACE {written(tablespace)}")
    return " ".join(filter(None, words))


def attachment(table: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that attaches a partition, after its own keys and indexes: those are attached with it.

    Args:
        table: The partition. Nothing is yielded for any other table.
        around: The objects around it.
    """
    facts = facts_of(table)
    parent = text(facts, "partition_of")
    if parent is None:
        return
    needs = {table.key, ("table", parent), *(each.key for each in around.parts("column", parent))}
    needs |= {
        each.key
        for each in around.parts("constraint", table.name)
        if not constraints.is_reference(facts_of(each)) and not constraints.is_waiting(facts_of(each))
    }
    needs |= {each.key for each in around.indexes(table.name)}
    yield Piece(_attach(parent, table.name, facts), Rank.PARTITION, (attachment_of(table.name),), needs)


def _attach(parent: str, table: str, facts: Facts) -> str:
    return f"ALTER TABLE {written(parent)} ATTACH PARTITION {written(table)} {facts['bound']}"


def _marked_indexes(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the words that mark an index of a table, or all or no columns as its identity, and that index."""
    if clustered := text(facts, "clustered_on"):
        yield f"CLUSTER ON {written(clustered)}", clustered
    identity = text(facts, "replica_identity")
    if identity is not None:
        kind, _, index = identity.partition(" ")
        yield f"REPLICA IDENTITY {f'USING INDEX {written(index)}' if index else kind.upper()}", index


def marked(facts: Facts) -> list[str]:
    """Return the indexes and keys that a table is clustered on, or identified by."""
    return [index for _, index in _marked_indexes(facts) if index]


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a table, or None if it must be dropped and made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    return None if any(old.get(each) != new.get(each) for each in _FIXED) else _changed(after, old, new)


def _changed(table: DatabaseObject, old: Facts, new: Facts) -> Iterator[str]:
    yield from _moved(table, old, new)
    if foreign := changed_foreign_options(old, new):
        yield f"ALTER FOREIGN TABLE {written(table.name)} {foreign}"
    for step in _steps(old, new):
        yield f"ALTER TABLE {written(table.name)} {step}"


def _moved(table: DatabaseObject, old: Facts, new: Facts) -> Iterator[str]:
    """Yield the statements that take a table from the tables above it, and give it to others."""
    name = written(table.name)
    places = [(text(facts, "partition_of"), text(facts, "bound")) for facts in (old, new)]
    if places[0] != places[1]:
        if (parent := places[0][0]) is not None:
            yield f"ALTER TABLE {written(parent)} DETACH PARTITION {name}"
        if (parent := places[1][0]) is not None:
            yield _attach(parent, table.name, new)
    before, after = texts(old, "inherits"), texts(new, "inherits")
    kept = [each for each in before if each in after]
    if kept != list(after[: len(kept)]):
        kept = []
    yield from (f"ALTER TABLE {name} NO INHERIT {written(each)}" for each in before if each not in kept)
    yield from (f"ALTER TABLE {name} INHERIT {written(each)}" for each in after if each not in kept)


def _steps(old: Facts, new: Facts) -> Iterator[str]:
    for mark, (on, off) in _MARKS.items():
        if old.get(mark) != new.get(mark):
            yield on if new.get(mark) else off
    if old.get("of_type") != new.get("of_type"):
        of_type = text(new, "of_type")
        yield f"OF {written(of_type)}" if of_type else "NOT OF"
    if old.get("access_method") != new.get("access_method"):
        yield f"SET ACCESS METHOD {written(text(new, 'access_method') or 'heap')}"
    if old.get("tablespace") != new.get("tablespace"):
        yield f"SET TABLESPACE {written(text(new, 'tablespace') or 'pg_default')}"
    yield from changed_options(options(old), options(new))
    marked = dict(_marked_indexes(old)), dict(_marked_indexes(new))
    if "clustered_on" in old and "clustered_on" not in new:
        yield "SET WITHOUT CLUSTER"
    if "replica_identity" in old and "replica_identity" not in new:
        yield "REPLICA IDENTITY DEFAULT"
    yield from (step for step in marked[1] if step not in marked[0])


def drop(table: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a table."""
    return f"DROP {kind_of(table, around)} {written(table.name)}"


def rename(table: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a table another name."""
    return f"ALTER {kind_of(table, around)} {written(table.name)} RENAME TO {to}"


def kind_of(table: DatabaseObject, around: Surroundings) -> str:
    """Return ``TABLE`` or ``FOREIGN TABLE``.

    Args:
        table: The table.
        around: The objects around it, which know its facts where it does not.
    """
    return "FOREIGN TABLE" if "server" in (table.facts or around.facts("table", table.name)) else "TABLE"
