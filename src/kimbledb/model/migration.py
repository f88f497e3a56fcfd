"""A migration: its facts and its scripts.

Nothing here reads a file or queries a database. ``kimbledb.catalog.catalog`` makes a ``Migration``; the rooms
above it plan it, apply it and roll it back.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from attrs import evolve, field, fields, frozen

from kimbledb.model.declarations import UNRECORDED, Declarations, not_recorded
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.reach import home_of
from kimbledb.model.script import Part, Script
from kimbledb.model.text import one_line

if TYPE_CHECKING:
    from kimbledb.model.check import VerificationQuery


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
    return sorted({home_of(entry) for migration in migrations for entry in migration.reaches})


def _no_queries(_script: Script) -> tuple[VerificationQuery, ...]:
    return ()


# A base and no Protocol: isinstance() of a Protocol asks for each attribute, and so would read the file.
class DeclarationsReader(ABC):
    """A function that reads declarations from a file."""

    @abstractmethod
    def __call__(self) -> Declarations:
        """Return the declarations."""

    @property
    @abstractmethod
    def checksum(self) -> str | None:
        """The checksum of the text from which they were recorded; empty if the file has a fault, None without any."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the text of the file, in hexadecimal; empty without a file."""

    @abstractmethod
    def without_sql(self) -> Callable[[], Declarations]:
        """Return the function that returns the same declarations without SQL."""


#: The kind of a rollback: written (rollback.sql), derived from the declarations, or none.
RollbackKind = Literal["written", "derived", "none"]
#: A script, its text, or a function that reads either on first use.
_Source = Script | str | Callable[[], Script | str]


# Without slots, as ``Script``: an instance is made in half the time.
@frozen(eq=False, kw_only=True, repr=False, slots=False)
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
    #: Its requirement on existing rows with the reason, or None if it accepts any rows.
    demands: str | None = None
    #: The objects outside of the target schema that it makes, changes or drops on purpose: ``schema.object``, ``schema`` for all in
    #: it, or ``schema NAME`` for a schema of its own.
    reaches: tuple[str, ...] = ()
    #: For a repair: the type of each column after it, by ``table.column``.
    expects: Mapping[str, str] = field(factory=dict)
    #: For tables with rows that were there before the migration was: the value of a column, by ``table.column``, as an
    #: SQL expression over the row. It is used where the migration is completed, before its constraints are made.
    fills: Mapping[str, str] = field(factory=dict)
    #: The new name of each object that it renames where the server cannot show it, by the object's old kind and name:
    #: a table that is made anew under another name, and whose rows are copied.
    renames: Mapping[Key, str] = field(factory=dict)
    #: The name in the migration of each object that databases from before have under another one, by the object's kind
    #: and that former name. Where the migration is completed, such an object is renamed, and no second one is made.
    formerly: Mapping[Key, str] = field(factory=dict)
    #: Older checksums with the same result.
    supersedes: tuple[str, ...] = ()
    #: Whether it is applied again whenever its text has changed, after all others.
    repeatable: bool = False
    #: Whether its catalog is closed: what it makes starts without the privileges that default privileges give to PUBLIC
    #: and to the roles of a hosted platform.
    closed: bool = False
    #: SHA-256 of ``apply_sql``, or of it and ``hosted_sql`` where that is not empty, in hexadecimal.
    checksum: str = ""
    #: The path of its folder, or of its file where it has no folder of its own.
    location: str = ""
    #: The path of the folder that holds the catalog, or an empty text if that is the folder of ``location``.
    catalog_folder: str = ""
    #: The parts of its files that were removed or are not read, a line each.
    remarks: tuple[str, ...] = ()
    _apply_sql: _Source = ""
    _hosted_sql: _Source = ""
    _verify_sql: _Source = ""
    _rollback_sql: _Source = ""
    _online_sql: _Source = ""
    _digests: Mapping[str, str] | None = None
    _declare: Callable[[], Declarations] = field(default=not_recorded)
    _read_queries: Callable[[Script], tuple[VerificationQuery, ...]] = field(default=_no_queries)

    def script(self, part: Part) -> Script:
        """Return one of its scripts. The text of a missing script is empty.

        Args:
            part: ``apply``, ``hosted``, ``verify``, ``rollback`` or ``online``.
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
    def hosted_sql(self) -> str:
        """The text of hosted.sql, in the form of ``apply_sql``; empty if there is none.

        It holds what only a hosted server wants, such as grants to its roles. It runs after apply.sql, in the same
        transaction, and on hosted databases alone.
        """
        return self.script("hosted").text

    def applied_scripts(self, *, hosted: bool = True) -> dict[Part, Script]:
        """Return the scripts that apply it on a platform, in the order in which they run.

        Args:
            hosted: Whether the database has the roles of a hosted platform.
        """
        scripts: dict[Part, Script] = {"apply": self.script("apply")}
        if hosted and self.hosted_sql:
            scripts["hosted"] = self.script("hosted")
        return scripts

    @property
    def verify_sql(self) -> str:
        """The text of verify.sql, in the form of ``apply_sql``."""
        return self.script("verify").text

    @property
    def rollback_sql(self) -> str:
        """The text of rollback.sql, in the form of ``apply_sql``."""
        return self.script("rollback").text

    @property
    def online_sql(self) -> str:
        """The text of online.sql, in the form of ``apply_sql``; empty if there is none.

        It holds the slow part of the change on tables with rows, written so that other sessions do not wait for
        it. It runs before apply.sql, statement by statement, outside of a transaction.
        """
        return self.script("online").text

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The SHA-256, in hexadecimal, of each of its scripts, of its ``facts`` and of its ``declarations``.

        Paths are not in it, and neither are line ends and what else does not count: two checkouts have the same. What is
        not there has no entry.
        """
        if self._digests is not None:
            return self._digests
        scripts = {part: self.script(part) for part in get_args(Part)}
        found: dict[str, str] = {part: script.checksum for part, script in scripts.items() if script.text}
        found["facts"] = _digest([[name, _comparable(getattr(self, name))] for name in _FACTS])
        if isinstance(self._declare, DeclarationsReader):
            declared = self._declare.digest
        else:
            declared = "" if self._declare is not_recorded else _digest(repr(self.recorded_declarations))
        return found | ({"declarations": declared} if declared else {})

    @property
    def holds_sql(self) -> bool:
        """Whether it holds its SQL, which a pickled migration does not."""
        return self._digests is None

    @property
    def is_flat(self) -> bool:
        """Whether its script is a file by itself, without a folder in the format of kimbledb."""
        return isinstance(self._apply_sql, Script) and self._apply_sql.path == self.location

    @property
    def is_unwritten(self) -> bool:
        """Whether its script holds comments alone, as ``kimbledb new`` made it, and nobody has declared it so."""
        text = self.apply_sql
        if not text.startswith("--") or self.hosted_sql or self.declared_checksum is not None:
            return False
        return all(line.startswith("--") or not line.strip() for line in text.splitlines())

    @cached_property
    def recorded_declarations(self) -> Declarations:
        """Its declarations as they were recorded, also where its SQL was edited since.

        Raises:
            CatalogError: A file with declarations has faults: it was edited by hand, or merged with conflicts.
        """
        return self._declare()

    @cached_property
    def declarations(self) -> Declarations:
        """Its declarations of objects in the schema; empty if they were not recorded, or were recorded from another text.

        Raises:
            CatalogError: As ``recorded_declarations``.
        """
        found = self.recorded_declarations
        return found if found.checksum in (None, self.checksum) else UNRECORDED

    @cached_property
    def declared_checksum(self) -> str | None:
        """The checksum of the text from which its declarations were recorded.

        It is empty if their file has a fault, and None if they were not recorded.
        """
        if isinstance(self._declare, DeclarationsReader):
            return self._declare.checksum
        found = self._declare()
        return None if found is UNRECORDED else found.checksum or self.checksum

    @property
    def is_declared(self) -> bool:
        """Whether its declarations are known: ``kimbledb declare`` recorded them from the present text."""
        return self.declared_checksum == self.checksum

    @property
    def is_outdated(self) -> bool:
        """Whether its declarations are not used: its SQL was edited after they were recorded, or their file has a fault."""
        return self.declared_checksum not in (None, self.checksum)

    @property
    def wants_derived_rollback(self) -> bool:
        """Whether a rollback is to be derived from its declarations: it has none of its own, and may be rolled back."""
        return self.irreversible is None and not self._is_rollback_written

    @cached_property
    def _is_rollback_written(self) -> bool:
        """Whether there is a rollback.sql. An empty one takes nothing back."""
        source = self._rollback_sql
        return (source if isinstance(source, Script | str) else source()) != ""

    @property
    def rollback_kind(self) -> RollbackKind:
        """``written`` if it has a rollback.sql, ``derived`` if one is derived from its declarations, else ``none``.

        Raises:
            CatalogError: As ``recorded_declarations``.
        """
        if self.no_rollback is not None:
            return "none"
        return "derived" if self.wants_derived_rollback else "written"

    @property
    def no_rollback(self) -> str | None:
        """The reason why it cannot be rolled back, in one sentence, or None if it can.

        Raises:
            CatalogError: As ``recorded_declarations``.
        """
        if not self.wants_derived_rollback:
            return self.irreversible
        if self.is_declared:
            return self.declarations.no_rollback
        known = "were recorded from another text" if self.is_outdated else "were not recorded"
        return f"it has no rollback.sql, and its declarations {known}"

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
    def is_repair(self) -> bool:
        """Whether it repairs an older shape, and changes nothing if the shape is right."""
        return bool(self.expects)

    @cached_property
    def verification_queries(self) -> tuple[VerificationQuery, ...]:
        """The named queries of verify.sql, in the order of the file."""
        script = self.script("verify")
        return self._read_queries(script) if script.text else ()

    def file(self, part: Part) -> str:
        """Return the path of one of its files, for messages.

        Args:
            part: ``apply``, ``hosted``, ``verify``, ``rollback`` or ``online``.
        """
        return self.script(part).path

    def __str__(self) -> str:
        return f"{self.number}. {one_line(self.name)}"

    def __repr__(self) -> str:
        return f"<Migration {self.number} {self.name!r}>"

    def __reduce__(self) -> tuple[Callable[..., Migration], tuple[dict[str, Any]]]:
        parts = self.parts() | {"digests": self.digests}
        if isinstance(self._declare, DeclarationsReader):
            parts["declare"] = self._declare.without_sql()
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


#: The facts of a migration: what a person writes beside its SQL, and what its place in the catalog gives.
_FACTS: Final = (
    *("number", "order", "phase", "title", "purpose", "status", "notes", "requires", "provides", "default"),
    *("default_when", "extensions", "transactional", "statement_timeout", "irreversible", "deletes", "reaches"),
    *("expects", "fills", "renames", "formerly", "supersedes", "repeatable", "closed"),
)


def _comparable(value: object) -> object:
    """Return a fact in a form that JSON writes in one way."""
    if isinstance(value, Mapping):
        return sorted([_comparable(key), _comparable(each)] for key, each in value.items())
    if isinstance(value, tuple | list):
        return [_comparable(each) for each in value]
    return [value.name, value.version] if isinstance(value, Extension) else value


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def folder_of(migration: Migration) -> str:
    """Return the path of the folder of migrations that holds a migration, as ``kimbledb declare`` takes it."""
    return migration.catalog_folder or migration.location.rpartition("/")[0] or "DIR"


def _migration_of(parts: dict[str, Any]) -> Migration:
    return Migration(**parts)


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
    #: The acts of its completion, a line each, if a part of it existed before.
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        held = "" if self.held is None else f", locks held for {self.held:.3f} s at most"
        return f"{self.migration.name} ({self.seconds:.3f} s{held})"
