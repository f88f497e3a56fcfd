"""The expected state after derived rollbacks: objects that are gone, and objects with their earlier facts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from attrs import define, field

from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts, Key, structure
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.comparison import compare
from kimbledb.planning.derived_rollback import GRANTED
from kimbledb.planning.fold import Belongings
from kimbledb.planning.grants_again import may_of


@define(eq=False)
class Expectation:
    """The objects that derived rollbacks take away or give back, as they must be after all rollbacks of a call."""

    #: For each object the facts that it must have, or None if it must not exist.
    objects: dict[Key, Facts | None] = field(factory=dict)
    #: The privileges outside of closed catalogs. A role may have more, by default privileges.
    open: set[Key] = field(factory=set)

    def add(
        self, migration: Migration, before: Mapping[Key, DatabaseObject], *, hosted: bool, staying: Collection[Key]
    ) -> None:
        """Take in the derived rollback of a migration, which runs after those that were taken in so far.

        Args:
            migration: The migration, with its declarations.
            before: The objects before it.
            hosted: Whether the database has the roles of a hosted platform.
            staying: Objects that the migration declares to make, and that its rollback leaves.
        """
        given_up: list[Key] = []
        for statement in migration.declarations.on(hosted=hosted):
            going = [each.key for each in statement.creates if each.key not in staying]
            self.objects |= dict.fromkeys(going)
            given_up += going
            for key in [key for key in going if key[0] in GRANTED]:
                del self.objects[key]  # somebody else may have granted more
            for (kind, old), new in statement.renames.items():
                self.objects[kind, new] = None
                given_up.append((kind, new))
                if (kind, old) in before:
                    self.objects[kind, old] = {}
            for each in statement.changes:
                if each.key in before:
                    self.objects[each.key] = _changed_facts(before[each.key].facts or {}, each.facts or {})
                    if each.kind == "privilege" and not migration.closed:
                        self.open.add(each.key)
        drops = [each.key for each in migration.declarations.drops]
        if drops:
            along = Belongings({key: each.facts for key, each in before.items()}).of(drops)
            self.objects |= {key: before[key].facts or {} for key in (*drops, *along) if key in before}
        # A name that is given up and taken again belongs to the object of before.
        self.objects |= {
            key: {}
            for key in given_up
            if key in before and key not in staying and key in self.objects and self.objects[key] is None
        }

    def forget(self, migration: Migration) -> None:
        """Leave out the objects of a migration that a written rollback takes back: they are its own affair.

        Args:
            migration: The migration.
        """
        for each in (*migration.creates, *migration.changes, *migration.drops):
            self.objects.pop(each.key, None)

    def differences(self, found: Snapshot) -> Iterator[str]:
        """Yield the objects that are not as they must be, each with what is wrong.

        Args:
            found: The objects after the rollbacks.
        """
        for key, facts in self.objects.items():
            shown = DatabaseObject(*key)
            if facts is None:
                if key in found.objects:
                    yield f"{shown} is still there"
            elif key not in found.objects:
                yield f"{shown} is not there again"
            else:
                there = {name: value for name, value in found.objects[key].items() if name in facts}
                if key in self.open:
                    there["may"] = tuple(sorted(may_of(there) & may_of(facts)))
                compared = compare(structure(facts), structure(there))
                if compared.differs:
                    yield f"{shown} is {compared.found_words}, and was {compared.expected_words}"


def _changed_facts(old: Facts, new: Facts) -> Facts:
    """Return the earlier facts that a migration changed. What the owner changed beside it is the owner's affair."""
    return {name: value for name, value in old.items() if new.get(name) != value}
