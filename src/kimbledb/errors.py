"""Every error that kimbledb raises, as one tree.

::

    KimbleDBError
    ├── ConfigurationError          no DSN, a malformed DSN, an impossible option
    ├── CatalogError                a migration folder has faults: all of them at once
    ├── PlanningError               no plan can be made
    │   ├── UnknownMigrationError   the catalog does not hold this name or number
    │   ├── DependencyCycleError    migrations require each other
    │   ├── AlternativesError       not exactly one of several alternatives was chosen
    │   ├── ChangedMigrationError   a file was edited after it was applied
    │   ├── RenamedMigrationError   a file was renamed after it was applied
    │   ├── ConflictingObjectsError existing objects or rows are in the way, and no migration repairs them
    │   ├── HazardError             a pending migration has a hazard that the options refuse
    │   └── PlanChangedError        the database or the files are not those of the plan that was signed
    ├── PreflightError              the server is not ready for the migrations: every gap at once
    ├── HistoryError                migration_history is missing, incomplete or malformed
    │   ├── UnrecordedObjectsError  the schema holds objects of the catalog, but no history
    │   └── ForeignHistoryError     another tool may have applied the migrations already
    ├── MigrationError              a run stopped: the applied migrations, the failed one, the cause
    │   ├── VerificationError       a migration ran, and its checks failed
    │   └── RollbackError           a migration could not be rolled back
    ├── RollbackRefusedError        a rollback would remove more than was asked for
    │   ├── DependentsError         other applied migrations need this one
    │   └── DataLossError           rows or values would be lost
    ├── ResetRefusedError           a reset would reach beyond the schema, or is not confirmed
    │   └── ConfirmationError       the confirmation is not the name of the database
    ├── BackupError                 a backup cannot be made or restored
    ├── RehearsalError              no clone of the schema can be made for a rehearsal
    ├── LockUnavailableError        another run, or the application, holds a lock for too long
    ├── DeadlineExceededError       the deadline of the whole call has passed
    ├── ConnectionLostError         the connection was lost; no migration is half applied
    ├── OutcomeUnknownError         COMMIT was sent, its reply was lost, and its outcome is unknown
    └── EmbeddedServerError         the embedded PostgreSQL cannot be started or stopped

``str(error)`` is written for a person: the subject, the place, the cause and the cure. The attributes hold the
same parts for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.text import counted, few, one_line, printable

if TYPE_CHECKING:
    from kimbledb.model.check import Check
    from kimbledb.model.fault import Fault
    from kimbledb.model.hazard import Hazard
    from kimbledb.model.loss import Loss
    from kimbledb.model.migration import AppliedStep, Migration
    from kimbledb.model.objects import DatabaseObject

#: The most items that a message lists; the attributes hold all of them.
MOST_LISTED = 20


def _listed(items: Iterable[object]) -> str:
    """Return the first items as indented lines, and the number of the others."""
    every = list(items)
    lines = [f"  {item}" for item in every[:MOST_LISTED]]
    if len(every) > MOST_LISTED:
        lines.append(f"  and {len(every) - MOST_LISTED} more")
    return "\n".join(lines)


class KimbleDBError(Exception):
    """The root of the tree: ``except kimbledb.KimbleDBError`` catches every error of this package.

    Attributes:
        message: The problem, in one or a few lines.
        hint: The cure, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message = printable(message)
        super().__init__(message)
        self.message: str = message
        self.hint: str | None = None if hint is None else printable(hint)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"

    def __reduce__(self) -> tuple[Callable[..., KimbleDBError], tuple[object, ...]]:
        # The constructors of most errors do not take the message, so that pickle cannot call them with it.
        return _error_of, (type(self), self.args, self.__dict__)


def _error_of(kind: type[KimbleDBError], args: tuple[object, ...], parts: dict[str, object]) -> KimbleDBError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(parts)
    return error


class ConfigurationError(KimbleDBError):
    """The call has wrong arguments or settings: no DSN, a malformed DSN, an impossible option."""


class CatalogError(KimbleDBError):
    """A folder of migrations has faults.

    Attributes:
        faults: All faults, each with its path, its line if known, the problem and the cure.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{counted(faults, 'fault')} in the migrations; nothing was run:\n{_listed(faults)}")
        self.faults: tuple[Fault, ...] = tuple(faults)


class PlanningError(KimbleDBError):
    """No plan can be made for this call."""


class UnknownMigrationError(PlanningError, KeyError):
    """The catalog does not hold this name, number or phase. Also a KeyError, since ``catalog[...]`` raises it.

    Attributes:
        name: The name, number or phase of the call.
        near: The names of the catalog that are similar to it, the most similar first.
    """

    def __init__(self, name: str | int, near: Sequence[str] = (), *, what: str = "migration") -> None:
        message = f"no {what} named {name}" if isinstance(name, str) else f"no {what} {name}"
        if near:
            message += f"; did you mean {' or '.join(near)}?"
        super().__init__(message)
        self.name: str | int = name
        self.near: tuple[str, ...] = tuple(near)


class DependencyCycleError(PlanningError):
    """Migrations require each other, so that none of them can be the first.

    Attributes:
        cycle: The names along the cycle; the first name is also the last.
    """

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(
            f"these migrations require each other: {' -> '.join(cycle)}",
            hint="remove one of these requirements (`requires` in migration.toml)",
        )
        self.cycle: tuple[str, ...] = tuple(cycle)


class AlternativesError(PlanningError):
    """Several migrations provide the same thing, and not exactly one of them was chosen.

    Attributes:
        alternatives: The names of these migrations.
    """

    def __init__(self, message: str, alternatives: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.alternatives: tuple[str, ...] = tuple(alternatives)


class ChangedMigrationError(PlanningError):
    """The text of an applied migration was edited afterwards.

    Attributes:
        changed: For each such migration its name, the checksum in history and the checksum of the file (SHA-256 in
            hexadecimal).
    """

    def __init__(self, changed: Sequence[tuple[str, str, str]], *, alone: bool = False) -> None:
        """Make the error.

        Args:
            changed: As the attribute.
            alone: Whether history holds no other migration of the catalog, so that another application may have
                written this history.
        """
        lines = _listed(
            f"{name}: applied with sha256 {recorded}, the file has {present}" for name, recorded, present in changed
        )
        super().__init__(
            f"these migrations were edited after they were applied; nothing was run:\n{lines}",
            hint="restore the file and put the change into a new migration; "
            + (
                "if another application wrote this history, give this catalog a schema of its own (schema=...)"
                if alone
                else "if the edit has no effect (a comment), list the old checksum under `supersedes` in migration.toml"
            ),
        )
        self.changed: tuple[tuple[str, str, str], ...] = tuple(changed)


class RenamedMigrationError(PlanningError):
    """The text of a pending file is in history under another name: it would run a second time.

    Attributes:
        renamed: For each such file the name in history and the name of the file.
    """

    def __init__(self, renamed: Sequence[tuple[str, str]], schema: str = "public") -> None:
        lines = _listed(one_line(f"{new} is {old} in history") for old, new in renamed)
        table = f"{quote_identifier(schema)}.{quote_identifier('migration_history')}"
        old, new = (quote_literal(name).strip() for name in renamed[0])
        super().__init__(
            f"these migrations were apparently renamed after they were applied; nothing was run:\n{lines}",
            hint="restore the old name of the file; or keep the new name, and change it in history, too: "
            f"UPDATE {table} SET migration_name = {new} WHERE migration_name = {old}; "
            "if this is a new migration with the text of a deleted one, change at least a comment in it",
        )
        self.renamed: tuple[tuple[str, str], ...] = tuple(renamed)


class ConflictingObjectsError(PlanningError):
    """Existing objects have another shape than the migrations declare, and nothing repairs them; or rows break what they declare.

    Attributes:
        conflicts: For each such migration its name, and the differences, or the rows with their number and the query that lists
            them.
        applied: The migrations that the same call applied before.
    """

    def __init__(
        self,
        conflicts: Sequence[tuple[str, str]],
        *,
        applied: Sequence[AppliedStep] = (),
        standing: str = "nothing was run",
    ) -> None:
        """Make the error.

        Args:
            conflicts: For each migration its name and the differences.
            applied: The migrations that the same call applied before.
            standing: What stays of the call, in words.
        """
        lines = _listed(f"{name}: {one_line(reason)}" for name, reason in conflicts)
        super().__init__(
            f"existing objects or rows are not as these migrations declare; {standing}:\n{lines}",
            hint="correct the rows that the queries list, convert these objects, or set aside the tables that `kimbledb plan`"
            " names for it (set_aside), then run again",
        )
        self.conflicts: tuple[tuple[str, str], ...] = tuple(conflicts)
        self.applied: tuple[AppliedStep, ...] = tuple(applied)


class HazardError(PlanningError):
    """A pending migration has a hazard that ``Options.refuse_hazards`` names.

    The migration was not run. If the hazard was found only during the run, its transaction was rolled back.

    Attributes:
        hazards: For each hazard the name of the migration and the hazard.
        applied: The migrations that the same call applied before.
    """

    def __init__(
        self,
        hazards: Sequence[tuple[str, Hazard]],
        *,
        applied: Sequence[AppliedStep] = (),
        standing: str = "nothing was run",
    ) -> None:
        lines = _listed(f"{name}: {hazard}" for name, hazard in hazards)
        super().__init__(
            f"refused by Options.refuse_hazards; {standing}:\n{lines}",
            hint="to allow a hazard, remove its name from refuse_hazards",
        )
        self.hazards: tuple[tuple[str, Hazard], ...] = tuple(hazards)
        self.applied: tuple[AppliedStep, ...] = tuple(applied)


class PlanChangedError(PlanningError):
    """What a call would do now is not the plan that it was given: files, history, objects, rows or the database differ.

    Attributes:
        changes: Each thing that has changed since the plan was made, in one line.
        signed: The fingerprint of the plan that was given.
        found: The fingerprint of the plan for what is there now.
        applied: The migrations of the plan that the same call applied before it met the change, which stay.
    """

    def __init__(self, changes: Sequence[str], *, signed: str, found: str, applied: Sequence[AppliedStep] = ()) -> None:
        standing = "nothing was run"
        if applied:
            standing = f"what was applied before stays ({', '.join(step.migration.name for step in applied)})"
        super().__init__(
            f"this is not the plan that was signed, {signed}; {standing}:\n{_listed(map(one_line, changes))}",
            hint=f"read the plan of now (`kimbledb plan --markdown`), and sign that: it is {found}",
        )
        self.changes: tuple[str, ...] = tuple(changes)
        self.signed: str = signed
        self.found: str = found
        self.applied: tuple[AppliedStep, ...] = tuple(applied)


class PreflightError(KimbleDBError):
    """The server is not ready for the migrations.

    Attributes:
        gaps: Each missing requirement, with its cure.
        applied: The migrations that the call applied before it met the gap, which stay. Nearly always empty,
            since the server is checked before the first migration.
    """

    def __init__(self, gaps: Sequence[tuple[str, str]], *, applied: Sequence[AppliedStep] = ()) -> None:
        lines = "\n".join(f"  {one_line(gap)}\n    cure: {cure}" for gap, cure in gaps)
        standing = "nothing was changed"
        if applied:
            standing = f"the migrations applied before stay ({', '.join(step.migration.name for step in applied)})"
        super().__init__(f"the database is not ready; {standing}:\n{lines}")
        self.gaps: tuple[tuple[str, str], ...] = tuple(gaps)
        self.applied: tuple[AppliedStep, ...] = tuple(applied)


class HistoryError(KimbleDBError):
    """``migration_history`` is missing, incomplete or malformed, so that no plan can rest on it."""


class UnrecordedObjectsError(HistoryError):
    """The schema holds objects that the catalog makes, but no history of them.

    Attributes:
        schema: The name of the schema.
        objects: The objects, each as text, such as ``table users``.
        adoptable: The names of the migrations that these objects prove to be applied.
    """

    def __init__(self, schema: str, objects: Sequence[str], adoptable: Sequence[str] = ()) -> None:
        super().__init__(
            f'schema "{schema}" holds objects of these migrations, but no history: {one_line(few(objects, 5))}\n'
            f"adopt() would record {counted(adoptable, 'migration')} as applied"
            + (f", from {adoptable[0]} to {adoptable[-1]}" if len(adoptable) > 1 else ""),
            hint="`kimbledb adopt --dry-run` shows this record; after `kimbledb adopt`, migrate() applies the rest",
        )
        self.schema: str = schema
        self.objects: tuple[str, ...] = tuple(objects)
        self.adoptable: tuple[str, ...] = tuple(adoptable)


class ForeignHistoryError(HistoryError):
    """The database holds the history of another tool and none of kimbledb.

    That history calls pending migrations applied, or the catalog gives no evidence by which to tell.

    Attributes:
        histories: Each such history as text, with its tool, its table and the number of its rows.
        claimed: The names of the pending migrations that such a history calls applied.
        migrations: Those, and the names of the pending migrations that declare no objects, so that nothing in the
            database could show whether they were applied.
    """

    def __init__(self, histories: Sequence[str], claimed: Sequence[str], unknown: Sequence[str]) -> None:
        super().__init__(
            f"{'; '.join(histories)}; kimbledb has applied nothing here\n"
            + (
                f"it calls applied: {few(claimed)}; nothing was run"
                if claimed
                else f"the database does not show whether {few(unknown)} already ran; nothing was run"
            ),
            hint="`kimbledb adopt` records the migrations that it can prove, and those that only such a history can show; "
            "migrate() then runs all others."
            + (
                f" Before that, record each of the others that was applied: `kimbledb stamp {unknown[0]}`"
                if unknown
                else ""
            ),
        )
        self.histories: tuple[str, ...] = tuple(histories)
        self.claimed: tuple[str, ...] = tuple(claimed)
        self.migrations: tuple[str, ...] = (*claimed, *unknown)


class MigrationError(KimbleDBError):
    """A run stopped. The migrations in ``applied`` are committed. The failed migration left no trace.

    Attributes:
        applied: The migrations that this run applied before, each with its seconds.
        failed: The migration that stopped the run, or None if no migration did.
        file: The path of the SQL file, or None.
        line: The line in the file, counted from 1, or None if the server named no place.
        column: The column in that line, counted from 1, or None.
        statement: The statement that failed, without the contents of its strings and comments, or None.
        sqlstate: The five characters of PostgreSQL's error code (manual,
            appendix A), or None if the error does not come from the server.
        hint: The cure, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        applied: Sequence[AppliedStep] = (),
        failed: Migration | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        statement: str | None = None,
        sqlstate: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.applied: tuple[AppliedStep, ...] = tuple(applied)
        self.failed: Migration | None = failed
        self.file: str | None = file
        self.line: int | None = line
        self.column: int | None = column
        self.statement: str | None = statement
        self.sqlstate: str | None = sqlstate


class VerificationError(MigrationError):
    """A migration ran without an error, and its checks failed.

    Its transaction was rolled back, and left no trace.

    Attributes:
        checks: The checks that failed, each with the expected and the found result, its file and its line.
        file: The path of the file of the first failed check, or None.
        line: The line on which the query of the first failed check begins, counted from 1, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        checks: Iterable[Check] = (),
        applied: Sequence[AppliedStep] = (),
        failed: Migration | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message, applied=applied, failed=failed, file=file, line=line)
        self.checks: tuple[Check, ...] = tuple(checks)


class RollbackError(MigrationError):
    """The rollback of a migration failed. ``applied`` holds the migrations that were rolled back before it."""


class RollbackRefusedError(KimbleDBError):
    """A rollback would remove more than was asked for. Nothing was changed."""


class DependentsError(RollbackRefusedError):
    """Other applied migrations need the migration that is to be rolled back.

    Attributes:
        name: The name of the migration to roll back.
        dependents: The names of the migrations that need it, newest first.
    """

    def __init__(self, name: str, dependents: Sequence[str]) -> None:
        super().__init__(
            f"{name} is needed by {', '.join(dependents)}",
            hint="roll these back first, or pass cascade=True to roll them back, too, newest first",
        )
        self.name: str = name
        self.dependents: tuple[str, ...] = tuple(dependents)


class DataLossError(RollbackRefusedError):
    """Rows or values would be lost. The operation was not run, or its transaction was rolled back.

    Attributes:
        losses: The data that would be lost, each loss with its count.
        objects: The tables, views, functions and other objects that would be dropped.
        applied: The migrations that the same call applied, or rolled back, before.
        failed: The migration that would lose the data, or None if it is not one migration alone.
    """

    def __init__(
        self,
        losses: Sequence[Loss],
        *,
        objects: Sequence[DatabaseObject] = (),
        applied: Sequence[AppliedStep] = (),
        failed: Migration | None = None,
        standing: str = "nothing was touched",
        hint: str = "to accept the loss, pass allow_data_loss=True; make a backup first",
    ) -> None:
        lines = _listed(losses)
        if objects:
            lines += f"\nobjects that would be dropped: {', '.join(map(str, objects))}"
        what = "this" if failed is None else failed.name
        verb = "would" if any(loss.count for loss in losses) else "could"
        super().__init__(f"{what} {verb} lose data; {standing}:\n{lines}", hint=hint)
        self.losses: tuple[Loss, ...] = tuple(losses)
        self.objects: tuple[DatabaseObject, ...] = tuple(objects)
        self.applied: tuple[AppliedStep, ...] = tuple(applied)
        self.failed: Migration | None = failed


class ResetRefusedError(KimbleDBError):
    """A reset would reach beyond the schema, or cannot be completed. Nothing was changed.

    Attributes:
        dependents: The objects outside of the schema that need objects in it, each as text.
    """

    def __init__(self, message: str, *, hint: str | None = None, dependents: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.dependents: tuple[str, ...] = tuple(dependents)


class ConfirmationError(ResetRefusedError):
    """The confirmation of a reset is not the name of the database. Nothing was changed.

    Attributes:
        given: The confirmation of the call.
        expected: The name of the database.
    """

    def __init__(self, given: str, expected: str) -> None:
        super().__init__(
            f'the reset is confirmed for "{given}", but the database is "{expected}"; nothing was touched',
            hint=f'to reset this database, pass confirm="{expected}"',
        )
        self.given: str = given
        self.expected: str = expected


class BackupError(KimbleDBError):
    """A backup cannot be made, read or restored.

    Neither the data that it should protect nor any existing file was changed.
    """


class RehearsalError(KimbleDBError):
    """No clone of the target's schema can be made. The target was only read."""


def _blocker_lines(blockers: Sequence[str], standing: str | None) -> str:
    """Return a line for each blocker, and one for the state of a step outside of transactions."""
    lines = [f"  held by {blocker}" for blocker in blockers] + ([standing] if standing else [])
    return "".join(f"\n{line}" for line in lines)


class LockUnavailableError(KimbleDBError):
    """A lock was not free within the time and the attempts that the options allow.

    Attributes:
        blockers: The sessions that hold the lock, as far as the server shows them, each as text with its process id,
            application, state and age. No session was terminated.
    """

    def __init__(
        self, message: str, *, blockers: Sequence[str] = (), standing: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message + _blocker_lines(blockers, standing), hint=hint)
        self.blockers: tuple[str, ...] = tuple(blockers)


class DeadlineExceededError(KimbleDBError):
    """The deadline of the whole call has passed. Committed migrations stay and are recorded.

    Attributes:
        seconds: The deadline of the call, in seconds.
        blockers: The sessions that blocked the call when the deadline passed, as far as they are known, each as text.
    """

    def __init__(
        self, seconds: float, *, doing: str, blockers: Sequence[str] = (), standing: str | None = None
    ) -> None:
        super().__init__(
            f"the deadline of {seconds:g} s passed while {doing}{_blocker_lines(blockers, standing)}",
            hint="call again to continue where this call stopped; Options(deadline=...) allows more time",
        )
        self.seconds: float = seconds
        self.blockers: tuple[str, ...] = tuple(blockers)


class ConnectionLostError(KimbleDBError):
    """The connection to the server was lost, and further attempts failed, too.

    The server rolls back a transaction that was open: each migration is either completely applied and recorded,
    or absent.
    """


class OutcomeUnknownError(KimbleDBError):
    """COMMIT was sent, its reply was lost, and no second connection could look up its outcome.

    The next run finds the outcome in ``migration_history``.

    Attributes:
        migration: The name of the migration whose outcome is unknown, ``the adoption`` or ``the reset``.
        after: The names of the migrations that were sent together with it, in order: the outcome of each is unknown, too.
        applied: The migrations that this run applied, or rolled back, before, each with its seconds.
    """

    def __init__(
        self,
        migration: str,
        *,
        applied: Sequence[AppliedStep] = (),
        can_ask: bool = False,
        back: bool = False,
        after: Sequence[str] = (),
    ) -> None:
        either = "completely rolled back, or still applied" if back else "completely applied and recorded, or absent"
        needed = "when the server can be reached" if can_ask else "with a DSN or a pool as target"
        together = f", and so is each of {', '.join(after)}, which were sent with it" if after else ""
        super().__init__(
            f"the reply to the COMMIT of {migration} was lost: {migration} is either {either}{together}",
            hint=f"call again {needed}; migration_history then shows the outcome",
        )
        self.migration: str = migration
        self.after: tuple[str, ...] = tuple(after)
        self.applied: tuple[AppliedStep, ...] = tuple(applied)


class EmbeddedServerError(KimbleDBError):
    """The embedded PostgreSQL cannot be installed, started or stopped."""
