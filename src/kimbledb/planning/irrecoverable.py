"""The parts of the earlier state that no statement can restore: rows, values, positions of sequences. Pure.

It is read off declared objects. ``kimbledb.planning.script_effects`` reads the statements.
"""

from __future__ import annotations

import re

from kimbledb.model.objects import DatabaseObject, Facts
from kimbledb.model.text import one_line

#: Types whose every value another type holds, and gives back unchanged when it is cast again.
_HELD_BY: dict[str, frozenset[str]] = {
    "smallint": frozenset({"integer", "bigint", "numeric", "text", "character varying", "real", "double precision"}),
    "integer": frozenset({"bigint", "numeric", "text", "character varying", "double precision"}),
    "bigint": frozenset({"numeric", "text", "character varying"}),
    "real": frozenset({"double precision"}),
    "numeric": frozenset({"text", "character varying"}),
    "boolean": frozenset({"text", "character varying"}),
    "uuid": frozenset({"text", "character varying"}),
    "date": frozenset({"timestamp without time zone", "text", "character varying"}),
    "character varying": frozenset({"text"}),
    "text": frozenset({"character varying"}),
    "cidr": frozenset({"inet", "text"}),
    "inet": frozenset({"text"}),
    "jsonb": frozenset({"text", "json"}),
    "json": frozenset({"text"}),
}
#: The parts of a type, as the server prints it.
TYPE = re.compile(r"(?P<name>[^(\[]+?)\s*(?:\((?P<size>[\d,]+)\))?(?P<rest>[^()\[\]]*)(?P<array>(?:\[\])*)")


def loss_by_drop(each: DatabaseObject, *, in_view: bool) -> str | None:
    """Return what is gone with a dropped object, in words after ``it``, or None if the object can be made again as it was.

    Args:
        each: The object, with its facts.
        in_view: Whether it is a column of a view.
    """
    facts = each.facts or {}
    if each.kind == "table" and "server" not in facts:
        return f"drops {one_line(str(each))}, whose rows are gone"
    if each.kind == "column" and not in_view and "generated" not in facts:
        return f"drops {one_line(str(each))}, whose values are gone"
    if each.kind == "sequence":
        return f"drops {one_line(str(each))}, whose position is gone"
    return None


def loss_by_change(before: DatabaseObject, after: DatabaseObject) -> str | None:
    """Return what is gone by a change of an object, in words after ``it``, or None.

    Args:
        before: The object before the migration, under its later name.
        after: The object after it.
    """
    old, new = before.facts or {}, after.facts or {}
    shown = one_line(str(after))
    if after.kind == "type" and old.get("labels") != new.get("labels"):
        return _loss_of_labels(old, new, one_line(after.name))
    if after.kind != "column" or "generated" in old:
        return None
    if "generated" in new:
        return f"makes {shown} anew, whose values are gone"
    if old.get("type") != new.get("type") and not holds(str(new.get("type")), str(old.get("type"))):
        return (
            f"changes the type of {shown} from {old.get('type')} to {new.get('type')}, which may not hold every value"
        )
    if old.get("identity") and old.get("identity") != new.get("identity") and "identity" not in new:
        return f"takes the identity from {shown}, whose position is gone"
    return None


def _loss_of_labels(old: Facts, new: Facts, name: str) -> str | None:
    before, after = old.get("labels"), new.get("labels")
    if not isinstance(before, tuple) or not isinstance(after, tuple):
        return f"makes type {name} anew"
    if len(before) == len(after) and len(set(before) ^ set(after)) > 0:
        return None  # renamed
    added = [label for label in after if label not in before]
    if added:
        return f"adds the value {added[0]!r} to enum type {name}, which cannot be taken back"
    return f"makes enum type {name} anew"


def holds(wide: str, narrow: str) -> bool:
    """Return whether a type holds each value of another one, so that a cast back gives the same value.

    Args:
        wide: The type that holds, as the server prints it: ``numeric(12,2)``.
        narrow: The other type.
    """
    one, other = TYPE.fullmatch(wide), TYPE.fullmatch(narrow)
    if one is None or other is None or one["array"] != other["array"]:
        return False
    names = [f"{each['name']}{each['rest']}" for each in (one, other)]
    sizes = [[int(size) for size in each["size"].split(",")] if each["size"] else [] for each in (one, other)]
    if names[0] == names[1]:
        return _holds_sizes(names[0], sizes[0], sizes[1])
    if names[0] not in _HELD_BY.get(names[1], frozenset()):
        return False
    return not sizes[0]


def _holds_sizes(name: str, wide: list[int], narrow: list[int]) -> bool:
    if not wide:
        return True
    if not narrow:
        return False
    if name == "numeric":
        precision, scale = (*wide, 0)[:2]
        before, places = (*narrow, 0)[:2]
        return scale >= places and precision - scale >= before - places
    return name in ("character varying", "bit varying") and wide[0] >= narrow[0]
