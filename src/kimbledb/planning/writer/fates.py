"""From one schema to another: which objects go, and which stay with a detour. Pure.

The server refuses to drop or to change what others need. So whatever needs an object that goes, goes too, and is made
again if the later schema holds it. Tables and columns hold data, and stay wherever a statement can keep them: a default
that needs what goes is dropped first and set again, a column whose type goes is text in the meantime, a partition is
detached from a parent that goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from attrs import define, evolve, field

from kimbledb.model.names import quote_literal
from kimbledb.model.objects import PARTS, SAID_OF_OTHERS, DatabaseObject, Facts, Key, parts_of, without
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.writer import columns, constraints, grants, indexes
from kimbledb.planning.writer.kinds import KINDS
from kimbledb.planning.writer.names import of_privilege, relation_of, text, texts, types_of
from kimbledb.planning.writer.pieces import Surroundings

#: The kinds for which ALTER COLUMN ... TYPE is refused; all else follows the type.
_AGAINST_A_TYPE = frozenset({"view", "rule", "policy", "trigger", "function"})
#: The kinds of what a column's type and collation are.
_OF_TYPE = frozenset({"type", "table", "view", "collation"})


# Without slots: the properties below are computed once.
@define(slots=False, eq=False)
class Fates:
    """The fate of each object of a schema on the way to another: kept, altered, dropped or remade."""

    before: Snapshot
    after: Snapshot
    #: The expressions that give the later values of columns which change their type.
    using: Mapping[Key, str] = field(factory=dict)
    #: The objects that are dropped, or go with others. Those that the later schema holds are made again.
    gone: set[Key] = field(factory=set)
    #: The columns that are text until their type is made again.
    by_text: set[Key] = field(factory=set)
    #: The columns that lose their default before what it needs goes.
    without_default: set[Key] = field(factory=set)
    #: The domains that lose their default and their checks before what these need goes.
    bare: set[Key] = field(factory=set)
    #: The partitions that are detached.
    detached: set[str] = field(factory=set)
    #: The sequences that stay when the column that owns them goes.
    released: set[Key] = field(factory=set)
    #: The tables that leave the tables above and inherit from them anew: their columns are their own then.
    renewed: set[str] = field(factory=set)
    _retyped: set[Key] = field(factory=set)

    @cached_property
    def old(self) -> Surroundings:
        """The earlier objects."""
        return Surroundings(self.before.objects, frozenset(), self.before.needs)

    @cached_property
    def users(self) -> Mapping[Key, set[Key]]:
        """The earlier objects that need each object."""
        found: dict[Key, set[Key]] = {}
        for key, needs in self.before.needs.items():
            for need in needs:
                found.setdefault(need, set()).add(key)
        return found

    @cached_property
    def hanging(self) -> Mapping[Key, list[Key]]:
        """The earlier objects that the server drops together with each object."""
        found: dict[Key, list[Key]] = {}
        for key in self.before.objects:
            for owner in self.owners(key):
                found.setdefault(owner, []).append(key)
        return found

    # Dependent objects.

    def owners(self, key: Key) -> list[Key]:
        """Return the objects with each of which the server drops an object.

        Args:
            key: The object.
        """
        kind, name = key
        facts = self.before.objects[key]
        if kind in PARTS:
            relation = relation_of(name)
            return [("table", relation), ("view", relation), *self._own_columns(key, relation), *self.above_of(key)]
        if kind in ("index", "statistics"):
            on = str(facts["on"])
            return [("table", on), ("view", on), *self._own_columns(key, on), *self.above_of(key)]
        if kind == "sequence":
            return [("column", name) for name in texts(facts, "owned_by")]
        if kind == "table":
            return [("table", name) for name in texts(facts, "partition_of")]
        if kind in SAID_OF_OTHERS:
            return list(self._described(key))
        return []

    def _own_columns(self, key: Key, relation: str) -> Iterator[Key]:
        """Yield the columns with which an index, a constraint or statistics of their table go."""
        if key[0] in ("index", "statistics", "constraint"):
            for need in self.before.needs.get(key, ()):
                if need[0] == "column" and relation_of(need[1]) == relation:
                    yield need

    def above_of(self, key: Key) -> Iterator[Key]:
        """Yield what an inherited object has from the table above.

        Args:
            key: The object.
        """
        kind, name = key
        facts = self.before.objects[key]
        relation = relation_of(name) if kind in PARTS else str(facts.get("on"))
        above = self.old.above(relation)
        if kind == "index" and "partition_of" in facts:
            yield ("index", str(facts["partition_of"]))
        elif kind == "column" and facts.get("inherited"):
            yield from ((kind, f"{each}.{name[len(relation) + 1 :]}") for each in above)
        elif kind == "constraint" and facts.get("inherited"):
            own, rule = name[len(relation) + 1 :], constraints.rule_of(facts)
            for each in above:
                same = (
                    part.key
                    for part in self.old.parts(kind, each)
                    if rule is not None and constraints.rule_of(part.facts or {}) == rule
                )
                yield (kind, f"{each}.{own}") if rule is None else next(same, (kind, f"{each}.{own}"))

    def _described(self, key: Key) -> Iterator[Key]:
        """Yield the object of a comment or a privilege, or that which a sequence, an index or a constraint stands for."""
        kind, name = grants.target_of(*key)
        if (kind, name) in self.before.objects:
            yield (kind, name)
        elif kind in ("column", "constraint"):
            yield from (("type", relation_of(name)), ("table", relation_of(name)))
        elif kind == "index":
            yield from (each for each in self.before.objects if each[0] == "constraint" and _last(each) == name)
        elif kind == "sequence":
            yield from (each for each in self.before.objects if each[0] == "column" and self.old.counter(each) == name)

    def goes_with(self, key: Key) -> Key | None:
        """Return the object with which one that goes is dropped, or None if it takes a statement of its own.

        Args:
            key: An object that goes.
        """
        if key[0] == "table" and key[1] in self.detached:
            return None
        above = set(self.above_of(key))
        for owner in self.owners(key):
            if owner not in self.gone or (owner in above and (owner in self.kept_below or not self._is_linked(key))):
                continue
            return owner
        return None

    @cached_property
    def kept_below(self) -> set[Key]:
        """The columns and constraints that go from a table and stay in a table below it, which is no heir in them then."""
        return {
            key
            for key in self.gone
            if key[0] in ("column", "constraint")
            and any(below[0] == key[0] and below not in self.gone for below in self.hanging.get(key, ()))
        }

    # Dropped objects.

    def decide(self) -> None:
        """Find out what becomes of each object."""
        for key, facts in self.before.objects.items():
            if key not in self.after.objects:
                self.drop(key)
            elif facts != self.after.objects[key]:
                self._change(key)
        self._drop_what_partitions_bring()
        self._drop_what_refers_to_partitions()
        for key, facts in self.after.objects.items():
            if key[0] == "column" and (key not in self.before.objects or key in self.gone):
                table = relation_of(key[1])
                if {"default", "generated", "identity"} & facts.keys():
                    self._drop_functions_of_rows(table)
                    self._rewrite(table, computed=_is_computed(facts))

    def _drop_functions_of_rows(self, table: str) -> None:
        """Drop functions with SQL-standard bodies that take a table's rows: PostgreSQL 15 changes no type or default below them."""
        if ("table", table) in self.gone:
            return
        for each in sorted(self.users.get(("table", table), ())):
            facts = self.before.objects.get(each, {})
            if each[0] == "function" and "sql_body" in facts and table in types_of(each[1]):
                self._lose(each, ("table", table))

    def _drop_what_partitions_bring(self) -> None:
        """Drop indexes and keys of a table that a new partition would also get when it is attached."""
        later = Surroundings(self.after.objects)
        for (kind, name), facts in self.after.objects.items():
            if kind != "table" or "partition_of" not in facts or not self.is_placed(name):
                continue
            # For each index of the parent the server takes one of the partition that fits, or makes one.
            parent = str(facts["partition_of"])
            for index in self.old.indexes(parent):
                if indexes.is_made_alone(index.name, later):
                    self.drop(index.key)
            for constraint in self.old.parts("constraint", parent):
                if "invalid" in (constraint.facts or {}):
                    self.drop(constraint.key)

    def _rewrite(self, table: str, *, computed: bool) -> None:
        """Drop values of a table's row type while each of its rows gets a value.

        Before version 18 a constant one is refused, too; there no more is done than a materialized view made again.
        """
        for each in self.users.get(("table", table), set()) if ("table", table) not in self.gone else ():
            relation = relation_of(each[1]) if each[0] == "column" else table
            view = self.old.facts("view", relation)
            if relation != table and each not in self.gone and ((computed and not view) or "materialized" in view):
                self._lose_of_column(each, ("table", table))

    def _drop_what_refers_to_partitions(self) -> None:
        """Drop foreign keys that refer to the parent of a dropped partition: they depend on it, and its rows on them."""
        ancestors = {
            each
            for kind, name in self.gone
            if kind == "table" and "partition_of" in self.old.facts(kind, name)
            for each in self.old.all_above(name)
            if ("table", each) not in self.gone
        }
        for key, facts in self.before.objects.items() if ancestors else ():
            if key[0] == "constraint" and not facts.get("inherited") and constraints.refers_to(facts) in ancestors:
                self.drop(key)

    def is_placed(self, table: str) -> bool:
        """Return whether a table is attached to its parent: it is new, detached, or was no partition."""
        key = ("table", table)
        return key in self.gone or table in self.detached or "partition_of" not in self.before.objects.get(key, {})

    def drop(self, key: Key) -> None:
        """Drop an object with everything that belongs to it or depends on it."""
        if key in self.gone or key not in self.before.objects:
            return
        self.gone.add(key)
        # Partitions first: what of them hangs on their parent stays with them.
        for each in sorted(self.hanging.get(key, ()), key=lambda each: each[0] != "table"):
            self._lose_owner(each, key)
        for each in self.users.get(key, ()):
            self._lose(each, key)
        for each in self.above_of(key):
            # An index that is attached to a parent's index cannot be dropped alone.
            if each in self.before.objects and self._is_linked(key) and each[0] in ("index", "constraint"):
                self.drop(each)
        if key[0] == "privilege":
            self._drop_of_columns(key)
            self._drop_granted(key)

    def _drop_of_columns(self, privilege: Key) -> None:
        """Revoke a role's privileges on the columns of a table: a REVOKE on the table also takes them."""
        kind, name, role = of_privilege(privilege[1])
        for each in self.old.parts("column", name) if kind in ("table", "view") else ():
            self.drop(("privilege", f"column {each.name} to {role}"))

    def _drop_granted(self, privilege: Key) -> None:
        """Revoke the privileges that a role may have granted, and those on which its own may depend.

        A REVOKE takes back what the owner granted. What another role granted goes with the grant option of that role.
        """
        beside = self._beside(privilege)
        granting = [each for each in beside if grants.may_grant(self.before.objects[each])]
        for each in beside if grants.may_grant(self.before.objects[privilege]) else granting:
            self.drop(each)

    def _beside(self, privilege: Key) -> list[Key]:
        """Return the privileges of other roles on the object of a privilege."""
        target = of_privilege(privilege[1])[:2]
        return [each for each in self._granted.get(target, ()) if each != privilege]

    @cached_property
    def _granted(self) -> Mapping[tuple[str, str], list[Key]]:
        """The privileges on each object, by its kind and name."""
        found: dict[tuple[str, str], list[Key]] = {}
        for key, facts in self.before.objects.items():
            if key[0] == "privilege" and "may" in facts:
                found.setdefault(of_privilege(key[1])[:2], []).append(key)
        return found

    def _is_linked(self, key: Key) -> bool:
        """Return whether an object's table stays below the same tables as before."""
        facts = self.before.objects[key]
        relation = relation_of(key[1]) if key[0] in PARTS else str(facts.get("on"))
        if ("table", relation) in self.gone or relation in self.detached:
            return False
        return all(
            self.before.objects.get(("table", relation), {}).get(fact)
            == self.after.objects.get(("table", relation), {}).get(fact)
            for fact in ("partition_of", "inherits", "bound")
        )

    def follows(self, key: Key) -> Key | None:
        """Return the column or the constraint above that an inherited one follows, before and after, or None.

        Args:
            key: The inherited object.
        """
        if not self._is_linked(key) or not self.after.objects.get(key, {}).get("inherited"):
            return None
        return next((each for each in self.above_of(key) if each in self.before.objects), None)

    def kept_parents(self, key: Key) -> list[str]:
        """Return the tables that a table still inherits from: the first of those that it inherits from later.

        Args:
            key: The table.
        """
        if key[1] in self.renewed:
            return []
        old, new = (texts(side.objects[key], "inherits") for side in (self.before, self.after))
        kept = [each for each in old if each in new]
        return kept if kept == list(new[: len(kept)]) else []

    def expression(self, key: Key) -> str | None:
        """Return the expression for the values of a column that changes its type; None for a cast, or if it is text already.

        Args:
            key: The column.
        """
        return None if key in self.by_text else self.using.get(key)

    def with_other_types(self) -> set[str]:
        """Return the tables that stay while columns of theirs change their type."""
        tables = {relation_of(name) for _, name in self._retyped}
        return {table for table in tables if self.old.has("table", table) and ("table", table) not in self.gone}

    def apart(self) -> set[str]:
        """Return the tables that stay and come below a table only after it is made or changed."""
        tables = [name for kind, name in self.after.objects if kind == "table" and (kind, name) not in self.gone]
        return {
            name
            for name in tables
            if name in self.renewed
            or name in self.detached
            or ("partition_of" in self.after.objects["table", name] and self.is_placed(name))
        }

    def is_moved(self, key: Key) -> bool:
        """Return whether the table of an index leaves its parent, or comes below one.

        Args:
            key: The index.
        """
        table = str(self.before.objects[key].get("on"))
        later = self.after.objects.get(("table", table), {})
        return table in self.detached or ("partition_of" in later and self.is_placed(table))

    def _lose_owner(self, key: Key, owner: Key) -> None:
        """Decide on an object that hangs on one that goes."""
        later = self.after.objects.get(key)
        if key[0] == "table" and owner[0] == "table" and later is not None:
            self.detached.add(key[1])
        elif key[0] == "sequence" and later is not None:
            self.released.add(key)
        elif owner in set(self.above_of(key)) and self._stays_without(key):
            return
        else:
            self.drop(key)

    def _stays_without(self, key: Key) -> bool:
        """Return whether what a table has from the table above stays when that of the table above goes."""
        later = self.after.objects.get(key)
        relation = relation_of(key[1]) if key[0] in PARTS else str(self.before.objects[key]["on"])
        if any(("table", each) in self.gone for each in self.old.above(relation)) or relation in self.detached:
            return True
        return key[0] in ("column", "constraint") and later is not None and not later.get("inherited")

    def _lose(self, key: Key, need: Key) -> None:
        """Decide on an object that needs one that goes."""
        kind, name = key
        if key not in self.after.objects or key in self.gone:
            self.drop(key)
        elif kind == "column":
            self._lose_of_column(key, need)
        elif kind == "table" and need[0] == "table" and text(self.before.objects[key], "partition_of") == need[1]:
            self.detached.add(name)
        elif kind == "sequence":
            self.released.add(key)
        elif kind == "type" and "base" in self.before.objects[key] and need[0] not in _OF_TYPE:
            self.bare.add(key)
        else:
            self.drop(key)

    def _lose_of_column(self, key: Key, need: Key) -> None:
        relation = relation_of(key[1])
        if self.old.has("view", relation):
            self.drop(("view", relation))
        elif "generated" in self.before.objects[key]:
            self.drop(key)
        elif need[0] in _OF_TYPE:
            self._by_text(key)
        else:
            self.without_default.add(key)

    def _by_text(self, key: Key) -> None:
        above = self.follows(key)
        if above is not None:
            self._by_text(above)
        elif "of_type" in self.old.facts("table", relation_of(key[1])):
            self.drop(("table", relation_of(key[1])))
        elif key not in self.by_text:
            self.by_text.add(key)
            self._retype(key)
            for each in self.users.get(key, ()):
                if each[0] in ("constraint", "index", "statistics"):
                    self._lose(each, key)

    def _retype(self, key: Key) -> None:
        """Change the type of a column, and drop every object that is in its way."""
        if key in self._retyped:
            return
        self._retyped.add(key)
        relation = relation_of(key[1])
        partition_by = text(self.old.facts("table", relation), "partition_by") or ""
        if re.search(rf"(?<![\w$]){re.escape(_last(key))}(?![\w$])", partition_by):
            self.drop(("table", relation))
            return
        self._drop_functions_of_rows(relation)
        for each in (
            *self.users.get(key, ()),
            *(user for user in self.users.get(("table", relation), ()) if user[0] == "column"),
        ):
            facts = self.before.objects.get(each, {})
            if each[0] in _AGAINST_A_TYPE or constraints.is_reference(facts) or "generated" in facts:
                self._lose(each, key)
            elif "invalid" in facts:
                self.drop(each)  # with the type the server makes it again, and for the partitions, too
            elif each[0] == "column" and relation_of(each[1]) != relation and each not in self.gone:
                self._lose_of_column(each, ("table", relation))
        for each in self.hanging.get(key, ()):
            if each[0] == "column":
                self.without_default.add(each)
                self._retype(each)

    def _change(self, key: Key) -> None:
        kind, name = key
        before, after = self.before.get(key), self.after.get(key)
        old, new = self.before.objects[key], self.after.objects[key]
        if self.follows(key) is not None:
            return
        if kind == "index" and self.is_moved(key):
            before, after = (evolve(each, facts=without(each.facts or {}, "partition_of")) for each in (before, after))
        if KINDS[kind].alter(before, after, Surroundings(self.after.objects)) is None or (
            kind == "view" and not self._keeps_its_columns(name)
        ):
            self.drop(key)
        elif kind == "column" and columns.type_of(old) != columns.type_of(new):
            self._retype(key)
        elif kind == "type" and self._uses_new_labels(key):
            self.drop(key)
        elif kind == "privilege" and grants.takes(before, after):
            self._drop_of_columns(key)
            if any(grants.may_grant(self.before.objects[each]) for each in (key, *self._beside(key))):
                self.drop(key)
        elif kind == "table":
            self._change_table(name, old, new)
        if kind == "column" and old.get("inherited") and not new.get("inherited"):
            self._own(relation_of(name))

    def _uses_new_labels(self, key: Key) -> bool:
        """Return whether something new names a new label of an enum: its transaction cannot use it unless the type is new, too."""
        old, new = (texts(side.objects[key], "labels") for side in (self.before, self.after))
        added = [quote_literal(label).strip() for label in new if label not in old]
        if not added:
            return False
        return any(
            self.before.objects.get(user) != facts and any(label in _shown(self.after.get(user)) for label in added)
            for user, facts in self.after.objects.items()
            if key in self.after.needs.get(user, ())
        )

    def _own(self, table: str) -> None:
        """Make the inherited columns of a table its own, although it stays a child of its parents."""
        own = [each for each in self.before.objects if each[0] == "column" and relation_of(each[1]) == table]
        inherited = [each for each in own if self.before.objects[each].get("inherited") and each in self.after.objects]
        if not any(
            ("column", f"{above}.{each[1][len(table) + 1 :]}") in self.after.objects
            for each in inherited
            for above in texts(self.after.objects.get(("table", table), {}), "inherits")
        ):
            return
        if any(self.after.objects[each].get("inherited") for each in inherited):
            self.drop(("table", table))
        self.renewed.add(table)

    def _change_table(self, name: str, old: Facts, new: Facts) -> None:
        if "partition_of" in old and any(old.get(fact) != new.get(fact) for fact in ("partition_of", "bound")):
            self.detached.add(name)
        heirs = (
            each
            for each in self.after.objects
            if each[0] == "column" and relation_of(each[1]) == name and self.after.objects[each].get("inherited")
        )
        if "inherits" in new and any(not self.before.objects.get(each, new).get("inherited") for each in heirs):
            self.drop(("table", name))  # no statement gives a column to the table above

    def _keeps_its_columns(self, view: str) -> bool:
        """Return whether a view can be replaced: its columns stay, in front of the later ones."""
        old, new = (
            [
                (each.name, columns.type_of(each.facts or {}))
                for each in Surroundings(side.objects).parts("column", view)
            ]
            for side in (self.before, self.after)
        )
        return new[: len(old)] == old


def _is_computed(facts: Facts) -> bool:
    """Return whether a column that is added may need its value written into each row."""
    return "generated" in facts or "identity" in facts or "(" in str(facts.get("default", ""))


def _shown(each: DatabaseObject) -> str:
    """Return the facts of an object as one text, with the statement that makes it."""
    facts = (value if isinstance(value, tuple) else (value,) for value in (each.facts or {}).values())
    return "\n".join([*(str(value) for values in facts for value in values), each.source or ""])


def _last(key: Key) -> str:
    return parts_of(key[1])[-1]
