"""A migration, and the values that describe it: its objects, its history, its evidence, its checks, its hazards.

Nothing here reads a file or queries a database. :mod:`kimbledb.catalog.catalog` makes a :class:`Migration`; the rooms
above it plan it, apply it and roll it back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from attrs import evolve, field, fields, frozen

from kimbledb.model.script import Part, Script
from kimbledb.model.text import one_line, printable

#: The kinds of objects in declarations and snapshots.
OBJECT_KINDS = (
    "type",
    "sequence",
    "table",
    "column",
    "constraint",
    "index",
    "function",
    "view",
    "trigger",
    "rule",
    "policy",
    "statistics",
    "comment",
    "privilege",
)


@frozen(order=True)
class DatabaseObject:
    """One object of a schema, in a declaration or a snapshot.

    ``str()`` gives the form of messages and files: ``column users.email``.
    """

    #: One of :data:`OBJECT_KINDS`.
    kind: str
    #: Its name without the schema: ``users``, ``users.email``,
    #: ``search_knowledge_base(vector,double precision,integer)``.
    name: str
    #: Its definition in canonical form, as in a snapshot, or None if a declaration
    #: states only that the object exists.
    definition: str | None = field(default=None, order=False)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name, which identify the object."""
        return (self.kind, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {one_line(self.name)}"


@frozen
class Declarations:
    """The objects that a migration creates, changes and drops by its own declaration, and the types of a repair."""

    #: The objects that exist only after the migration.
    creates: tuple[DatabaseObject, ...] = ()
    #: The objects that the migration changes, in their new form.
    changes: tuple[DatabaseObject, ...] = ()
    #: The objects that the migration drops.
    drops: tuple[DatabaseObject, ...] = ()
    #: For a repair: the type of each column after it, by ``table.column``.
    expects: Mapping[str, str] = field(factory=dict)


@frozen
class VerificationQuery:
    """One named query of a verify.sql."""

    #: The name of the query.
    name: str
    #: The text of the query, without its last semicolon.
    sql: str
    #: Whether the query only has to run without an error; its rows are counted and not kept.
    runs: bool
    #: The line of the file on which the text begins, counted from 1.
    line: int


@frozen
class Extension:
    """An extension that a migration needs."""

    #: The name of the extension.
    name: str
    #: The lowest version that suffices, or None if every version does.
    version: str | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} {self.version} or later"


def schemas_reached(migrations: Iterable[Migration]) -> list[str]:
    """Return the names of the schemas in ``reaches`` of these migrations, sorted."""
    return sorted({name.partition(".")[0] for migration in migrations for name in migration.reaches})


@frozen
class Fault:
    """A fault in a folder of migrations, with its cure."""

    #: The path of the file or folder.
    path: str
    #: The problem.
    message: str
    #: The cure.
    cure: str
    #: The line in the file, counted from 1, or None if the fault concerns no single line.
    line: int | None = None
    #: The column in that line, counted from 1, or None if the fault concerns no single character.
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return one_line(f"{place}: {_shortened(self.message)}; {_shortened(self.cure)}")


def _shortened(text: str) -> str:
    """Return a text with its end cut off if it is too long: it may quote a whole file."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


_LONGEST_SHOWN = 500


def _no_declarations() -> Declarations:
    return Declarations()


def _no_queries(_script: Script) -> tuple[VerificationQuery, ...]:
    return ()


#: A script, its text, or a function that reads either on first use.
_Source = Script | str | Callable[[], Script | str]


@frozen(eq=False, kw_only=True, repr=False)
class Migration:
    """One change to a schema, with the SQL that makes, proves and undoes it.

    Two migrations are equal only if they are the same object: a catalog holds one of each. A pickled migration, as
    in a report or an error, holds its facts but not its SQL, since SQL may hold secrets. A pickled catalog holds
    the SQL, too.
    """

    #: Its name with ``.sql``, as in the document: ``api-cost-tracking.sql``.
    name: str
    #: Its number in the document, from the name of its folder.
    number: int
    #: Its place in the order of execution as its folder states it, or None.
    order: int | None = None
    #: The number of its phase, or None.
    phase: int | None = None
    #: Its title in one line, or an empty text.
    title: str = ""
    #: Its purpose, or an empty text.
    purpose: str = ""
    #: Its status in the document, or an empty text.
    status: str = ""
    #: Notes of its author, or an empty text.
    notes: str = ""
    #: The names of migrations that it needs, and of things that one of several migrations provides.
    requires: tuple[str, ...] = ()
    #: The names of the things that it provides.
    provides: tuple[str, ...] = ()
    #: The names of the other migrations that provide the same thing. Exactly one of them all is applied.
    alternatives: tuple[str, ...] = ()
    #: Whether it is chosen among its alternatives if nothing else decides.
    default: bool = False
    #: ``"hosted"`` if it is chosen before the default on a hosted database, else None.
    default_when: str | None = None
    #: The extensions that it needs.
    extensions: tuple[Extension, ...] = ()
    #: False for SQL that PostgreSQL refuses to run in a transaction block.
    transactional: bool = True
    #: The longest time for one statement in seconds, or None for the value of the options.
    statement_timeout: float | None = None
    #: The reason why it cannot be rolled back, or None.
    irreversible: str | None = None
    #: The reason why it deletes existing rows or values, or None if it deletes none.
    deletes: str | None = None
    #: The objects outside of the target schema that it uses on purpose: ``schema.object``, or ``schema`` for all in it.
    reaches: tuple[str, ...] = ()
    #: Older checksums of apply.sql with the same result.
    supersedes: tuple[str, ...] = ()
    #: SHA-256 of :attr:`apply_sql` in hexadecimal.
    checksum: str = ""
    #: The path of its folder, or of its file in a flat folder.
    location: str = ""
    _apply_sql: _Source = ""
    _verify_sql: _Source = ""
    _rollback_sql: _Source = ""
    _online_sql: _Source = ""
    _declare: Callable[[], Declarations] = field(default=_no_declarations)
    _read_queries: Callable[[Script], tuple[VerificationQuery, ...]] = field(default=_no_queries)

    def script(self, part: Part) -> Script:
        """Return one of its scripts. The text of a missing script is empty.

        Args:
            part: ``apply``, ``verify``, ``rollback`` or ``online``.
        """
        script = self._scripts.get(part)
        if script is None:
            source: _Source = getattr(self, f"_{part}_sql")
            read = source if isinstance(source, Script | str) else source()
            script = read if isinstance(read, Script) else Script(self._path_of(part), read)
            self._scripts[part] = script
        return script

    def _path_of(self, part: Part) -> str:
        """Return the path of a script that was given as text alone."""
        return self.location if self.is_flat else f"{self.location or self.name}/{part}.sql"

    @cached_property
    def _scripts(self) -> dict[Part, Script]:
        return {}

    @property
    def apply_sql(self) -> str:
        """The text of apply.sql in the form that is sent: without a byte-order mark, and with LF as line end."""
        return self.script("apply").text

    @property
    def verify_sql(self) -> str:
        """The text of verify.sql, in the form of :attr:`apply_sql`."""
        return self.script("verify").text

    @property
    def rollback_sql(self) -> str:
        """The text of rollback.sql, in the form of :attr:`apply_sql`."""
        return self.script("rollback").text

    @property
    def online_sql(self) -> str:
        """The text of online.sql, in the form of :attr:`apply_sql`; empty if there is none.

        It holds the slow part of the change on tables with rows, written so that other sessions do not wait for
        it. It runs before apply.sql, statement by statement, outside of a transaction.
        """
        return self.script("online").text

    @property
    def is_flat(self) -> bool:
        """Whether it is one file in a flat folder, without a folder of its own."""
        return isinstance(self._apply_sql, Script) and self._apply_sql.path == self.location

    @cached_property
    def declarations(self) -> Declarations:
        """Its declarations of objects in the schema."""
        return self._declare()

    @property
    def creates(self) -> tuple[DatabaseObject, ...]:
        """The objects that exist only after it."""
        return self.declarations.creates

    @property
    def changes(self) -> tuple[DatabaseObject, ...]:
        """The objects that it changes, in their new form."""
        return self.declarations.changes

    @property
    def drops(self) -> tuple[DatabaseObject, ...]:
        """The objects that it drops."""
        return self.declarations.drops

    @property
    def expects(self) -> Mapping[str, str]:
        """For a repair: the type of each column after it, by ``table.column``."""
        return self.declarations.expects

    @property
    def is_repair(self) -> bool:
        """Whether it repairs an older shape, and changes nothing if the shape is right."""
        return bool(self.expects)

    @cached_property
    def verification_queries(self) -> tuple[VerificationQuery, ...]:
        """The named queries of verify.sql, in the order of the file."""
        return self._read_queries(self.script("verify"))

    def file(self, part: Part) -> str:
        """Return the path of one of its files, for messages.

        Args:
            part: ``apply``, ``verify``, ``rollback`` or ``online``.
        """
        return self.script(part).path

    def __str__(self) -> str:
        return f"{self.number}. {one_line(self.name)}"

    def __repr__(self) -> str:
        return f"<Migration {self.number} {self.name!r}>"

    def __reduce__(self) -> tuple[Callable[..., Migration], tuple[dict[str, Any]]]:
        parts = self.parts()
        for name in (name for name in parts if name.endswith("_sql")):
            # The path and the line stay for messages.
            parts[name] = evolve(script, text="") if isinstance(script := parts[name], Script) else ""
        return _migration_of, (parts,)

    def __copy__(self) -> Migration:
        return self

    def __deepcopy__(self, _memo: object) -> Migration:
        return self

    def parts(self) -> dict[str, Any]:
        """Return the arguments of its constructor."""
        return {each.alias: getattr(self, each.name) for each in fields(type(self)) if each.alias is not None}


def _migration_of(parts: dict[str, Any]) -> Migration:
    return Migration(**parts)


@frozen
class AppliedMigration:
    """A row of ``migration_history``."""

    #: The name of the migration.
    name: str
    #: True if the migration is applied, False if its last attempt failed, None if an old table did not record it.
    success: bool | None = True
    #: SHA-256 of the applied text in hexadecimal, or None if no checksum was recorded.
    checksum: str | None = None
    #: The time of the row by the server's clock, in ISO 8601, or None.
    applied_at: str | None = None
    #: The version of kimbledb that wrote the row, or None if another program wrote it.
    version: str | None = None
    #: Whether the migration was recorded by evidence and not run.
    adopted: bool = False
    #: The error of the last attempt, or None.
    error: str | None = None
    #: Whether another program wrote the row: kimbledb then compares it with the schema.
    legacy: bool = False

    @property
    def is_applied(self) -> bool:
        """Whether the row records success. A failed attempt and an old row without a result are not applied."""
        return self.success is True


class ObjectState(enum.StrEnum):
    """The state of the objects that one migration declares, by the system catalogs."""

    #: All objects exist as declared.
    APPLIED = "applied"
    #: No object exists.
    MISSING = "missing"
    #: Some objects exist, as declared.
    PARTIAL = "partial"
    #: Some objects exist in another shape.
    CONFLICTING = "conflicting"


@frozen
class Finding:
    """The evidence on one migration: the verdict and its basis."""

    #: The verdict.
    state: ObjectState
    #: The declared objects that exist, each as text.
    present: tuple[str, ...] = ()
    #: The declared objects that do not exist, each as text.
    missing: tuple[str, ...] = ()
    #: The objects of another shape, each as text with the expected and the existing shape.
    conflicts: tuple[str, ...] = ()


@frozen
class Evidence:
    """The evidence in a database: its platform, and the state of the objects of each migration."""

    #: Whether it has the roles and the schema ``auth`` of a hosted platform.
    hosted: bool = False
    #: The finding on each migration, by its name.
    findings: Mapping[str, Finding] = field(factory=dict)
    #: Whether the schema was inspected. A migration without a finding then declares no objects.
    gathered: bool = False
    #: The form of each column and constraint that differs from every declared form,
    #: by ``str()`` of the object.
    kept: Mapping[str, str] = field(factory=dict)


@frozen
class Check:
    """The result of one check.

    A check has no truth value of its own: use :attr:`passed`.
    """

    #: The name of the migration, or None for a check of the whole database.
    migration: str | None
    #: The name of the check.
    name: str
    #: Whether the check passed.
    passed: bool
    #: The expected result, or None.
    expected: str | None = None
    #: The found result, or None.
    found: str | None = None
    #: The objects of a check of the whole database; a security check gives each with its reason and its cure.
    #: Never a row of a table.
    rows: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    #: The cure, or None.
    hint: str | None = None
    #: Whether the check only informs: it never makes a verification fail.
    informative: bool = False
    #: The severity of a security check: ``high``, ``medium``, ``low`` or ``information``. None for other checks.
    severity: str | None = None
    #: The path of the file of its query, or None for a check of the whole database.
    file: str | None = None
    #: The line on which its query begins, counted from 1, or None for a check of the whole database.
    line: int | None = None

    def __str__(self) -> str:
        where = f"{one_line(self.migration)}: " if self.migration else ""
        if self.severity is not None:
            where = f"security ({self.severity}): "
        mark = "ok" if self.passed else "FAILED"
        text = f"{where}{self.name}: {mark}"
        if not self.passed:
            if self.file is not None:
                text += f"\n    at:       {one_line(self.file)}:{self.line}"
            if self.expected is not None:
                text += f"\n    expected: {one_line(self.expected)}"
            if self.found is not None:
                text += f"\n    found:    {one_line(self.found)}"
            if self.hint is not None:
                text += f"\n    hint:     {printable(self.hint)}"
        return text


@frozen
class Loss:
    """Data that a migration, a rollback or a reset would destroy, or destroyed."""

    #: ``table``: a dropped table with all its rows. ``column``: values that are dropped or differ afterwards.
    #: ``rows``: rows deleted from a table that stays. ``updated rows``: rows updated in a table that stays.
    #: ``materialized view``: rows that it no longer holds. ``sequence``: values that it would give a second time.
    #: ``statement``: a statement that commits by itself, so that its loss cannot be measured.
    kind: str
    #: The name of the table, column, view or sequence, or the beginning of the statement.
    name: str
    #: The number of rows, of values that are not null, or of positions of a sequence.
    count: int
    #: False if the count is only a bound, or if the loss could not be counted: :attr:`count` is then 0.
    exact: bool = True
    #: Whether a count that is a bound may be too high. Otherwise it may be too low.
    at_most: bool = False

    def __str__(self) -> str:
        name = {"rows": "deleted rows of", "updated rows": "updated rows of"}.get(self.kind, self.kind)
        if not self.exact and not self.count:
            return f"{name} {one_line(self.name)}: cannot be counted"
        bound = "" if self.exact else "at most " if self.at_most else "at least "
        unit = {"column": " value", "sequence": " position", "rows": "", "updated rows": ""}.get(self.kind, " row")
        return f"{name} {one_line(self.name)}: {bound}{self.count:,}{unit}{'s' if unit and self.count != 1 else ''}"


#: The values of :attr:`Hazard.name`.
HAZARDS = ("access_exclusive_lock", "table_rewrite", "index_build", "constraint_validation", "rows_deleted")


@frozen
class Hazard:
    """An operation of a pending migration on a table with rows that takes long or blocks other sessions."""

    #: One of :data:`HAZARDS`.
    name: str
    #: The name of the table.
    table: str
    #: The number of rows by the server's estimate, or None if the server has never counted them.
    rows: int | None
    #: The size of the table with its indexes, in bytes.
    bytes: int
    #: The reason why the operation is a hazard.
    reason: str
    #: The cure.
    cure: str
    #: The path of the script, or None if no single statement is known.
    file: str | None = None
    #: The line of the statement in the script, counted from 1, or None if no single statement is known.
    line: int | None = None

    def __str__(self) -> str:
        place = "" if self.file is None else f" at {self.file}" + ("" if self.line is None else f":{self.line}")
        rows = "rows not counted" if self.rows is None else f"about {self.rows:,} row{'' if self.rows == 1 else 's'}"
        return one_line(f"{self.name} on {self.table} ({rows}, {_size(self.bytes)}){place}: {self.reason}; {self.cure}")


def _size(count: int) -> str:
    """Return a number of bytes in the largest unit of which there is at least one."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}"


@frozen
class AppliedStep:
    """A migration that a run applied or rolled back."""

    #: The migration.
    migration: Migration
    #: Its duration in seconds by a monotonic clock, with the time that it waited.
    seconds: float
    #: The duration of its transaction on the server in seconds: no lock was held for longer.
    #: None if it ran outside of a transaction, or if the server's answer was lost.
    held: float | None = None

    def __str__(self) -> str:
        held = "" if self.held is None else f", locks held for {self.held:.3f} s at most"
        return f"{self.migration.name} ({self.seconds:.3f} s{held})"
