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
    ├── TargetsError                the iterable of a call for many raised an error
    ├── LockUnavailableError        another run, or the application, holds a lock for too long
    ├── DeadlineExceededError       the deadline of the whole call has passed
    ├── ConnectionLostError         the connection was lost; no migration is half applied
    ├── OutcomeUnknownError         COMMIT was sent, its reply was lost, and its outcome is unknown
    └── EmbeddedServerError         the embedded PostgreSQL cannot be started or stopped

``str(error)`` is written for a person: the subject, the place, the cause and the cure, and the address of the section
that explains the class. The attributes hold the same parts for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.text import counted, few, one_line, printable

if TYPE_CHECKING:
    from kimbledb.model.check import Check
    from kimbledb.model.fault import Fault
    from kimbledb.model.hazard import Hazard
    from kimbledb.model.loss import Loss
    from kimbledb.model.many_report import ManyReport
    from kimbledb.model.migration import AppliedStep, Migration
    from kimbledb.model.objects import DatabaseObject

#: The most items that a message lists; the attributes hold all of them.
MOST_LISTED = 20
#: The address of the documentation, with a slash at its end.
DOCUMENTATION: Final = "https://kimbledb.readthedocs.io/en/latest/"


def _listed(items: Iterable[object]) -> str:
    """Return the first items as indented lines, and the number of the others."""
    every = list(items)
    lines = [f"  {item}" for item in every[:MOST_LISTED]]
    if len(every) > MOST_LISTED:
        lines.append(f"  and {len(every) - MOST_LISTED} more")
    return "\n".join(lines)


class KimbleDBError(Exception):
    """The root of the tree: ``except kimbledb.KimbleDBError`` catches every error of this package.

    Causes:
        - The root is never raised itself: each error is one of the classes below it.

    Cure:
        1. Read the message: it names the subject, the place and the cause, and ``hint`` is the cure.
        2. Open ``url``, the last line of the text: it is the section of the error's class.

    Attributes:
        message: The problem, in one or a few lines.
        hint: The cure, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message = printable(message)
        super().__init__(message)
        self.message: str = message
        self.hint: str | None = None if hint is None else printable(hint)

    @property
    def text(self) -> str:
        """The message and the hint, without the address: for a text that shows more than this error."""
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"

    @property
    def url(self) -> str:
        """The address of the section that explains the class of this error: causes and cure."""
        # A class of the caller, or one that is not public, is explained by the class it is derived from.
        name = next(each.__name__ for each in type(self).__mro__ if each.__module__ == __name__)
        return f"{DOCUMENTATION}reference/errors/#{name.lower()}"

    def __str__(self) -> str:
        return f"{self.text}\n  see: {self.url}"

    def __reduce__(self) -> tuple[Callable[..., KimbleDBError], tuple[object, ...]]:
        # The constructors of most errors do not take the message, so that pickle cannot call them with it.
        return _error_of, (type(self), self.args, self.__dict__)


def _error_of(kind: type[KimbleDBError], args: tuple[object, ...], parts: dict[str, object]) -> KimbleDBError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(parts)
    return error


class ConfigurationError(KimbleDBError):
    """The call has wrong arguments or settings: no DSN, a malformed DSN, an impossible option.

    Causes:
        - No database is named: no target, and none of ``KIMBLEDB_DSN``, ``DATABASE_URL`` and libpq's variables is
          set.
        - The DSN is malformed: it stands in quotation marks, or its password is not percent-encoded.
        - The server refuses the connection: the password is wrong, the database does not exist, or one side demands
          TLS and the other has none.
        - An argument, an option, or a key of ``[tool.kimbledb]`` is unknown or has an impossible value.
        - The folder of migrations does not exist.

    Cure:
        1. Read the first line: it names the variable, the argument, the key or the folder.
        2. Correct it, and run again. A retry without a correction fails in the same way.
    """


class CatalogError(KimbleDBError):
    """A folder of migrations has faults.

    Causes:
        - A file is missing, cannot be read, or is not UTF-8.
        - migration.toml or a head comment holds an unknown key or a value of a wrong type.
        - A script holds BEGIN or COMMIT, or does not close a string, a comment or a bracket.
        - Two migrations have one name or one number, or one requires a migration that the catalog does not have.
        - declared.toml was edited by hand.

    Cure:
        1. Correct each fault at its place. The message lists all of them, so that one round suffices.
        2. Write a declaration anew with ``kimbledb declare``; never edit it.
        3. Run ``kimbledb plan --empty``: it reads the whole folder and asks no database.

    Attributes:
        faults: All faults, each with its path, its line if known, the problem and the cure.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{counted(faults, 'fault')} in the migrations; nothing was run:\n{_listed(faults)}")
        self.faults: tuple[Fault, ...] = tuple(faults)


class PlanningError(KimbleDBError):
    """No plan can be made for this call.

    Causes:
        - It is always one of the classes below it.

    Cure:
        1. Read the section of the class that the traceback names. No plan was made, and nothing was run.
    """


class UnknownMigrationError(PlanningError, KeyError):
    """The catalog does not hold this name, number or phase. Also a KeyError, since ``catalog[...]`` raises it.

    Causes:
        - The name, the number or the phase is misspelt.
        - The call reads another catalog than the one that holds the migration.

    Cure:
        1. Take one of the similar names that the message offers, or list all names with ``kimbledb plan --empty``.
        2. Name the right folder with ``catalog=`` (``--catalog``).

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

    Causes:
        - ``requires`` in the migration.toml of these migrations, or the dependency comments of another tool's files,
          form a cycle.

    Cure:
        1. Follow the cycle that the message prints, and remove the requirement that the SQL does not need.
        2. If the SQL needs all of them, move the part that closes the cycle (often a foreign key) into a migration of
           its own.

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

    Causes:
        - ``prefer`` names two migrations that exclude each other, or one that has no alternatives.
        - ``prefer`` or ``to`` names an alternative, and history records another one as applied.
        - Several migrations provide one thing, and none of them is the default.
        - History records two alternatives as applied.

    Cure:
        1. Name one of them: ``prefer=("...",)`` (``--prefer``).
        2. To choose for every call, write ``default = true`` in the migration.toml of one of them.
        3. To change to another alternative, first roll the applied one back: ``kimbledb rollback NAME``.

    Attributes:
        alternatives: The names of these migrations.
    """

    def __init__(self, message: str, alternatives: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.alternatives: tuple[str, ...] = tuple(alternatives)


class ChangedMigrationError(PlanningError):
    """The text of an applied migration was edited afterwards.

    Causes:
        - Somebody edited apply.sql or hosted.sql of a migration that this database has applied.
        - Another application wrote the history of this schema, and its migrations have the same names.

    Cure:
        1. Restore the file from version control: ``git log --follow`` shows the edit.
        2. Put the change into a new migration: ``kimbledb new NAME``.
        3. If the edit has no effect, such as a comment, list the checksum that history has under ``supersedes`` in
           migration.toml.
        4. If another application wrote the history, give this catalog a schema of its own: ``schema=``
           (``--schema``).

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

    Causes:
        - A file or folder of an applied migration was renamed.
        - A new migration has exactly the text of a deleted one.

    Cure:
        1. Restore the old name.
        2. To keep the new name, run the UPDATE that the hint shows: it changes the name in history.
        3. If the migration is new and must run, change at least a comment in it.

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

    Causes:
        - A table, a column or another object has the declared name and another shape, and no rule converts it.
        - Rows break a constraint, or hold values that do not fit the declared type.

    Cure:
        1. Run ``kimbledb plan``: it names each difference, and the query that lists the rows.
        2. Correct the rows, or convert the object by hand.
        3. If a table cannot be converted, set it aside with its rows: ``set_aside=`` (``--set-aside TABLE``).
        4. Run again.

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

    Causes:
        - ``Options.refuse_hazards`` (``--refuse-hazard``) names a hazard that a pending migration has on a table with
          rows.
        - With ``rows_deleted`` among them, a script deleted rows while it ran.

    Cure:
        1. Run ``kimbledb rehearse``: it shows how long the statement locks the table on a clone.
        2. Change the migration so that it avoids the hazard; the message names the way for each.
        3. If the hazard is acceptable this time, omit its name from ``refuse_hazards``.

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
    """The plan of now is not the plan that the call was given: files, history, objects, rows or the database differ.

    Causes:
        - Somebody merged another migration or edited a file after the plan was signed.
        - The database changed: another run applied a migration, an object differs, or an empty table has rows now.
        - The DSN leads to another database than the one that was planned.

    Cure:
        1. Read the changes that the message lists; with a file in place of the fingerprint it lists more of them.
        2. Make the plan anew with ``kimbledb plan --markdown``, and review it.
        3. Pass the new fingerprint: ``kimbledb migrate --plan FINGERPRINT``.

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

    Causes:
        - The server is older than PostgreSQL 15, is a standby, or only reads.
        - An extension is missing on the server, is too old, or may not be created by this role.
        - The role may not create in the database or in the schema, or another role owns the tables.
        - A role that is not trusted owns history, or may create objects on the search_path.
        - The encoding of the database is not UTF8.
        - The role may not create the database that ``provision()`` shall make, or one of that name is not current.

    Cure:
        1. Carry out the line ``cure:`` below each gap; where it is a GRANT or CREATE EXTENSION, as an administrator.
        2. Run again. For a role that shall only wait, pass ``Options(or_wait=True)`` (``--or-wait``).

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
    """``migration_history`` is missing, incomplete or malformed, so that no plan can rest on it.

    Causes:
        - ``migration_history`` or ``migration_log`` has columns that kimbledb cannot read or take over.
        - A row of ``migration_history`` has no name.
        - The history in this schema belongs to another application: it holds nothing of this catalog.

    Cure:
        1. Follow the hint: it renames the table, finds the row, or names the way to a schema of its own.
        2. Where the table was renamed, run ``kimbledb adopt``: it records what the database shows to be applied.
    """


class UnrecordedObjectsError(HistoryError):
    """The schema holds objects that the catalog makes, but no history of them.

    Causes:
        - The database was made by SQL files, by another tool, or from a dump without ``migration_history``.
        - The DSN or ``schema`` leads to a database of something else.

    Cure:
        1. Check that the database is the right one: the message names its schema and its objects.
        2. Run ``kimbledb adopt --dry-run``: it shows what would be recorded, and changes nothing.
        3. Run ``kimbledb adopt``, then ``kimbledb migrate``.

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

    Causes:
        - Another tool has migrated this database, and its history names migrations of this catalog as applied.
        - A migration declares no objects, such as one that only inserts rows, so that nothing shows whether it ran.

    Cure:
        1. Record each migration that was applied and that nothing can show: ``kimbledb stamp NAME``.
        2. Run ``kimbledb adopt``: it records the others that were applied.
        3. Run ``kimbledb migrate``: it applies the rest.

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

    Causes:
        - A statement of the migration failed on the server: ``sqlstate`` is the reason, and the message shows the
          line.
        - Rows do not fit: a duplicate, a NULL, a reference to a row that does not exist.
        - The run that ``wait()`` waited for failed.
        - A statement of kimbledb's own failed, which the message names.

    Cure:
        1. Read the place (``file``, ``line``) and the hint, which is the cure for the SQLSTATE.
        2. Correct the migration, or the rows.
        3. Run again: applied migrations are not run a second time, and the run continues at the failed one.
        4. See ``kimbledb history`` for the error and the time of earlier attempts.

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

    Causes:
        - A declared object is missing after the script, is not valid, or has another owner.
        - A query of verify.sql returned another result than it demands.

    Cure:
        1. Read each check: it shows the expected and the found result, with its file and line.
        2. Correct apply.sql or verify.sql, whichever is wrong.
        3. If apply.sql was edited since it was recorded, run ``kimbledb declare``.
        4. Run again.

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
    """The rollback of a migration failed. ``applied`` holds the migrations that were rolled back before it.

    Causes:
        - A statement of rollback.sql, or of the derived rollback, failed on the server.
        - An object that no migration made depends on the object that the rollback drops.

    Cure:
        1. Read the place and the hint of the message.
        2. Drop or move what depends on it, or correct rollback.sql.
        3. Roll back again: what was rolled back before stays so.
    """


class RollbackRefusedError(KimbleDBError):
    """A rollback would remove more than was asked for. Nothing was changed.

    Causes:
        - The migration is not applied, or was adopted and not made by kimbledb.
        - The migration has no way back: no rollback.sql, and none can be derived.
        - A later migration that stays changed the same object.
        - Objects that no migration made would be dropped, too.
        - A newer version of the application has applied migrations that this catalog does not have.

    Cure:
        1. Run ``kimbledb rollback NAME --dry-run``: it shows what would go, and changes nothing.
        2. Follow the hint: roll the later migration back, too, write a rollback.sql, or pass ``include_adopted=True``
           (``--include-adopted``).
        3. If history holds migrations of a newer version, roll back with that version.
    """


class DependentsError(RollbackRefusedError):
    """Other applied migrations need the migration that is to be rolled back.

    Causes:
        - Applied migrations name this one under ``requires``.

    Cure:
        1. Run ``kimbledb rollback NAME --cascade --dry-run``: it shows all that would go.
        2. Pass ``cascade=True`` (``--cascade``), or roll the dependents back one by one.

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

    Causes:
        - A rollback or a reset would drop a table or a column that holds rows or values.
        - A pending migration deletes rows or values, and does not say so.

    Cure:
        1. Read the counts: they were measured in this database.
        2. Make a backup first: ``backup=`` (``--backup FILE``).
        3. If a migration deletes on purpose, write ``deletes = "why"`` in its migration.toml.
        4. Else accept the loss for this call: ``allow_data_loss=True`` (``--allow-data-loss``).

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

    Causes:
        - A view, a foreign key or a function of another schema needs an object of this schema.
        - Objects of the schema depend on each other in a circle that cannot be opened.

    Cure:
        1. Run ``kimbledb reset --dry-run``: it shows what would go, and changes nothing.
        2. Drop or change the objects that the message names, or name the catalog whose migrations made them.
        3. Reset again.

    Attributes:
        dependents: The objects outside of the schema that need objects in it, each as text.
    """

    def __init__(self, message: str, *, hint: str | None = None, dependents: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.dependents: tuple[str, ...] = tuple(dependents)


class ConfirmationError(ResetRefusedError):
    """The confirmation of a reset is not the name of the database. Nothing was changed.

    Causes:
        - The DSN leads to another database than the one that the confirmation names.

    Cure:
        1. Check which database is meant: the message names both.
        2. Correct the DSN, or pass the name of the database: ``confirm=`` (``--confirm NAME``).

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

    Causes:
        - The file exists already, or its folder does not exist or cannot be written.
        - There is no pg_dump, or each one is older than the server.
        - A pooler is between this process and the server.
        - The database to restore into is not empty.

    Cure:
        1. Name another file, or make its folder.
        2. Install the client programs of the server's version, or ``kimbledb[embedded]``.
        3. Behind a pooler, name the server itself: ``Options(direct_dsn=...)`` (``--direct-dsn DSN``).
        4. Restore into a new database: ``CREATE DATABASE ... TEMPLATE template0``.
    """


class RehearsalError(KimbleDBError):
    """No clone of the target's schema can be made. The target was only read.

    Causes:
        - There is no pg_dump of the server's version, or a pooler is between.
        - The server of the clone is older than the target, lacks an extension, or has another platform.
        - The role may not make databases on the server that ``server`` names.

    Cure:
        1. Name a server of the same version with the same extensions: ``server=`` (``--server DSN``).
        2. Name a role there that may make databases and roles.
        3. For the reading of the schema, follow the cures of ``BackupError``.
    """


class TargetsError(KimbleDBError):
    """The iterable of targets of a call for many raised an error. The schemas that it gave before are finished.

    Causes:
        - The iterable's own error, which is the cause of this one: a generator that reads a table of tenants, for
          instance, lost its connection.

    Cure:
        1. Read the cause, above this error in the traceback (``__cause__``), and correct it.
        2. Call again: each schema that is current costs one query.

    Attributes:
        report: The results of the schemas that the iterable gave before its error.
    """

    def __init__(self, report: ManyReport[Any], cause: str) -> None:
        failed = f", {len(report.failures)} of them FAILED" if report.failures else ""
        super().__init__(
            f"the iterable of targets raised {cause}; {counted(report.results, 'schema')} that it gave before "
            f"{'is' if len(report.results) == 1 else 'are'} finished{failed}",
            hint="correct the cause, and call again: each schema that is current costs one query",
        )
        self.report: ManyReport[Any] = report


def _blocker_lines(blockers: Sequence[str], standing: str | None) -> str:
    """Return a line for each blocker, and one for the state of a step outside of transactions."""
    lines = [f"  held by {blocker}" for blocker in blockers] + ([standing] if standing else [])
    return "".join(f"\n{line}" for line in lines)


class LockUnavailableError(KimbleDBError):
    """A lock was not free within the time and the attempts that the options allow.

    Causes:
        - The application holds a lock on a table that the migration changes: a long transaction, or one that is idle.
        - Another run of kimbledb migrates the same schema.

    Cure:
        1. Read the blockers: each has its process id, application, state and age.
        2. End an idle transaction in the application, or on the server: ``SELECT pg_terminate_backend(PID)``.
        3. Run again. ``Options(attempts=...)`` and ``Options(lock_timeout=...)`` allow more tries and longer ones.

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

    Causes:
        - Another run, or a session of the application, held a lock for the whole time.
        - The migrations need more time than the deadline allows.
        - The server could not be reached for the whole time.
        - The run that ``wait()`` waits for has not applied everything.

    Cure:
        1. Read the activity in the message, and the blockers if there are any.
        2. Call again: the call continues where this one stopped.
        3. Allow more time: ``Options(deadline=...)`` (``--deadline SECONDS``).

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

    Causes:
        - The server is not running, restarts, or cannot be reached from this machine.
        - A proxy, a pooler or an administrator ended the connection.
        - The connection that the caller passed is closed.

    Cure:
        1. Check host and port; ``psql`` or ``pg_isready`` from the same machine shows whether the server answers.
        2. Run again: each migration is applied and recorded, or absent. No repair is needed.
        3. If the target is a connection, pass an open one, a DSN or a pool.
    """


class OutcomeUnknownError(KimbleDBError):
    """COMMIT was sent, its reply was lost, and no second connection could look up its outcome.

    The next run finds the outcome in ``migration_history``.

    Causes:
        - The connection broke between COMMIT and the server's reply, and the server could not be reached again.
        - The target is one connection, so that no second one could ask.

    Cure:
        1. Run again when the server can be reached: history shows the outcome, and the run continues from there.
        2. Change nothing by hand. ``kimbledb status`` shows whether the migration is applied.

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
    """The embedded PostgreSQL cannot be installed, started or stopped.

    Causes:
        - ``kimbledb[embedded]`` is not installed, or the system is neither Linux nor macOS.
        - A library that PostgreSQL needs is missing on the machine.
        - Another process uses the data folder, or the folder holds data of another version or of another program.
        - No folder is suitable for the programs: others can write to it, or it may not run programs.

    Cure:
        1. Install it: ``pip install 'kimbledb[embedded]'``.
        2. Follow the hint: it names the library, the folder or the variable.
        3. Where no embedded server can run, pass the DSN of a server.
    """
