"""The cures of drift: statements for a search_path with the target schema and the schemas of the extensions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import evolve

from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning import writer
from kimbledb.planning.comparison import Comparison
from kimbledb.planning.fold import FoldedObject

_REINDEX = re.compile(r"\AREINDEX INDEX ")


def of_missing(item: FoldedObject, along: Iterable[FoldedObject], beside: Mapping[Key, Facts]) -> str:
    """Return the statements that make a missing object.

    Args:
        item: The object.
        along: The missing objects that belong to it.
        beside: The objects that exist.
    """
    objects = [each.each for each in (item, *along) if each.each.facts is not None]
    if item.each.facts is None:
        return _again(item)
    try:
        return _joined(writer.create(objects, beside=beside))
    except ValueError:  # the statement of a function, a view or a rule is not known
        return _again(item)


def of_changed(item: FoldedObject, there: DatabaseObject, comparison: Comparison, beside: Mapping[Key, Facts]) -> str:
    """Return the statements that give an object its declared form. What does not differ is left as it is.

    Args:
        item: The object as it is declared.
        there: The object as it is found.
        comparison: The facts that differ.
        beside: The objects that exist.
    """
    facts = {name: fact for name, fact in (there.facts or {}).items() if name not in comparison.found}
    wanted = evolve(item.each, facts={**facts, **comparison.declared})
    try:
        steps = writer.alter(there, wanted, beside=beside)
        if steps is not None:
            return _joined(steps) or _again(item)
        made = writer.create([item.each], beside=beside)
    except ValueError:
        return _again(item)
    if _holds_data(there):
        return f"no ALTER does this, and to drop it would lose its data: copy them into a new one: {_joined(made)}"
    return _joined([writer.drop(there, beside=beside), *made])


def of_left(there: DatabaseObject, beside: Mapping[Key, Facts]) -> str:
    """Return the statement that drops an object which must be gone.

    Args:
        there: The object as it is found.
        beside: The objects that exist.
    """
    return writer.drop(there, beside=beside)


def _holds_data(there: DatabaseObject) -> bool:
    """Return whether an object holds rows or values that no statement makes again."""
    return there.kind == "table" or (there.kind == "column" and "generated" not in (there.facts or {}))


def _again(item: FoldedObject) -> str:
    return f"run its statement again: {item.migration.file(item.statement.part)}:{item.statement.line}"


def _joined(steps: Iterable[str]) -> str:
    # A person runs a cure, outside of a transaction block: to build an index again need not stop those who write.
    return "; ".join(_REINDEX.sub(r"\g<0>CONCURRENTLY ", step) for step in steps)
