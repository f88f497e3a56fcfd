"""The statements that drop what goes on the way from one schema to another. Pure.

They are ordered as if the objects were made, and turned round.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from kimbledb.model.objects import SAID_OF_OTHERS, Key
from kimbledb.planning.writer import columns, constraints, grants, types
from kimbledb.planning.writer.fates import Fates
from kimbledb.planning.writer.kinds import KINDS
from kimbledb.planning.writer.names import own_name, relation_of, text, texts, written
from kimbledb.planning.writer.order import arranged
from kimbledb.planning.writer.pieces import Piece, Rank, facts_of

#: The ranks of the kinds that other kinds need.
_RANKS = {
    "schema": Rank.SCHEMA,
    "table": Rank.TABLE,
    "type": Rank.TYPE,
    "sequence": Rank.SEQUENCE,
    "function": Rank.ROUTINE,
    "view": Rank.VIEW,
}
#: The kinds of parts that can be dropped before what they belong to.
_DETACHABLE = frozenset({"constraint", "policy", "rule", "trigger", "index"})


def drops(fates: Fates) -> list[str]:
    """Return the statements that drop what goes, and those that let the rest stay meanwhile.

    Args:
        fates: What becomes of each object.
    """
    groups = _groups(fates)
    early = _before_partitions(groups, fates)
    apart: set[Key] = set()
    while circle := _circle(groups, fates):
        taken = _take_apart(circle, groups, fates)
        if not taken:
            break
        apart |= taken
    pieces = []
    for root, members in groups.items():
        needs = {need for key in members if key not in fates.without_default for need in _needs(key, fates)} - members
        needs |= early.get(root, set())
        pieces.append(Piece(_dropping(root, fates), _rank(root), tuple(members), needs))
    return [*reversed(arranged([*pieces, *_detours(fates)]))]


def _groups(fates: Fates) -> dict[Key, set[Key]]:
    """Return the objects that take a statement of their own to drop, each with those that go with it."""
    groups: dict[Key, set[Key]] = {}
    for key in sorted(fates.gone):  # a set has another order in each process
        root = key
        while (owner := fates.goes_with(root)) is not None:
            root = owner
        groups.setdefault(root, set()).add(key)
    return groups


def _before_partitions(groups: dict[Key, set[Key]], fates: Fates) -> dict[Key, set[Key]]:
    """Drop foreign keys on their own before partitions of their referenced tables are detached or dropped.

    They depend on these partitions, and their rows may refer to those of the partitions.
    """
    leaving: dict[Key, str] = {_detachment_of(table): table for table in fates.detached}
    leaving |= {key: key[1] for key in fates.gone if "partition_of" in fates.before.objects[key] and key[0] == "table"}
    found: dict[Key, set[Key]] = {}
    for key in sorted(fates.gone) if leaving else ():
        facts = fates.before.objects[key]
        if key[0] != "constraint" or facts.get("inherited") or (referred := constraints.refers_to(facts)) is None:
            continue
        later = {mark for mark, table in leaving.items() if referred in fates.old.all_above(table)}
        if later:
            for members in groups.values():
                members.discard(key)
            groups.setdefault(key, set()).add(key)
            found[key] = later
    for key in found:
        _gather_below(key, groups, fates)
    return found


def _gather_below(key: Key, groups: dict[Key, set[Key]], fates: Fates) -> None:
    """Drop the foreign keys of partitions with that of their parent."""
    waiting = [key]
    while waiting:
        below = [each for each in fates.hanging.get(waiting.pop(), ()) if each[0] == "constraint" and each in groups]
        for each in below:
            groups[key] |= groups.pop(each)
        waiting += below


def _detachment_of(table: str) -> Key:
    """Return what a statement needs that comes before a partition is detached."""
    return ("detachment", table)


def _needs(key: Key, fates: Fates) -> set[Key]:
    needs = {*fates.before.needs.get(key, ()), *fates.above_of(key)}
    if key[0] in SAID_OF_OTHERS:
        needs.add(grants.target_of(*key))
    return needs


def _circle(groups: dict[Key, set[Key]], fates: Fates) -> list[Key]:
    """Return the roots of groups that need each other in a circle; none if there is no circle."""
    group_of = {key: root for root, members in groups.items() for key in members}
    graph = {
        root: sorted(
            {
                group_of[need]
                for key in members
                if key not in fates.without_default
                for need in _needs(key, fates)
                if need in group_of
            }
            - {root}
        )
        for root, members in groups.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[Key] = error.args[1]
        return circle
    return []


def _take_apart(circle: list[Key], groups: dict[Key, set[Key]], fates: Fates) -> set[Key]:
    """Drop the parts that form a cycle before the rest of their groups, and return these parts."""
    taken = set()
    for needed, root in itertools.pairwise(circle):
        for key in sorted(groups[root] - {root}):
            if not _needs(key, fates) & groups[needed]:
                continue
            if key[0] == "column" and "default" in fates.before.objects[key]:
                fates.without_default.add(key)
                taken.add(key)
            elif key[0] in _DETACHABLE and not fates.before.objects[key].get("inherited"):
                along = {key, *_below(key, fates)} & groups[root]
                groups[root] -= along
                groups[key] = along
                taken.add(key)
    return taken


def _below(key: Key, fates: Fates) -> Iterator[Key]:
    """Yield the constraints of the tables below that go with a constraint."""
    for each in fates.hanging.get(key, ()):
        if each[0] == "constraint":
            yield each
            yield from _below(each, fates)


def _rank(key: Key) -> Rank:
    return _RANKS.get(key[0], Rank.INDEX)


def _dropping(key: Key, fates: Fates) -> str:
    statement = KINDS[key[0]].drop(fates.before.get(key), fates.old)
    if key in fates.kept_below:
        table = written(relation_of(key[1]))
        return statement.replace(f"ALTER TABLE {table} ", f"ALTER TABLE ONLY {table} ", 1)
    return statement


def _detours(fates: Fates) -> Iterator[Piece]:
    """Yield what lets objects stay when what they need goes."""
    for key in sorted(fates.bare):
        needs = {*fates.before.needs.get(key, ()), key}
        for step in types.bare_steps(fates.before.objects[key]):
            yield Piece(f"ALTER DOMAIN {written(key[1])} {step}", Rank.DEFAULT, needs=needs)
    for key in sorted(fates.released):
        owner = str(fates.before.objects[key]["owned_by"])
        yield Piece(types.release(fates.before.get(key)), Rank.MARK, needs={key, ("column", owner)})
    yield from _detours_of_columns(fates)
    yield from _detours_of_tables(fates)


def _detours_of_columns(fates: Fates) -> Iterator[Piece]:
    for key in sorted(fates.without_default - fates.by_text):
        if "default" in fates.before.objects[key]:
            statement = columns.altering(fates.before.get(key), ["DROP DEFAULT"], fates.old)
            yield Piece(statement, Rank.DEFAULT, needs={*fates.before.needs.get(key, ()), key})
    for key in sorted(fates.by_text):
        column = fates.before.get(key)
        value = f"({fates.using[key]})" if key in fates.using else own_name(column.name)
        steps = [f"TYPE text USING {value}::text"]
        if "default" in facts_of(column):
            steps.insert(0, "DROP DEFAULT")
        statement = columns.altering(column, steps, fates.old, below=True)
        yield Piece(statement, Rank.COLUMN, (key,), fates.before.needs.get(key, ()))


def _detours_of_tables(fates: Fates) -> Iterator[Piece]:
    for table in sorted(fates.detached):
        parent = text(fates.before.objects["table", table], "partition_of")
        if parent is not None:
            statement = f"ALTER TABLE {written(parent)} DETACH PARTITION {written(table)}"
            needs: set[Key] = {("table", parent), ("table", table)}
            yield Piece(statement, Rank.PARTITION, (_detachment_of(table),), needs)
    for key, facts in fates.before.objects.items():
        if key[0] == "table" and key in fates.after.objects and key not in fates.gone:
            for parent in texts(facts, "inherits"):
                if parent not in fates.kept_parents(key):
                    statement = f"ALTER TABLE {written(key[1])} NO INHERIT {written(parent)}"
                    yield Piece(statement, Rank.PARTITION, needs={("table", parent), key})
