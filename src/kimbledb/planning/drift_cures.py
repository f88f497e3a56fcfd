"""The cures of drift: statements for a search_path with the target schema and the schemas of the extensions. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kimbledb.model.objects import DatabaseObject
from kimbledb.planning.fold import FoldedObject


def of_missing(item: FoldedObject, along: Iterable[FoldedObject] = ()) -> str:
    """Return the statements that make a missing object again.

    Args:
        item: The object.
        along: The missing objects that belong to it.
    """
    from kimbledb.planning import writer

    objects = [each.each for each in (item, *along) if each.each.facts is not None]
    if item.each.facts is None:
        return f"run its statement again: {item.migration.file(item.statement.part)}:{item.statement.line}"
    return _joined(writer.create(objects, {}))


def of_changed(wanted: DatabaseObject, there: DatabaseObject) -> str:
    """Return the statements that give an object its declared form.

    Args:
        wanted: The object as it is declared.
        there: The object as it is found.
    """
    from kimbledb.planning import writer

    steps = writer.alter(there, wanted)
    return _joined([writer.drop(there), *writer.create([wanted], {})] if steps is None else steps)


def of_left(there: DatabaseObject) -> str:
    """Return the statement that drops an object which must be gone.

    Args:
        there: The object as it is found.
    """
    from kimbledb.planning import writer

    return writer.drop(there)


def _joined(steps: Iterable[str]) -> str:
    return "; ".join(step.strip().removesuffix(";") for step in steps)
