"""The changes since a plan was signed: compare its basis with that of a new plan. Pure.

A migration of the plan that was applied meanwhile, with the signed text, is no change: another run of the same plan did it.
Neither is what it made, nor whether a table that it names holds rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

from attrs import field, frozen

from kimbledb.model.basis import APPLIED, APPLY, EMPTY, FILLED, LOCKED, MISSING, THERE, Basis
from kimbledb.model.basis_of_plan import names_in
from kimbledb.model.migration import Migration
from kimbledb.model.objects import parts_of
from kimbledb.model.plan import Plan

if TYPE_CHECKING:
    from kimbledb.model.script import Part

#: Beginning of the name of a text that describes the columns and constraints of a table.
_FORM = "the form of "
#: The parts of a target, by their names in a basis, in words.
_TARGET = {
    "server": "another server: signed for the one with the system identifier {signed}, and this is {now}",
    "database": "another database: signed for {signed}, and this is {now}",
    "schema": "another schema: signed for {signed}, and this is {now}",
    "platform": "another platform: signed for a {signed} server, and this one is {now}",
    "contents": "the schema held {signed} when it was signed, and holds {now}",
}
#: The name of each kind of text, for texts of which only fingerprints can be compared.
_IN_WORDS = {
    "files": "the files of the migrations",
    "history": "the history: what is applied",
    "schema": "the objects of the schema",
    "rows": "which tables hold rows",
    "target": "the server, the database or the schema",
    "wishes": "the arguments of the call (to, phase, prefer, set_aside)",
    "steps": "what would be sent",
}
#: The most tables of which it is tried whether they held rows.
_MOST_LOCKED = 8
#: The acts that history shows, by the first word of a row's text.
_ACTS = {"applied": "was applied", "adopted": "was adopted", "recorded": "was recorded"}


def differing(kind: str, now: Basis) -> str:
    """Return that texts of a kind differ, with what is there now, for where only fingerprints can be compared.

    Args:
        kind: One of ``kimbledb.model.basis.KINDS``.
        now: The basis of the plan of now.
    """
    texts = now.of(kind)
    there = ""
    if kind == "target":
        there = "; this is " + ", ".join(f"{name} {value}" for name, value in texts.items() if name in _TARGET)
    elif kind == "wishes":
        there = "; in this call " + (", ".join(f"{name}: {value}" for name, value in texts.items()) or "none is given")
    elif kind == "history" and texts:
        last = max(texts, key=lambda name: texts[name].split(" ", 2)[2])
        there = f"; the last is {last}, at {texts[last].split(' ', 2)[2]}"
    return f"{_IN_WORDS[kind]}: not as in the plan that was signed{there}"


def same_where_known(signed: Basis, now: Basis) -> Basis:
    """Return the basis of now, without what of the target is not known of the signed one.

    A role may not be allowed to read the identifier of the server; a plan for an empty database names none.

    Args:
        signed: The basis of the signed plan.
        now: The basis of the plan of now.
    """
    before, target = signed.of("target"), dict(now.of("target"))
    if before.get("server") == "unknown":
        target["server"] = "unknown"
    if "database" not in before:
        target = {name: each for name, each in target.items() if name in before}
    return now.replacing("target", target)


def variants(now: Basis) -> Iterator[Basis]:
    """Yield the forms in which the plan of now may have been signed: for this database, or for an empty one."""
    target, rows = now.of("target"), now.of("rows")
    locked = [name for name, value in rows.items() if value == LOCKED][:_MOST_LOCKED]
    # Of a table that is locked nobody can tell; whether it holds rows is looked at under the lock.
    for values in itertools.product((EMPTY, FILLED), repeat=len(locked)):
        each = now.replacing("rows", {**rows, **dict(zip(locked, values, strict=True))})
        yield each
        yield each.replacing("target", {**target, "server": "unknown"})
    # Whether this database is empty is told by other parts.
    yield now.replacing("target", {name: target[name] for name in ("schema", "platform", "contents")})


@frozen(eq=False, slots=False)
class Comparison:
    """A signed plan beside the plan of now."""

    signed: Basis
    #: The basis of the plan of now.
    now: Basis
    #: The plan of now.
    plan: Plan
    #: Whether it rests on a look at the schema, or on history alone.
    looked: bool = True
    #: The migrations that runs of the signed plan applied, as the log says; None where it was not asked.
    own: Collection[str] | None = None
    #: For migrations the last event in words: which role did it, and when.
    events: Mapping[str, str] = field(factory=dict)

    @cached_property
    def done(self) -> frozenset[str]:
        """The migrations of the signed plan that were applied meanwhile, with the signed text."""
        before, rows = self.signed.of("history"), self.now.of("history")
        return frozenset(
            name
            for name in self.signed.to_apply
            if (row := rows.get(name, "")) != before.get(name)
            and row.startswith(APPLIED)
            and row.split()[1] == self.signed.of("steps")[name].split()[1]
            and (self.own is None or name in self.own)
        )

    @property
    def is_done(self) -> bool:
        """Whether all of the signed plan is applied, whoever did it, and nothing is left to apply or to refuse."""
        left = self.plan.pending or self.plan.refused
        return not left and self.done.issuperset(self.signed.to_apply) and not [*self._of_target()]

    @property
    def moved_in_history(self) -> list[str]:
        """The migrations whose rows of history have changed, other than by runs of the plan."""
        before, after = self.signed.of("history"), self.now.of("history")
        return sorted(
            name
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name) and name not in self.done
        )

    @property
    def changes(self) -> list[str]:
        """Each thing that has changed, in one line."""
        named = [*self._of_target(), *self._of_wishes(), *self._of_files()]
        if self._is_elsewhere:
            return named  # of another database no state is a change
        named += self._of_history()
        if self.looked:
            named += [*self._of_schema(), *self._of_rows()]
        steps = self._of_steps(named) if self.looked or not self.plan.pending else ()
        return list(dict.fromkeys([*named, *steps]))

    def _differing(self, kind: str) -> Iterator[tuple[str, str | None, str | None]]:
        """Yield the names of a kind under which the texts differ, with the text of then and of now."""
        before, after = self.signed.of(kind), self.now.of(kind)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield name, before.get(name), after.get(name)

    @property
    def _is_elsewhere(self) -> bool:
        before, after = self.signed.of("target"), self.now.of("target")
        names = [name for name in ("server", "database", "schema") if name in before]
        return any(before[name] not in (after.get(name), "unknown") for name in names)

    def _of_target(self) -> Iterator[str]:
        before, after = self.signed.of("target"), self.now.of("target")
        for name, words in _TARGET.items():
            if name not in before or before[name] == after.get(name) or (name == "contents" and self.done):
                continue
            if name == "server" and before[name] == "unknown":
                continue
            if name == "contents" and "database" not in before:
                yield "the plan is for an empty database, and this one is not empty"
            else:
                yield words.format(signed=before[name], now=after.get(name, "unknown"))
        if "database" not in before and not self.done and self.now.of("history"):
            yield "the plan is for an empty database, and this one has a history"

    def _of_wishes(self) -> Iterator[str]:
        for name, signed, now in self._differing("wishes"):
            yield f"{name}: {signed or 'nothing'} when it was signed, {now or 'nothing'} in this call"

    def _of_files(self) -> Iterator[str]:
        before, after = ({key.partition(" ")[2] for key in each.of("files")} for each in (self.signed, self.now))
        for key, signed, now in self._differing("files"):
            part, _, name = key.partition(" ")
            if name not in before:
                yield f"{self._folder(name)}: {name} is new in the catalog"
            elif name not in after:
                yield f"{name} is not in the catalog any more"
            else:
                how = "is new" if signed is None else "is not there any more" if now is None else "has changed"
                yield f"{self._path(part, name)} {how}"

    def _migration(self, name: str) -> Migration:
        return self.plan.step(name).migration

    def _folder(self, name: str) -> str:
        return self._migration(name).location or name

    def _path(self, part: str, name: str) -> str:
        """Return the path of the file that holds a part of a migration."""
        migration = self._migration(name)
        if part == "declarations":
            return (
                f"declared.toml, with the objects of {name},"
                if migration.is_flat
                else f"{migration.location}/declared.toml"
            )
        if part == "facts":
            return (
                f"{migration.location} (what its head says)"
                if migration.is_flat
                else f"{migration.location}/migration.toml"
            )
        return migration.script(cast("Part", part)).path

    def _of_history(self) -> Iterator[str]:
        before, after = self.signed.of("history"), self.now.of("history")
        for name in self.moved_in_history:
            then, now = before.get(name, ""), after.get(name, "")
            event = f" ({self.events[name]})" if name in self.events else ""
            if not now:
                yield f"{name} was applied when it was signed, and is not any more{event}"
                continue
            state, _, time = now.split(" ", 2)
            again = " anew" if then else ""
            yield f"{name} {_ACTS[state]}{again} since{event or f' (at {time})'}"

    @cached_property
    def _touched(self) -> tuple[Collection[str], Collection[str]]:
        """The objects that migrations which were applied meanwhile make, change or drop, and the names in their SQL."""
        steps = [self.plan.step(name) for name in self.done]
        objects = {
            str(each)
            for step in steps
            for each in (*step.migration.creates, *step.migration.changes, *step.migration.drops)
        }
        return objects, {word for step in steps for word in names_in(step)}

    def _is_touched(self, name: str) -> bool:
        objects, words = self._touched
        if name.startswith(_FORM):
            return parts_of(name.removeprefix(f"{_FORM}table "))[-1] in words
        return any(each in name for each in objects)

    def _of_schema(self) -> Iterator[str]:
        differing = [each for each in self._differing("schema") if not self._is_touched(each[0])]
        whole = {name for name, signed, now in differing if name.startswith("table ") and THERE in (signed, now)}
        for name, signed, now in differing:
            shown = name.removeprefix(_FORM)
            _, _, own = name.partition(" ")
            if any(own.startswith(f"{table.removeprefix('table ')}.") for table in whole):
                continue  # the columns of a table come and go with it
            if name.startswith(_FORM) and signed and now:
                yield f"{shown} has other columns or constraints"
            elif MISSING in (signed, now) and THERE not in (signed, now):
                yield f"{shown}: {'no difference any more' if now is None else 'a difference that was not there'}"
            elif now is None or now == MISSING:
                yield f"{shown} is not there any more"
            else:
                yield f"{shown} {'has appeared' if now != 'in conflict' else 'is in conflict'}"

    def _of_rows(self) -> Iterator[str]:
        _, words = self._touched
        for name, signed, now in self._differing("rows"):
            if name not in words and signed and now and LOCKED not in (signed, now):
                yield f"table {name} {'has rows now, and was empty' if signed == EMPTY else 'is empty now, and had rows'}"

    def _of_steps(self, named: Collection[str]) -> Iterator[str]:
        """Yield the steps that would be done otherwise, but for those of which another line tells why."""
        told, files = "\n".join(named), {key.partition(" ")[2] for key, _, _ in self._differing("files")}
        for name, signed, now in self._differing("steps"):
            if name in self.done or name in files or name in told:
                continue
            then, later = (_state_of(each) for each in (signed, now))
            if then == later:
                yield f"{name}: other statements would be sent than those that were signed"
            else:
                yield f"{name}: {then} when it was signed, and {later} now"


def _state_of(step: str | None) -> str:
    """Return the state of a step, and the way in which it is done, in words."""
    if step is None:
        return "not in the plan"
    shown = step.removeprefix(APPLY).partition(" ")[2] if step.startswith(APPLY) else step
    return ", ".join(each for each in shown.split(", ") if not each.startswith("written ")) or "pending"
