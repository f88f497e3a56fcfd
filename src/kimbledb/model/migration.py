"""What a migration is: the values that everything else passes around.

Nothing here reads a file or asks a database. A :class:`Migration` comes from
:mod:`kimbledb.catalog.catalog`; what is done with it stands in the modules above.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from attrs import evolve, field, fields, frozen

from kimbledb.model.script import Part, Script
from kimbledb.model.text import one_line, printable

#: The kinds of objects that a migration can declare and a snapshot can hold.
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
    """One object of a schema, as a declaration or a snapshot names it.

    ``str()`` gives the form that messages and files use: ``column users.email``.
    """

    #: One of :data:`OBJECT_KINDS`.
    kind: str
    #: Its name in the schema, without the schema: ``users``, ``users.email``,
    #: ``search_knowledge_base(vector,double precision,integer)``.
    name: str
    #: What it is in canonical form, as a snapshot gives it, or None where a
    #: declaration says only that it is there.
    definition: str | None = field(default=None, order=False)

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name: what makes two values the same object."""
        return (self.kind, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {one_line(self.name)}"


@frozen
class Declarations:
    """What a migration says that it makes, alters and removes, and what a repair expects."""

    creates: tuple[DatabaseObject, ...] = ()
    changes: tuple[DatabaseObject, ...] = ()
    drops: tuple[DatabaseObject, ...] = ()
    #: Columns by ``table.column``, each with the type that a repair leaves it with.
    expects: Mapping[str, str] = field(factory=dict)


@frozen
class VerificationQuery:
    """One named query of a verify.sql."""

    name: str
    #: The text of the query, without its last semicolon.
    sql: str
    #: True for a query that need only run; its rows are counted and not kept.
    runs: bool
    #: The line of the file on which its text begins, counted from 1.
    line: int


@frozen
class Extension:
    """An extension that a migration needs, with the lowest version that will do."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} {self.version} or later"


def schemas_reached(migrations: Iterable[Migration]) -> list[str]:
    """Return the schemas outside of the target schema that migrations say they reach."""
    return sorted({name.partition(".")[0] for migration in migrations for name in migration.reaches})


@frozen
class Fault:
    """Something wrong with a folder of migrations, and how to mend it."""

    #: The file or folder, as a path.
    path: str
    message: str
    cure: str
    #: The line in the file, counted from 1, or None where it is not about a line.
    line: int | None = None
    #: The column in that line, counted from 1, where it is about one character.
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return one_line(f"{place}: {_shortened(self.message)}; {_shortened(self.cure)}")


def _shortened(text: str) -> str:
    """Return a text to be shown: what it quotes from a file may be as long as that."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


_LONGEST_SHOWN = 500


def _no_declarations() -> Declarations:
    return Declarations()


def _no_queries(_script: Script) -> tuple[VerificationQuery, ...]:
    return ()


#: A script, its text alone, or how either is read when it is first asked for.
_Source = Script | str | Callable[[], Script | str]


@frozen(eq=False, kw_only=True, repr=False)
class Migration:
    """One change to a schema, with the SQL that makes, proves and undoes it.

    Two are equal when they are the same object: a catalog holds one of each. A pickle of
    one, as in a report or an error, holds its facts and not its SQL, in which there may be
    secrets; a pickled catalog holds all.
    """

    #: As in the document, with ``.sql``: ``api-cost-tracking.sql``.
    name: str
    #: Its number in the document, from the folder's name.
    number: int
    #: Its place in the order of execution where the folder states one, else None.
    order: int | None = None
    phase: int | None = None
    title: str = ""
    purpose: str = ""
    status: str = ""
    notes: str = ""
    #: Names of migrations, or of things that one of several provides.
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    #: The names of the others that provide the same: exactly one is applied.
    alternatives: tuple[str, ...] = ()
    #: Taken among alternatives where nothing else decides.
    default: bool = False
    #: ``"hosted"``: taken before the default on a hosted database. Else None.
    default_when: str | None = None
    extensions: tuple[Extension, ...] = ()
    #: False for SQL that PostgreSQL refuses to run in a transaction block.
    transactional: bool = True
    #: Seconds that one statement may take, or None for the options' value.
    statement_timeout: float | None = None
    #: Why it cannot be rolled back, or None.
    irreversible: str | None = None
    #: Why it deletes rows or values that were there before it, or None where it does not.
    deletes: str | None = None
    #: What it reaches outside of the target schema, on purpose: ``schema.object``, or ``schema`` for all in it.
    reaches: tuple[str, ...] = ()
    #: Older checksums of apply.sql whose result is the same.
    supersedes: tuple[str, ...] = ()
    #: SHA-256 of :attr:`apply_sql` in hexadecimal.
    checksum: str = ""
    #: The folder, or the file of a flat folder, as a path to show.
    location: str = ""
    _apply_sql: _Source = ""
    _verify_sql: _Source = ""
    _rollback_sql: _Source = ""
    _online_sql: _Source = ""
    _declare: Callable[[], Declarations] = field(default=_no_declarations)
    _read_queries: Callable[[Script], tuple[VerificationQuery, ...]] = field(default=_no_queries)

    def script(self, part: Part) -> Script:
        """Return one of its scripts, whose text is empty where there is none.

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
        """Return where a script stands that came without a path."""
        return self.location if self.is_flat else f"{self.location or self.name}/{part}.sql"

    @cached_property
    def _scripts(self) -> dict[Part, Script]:
        return {}

    @property
    def apply_sql(self) -> str:
        """The text of apply.sql as it is sent: without a byte-order mark, and with line ends as LF."""
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
        """The text of online.sql, in the form of :attr:`apply_sql`; empty where there is none.

        What of the change takes long on a table that holds rows, written so that nobody
        waits for it. It runs before apply.sql, statement by statement, outside of a transaction.
        """
        return self.script("online").text

    @property
    def is_flat(self) -> bool:
        """Whether it is a file of a flat folder, and not a folder of its own."""
        return isinstance(self._apply_sql, Script) and self._apply_sql.path == self.location

    @cached_property
    def declarations(self) -> Declarations:
        """All that it declares of the schema's objects."""
        return self._declare()

    @property
    def creates(self) -> tuple[DatabaseObject, ...]:
        """The objects that are there after it and were not before."""
        return self.declarations.creates

    @property
    def changes(self) -> tuple[DatabaseObject, ...]:
        """The objects that are another after it, in their new form."""
        return self.declarations.changes

    @property
    def drops(self) -> tuple[DatabaseObject, ...]:
        """The objects that it takes away."""
        return self.declarations.drops

    @property
    def expects(self) -> Mapping[str, str]:
        """For a repair: the columns that it leaves with a type, by ``table.column``."""
        return self.declarations.expects

    @property
    def is_repair(self) -> bool:
        """Whether it makes an older shape right and changes nothing where it is right."""
        return bool(self.expects)

    @cached_property
    def verification_queries(self) -> tuple[VerificationQuery, ...]:
        """The named queries of verify.sql, in the order of the file."""
        return self._read_queries(self.script("verify"))

    def file(self, part: Part) -> str:
        """Return the path of one of its files, to be shown: ``part`` is ``apply``, ``verify``, ``rollback`` or ``online``."""
        return self.script(part).path

    def __str__(self) -> str:
        return f"{self.number}. {one_line(self.name)}"

    def __repr__(self) -> str:
        return f"<Migration {self.number} {self.name!r}>"

    def __reduce__(self) -> tuple[Callable[..., Migration], tuple[dict[str, Any]]]:
        parts = self.parts()
        for name in (name for name in parts if name.endswith("_sql")):
            # Where the SQL stands is kept.
            parts[name] = evolve(script, text="") if isinstance(script := parts[name], Script) else ""
        return _migration_of, (parts,)

    def __copy__(self) -> Migration:
        return self

    def __deepcopy__(self, _memo: object) -> Migration:
        return self

    def parts(self) -> dict[str, Any]:
        """Return all that it is made of, as its constructor takes it."""
        return {each.alias: getattr(self, each.name) for each in fields(type(self)) if each.alias is not None}


def _migration_of(parts: dict[str, Any]) -> Migration:
    return Migration(**parts)


@frozen
class AppliedMigration:
    """A row of ``migration_history``: what the database says of one migration."""

    name: str
    #: True: applied. False: its last attempt failed. None: an old table did not say.
    success: bool | None = True
    #: SHA-256 of the text that was applied, or None where nobody recorded one.
    checksum: str | None = None
    #: When, by the server's clock, in ISO 8601, or None.
    applied_at: str | None = None
    #: The version of kimbledb that wrote the row, or None for a row of other origin.
    version: str | None = None
    #: Whether it was recorded by evidence and not run.
    adopted: bool = False
    error: str | None = None
    #: Whether another hand wrote it: kimbledb looks at the schema before it believes it.
    legacy: bool = False

    @property
    def is_applied(self) -> bool:
        """Whether the row says that the migration is applied: not where it failed, or where an old table does not say."""
        return self.success is True


class ObjectState(enum.StrEnum):
    """What the system catalogs say of the objects that one migration declares."""

    APPLIED = "applied"
    MISSING = "missing"
    PARTIAL = "partial"
    CONFLICTING = "conflicting"


@frozen
class Finding:
    """The evidence on one migration: a verdict and what it rests on."""

    state: ObjectState
    present: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    #: Each with what was expected and what is there.
    conflicts: tuple[str, ...] = ()


@frozen
class Evidence:
    """What a database shows without being told: its platform, and the state of each migration's objects."""

    #: Whether it has the hosted platform's roles and its schema ``auth``.
    hosted: bool = False
    findings: Mapping[str, Finding] = field(factory=dict)
    #: Whether the schema was looked at: what has no finding then declares nothing to be found.
    gathered: bool = False
    #: Columns and constraints that are there in another form than any that is declared,
    #: by ``str()`` of the object.
    kept: Mapping[str, str] = field(factory=dict)


@frozen
class Check:
    """One result of a verification.

    ``bool(check)`` is not defined on purpose: ask :attr:`passed`.
    """

    #: The migration's name, or None for a check of the whole database.
    migration: str | None
    name: str
    passed: bool
    expected: str | None = None
    found: str | None = None
    #: For a check of the whole database what it is about: of a check of security the objects,
    #: each with the reason and the cure. Never a row of a table.
    rows: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    hint: str | None = None
    #: True where it informs and does not judge.
    informative: bool = False
    #: For a check of security: ``high``, ``medium``, ``low`` or ``information``. Else None.
    severity: str | None = None
    #: The file of its query and the line, counted from 1, on which the query begins. None for a check of the whole database.
    file: str | None = None
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

    #: ``table``: one that goes with all its rows. ``column``: values that go or are not the
    #: same afterwards. ``rows``: rows deleted from a table that stays. ``updated rows``: of a
    #: table that stays. ``materialized view``: rows that it no longer holds. ``sequence``: values
    #: that it would give a second time. ``statement``: one that commits by itself, so that nobody can measure it.
    kind: str
    name: str
    #: How many rows, values that are not null, or positions.
    count: int
    #: False where the count is a bound, or where nobody could count: then it is 0.
    exact: bool = True
    #: Of a count that is a bound: whether it may be too high. Else it may be too low.
    at_most: bool = False

    def __str__(self) -> str:
        name = {"rows": "deleted rows of", "updated rows": "updated rows of"}.get(self.kind, self.kind)
        if not self.exact and not self.count:
            return f"{name} {one_line(self.name)}: cannot be counted"
        bound = "" if self.exact else "at most " if self.at_most else "at least "
        unit = {"column": " value", "sequence": " position", "rows": "", "updated rows": ""}.get(self.kind, " row")
        return f"{name} {one_line(self.name)}: {bound}{self.count:,}{unit}{'s' if unit and self.count != 1 else ''}"


#: What :attr:`Hazard.name` can be.
HAZARDS = ("access_exclusive_lock", "table_rewrite", "index_build", "constraint_validation", "rows_deleted")


@frozen
class Hazard:
    """What a pending migration would do to a table that holds rows, and that takes long or holds others up."""

    #: One of :data:`HAZARDS`.
    name: str
    table: str
    #: As the server estimates, or None where it never counted.
    rows: int | None
    #: Of the table with its indexes.
    bytes: int
    reason: str
    cure: str
    #: The script that would do it, and the line, counted from 1, of its statement. None where no one statement is known.
    file: str | None = None
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
    """A migration that a run applied or took back."""

    migration: Migration
    #: Seconds that it took, by a monotonic clock, waiting included.
    seconds: float
    #: Seconds that its transaction lasted on the server: no lock was held for longer.
    #: None where it ran outside of a transaction, or the server's answer was lost.
    held: float | None = None

    def __str__(self) -> str:
        held = "" if self.held is None else f", locks held for {self.held:.3f} s at most"
        return f"{self.migration.name} ({self.seconds:.3f} s{held})"
