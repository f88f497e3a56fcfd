"""A step of a plan: one migration with its state and the reason, as a value."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import field, frozen

from kimbledb.model.text import one_line

if TYPE_CHECKING:
    from kimbledb.model.completion import Completion
    from kimbledb.model.evidence import AppliedMigration
    from kimbledb.model.forecast import Forecast
    from kimbledb.model.hazard import Hazard
    from kimbledb.model.migration import Migration


class StepState(enum.StrEnum):
    """The state of a migration in a database."""

    #: It is applied by history, and its file is unchanged.
    APPLIED = "applied"
    #: It is not applied yet.
    PENDING = "pending"
    #: One of its alternatives is used in its place.
    REPLACED = "replaced"
    #: It is not in history, but all its objects exist: ``adopt()`` would record it.
    ADOPTABLE = "adoptable"
    #: It is not in history, and some of its objects exist.
    PARTIAL = "partial"
    #: It is not in history, and some of its objects exist in another shape, or rows break what it declares.
    CONFLICTING = "conflicting"
    #: It is applied by history, and its file was edited since.
    CHANGED = "changed"
    #: Its last attempt failed; a run applies it again.
    FAILED = "failed"
    #: History holds its text under another name: apparently its file was renamed after it ran.
    RENAMED = "renamed"
    #: No rule chooses among it and its alternatives. Such a step is in a plan only if the plan needs no choice.
    UNDECIDED = "undecided"
    #: History holds it, but this catalog does not.
    UNKNOWN = "unknown"


#: States that stop a run: history and the files contradict each other.
REFUSED = frozenset({StepState.CHANGED, StepState.RENAMED})

#: States of a step that a run would apply.
TO_APPLY = frozenset(
    {StepState.PENDING, StepState.FAILED, StepState.ADOPTABLE, StepState.PARTIAL, StepState.CONFLICTING}
)


@frozen(eq=False)
class Step:
    """One migration in a plan, with its state and the reason."""

    #: The migration.
    migration: Migration
    #: The state of the migration in the database.
    state: StepState
    #: The reason for the state, in one line.
    reason: str = field(converter=one_line)
    #: The names of the migrations that it needs, with alternatives resolved.
    needs: tuple[str, ...] = ()
    #: False if the plan is limited (``to``, ``phase``) and excludes this migration.
    selected: bool = True
    #: Its row of migration_history, or None. The row of a renamed migration has its old name.
    recorded: AppliedMigration | None = None
    #: Its locks, rewrites and deletions on tables that hold rows.
    hazards: tuple[Hazard, ...] = ()
    #: Whether its online.sql runs first, outside of a transaction, because its tables hold rows.
    online: bool = False
    #: The statements written from its declarations in place of its script: the rest, where a part of it is there; or all of it,
    #: where tables are large and its declarations say all that its script does. Else None.
    completion: Completion | None = None
    #: The seconds that its statements take in the database, as ``rehearse()`` foresees them; else None.
    forecast: Forecast | None = None

    @property
    def name(self) -> str:
        """The name of the migration."""
        return self.migration.name

    @property
    def to_apply(self) -> bool:
        """Whether a run of the plan would apply it."""
        return self.selected and self.state in TO_APPLY

    @property
    def is_applied(self) -> bool:
        """Whether it is applied: history says so, and the schema does not contradict it. Its file may be edited since."""
        return self.state in (StepState.APPLIED, StepState.CHANGED)

    @property
    def is_there(self) -> bool:
        """Whether it is applied, or the schema shows all of it."""
        return self.is_applied or self.state is StepState.ADOPTABLE

    @property
    def is_recorded(self) -> bool:
        """Whether history holds it as applied, under this or an older name, and no alternative replaces it.

        If another program wrote history, the schema may still show that the migration is not applied.
        """
        return self._row_is_applied and self.state not in (StepState.UNKNOWN, StepState.REPLACED)

    @property
    def runs_again(self) -> bool:
        """Whether history holds it as applied, and it would be applied again: it is repeatable, and its text has changed."""
        return self.migration.repeatable and self._row_is_applied and self.state is StepState.PENDING

    @property
    def is_newer(self) -> bool:
        """Whether another version of kimbledb applied it, and this catalog does not hold it. A failed one does not count."""
        by_kimbledb = self.recorded is not None and self.recorded.version is not None
        return self._row_is_applied and by_kimbledb and self.state is StepState.UNKNOWN

    @property
    def _row_is_applied(self) -> bool:
        return self.recorded is not None and self.recorded.is_applied

    @property
    def notes(self) -> list[str]:
        """Remarks on the way in which it would be applied, such as hazards, a line each."""
        first = ["not asked for"] if self.state in TO_APPLY and not self.selected else []
        first += self.migration.remarks if self.state in TO_APPLY else []
        if self.completion is not None:
            first += self.completion.notes
        if self.online:
            first.append("online.sql runs first, outside of a transaction: tables hold rows")
        if self.migration.reaches:
            first.append(f"reaches outside of the target schema: {', '.join(self.migration.reaches)}")
        if self.migration.deletes:
            first.append(f"deletes data on purpose: {one_line(self.migration.deletes)}")
        if self.migration.demands and self.state in TO_APPLY:
            first.append(f"demands of existing rows: {one_line(self.migration.demands)}")
        # Of a migration without declarations, or with outdated ones, the plan says so elsewhere.
        if self.state in TO_APPLY and self.migration.wants_derived_rollback and self.migration.is_declared:
            why = self.migration.no_rollback
            first += [f"it cannot be rolled back: {one_line(why)}"] if why is not None else []
        if self.migration.is_outdated and self.state not in REFUSED:
            first.append(
                "edited after its declarations were recorded: they are outdated, and not used"
                if self.migration.declared_checksum
                else "the file with its declarations cannot be read: a merge with conflicts, or an edit by hand"
            )
        return [*first, *(f"hazard: {hazard}" for hazard in self.hazards)]

    @property
    def sql_lines(self) -> Iterator[str]:
        """The SQL that a run would send for it, as ``Plan.sql()`` shows it."""
        yield f"\n-- {one_line(str(self.migration))}: {self.state}"
        yield from (f"-- {one_line(line)}" for line in (self.reason, *self.notes))
        yield from self.statement_lines

    @property
    def statement_lines(self) -> Iterator[str]:
        """The statements that a run would send for it, in several texts."""
        if self.completion is not None:
            yield from self.completion.sql_lines
        elif self.online:
            yield f"-- First, outside of a transaction (online.sql):\n{self.migration.online_sql}-- Then:"
        if self.completion is None or self.completion.runs_script:
            yield self.migration.apply_sql.rstrip("\n")
            if self.migration.hosted_sql:
                yield f"-- On a hosted database, too (hosted.sql):\n{self.migration.hosted_sql}".rstrip("\n")

    def __str__(self) -> str:
        return f"{one_line(self.name)}: {self.state} ({self.reason})"
