"""The tables that a completion locks before its first statement. Pure.

A transaction that alters one table and then another can meet an application's statement that holds the second one and
waits for the first one, as an INSERT does with a foreign key. The server then ends one of the two, and that must not be
the application's. So all tables that are altered are locked at once, and a table before those that its keys refer to: in
the order in which an INSERT takes its locks. Who meets it there waits after it, and the server ends the one that waited
first (PostgreSQL manual, section 13.3.4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from kimbledb.model.completion import Completion
from kimbledb.model.objects import Facts, Key
from kimbledb.planning.fold import relation_of
from kimbledb.planning.writer.constraints import refers_to
from kimbledb.planning.writer.names import written

#: The kinds of parts of a table whose statements lock the table.
_PARTS = frozenset({"column", "constraint", "index", "policy", "rule", "table", "trigger"})


def statements(completion: Completion, objects: Mapping[Key, Facts]) -> list[str]:
    """Return the statements that lock what a completion alters.

    Args:
        completion: The completion.
        objects: The objects of the schema, under their present names.
    """
    before = {new.name: old for old, new in completion.renamed if new.kind == "table"}
    altered = {before.get(name, name) for name in _altered(completion)}
    there = [name for name in altered if ("table", name) in objects]
    return [f"LOCK TABLE {written(each)} IN ACCESS EXCLUSIVE MODE" for each in children_first(there, objects)]


def children_first(tables: Collection[str], objects: Mapping[Key, Facts]) -> list[str]:
    """Return tables, each before those that its foreign keys refer to as far as they are no circle.

    Args:
        tables: Their names.
        objects: The objects of the schema, under their present names.
    """
    parents: dict[str, set[str]] = {name: set() for name in tables}
    for key, facts in objects.items():
        if key[0] == "constraint" and (target := refers_to(facts)) in parents:
            child = relation_of(key, facts)
            if child in parents and child != target:
                parents[child].add(target)
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name not in seen:
            seen.add(name)
            for parent in sorted(parents[name]):
                visit(parent)
            order.append(name)

    for name in sorted(tables):
        visit(name)
    return order[::-1]


def _altered(completion: Completion) -> Iterator[str]:
    for each in (*completion.made, *completion.changed, *completion.taken_away):
        if each.kind in _PARTS and (name := relation_of(each.key, each.facts)) is not None:
            yield name
    for old, new in completion.renamed:
        if new.kind in _PARTS and (name := old if new.kind == "table" else relation_of(new.key, new.facts)) is not None:
            yield name
    for column in (*(each.column for each in completion.converted), *completion.made_nullable, *completion.filled):
        yield str(relation_of(("column", column)))
