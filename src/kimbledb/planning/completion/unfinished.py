"""A migration that is there in part, and its completion."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import evolve, field, frozen

from kimbledb.model.completion import Completion, Conversion, Copy
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.completion import unreached, way
from kimbledb.planning.completion.forms import LaterForms
from kimbledb.planning.completion.noted import Noted
from kimbledb.planning.completion.questions import Questions
from kimbledb.planning.completion.rows import Rows
from kimbledb.planning.completion.scope import Scope, at_place
from kimbledb.planning.completion.strangers import close, follow_above, let_be_null
from kimbledb.planning.completion.types import Types, keeping_whole
from kimbledb.planning.fills import filling
from kimbledb.planning.fold import Belongings, FoldedObject, split
from kimbledb.planning.later_rows import LaterRows
from kimbledb.planning.set_aside import copies
from kimbledb.planning.writer.names import written


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False)
class Unfinished:
    """A migration that is there in part, with the questions to the rows, and the completion that follows from the answers."""

    scope: Scope
    #: The rows before it, where migrations before it in the plan change some; None for those that are there.
    rows_before: LaterRows | None = None

    @cached_property
    def types(self) -> Types:
        """The conversions."""
        return Types(self.scope)

    @cached_property
    def questions(self) -> Questions:
        """The questions about the rows."""
        return Questions(self.scope, self.types, self.rows_before)

    def complete(self, rows: Rows) -> Completion:
        """Return the completion.

        Args:
            rows: What the rows allow, for all that is asked.
        """
        return _Completing(self.scope, self.types, self.questions, rows).completion()


# Without slots: the properties below are computed once.
@frozen(slots=False, eq=False)
class _Completing:
    """One completion on its way."""

    scope: Scope
    types: Types
    questions: Questions
    rows: Rows
    noted: Noted = field(factory=Noted)

    def completion(self) -> Completion:
        scope, found = self.scope, self._found
        self._refuse_rows()
        objects = {key: each for key, each in self._converted.items() if key not in self._idle}
        made, changed = self._bring(objects)
        follow_above(found, objects)
        nullable = let_be_null(scope, found, objects)
        closing = close(scope, found, objects, self.noted)
        for why in unreached.removals(scope, found.objects):
            self.noted.refuse(why)
        after = way.afterwards(found, objects, [*made, *changed])
        copied = self._copies(after)
        fills = {table: each for table, each in scope.fills.items() if table in self.rows.filled}
        statements, last = self._statements(after, made, copied, fills)
        for why, table in unreached.lost(scope, found, after, self._idle):
            self.noted.refuse(why, table)
        reached = not self.noted.conflicts
        return Completion(
            statements=statements if reached else (),
            afterwards=last if reached else (),
            set_aside=copied,
            could_set_aside=() if reached else tuple(self._could_set_aside),
            made=tuple(each.each for each in made),
            changed=tuple(each.each for each in changed),
            renamed=tuple((old, DatabaseObject(kind, name)) for (kind, old), name in scope.renames.items()),
            converted=tuple(self.types.conversions.values()),
            kept=tuple((column, each.column, self.rows.breaking[column]) for column, each in self._kept.items()),
            made_nullable=nullable,
            taken_away=tuple(DatabaseObject(*key) for key in closing.dropped),
            revoked=tuple(DatabaseObject(*key) for key in (*closing.revoked, *closing.changed)),
            filled=tuple(column for each in fills.values() for column in each),
            kept_defaults=tuple(self.noted.defaults),
            left=self.noted.left,
            left_forms=self._left_forms(objects),
            not_run=tuple(unreached.not_run(scope)),
            runs_script=not scope.has_begun,
            conflicts=tuple(self.noted.conflicts),
            unproven=frozenset(unreached.unproven(scope)),
            undecided=dict(self.rows.undecided),
            after=after,
        )

    def _refuse_rows(self) -> None:
        """Note what rows break, and the columns that no rule converts."""
        for name, breaking in self.questions.breaking.items():
            if name in self.rows.breaking:
                self.noted.refuse(breaking.conflict(self.rows.breaking[name]), breaking.table)
        for column, why in self.types.unconverted.items():
            item = self.scope.fold.objects.get(("column", column))
            self.noted.refuse(at_place(item, why), split(column)[0])

    # The earlier objects, with the columns that keep truncated values.

    @cached_property
    def _kept(self) -> dict[str, Conversion]:
        """The columns that keep whole values, each as a conversion, by the column whose conversion cuts them."""
        return {
            each.column: keeping_whole(each, self.scope.named)
            for each in self.types.conversions.values()
            if each.column in self.questions.cut and self.rows.breaking.get(each.column)
        }

    @cached_property
    def _conversions(self) -> dict[Key, Conversion]:
        return {**self.types.conversions, **{each.key: each for each in self._kept.values()}}

    @cached_property
    def _found(self) -> Snapshot:
        columns = {each.key: {"type": each.before} for each in self._kept.values()}
        found = evolve(self.scope.named, objects={**self.scope.named.objects, **columns})
        return evolve(found, sources=self.types.following(found).sources)

    @cached_property
    def _following(self) -> Snapshot:
        """The existing objects, with constants that follow the conversions."""
        return self.types.following(self._found)

    @cached_property
    def _converted(self) -> dict[Key, Facts]:
        """The objects that are there, with columns converted."""
        there = self._following.objects
        later = {key: self.types.converted(there[key], each) for key, each in self._conversions.items()}
        return {**there, **later}

    @cached_property
    def _idle(self) -> frozenset[Key]:
        """The sequences that count nothing any more, with what belongs to them."""
        counters = frozenset(self.types.counters_of_ids(self._found))
        return counters.union(Belongings(self._found.objects).of(counters)) if counters else counters

    # The later objects.

    def _bring(self, objects: dict[Key, Facts]) -> tuple[list[FoldedObject], list[FoldedObject]]:
        """Bring objects to their declared forms, and return those that are made and those that are changed."""
        made: list[FoldedObject] = []
        changed: list[FoldedObject] = []
        forms = LaterForms(self.scope, self._found, self.rows, self.noted)
        for key, item in self.scope.objects.items():
            there = objects.get(key)
            facts = forms.of(item, there)
            if facts is not None and facts != there:
                objects[key] = facts
                (made if there is None else changed).append(item)
        return made, changed

    def _copies(self, after: Snapshot) -> tuple[Copy, ...]:
        """Return what is copied of tables that are set aside, into tables that are made here or by the script."""
        scope = self.scope
        declared = {key: item.each.facts or {} for key, item in scope.fold.objects.items()}
        return tuple(copies(scope.aside, after.objects if scope.has_begun else declared, self.types.copied))

    def _statements(
        self,
        after: Snapshot,
        made: Sequence[FoldedObject],
        copied: Sequence[Copy],
        fills: Mapping[str, Mapping[str, str]],
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the statements that lead to the schema afterwards: those before rows are copied, and those after."""
        leading = way.Way(self._found, self._conversions, closed=self.scope.migration.closed)
        if copied:
            leading.lead(way.before_copies(self._found, after, copied, fills))
        elif fills:
            leading.lead(way.before_fills(self._found, self._converted, after.objects, made, fills))
        before_copies = len(leading.statements)
        for table, each in fills.items():
            leading.statements += filling(table, each, leading.now.objects, after.objects)
        leading.lead(after)
        if not copied:
            before_copies = len(leading.statements)
        first = (*way.ahead(self.scope, self.types, self._kept.values()), *leading.statements[:before_copies])
        counted = way.counting(self.scope, self._found, after.objects)
        return first, (*leading.statements[before_copies:], *self._filled_again(leading.gone, after.objects), *counted)

    def _filled_again(self, gone: Collection[Key], objects: Collection[Key]) -> Iterator[str]:
        """Yield the statements that fill materialized views which were made again."""
        for name in self.questions.populated:
            if ("view", name) in gone and ("view", name) in objects and name in self.rows.populated:
                yield f"REFRESH MATERIALIZED VIEW {written(name)}"

    # The report.

    @property
    def _could_set_aside(self) -> Iterator[str]:
        """Yield the tables that hold what is in conflict, and that the migration makes."""
        for table in self.scope.tables_made:
            if ("table", table) in self.scope.aside.found.objects and table in self.noted.tables:
                yield table

    def _left_forms(self, objects: Mapping[Key, Facts]) -> dict[Key, Facts]:
        """Return the facts of tables, columns and constraints of the migration that are left, by their declared names."""
        return {
            item.declared_as: objects[key]
            for key, item in self.scope.objects.items()
            if key in self.noted.left
            and key in objects
            and key[0] in ("table", "column", "constraint")
            and item.migration is self.scope.migration
        }
