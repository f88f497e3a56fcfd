"""Records of forms: which form history must record for each declared object of a database. Pure.

A record is made anew where history has none, or one of another server, version or database. An object whose
expressions read as declared is its own form. For any other object the server must have run the original statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from kimbledb.model.evidence import KeptObject
from kimbledb.model.forms import Forms, RecordedForms
from kimbledb.model.migration import Migration
from kimbledb.model.objects import Facts, Key, has_expressions
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.comparison import compare
from kimbledb.planning.fold import Fold, FoldedObject, fold


@frozen
class Made:
    """The forms that this server gives to what it makes of the original statements."""

    #: The forms of the objects of each migration right after it.
    first: Mapping[str, Mapping[Key, str]] = field(factory=dict)
    #: The forms of all objects once the server's own text was fed back to it, as a restored dump was. Empty where
    #: that was not needed.
    second: Mapping[Key, str] = field(factory=dict)

    def of(self, item: FoldedObject) -> str | None:
        """Return the form of an object by its original statement, or None if that could not be run."""
        return self.first.get(item.migration.name, {}).get(item.declared_as)


class Records:
    """The records that a database needs and history lacks."""

    def __init__(
        self,
        migrations: Sequence[Migration],
        found: Snapshot,
        forms: Forms,
        *,
        hosted: bool,
        kept: Mapping[Key, KeptObject] | None = None,
    ) -> None:
        """Compare what history records with what migrations declare.

        Args:
            migrations: The migrations that are applied, or whose objects exist, in the order of the plan.
            found: The objects of the schema.
            forms: The recorded forms.
            hosted: Whether the database is a hosted one.
            kept: The objects that keep a form of their own, as an adoption finds them.
        """
        self._found = found
        self._forms = forms
        self._kept = kept or {}
        self._names = [each.name for each in migrations if each.is_declared and not forms.is_usable(each.name)]
        folded: Fold = fold(migrations, hosted=hosted)
        wanted = frozenset(self._names)
        self._items = [
            item for item in folded if item.migration.name in wanted and has_expressions(item.each.facts or {})
        ]

    @property
    def undecided(self) -> list[FoldedObject]:
        """The objects that exist, and whose original statement the server must have run before their form is known."""
        return [item for item in self._items if item.key in self._found.forms and self._own_form(item) is None]

    def fed_back(self, made: Made) -> bool:
        """Return whether an object exists in another form than its original statement gives it here.

        Args:
            made: The forms by the original statements.
        """
        return any(made.of(item) not in (None, self._found.forms[item.key]) for item in self.undecided)

    def made(self, made: Made | None) -> dict[str, RecordedForms]:
        """Return the record of each migration that lacks one, by its name.

        An object that is neither in its first nor in its second form gets the first: it has drifted.

        Args:
            made: The forms by the original statements, or None if these cannot be run: a migration with an object that
                is undecided then gets no record.
        """
        without = set() if made is not None else {item.migration.name for item in self.undecided}
        made = made or Made()
        forms: dict[str, dict[Key, str]] = {name: {} for name in self._names if name not in without}
        for item in self._items:
            form = self._own_form(item) or self._form_by(made, item)
            if form is not None and item.migration.name in forms:
                forms[item.migration.name][item.declared_as] = form
        return {name: RecordedForms(self._forms.here, each, self._kept_by(name)) for name, each in forms.items()}

    def _form_by(self, made: Made, item: FoldedObject) -> str | None:
        first, exists_as = made.of(item), self._found.forms.get(item.key)
        is_second = first is not None and exists_as is not None and exists_as == made.second.get(item.key)
        return exists_as if is_second else first

    def _own_form(self, item: FoldedObject) -> str | None:
        """Return the form of the object that exists, if that is the one to record whatever the server makes anew."""
        facts, form = self._found.objects.get(item.key), self._found.forms.get(item.key)
        if facts is None or form is None:
            return None
        name = item.migration.name
        if self._forms.kept(name, item.declared_as) is not None or item.key in self._kept_by(name):
            return form
        recorded = self._forms.of(name, item.declared_as)
        return form if compare(item.each.facts or {}, facts, form=form, recorded=recorded).is_right else None

    def _kept_by(self, name: str) -> dict[Key, Facts]:
        old = self._forms.recorded.get(name)
        kept = dict(old.kept) if old is not None else {}
        return kept | {key: each.facts for key, each in self._kept.items() if name in each.migrations}
