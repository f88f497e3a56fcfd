"""The form that each object gets, and why one stays as it is: what a database had before is changed where nobody chose it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from attrs import field, frozen

from kimbledb.model.names import words_in
from kimbledb.model.objects import Fact, Facts, Key, quoted, without, words
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import ids
from kimbledb.planning.closed import without_counter
from kimbledb.planning.comparison import Comparison, compare, same_type
from kimbledb.planning.completion.noted import Noted
from kimbledb.planning.completion.rows import Rows
from kimbledb.planning.completion.scope import Scope, at_place
from kimbledb.planning.doors import wants_value, without_null
from kimbledb.planning.fold import NAMED_ALIKE, FoldedObject, columns_of, relation_of, split
from kimbledb.planning.writer.names import texts

#: The facts of a table that tell what it is. No statement changes them and keeps the rows where they are.
_NATURE = frozenset({"partition_by", "partition_of", "bound", "inherits", "of_type", "foreign_server", "kind"})
#: The facts of a table that its operator chooses, and that mean nothing to a query.
_CHOSEN = frozenset({"replica_identity", "options"})
#: The facts of a column that say where its values come from.
_ORIGIN = frozenset({"generated", "virtual", "identity"})
#: The kinds that get their declared form also where nothing here shows whether an expression of theirs differs: an old
#: policy or check would go on otherwise.
_MADE_AGAIN = frozenset({"constraint", "index", "policy", "rule", "trigger", "view"})


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False)
class LaterForms:
    """The forms that the objects of a migration get beside what is there."""

    scope: Scope
    #: The schema under its later names.
    found: Snapshot
    #: The completions that its rows allow.
    rows: Rows = field(factory=Rows)
    #: Collects objects that are left and conflicts.
    noted: Noted = field(factory=Noted)

    def of(self, item: FoldedObject, there: Facts | None) -> Facts | None:
        """Return the later facts of an object, or None if it is not made, or stays as it is.

        Args:
            item: The object as it is declared.
            there: The facts that it has; None if it is missing.
        """
        if there is None:
            return self._new(item)
        later = self._changed(item, there)
        if item.key[0] == "column" and self._keeps_default(item, there, there if later is None else later):
            self.noted.defaults.append(item.each.name)
        return later

    def _new(self, item: FoldedObject) -> Facts | None:
        """Return the facts of a missing object, or None if it is not made."""
        (kind, name), facts, objects = item.key, item.each.facts, self.found.objects
        if facts is None:
            unknown = f"{item.each} is missing, and only its name is declared"
            self.noted.refuse(at_place(item, unknown), relation_of(item.key, None))
            return None
        other = next((each for each in NAMED_ALIKE if (each, name) in objects), None) if kind in NAMED_ALIKE else None
        if other is not None:
            self.noted.refuse(at_place(item, f"{item.each} cannot be made: {other} {name} has its name"), name)
            return None
        if kind == "constraint" and (standing := _key_in_place_of(name, facts, self.found)):
            self._leave(item, f"{standing} stands in its place")
            return None
        if kind == "privilege" and (column := without_counter(name, self.scope.fold, objects)):
            self.noted.left[item.key] = f"column {column} has no sequence of its own"
            return None
        if kind == "column" and (why := self._may_be_null(name, facts)):
            self.noted.left[item.key] = f"it may be NULL: {why}"
            return without(facts, "not_null", "not_null_name")
        return facts

    def _may_be_null(self, column: str, facts: Facts) -> str | None:
        """Return why a missing column cannot be NOT NULL as it is declared, or None if it can."""
        if not wants_value(facts) or split(column)[0] not in self.rows.filled:
            return None
        if column in self.rows.null:
            return "some row has NULL there"
        if column not in self.scope.migration.fills:
            return "the table holds rows, and no value is declared for them"
        return None

    def _changed(self, item: FoldedObject, there: Facts) -> Facts | None:
        """Return the later facts of an object that is there, or None if it stays as it is."""
        declared = item.each.facts
        if declared is None or self.scope.is_of_view(item.key):
            return None
        kind = item.each.kind
        comparison = self._compared(item, declared, there)
        earlier = [each.each.facts or {} for each in self.scope.earlier(item)]
        as_before = any(compare(each, there).is_right for each in earlier)
        made_again = kind in _MADE_AGAIN and "materialized" not in there
        if comparison.is_right or (comparison.is_unknown and not as_before and not made_again):
            return None
        if kind == "column":
            return self._changed_column(item, there, earlier)
        if kind == "constraint" and not comparison.declared and comparison.found.keys() == {"not_valid"}:
            return without(there, "not_valid")
        if (
            kind == "constraint"
            and not ("check" in declared and "check" in there)
            and there not in earlier
            and not self.scope.is_taken_over(item)
        ):
            self._leave(item, f"it is {there.get('key') or there.get('exclude') or there.get('check')}")
            return None
        if kind == "table":
            return self._changed_table(item, there, comparison)
        if kind == "privilege" and not self.scope.migration.closed:
            return _with_more(there, comparison.declared)
        if kind == "type" and "labels" in declared and "labels" in there:
            return {**there, "labels": _with_labels(texts(there, "labels"), texts(declared, "labels"))}
        return {**without(there, *comparison.found), **comparison.declared}

    def _compared(self, item: FoldedObject, declared: Facts, there: Facts) -> Comparison:
        """Compare facts of an object, with the form that history records."""
        recorded = self.scope.forms.of(item.migration.name, item.declared_as)
        return compare(declared, there, form=self.found.forms.get(item.key), recorded=recorded)

    def _leave(self, item: FoldedObject, why: str) -> None:
        """Leave a constraint as it is, unless it is a key that declared foreign keys need and no other key serves."""
        self.noted.left[item.key] = why
        table = split(item.each.name)[0]
        columns = {f"{table}.{column}" for column in columns_of(item.each.facts or {})}
        if _is_unique(item.each.facts or {}) and columns <= self._referred and columns not in self._unique_in(table):
            shown = ", ".join(split(column)[1] for column in sorted(columns))
            words = f"foreign keys need {item.each}, and {why}: give the table a unique key ({shown})"
            self.noted.refuse(at_place(item, words), table)

    @cached_property
    def _referred(self) -> frozenset[str]:
        """The columns that declared foreign keys refer to."""
        declared = ((key[1], item.each.facts or {}) for key, item in self.scope.whole.objects.items())
        return frozenset(other for _, other in ids.foreign_keys(declared))

    def _unique_in(self, table: str) -> list[set[str]]:
        """Return the columns of each key of a table."""
        return [
            {f"{table}.{column}" for column in columns_of(facts)}
            for key, facts in self.found.objects.items()
            if relation_of(key, facts) == table and _is_unique(facts) and "where" not in facts
        ]

    def _changed_table(self, item: FoldedObject, there: Facts, comparison: Comparison) -> Facts | None:
        if _NATURE & (comparison.declared.keys() | comparison.found.keys()):
            nature = words({name: there[name] for name in _NATURE & there.keys()}) or "a plain table"
            why = f"{item.each} is {nature}, and cannot become what is declared"
            self.noted.refuse(at_place(item, why), item.each.name)
            return None
        if chosen := _CHOSEN & comparison.found.keys() - (item.each.facts or {}).keys():
            self.noted.left[item.key] = f"it has {words({name: there[name] for name in chosen})}"
        return {**there, **comparison.declared}

    def _changed_column(self, item: FoldedObject, there: Facts, earlier: Sequence[Facts]) -> Facts:
        declared = item.each.facts or {}
        if any(declared.get(fact) != there.get(fact) for fact in _ORIGIN & declared.keys()):
            self.noted.left[item.key] = "it holds values of its own"
        if not same_type(there, declared):
            self.noted.left[item.key] = f"it is {there.get('type')}, as what a foreign key ties it to"
        facts = there
        if "generated" in there and "virtual" not in there and not _ORIGIN & declared.keys():
            facts = without(facts, "generated")  # which keeps its values, and lets an INSERT give it one
        if self._takes_default(item, there, earlier):
            facts = without(facts, "default") | ({"default": declared["default"]} if "default" in declared else {})
        if there.get("not_null") and not declared.get("not_null"):
            whole = self.scope.whole.objects.get(item.key, item).each.facts or {}
            demanded = wants_value(there) and not whole.get("not_null") and item.each.name not in self._never_null
            if demanded or any(each.get("not_null") for each in earlier):
                facts = nullable(facts)
        if declared.get("not_null") and not there.get("not_null"):
            if item.each.name in self.rows.null:
                self.noted.left[item.key] = "it may be NULL: some row has NULL there"
            else:
                facts = {
                    **facts,
                    **{fact: declared[fact] for fact in ("not_null", "not_null_name") if fact in declared},
                }
        return facts

    def _takes_default(self, item: FoldedObject, there: Facts, earlier: Sequence[Facts]) -> bool:
        """Return whether a column gets the declared default, or lack of one.

        What an earlier migration declares is nobody's choice; and with another default a new row would get a value that
        the migration then fills.
        """
        declares = "default" in (item.each.facts or {})
        return (
            "default" not in there
            or self.scope.is_taken_over(item)
            or (declares and item.key in self._checked_anew)
            or any(each.get("default") == there["default"] for each in earlier)
            or (not declares and item.each.name in self.scope.migration.fills)
        )

    def _keeps_default(self, item: FoldedObject, there: Facts, later: Facts) -> bool:
        """Return whether a column of the migration has another default than the declared one, and stays so."""
        declared = item.each.facts
        if declared is None or "default" not in there or later.get("default") != there["default"]:
            return False
        if item.migration is not self.scope.migration or _ORIGIN & declared.keys():
            return False
        wanted = {"default": declared["default"]} if "default" in declared else {}
        return not self._compared(item, wanted, {"default": there["default"]}).is_right

    @cached_property
    def _never_null(self) -> frozenset[str]:
        """The columns that a key keeps from being NULL, one that is there or one that is declared."""
        declared = {item.key: item.each.facts or {} for item in self.scope.whole}
        return without_null(self.scope.named.objects) | without_null(declared)

    @cached_property
    def _checked_anew(self) -> frozenset[Key]:
        """The columns that get a check: it may refuse the default from before."""
        found = set()
        for key, item in self.scope.objects.items():
            check = (item.each.facts or {}).get("check")
            if key[0] == "constraint" and check is not None and self.found.objects.get(key) != item.each.facts:
                found |= {("column", f"{split(key[1])[0]}.{quoted(word)}") for word in words_in(str(check))}
        return frozenset(found)


def nullable(facts: Facts) -> dict[str, Fact]:
    """Return the facts of a column that may be NULL.

    Args:
        facts: Its facts before.
    """
    return without(facts, "not_null", "not_null_name", "not_null_options")


def _is_unique(facts: Facts) -> bool:
    """Return whether a constraint or an index lets no two rows be alike."""
    return bool(facts.get("unique")) or str(facts.get("key", "")).startswith(("PRIMARY KEY", "UNIQUE"))


def _key_in_place_of(name: str, facts: Facts, found: Snapshot) -> str | None:
    """Return the primary key that serves in place of a missing key, in words, or None."""
    key = str(facts.get("key", ""))
    if not key.startswith(("PRIMARY KEY", "UNIQUE")):
        return None
    table = split(name)[0]
    keys = (
        str(there.get("key", ""))
        for (kind, other), there in found.objects.items()
        if kind == "constraint" and split(other)[0] == table
    )
    standing = next((each for each in keys if each.startswith("PRIMARY KEY")), None)
    serves = key.startswith("PRIMARY KEY") or key.replace("UNIQUE", "PRIMARY KEY", 1) == standing
    return standing if serves else None


def _with_more(there: Facts, declared: Facts) -> Facts:
    """Return the privileges of a role with the declared ones."""
    may = dict.fromkeys((*texts(there, "may"), *texts(declared, "may")))
    return {**there, **declared, "may": tuple(may)} if may else {**there, **declared}


def _with_labels(there: Sequence[str], declared: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of an enum with the declared ones that it lacks, each after the one before it. None goes."""
    found = list(there)
    for place, label in enumerate(declared):
        if label not in found:
            found.insert(found.index(declared[place - 1]) + 1 if place else 0, label)
    return tuple(found)
