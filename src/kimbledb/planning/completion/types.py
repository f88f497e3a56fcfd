"""The columns that get another type, and the rule by which each is converted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from attrs import evolve, frozen

from kimbledb.model.completion import Conversion
from kimbledb.model.objects import Fact, Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import ids
from kimbledb.planning.comparison import same_type
from kimbledb.planning.completion.scope import Scope
from kimbledb.planning.conversions import default_of
from kimbledb.planning.fold import FoldedObject, split
from kimbledb.planning.set_aside import as_before
from kimbledb.planning.writer.names import own_name, texts

#: The types that an identity may have.
_COUNTED = ("smallint", "integer", "bigint")
_TEXTS = ("text", "character")
_AS_TEXT = r"\1text"


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False)
class Types:
    """The conversions that a migration needs."""

    scope: Scope

    @cached_property
    def conversions(self) -> dict[Key, Conversion]:
        """The conversions of all columns that have another type than is declared or expected."""
        return {each.key: each for each in self._converting if isinstance(each, Conversion)}

    @cached_property
    def unconverted(self) -> dict[str, str]:
        """The columns that no rule converts, each with the reason."""
        return dict(each for each in self._converting if not isinstance(each, Conversion))

    @cached_property
    def copied(self) -> list[Conversion | tuple[str, str]]:
        """The conversions of the rows that are copied; and each column that no rule converts, with the reason."""
        aside = self.scope.aside
        if not aside.names:
            return []
        wanted = _declared_types(
            {key: item for key, item in self.scope.fold.objects.items() if split(key[1])[0] in aside.names}
        )
        return [
            each
            for each in self._of(wanted, as_before(aside).objects)
            if split(each.column if isinstance(each, Conversion) else each[0])[0] in aside.names
        ]

    @cached_property
    def _converting(self) -> list[Conversion | tuple[str, str]]:
        scope = self.scope
        wanted = _declared_types({key: item for key, item in scope.objects.items() if not scope.is_of_view(key)})
        objects = scope.named.objects
        wanted = {
            column: kind
            for column, kind in {**wanted, **scope.migration.expects}.items()
            if (there := objects.get(("column", column))) is not None and not same_type(there, {"type": kind})
        }
        held = set(ids.held(wanted, objects, _declared_types(scope.fold.objects)))
        return list(self._of({column: kind for column, kind in wanted.items() if column not in held}, objects))

    def _of(self, wanted: Mapping[str, str], objects: Mapping[Key, Facts]) -> Iterator[Conversion | tuple[str, str]]:
        return ids.conversions(wanted, objects, declared=self.scope.foreign_keys, enums=self._enums)

    @cached_property
    def _enums(self) -> dict[str, list[str]]:
        """The labels of the enums, as they are afterwards."""
        there = self.scope.named.objects
        declared = {key: item.each.facts or {} for key, item in self.scope.fold.objects.items()}
        return {
            key[1]: [*dict.fromkeys((*texts(there.get(key, {}), "labels"), *texts(declared.get(key, {}), "labels")))]
            for key in {**there, **declared}
            if key[0] == "type" and ("labels" in there.get(key, {}) or "labels" in declared.get(key, {}))
        }

    def converted(self, facts: Facts, conversion: Conversion) -> Facts:
        """Return the facts of a column after its conversion.

        Args:
            facts: Its facts before.
            conversion: The conversion.
        """
        gone = {"default", "collation", *(() if conversion.after in _COUNTED else ("identity", "sequence"))}
        later = {name: fact for name, fact in facts.items() if name not in gone} | {"type": conversion.after}
        if "default" in facts and (default := default_of(conversion, str(facts["default"]), enums=self._enums)):
            later["default"] = default
        return later

    def following(self, found: Snapshot) -> Snapshot:
        """Return the schema in which constants follow the conversions of columns that are compared with them.

        The server has no operator between a text and an enum, or a uuid: ``status = 'open'::state`` would stay behind.

        Args:
            found: The schema.
        """
        casts = {
            each.key: re.compile(rf"('(?:[^']|'')*'::){re.escape(each.before)}(?![\w.\"])")
            for each in self.conversions.values()
            if (each.before == "uuid" or each.before in self._enums) and each.after.startswith(_TEXTS)
        }
        objects, sources = dict(found.objects), dict(found.sources)
        for key in found.objects if casts else ():
            for cast in (casts[need] for need in found.needs.get(key, ()) if need in casts):
                objects[key] = {name: _recast(fact, cast) for name, fact in objects[key].items()}
                if key in sources:
                    sources[key] = cast.sub(_AS_TEXT, sources[key])
        return evolve(found, objects=objects, sources=sources)

    def counters_of_ids(self, found: Snapshot) -> Iterator[Key]:
        """Yield the sequences that gave values to columns of ids which become uuids, and to no other.

        Args:
            found: The schema under its later names.
        """
        columns = {each.key for each in self.conversions.values() if each.ids_of is not None}
        for key, facts in found.objects.items():
            if key[0] == "sequence" and columns & {("column", owner) for owner in texts(facts, "owned_by")}:
                users = {each for each, needs in found.needs.items() if key in needs}
                if users <= columns:
                    yield key


def _recast(fact: Fact, cast: re.Pattern[str]) -> Fact:
    if isinstance(fact, tuple):
        return tuple(cast.sub(_AS_TEXT, each) for each in fact)
    return cast.sub(_AS_TEXT, fact) if isinstance(fact, str) else fact


def keeping_whole(conversion: Conversion, found: Snapshot) -> Conversion:
    """Return the conversion of an empty column to one that keeps the whole values of which another conversion cuts something.

    Args:
        conversion: The other conversion.
        found: The schema under its later names.
    """
    table, own = split(conversion.column)[0], parts_of(conversion.column)[-1]
    ends = itertools.chain(["_before"], (f"_before_{place}" for place in itertools.count(2)))
    name = next(each for end in ends if ("column", each := f"{table}.{quoted(own + end)}") not in found.objects)
    value = own_name(conversion.column)
    return Conversion(name, "boolean", conversion.before, f"CASE WHEN {conversion.cuts} THEN {value} END")


def _declared_types(objects: Mapping[Key, FoldedObject]) -> dict[str, str]:
    """Return the declared types of the columns among objects, by name."""
    return {
        item.each.name: str((item.each.facts or {})["type"]) for item in objects.values() if item.key[0] == "column"
    }
