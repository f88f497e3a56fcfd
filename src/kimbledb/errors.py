"""Every error that kimbledb raises, as one tree.

::

    KimbleDBError
    ├── ConfigurationError          no DSN, a malformed one, an impossible option
    ├── CatalogError                a migration folder has faults: all of them at once
    ├── PlanningError               no plan can be made
    │   ├── UnknownMigrationError   a name or number that the catalog does not hold
    │   ├── DependencyCycleError    migrations that need each other
    │   ├── AlternativesError       both, none or an unknown one was chosen
    │   ├── ChangedMigrationError   an applied file was edited afterwards
    │   ├── RenamedMigrationError   an applied file goes by another name now
    │   ├── ConflictingObjectsError objects are there in a shape that no migration mends
    │   └── HazardError             a pending migration would do what the options refuse
    ├── PreflightError              the server cannot take the migrations: every gap at once
    ├── HistoryError                migration_history is not what it must be
    │   ├── UnrecordedObjectsError  objects of the catalog are there, history is not
    │   └── ForeignHistoryError     another tool's history may hold what would be run
    ├── MigrationError              a run stopped: what was applied, what failed, and why
    │   ├── VerificationError       a migration ran and did not do what it promises
    │   └── RollbackError           taking a migration back failed
    ├── RollbackRefusedError        a rollback that would take more than was asked for
    │   ├── DependentsError         other migrations need this one
    │   └── DataLossError           rows or values would be lost
    ├── ResetRefusedError           a reset that would reach further than the schema
    │   └── ConfirmationError       the name that confirms it is not the database's
    ├── BackupError                 a backup cannot be made or brought back
    ├── LockUnavailableError        another run, or the application, holds a lock for too long
    ├── DeadlineExceededError       the deadline of the whole call has passed
    ├── ConnectionLostError         the server went away; nothing is half done
    ├── OutcomeUnknownError         COMMIT was sent, and nobody could be asked what became of it
    └── EmbeddedServerError         the embedded PostgreSQL cannot be had

An error says what it is about, where, why, and what to do: ``str(error)`` is
meant to be read by a person. The parts are attributes, for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kimbledb.model.text import one_line, printable

if TYPE_CHECKING:
    from kimbledb.model.migration import AppliedStep, Check, DatabaseObject, Fault, Hazard, Loss, Migration


#: How many of the same are listed in a message; the attributes hold all of them.
MOST_LISTED = 20


def _listed(items: Iterable[object]) -> str:
    """Return items as indented lines, the first of them where there are many, and how many more there are."""
    every = list(items)
    lines = [f"  {item}" for item in every[:MOST_LISTED]]
    if len(every) > MOST_LISTED:
        lines.append(f"  and {len(every) - MOST_LISTED} more")
    return "\n".join(lines)


class KimbleDBError(Exception):
    """The root of the tree: ``except kimbledb.KimbleDBError`` catches them all.

    Attributes:
        message: What is wrong, in one or a few lines.
        hint: What to do about it, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message = printable(message)
        super().__init__(message)
        self.message = message
        self.hint = None if hint is None else printable(hint)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"

    def __reduce__(self) -> tuple[Callable[..., KimbleDBError], tuple[object, ...]]:
        # Their constructors take what they are about, and not the message.
        return _error_of, (type(self), self.args, self.__dict__)


def _error_of(kind: type[KimbleDBError], args: tuple[object, ...], parts: dict[str, object]) -> KimbleDBError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(parts)
    return error


class ConfigurationError(KimbleDBError):
    """The call itself cannot be carried out: no DSN, a malformed one, an impossible option."""


class CatalogError(KimbleDBError):
    """A folder of migrations has faults.

    Attributes:
        faults: All of them, each with its path, its line where there is one,
            what is wrong and the cure.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{count} in the migrations; nothing was run:\n{_listed(faults)}")
        self.faults = tuple(faults)


class PlanningError(KimbleDBError):
    """No plan can be made of what was asked for."""


class UnknownMigrationError(PlanningError, KeyError):
    """A name, number or phase that the catalog does not hold. A KeyError, too, as ``catalog[...]`` raises one.

    Attributes:
        name: What was asked for.
        near: The names that come close to it, best first.
    """

    def __init__(self, name: str | int, near: Sequence[str] = (), *, what: str = "migration") -> None:
        message = f"no {what} named {name}" if isinstance(name, str) else f"no {what} {name}"
        if near:
            message += f"; did you mean {' or '.join(near)}?"
        super().__init__(message)
        self.name = name
        self.near = tuple(near)


class DependencyCycleError(PlanningError):
    """Migrations that need each other.

    Attributes:
        cycle: The names along the circle; the first is also the last.
    """

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(
            f"the migrations need each other in a circle: {' -> '.join(cycle)}",
            hint="take one of these out of the other's `requires` in migration.toml",
        )
        self.cycle = tuple(cycle)


class AlternativesError(PlanningError):
    """Of migrations that provide the same thing, not exactly one was chosen.

    Attributes:
        alternatives: The names to choose from.
    """

    def __init__(self, message: str, alternatives: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.alternatives = tuple(alternatives)


class ChangedMigrationError(PlanningError):
    """The apply.sql of an applied migration is not the text that was applied.

    Attributes:
        changed: For each one its name, the checksum in history and that of the file.
    """

    def __init__(self, changed: Sequence[tuple[str, str, str]], *, alone: bool = False) -> None:
        """Take what was changed, and whether history holds nothing else that the catalog knows."""
        lines = _listed(
            f"{name}: applied with sha256 {recorded}, the file has {present}" for name, recorded, present in changed
        )
        super().__init__(
            f"edited after it was applied; nothing was run:\n{lines}",
            hint="bring the file back and put the change into a new migration; "
            + (
                "where another application wrote this history, give this catalog a schema of its own (schema=...)"
                if alone
                else "where the edit changes nothing (a comment), list the older checksum under `supersedes` in migration.toml"
            ),
        )
        self.changed = tuple(changed)


class RenamedMigrationError(PlanningError):
    """A file that is not applied holds what history has under another name: it would run a second time.

    Attributes:
        renamed: For each one the name in history and that of the file.
    """

    def __init__(self, renamed: Sequence[tuple[str, str]], schema: str = "public") -> None:
        lines = _listed(one_line(f"{new} is {old} in history") for old, new in renamed)
        table = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, "migration_history"))
        old, new = ("'" + name.replace("'", "''") + "'" for name in renamed[0])
        super().__init__(
            f"renamed after they were applied, it seems; nothing was run:\n{lines}",
            hint="give the file its old name; or, if it keeps the new one, say so in history: "
            f"UPDATE {table} SET migration_name = {new} WHERE migration_name = {old}; "
            "a new migration with the text of one that is no more wants at least another comment",
        )
        self.renamed = tuple(renamed)


class ConflictingObjectsError(PlanningError):
    """Objects that migrations make are there in another shape, and no repair is pending that mends it.

    Attributes:
        conflicts: For each such migration its name and what is otherwise.
    """

    def __init__(self, conflicts: Sequence[tuple[str, str]]) -> None:
        lines = _listed(f"{name}: {one_line(reason)}" for name, reason in conflicts)
        super().__init__(
            f"objects are there in another shape; nothing was run:\n{lines}",
            hint="rename or convert them by hand, then run again; `kimbledb plan` shows what is otherwise",
        )
        self.conflicts = tuple(conflicts)


class HazardError(PlanningError):
    """A pending migration would do what ``Options.refuse_hazards`` names.

    It is not run, or where that was seen only while it ran, undone with its transaction.

    Attributes:
        hazards: For each its migration's name and the hazard.
        applied: What the same call had applied before.
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
            hint="take the name out of refuse_hazards (--refuse-hazard) when it may be",
        )
        self.hazards = tuple(hazards)
        self.applied = tuple(applied)


class PreflightError(KimbleDBError):
    """The server cannot take the migrations as things are; nothing was touched.

    Attributes:
        gaps: Everything that is missing, each with its cure.
        applied: What the call had applied before it came up, which stays. Empty where
            nothing was touched, as nearly always.
    """

    def __init__(self, gaps: Sequence[tuple[str, str]], *, applied: Sequence[AppliedStep] = ()) -> None:
        lines = "\n".join(f"  {one_line(gap)}\n    cure: {cure}" for gap, cure in gaps)
        standing = "nothing was changed"
        if applied:
            standing = f"what was applied before it stays ({', '.join(step.migration.name for step in applied)})"
        super().__init__(f"the database is not ready; {standing}:\n{lines}")
        self.gaps = tuple(gaps)
        self.applied = tuple(applied)


class HistoryError(KimbleDBError):
    """``migration_history`` is not what it must be to be believed."""


class UnrecordedObjectsError(HistoryError):
    """Objects that the catalog makes are there, and no history says who made them.

    Attributes:
        objects: Their names, as in ``table users``.
        adoptable: The migrations that they prove to be applied.
    """

    def __init__(self, schema: str, objects: Sequence[str], adoptable: Sequence[str] = ()) -> None:
        shown = one_line(", ".join(objects[:5])) + (f" and {len(objects) - 5} more" if len(objects) > 5 else "")
        super().__init__(
            f'schema "{schema}" holds objects that these migrations make, and no history of them: {shown}\n'
            f"adopt() would record {len(adoptable)} migrations as applied"
            + (f", from {adoptable[0]} to {adoptable[-1]}" if len(adoptable) > 1 else ""),
            hint="`kimbledb adopt --dry-run` shows it; after `kimbledb adopt`, migrate() completes the rest",
        )
        self.schema = schema
        self.objects = tuple(objects)
        self.adoptable = tuple(adoptable)


class ForeignHistoryError(HistoryError):
    """Another tool's history is there, kimbledb's is not, and nothing shows what of the catalog was applied.

    Attributes:
        histories: Each such history, with its tool, table and rows.
        migrations: The names of the migrations that would be run and declare nothing that could be looked for.
    """

    def __init__(self, histories: Sequence[str], migrations: Sequence[str], table: str) -> None:
        shown = ", ".join(migrations[:3]) + (f" and {len(migrations) - 3} more" if len(migrations) > 3 else "")
        first = migrations[0].replace("'", "''")
        super().__init__(
            f"{'; '.join(histories)}; kimbledb has applied nothing here\n"
            f"whether {shown} would run for the second time cannot be seen; nothing was run",
            hint="`kimbledb adopt` records what can be proved, and after it migrate() runs all the rest. Before that, "
            f"write down what of the rest was applied, each by: INSERT INTO {table} (migration_name) VALUES ('{first}')",
        )
        self.histories = tuple(histories)
        self.migrations = tuple(migrations)


class MigrationError(KimbleDBError):
    """A run stopped. What is in ``applied`` is committed; the failed one left nothing.

    Attributes:
        applied: What this run had applied before, each with its seconds.
        failed: The migration that stopped it, or None where no migration did.
        file: The path of the SQL file, or None.
        line: The line in it, counted from 1, or None where the server named no place.
        column: The column in that line, counted from 1, or None.
        statement: The statement that failed, or None.
        sqlstate: The five characters of PostgreSQL's error code (manual,
            appendix A), or None where the error is not the server's.
        hint: The cure.
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
        self.applied = tuple(applied)
        self.failed = failed
        self.file = file
        self.line = line
        self.column = column
        self.statement = statement
        self.sqlstate = sqlstate


class VerificationError(MigrationError):
    """A migration ran without an error, and its verification found that it had not done its work.

    The transaction was rolled back: nothing of it is left.

    Attributes:
        checks: The checks that failed, with what was expected and found, each with its file and line.
        file: The file of the first of them.
        line: The line in it on which the query of the first begins, counted from 1.
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
        self.checks = tuple(checks)


class RollbackError(MigrationError):
    """Taking a migration back failed. ``applied`` holds those that were taken back before it."""


class RollbackRefusedError(KimbleDBError):
    """A rollback that would take more than was asked for. Nothing was touched."""


class DependentsError(RollbackRefusedError):
    """Other applied migrations need the one to be rolled back.

    Attributes:
        name: The migration that was to go.
        dependents: Those that need it, newest first.
    """

    def __init__(self, name: str, dependents: Sequence[str]) -> None:
        super().__init__(
            f"{name} is needed by {', '.join(dependents)}",
            hint="roll those back first, or pass cascade=True (--cascade) to take them back too, newest first",
        )
        self.name = name
        self.dependents = tuple(dependents)


class DataLossError(RollbackRefusedError):
    """Rows or values would be lost. What would have lost them was not done, or taken back with its transaction.

    Attributes:
        losses: What would go, each with its count.
        objects: The tables, views, functions and the like that would go with it.
        applied: What the same call had applied, or taken back, before.
        failed: The migration that would have lost them, or None where it is not one alone.
    """

    def __init__(
        self,
        losses: Sequence[Loss],
        *,
        objects: Sequence[DatabaseObject] = (),
        applied: Sequence[AppliedStep] = (),
        failed: Migration | None = None,
        standing: str = "nothing was touched",
        hint: str = "pass allow_data_loss=True (--allow-data-loss) if that is meant; make a backup first",
    ) -> None:
        lines = _listed(losses)
        if objects:
            lines += f"\nwith {', '.join(map(str, objects))}"
        what = "this" if failed is None else failed.name
        verb = "would" if any(loss.count for loss in losses) else "could"
        super().__init__(f"{what} {verb} lose data; {standing}:\n{lines}", hint=hint)
        self.losses = tuple(losses)
        self.objects = tuple(objects)
        self.applied = tuple(applied)
        self.failed = failed


class ResetRefusedError(KimbleDBError):
    """A reset that would reach further than the schema, or cannot be done whole. Nothing was touched.

    Attributes:
        dependents: What is outside of the schema and needs what is in it.
    """

    def __init__(self, message: str, *, hint: str | None = None, dependents: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.dependents = tuple(dependents)


class ConfirmationError(ResetRefusedError):
    """What was given to confirm a reset is not the name of the database.

    Attributes:
        given: What was given.
        expected: The database's name.
    """

    def __init__(self, given: str, expected: str) -> None:
        super().__init__(
            f'the reset is confirmed for "{given}", and the database is "{expected}"; nothing was touched',
            hint=f'pass confirm="{expected}" (--confirm {expected}) if that is the one',
        )
        self.given = given
        self.expected = expected


class BackupError(KimbleDBError):
    """A backup cannot be made, read or brought back.

    What it was to protect was not touched, and no file that was there before.
    """


def _in_the_way(blockers: Sequence[str], standing: str | None) -> str:
    """Return the lines that say who is in the way, and what stays of a step outside of transactions."""
    lines = [f"  held by {blocker}" for blocker in blockers] + ([standing] if standing else [])
    return "".join(f"\n{line}" for line in lines)


class LockUnavailableError(KimbleDBError):
    """A lock could not be had in the time and the attempts allowed.

    Attributes:
        blockers: Who holds it, as far as the server tells: process id,
            application, state and age. Nobody was terminated.
    """

    def __init__(
        self, message: str, *, blockers: Sequence[str] = (), standing: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message + _in_the_way(blockers, standing), hint=hint)
        self.blockers = tuple(blockers)


class DeadlineExceededError(KimbleDBError):
    """The deadline of the whole call has passed. What was committed stays and is recorded.

    Attributes:
        seconds: The deadline that was set.
        blockers: Who was in the way at the end, where that is known.
    """

    def __init__(
        self, seconds: float, *, doing: str, blockers: Sequence[str] = (), standing: str | None = None
    ) -> None:
        super().__init__(
            f"the deadline of {seconds:g} s passed while {doing}{_in_the_way(blockers, standing)}",
            hint="call again: it goes on where this one stopped; Options(deadline=...) (--deadline) allows more time",
        )
        self.seconds = seconds
        self.blockers = tuple(blockers)


class ConnectionLostError(KimbleDBError):
    """The connection to the server was lost, and trying again did not help.

    A transaction that was open then is rolled back by the server: each
    migration is either whole and recorded, or absent.
    """


class OutcomeUnknownError(KimbleDBError):
    """COMMIT was sent, its reply was lost, and there was no second connection to ask with.

    The next run finds the truth in ``migration_history``.

    Attributes:
        migration: The name of the migration whose outcome is unknown, ``the adoption`` or ``the reset``.
        applied: What this run had applied, or taken back, before it, each with its seconds.
    """

    def __init__(
        self, migration: str, *, applied: Sequence[AppliedStep] = (), can_ask: bool = False, back: bool = False
    ) -> None:
        either = "wholly rolled back, or still there" if back else "wholly applied and recorded, or absent"
        super().__init__(
            f"the reply to the COMMIT of {migration} was lost: it is either {either}",
            hint="call again when the server can be reached: migration_history tells which"
            if can_ask
            else "call again with a DSN or a pool as target: migration_history tells which",
        )
        self.migration = migration
        self.applied = tuple(applied)


class EmbeddedServerError(KimbleDBError):
    """The embedded PostgreSQL cannot be had, started or stopped."""
