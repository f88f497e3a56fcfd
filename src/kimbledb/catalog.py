"""Folders of migrations: found, read, checked, and made into a :class:`Catalog`.

A migration is a folder ``19_api-cost-tracking`` with ``migration.toml``,
``apply.sql``, ``verify.sql`` and ``rollback.sql``; docs/format.md has the
format with its reasons. Everything is read and checked here, before anything
runs, and all faults are reported at once. What order the migrations run in is
left to :mod:`kimbledb.planner`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from kimbledb import statements
from kimbledb.errors import CatalogError, ConfigurationError, UnknownMigrationError
from kimbledb.model import (
    OBJECT_KINDS,
    DatabaseObject,
    Declarations,
    Extension,
    Fault,
    Migration,
    VerificationQuery,
)
from kimbledb.names import folded, near

#: The largest file that is read, in bytes. A migration of this size is data,
#: and belongs into a loader.
MAX_FILE_BYTES: Final = 16 * 1024 * 1024

_FOLDER = re.compile(r"([0-9]{1,6})_(.+)")
_FACTS = "migration.toml"
_SQL_FILES = ("apply.sql", "verify.sql", "rollback.sql")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
# Where the declarations begin. TOML wants tables after plain keys, so what
# stands before is a document of its own; what follows is long and rarely asked for.
_DECLARATIONS = re.compile(r"^\[(?:creates|changes|drops|expects)\b", re.MULTILINE)


class Catalog:
    """A set of migrations, each once, in the order of their numbers.

    ``catalog["api-cost-tracking.sql"]`` gives one (as does its number), iteration
    gives all in number order, ``len()`` their count.
    """

    def __init__(self, migrations: Iterable[Migration], *, source: str = "", faults: Iterable[Fault] = ()) -> None:
        """Make a catalog of migrations that were read or made elsewhere.

        Args:
            migrations: In any order; names and numbers must be unique.
            source: Where they come from, for messages.
            faults: What was found wrong while they were read, to be reported with the rest.

        Raises:
            CatalogError: Two share a name or a number, or a `requires` names nothing.
        """
        ordered = sorted(migrations, key=lambda migration: (migration.number, migration.name))
        found = [*faults, *_faults_among(ordered)]
        if found:
            raise CatalogError(sorted(found, key=lambda fault: (fault.path, fault.line or 0)))
        self.source = source
        self._migrations = tuple(_with_alternatives(ordered))
        self._by_name = {migration.name: migration for migration in self._migrations}
        self._by_number = {migration.number: migration for migration in self._migrations}
        providers: dict[str, list[Migration]] = {}
        for migration in self._migrations:
            for provided in dict.fromkeys(migration.provides):
                providers.setdefault(provided, []).append(migration)
        self._providers = {name: tuple(found) for name, found in providers.items()}

    @classmethod
    def builtin(cls) -> Catalog:
        """Return the 35 migrations of the KimbleAI v4 schema, which ship with the package."""
        global _builtin
        if _builtin is None:
            from importlib.resources import files

            root = files("kimbledb") / "sql" / "migrations"
            # Tested and immutable: its scripts are not searched again at every start.
            migrations, faults = _read_all(root, source="kimbledb/sql/migrations", trusted=True)
            _builtin = cls(migrations, source="built-in", faults=faults)
        return _builtin

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Catalog:
        """Read a folder of migrations.

        Args:
            path: The folder that holds the migrations' folders. Symbolic links
                in it are refused, so that what was read is what lies there.

        Raises:
            CatalogError: With every fault of every file, each with its cure.
            ConfigurationError: The path is no folder.
        """
        root = Path(path)
        if not root.is_dir():
            raise ConfigurationError(
                f"{root} is {'not a folder' if root.exists() else 'not there'}",
                hint="give the folder that holds one folder for each migration, such as 01_base-tables",
            )
        migrations, faults = _read_all(root, source=str(root), trusted=False)
        return cls(migrations, source=str(root), faults=faults)

    def __iter__(self) -> Iterator[Migration]:
        return iter(self._migrations)

    def __len__(self) -> int:
        return len(self._migrations)

    def __contains__(self, key: object) -> bool:
        return key in self._by_name or key in self._by_number

    def __getitem__(self, key: str | int) -> Migration:
        """Return a migration by its name or its number.

        Raises:
            UnknownMigrationError: There is none; the near names are in it. It
                is a ``KeyError`` too, as for any mapping.
        """
        found = self._by_number.get(key) if isinstance(key, int) else self._by_name.get(key)
        if found is None:
            raise _UnknownKey(key, near(key, self._by_name) if isinstance(key, str) else ())
        return found

    def get(self, key: str | int) -> Migration | None:
        """Return a migration by its name or its number, or None."""
        return self._by_number.get(key) if isinstance(key, int) else self._by_name.get(key)

    def providers(self, name: str) -> tuple[Migration, ...]:
        """Return the migrations that provide a thing: alternatives where there are several."""
        return self._providers.get(name, ())

    @property
    def provided(self) -> tuple[str, ...]:
        """The things that migrations provide, in number order of their first provider."""
        return tuple(self._providers)

    def check_phase(self, phase: int) -> None:
        """Raise UnknownMigrationError where no migration is of this phase."""
        if phase not in self.phases:
            error = UnknownMigrationError(phase, what="phase")
            error.hint = f"there are {_spans(self.phases)}"
            raise error

    @property
    def phases(self) -> tuple[int, ...]:
        """The phases, ascending."""
        return tuple(sorted({migration.phase for migration in self if migration.phase is not None}))

    def __repr__(self) -> str:
        return f"<Catalog of {len(self)} migrations from {self.source or 'memory'}>"

    def __str__(self) -> str:
        width = max((len(migration.name) for migration in self), default=0)
        return "\n".join(
            f"{migration.number:>4}  {migration.name:<{width}}  {migration.title}".rstrip() for migration in self
        )

    def _repr_html_(self) -> str:
        from kimbledb.drawing import Graph, Node, to_html_table, to_svg

        rows = [
            (str(each.number), str(each.phase or ""), each.name, each.title, ", ".join(each.requires)) for each in self
        ]
        nodes = tuple(
            Node(
                each.name,
                f"{each.number}. {each.name}",
                each.phase,
                "",
                f"{each.title or each.name}\n{each.purpose}".strip(),
            )
            for each in self
        )
        edges = tuple(
            (needed.name, each.name)
            for each in self
            for name in each.requires
            for needed in ((self[name],) if name in self else self.providers(name))
        )
        table = to_html_table(("#", "phase", "migration", "title", "needs"), rows, repr(self).strip("<>"))
        return table + to_svg(Graph(nodes, edges))


_builtin: Catalog | None = None


class _UnknownKey(UnknownMigrationError, KeyError):
    """``catalog[...]`` found nothing: an error of ours, and a KeyError for those who expect one."""

    __str__ = UnknownMigrationError.__str__


def checksum_of(text: str) -> str:
    """Return the SHA-256 of a script in the form in which it is sent."""
    return hashlib.sha256(text.encode()).hexdigest()


def normalise(text: str) -> str:
    """Return a text with one byte-order mark taken off and line ends as LF."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _spans(numbers: Sequence[int]) -> str:
    if not numbers:
        return "no phases"
    if numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


# Reading. Each function returns what it read and appends to `faults` what is wrong.


@frozen
class _Entry:
    """Something in a folder, seen without following links."""

    name: str
    is_folder: bool
    is_link: bool
    where: Traversable


def _read_all(root: Traversable, *, source: str, trusted: bool) -> tuple[list[Migration], list[Fault]]:
    faults: list[Fault] = []
    migrations: list[Migration] = []
    for entry in _entries(root, source, faults):
        path = f"{source}/{entry.name}"
        if entry.name.startswith((".", "__")):
            continue
        if not entry.name.isprintable():
            # Neither a terminal nor, where it is not Unicode, the server could take it.
            shown = entry.name.encode("unicode_escape").decode()
            faults.append(
                Fault(f"{source}/{shown}", "its name holds a character that cannot be shown", "give it another name")
            )
        elif entry.is_link:
            faults.append(Fault(path, "it is a symbolic link", "put the folder itself there"))
        elif not entry.is_folder:
            if entry.name.lower().endswith((".sql", ".toml")):
                faults.append(
                    Fault(
                        path,
                        "it lies outside of any migration",
                        "give each migration a folder, such as 01_base-tables/apply.sql",
                    )
                )
        elif (match := _FOLDER.fullmatch(entry.name)) is None:
            faults.append(
                Fault(path, "the folder's name has no number", "name it <number>_<name>, such as 19_api-cost-tracking")
            )
        elif not int(match[1]):
            faults.append(
                Fault(
                    path, "its number is 0, which means none at all", "number migrations from 1, such as 01_base-tables"
                )
            )
        else:
            migrations.append(
                _read_folder(entry.where, path, int(match[1]), match[2] + ".sql", faults, trusted=trusted)
            )
    return migrations, faults


def _entries(folder: Traversable, path: str, faults: list[Fault]) -> list[_Entry]:
    entries: list[_Entry] = []
    try:
        if isinstance(folder, Path):
            with os.scandir(folder) as found:
                for item in found:
                    is_folder, is_link = item.is_dir(follow_symlinks=False), item.is_symlink()
                    entries.append(_Entry(item.name, is_folder, is_link, folder / item.name))
        else:
            entries += [_Entry(item.name, item.is_dir(), is_link=False, where=item) for item in folder.iterdir()]
    except OSError as error:
        faults.append(_unreadable(path, error))
    return sorted(entries, key=lambda entry: entry.name)


def _unreadable(path: str, error: OSError) -> Fault:
    return Fault(path, f"it cannot be read: {error.strerror or error}", "let the user who runs this read it")


def _read_folder(
    folder: Traversable, path: str, number: int, name: str, faults: list[Fault], *, trusted: bool
) -> Migration:
    """Read a migration, with what could be read of it where it has faults.

    Those keep the catalog from being made; that the migration is known all the
    same spares the others the fault that they require what is not here.
    """
    present = {entry.name: entry for entry in _entries(folder, path, faults)}
    texts: dict[str, str] = {}
    for file in (_FACTS, *_SQL_FILES):
        entry = present.get(file)
        if entry is not None:
            text = _read_text(entry, f"{path}/{file}", faults)
            if text is not None:
                texts[file] = text
    for other in present:
        if other not in (_FACTS, *_SQL_FILES) and other.lower().endswith((".sql", ".toml")):
            meant = difflib.get_close_matches(other.lower(), (_FACTS, *_SQL_FILES), n=1)
            faults.append(
                Fault(
                    f"{path}/{other}",
                    "no such file belongs to a migration",
                    f"is it {meant[0]}?" if meant else f"the files are {_FACTS}, {', '.join(_SQL_FILES)}",
                )
            )
    facts = _read_facts(texts.get(_FACTS), path, faults, present=_FACTS in present, lazily=trusted)
    # Where the facts cannot be read, what they might excuse is no fault yet.
    may_lack_rollback = facts is None or facts.get("irreversible")
    for file in _SQL_FILES:
        if file not in present and not (file == "rollback.sql" and may_lack_rollback):
            cure = {
                "apply.sql": "write the SQL that makes the change",
                "verify.sql": "write `-- name: <check>` and a SELECT that gives a boolean `passed`",
                "rollback.sql": 'write the SQL that takes it back, or say why there is none: irreversible = "..." in migration.toml',
            }[file]
            faults.append(Fault(f"{path}/{file}", "the file is missing", cure))
    if not trusted:
        transactional = facts is not None and facts.get("transactional", True)
        for file in ("apply.sql", "rollback.sql"):
            if file in texts:
                _find_problems(texts[file], f"{path}/{file}", transactional, faults)
        if "verify.sql" in texts:
            for problem in statements.read_named_queries(texts["verify.sql"])[1]:
                faults.append(_fault_at(f"{path}/verify.sql", texts["verify.sql"], problem))
    apply_sql = texts.get("apply.sql", "")
    verify_sql = texts.get("verify.sql", "")
    return Migration(
        name=name,
        number=number,
        apply_sql=apply_sql,
        verify_sql=verify_sql,
        rollback_sql=texts.get("rollback.sql", ""),
        checksum=checksum_of(apply_sql),
        location=path,
        read_queries=partial(_verification_queries, verify_sql),
        **(facts or {}),
    )


def _read_text(entry: _Entry, path: str, faults: list[Fault]) -> str | None:
    """Read a file once: what is checked here is what is hashed and run."""
    if entry.is_link:
        faults.append(Fault(path, "it is a symbolic link", "put the file itself there"))
        return None
    try:
        data = _read_bytes(entry.where)
    except OSError as error:
        faults.append(_unreadable(path, error))
        return None
    if data is None:
        faults.append(Fault(path, "it is not a regular file", "put a file of text there"))
        return None
    if len(data) > MAX_FILE_BYTES:
        faults.append(
            Fault(
                path,
                f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB",
                "load data by a program of its own, and keep the migration to the schema",
            )
        )
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.append(Fault(path, f"it is not UTF-8: byte 0x{data[error.start]:02x}", "save it as UTF-8", line))
        return None
    if (nul := text.find("\0")) >= 0:
        faults.append(
            Fault(
                path,
                "it holds a NUL character, which PostgreSQL cannot store",
                "take it out",
                text.count("\n", 0, nul) + 1,
            )
        )
        return None
    return normalise(text)


def _read_bytes(where: Traversable) -> bytes | None:
    """Return the first bytes of a file, one more than it may have, or None for what is no regular file."""
    if not isinstance(where, Path):
        return where.read_bytes()
    # Opened without following links, and without waiting for a named pipe's other end.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(where, flags)
    try:
        # Asked before it becomes a file object, which a folder cannot.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)


def _find_problems(text: str, path: str, transactional: bool, faults: list[Fault]) -> None:
    for problem in statements.find_problems(text, transactional=transactional):
        faults.append(_fault_at(path, text, problem))


def _fault_at(path: str, text: str, problem: statements.Problem) -> Fault:
    return Fault(path, problem.message, problem.cure, statements.line_and_column(text, problem.offset)[0])


def _verification_queries(text: str) -> tuple[VerificationQuery, ...]:
    return tuple(statements.read_named_queries(text)[0])


# Facts.

# PostgreSQL keeps its timeouts as 32-bit integers of milliseconds (manual, 19.1.1).
_MOST_SECONDS = 2_147_483


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST_SECONDS


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_extensions(value: object) -> bool:
    return _is_texts(value) or (isinstance(value, dict) and all(isinstance(item, str) for item in value.values()))


def _is_platform(value: object) -> bool:
    return value == "hosted"


def _is_checksums(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and _CHECKSUM.fullmatch(item) for item in value)


#: Each key of migration.toml: its form in words, and the test of it.
_KEYS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "title": ("a text", _is_text),
    "purpose": ("a text", _is_text),
    "status": ("a text", _is_text),
    "notes": ("a text", _is_text),
    "phase": ("a whole number from 1", _is_count),
    "order": ("a whole number from 1", _is_count),
    "requires": ("a list of names", _is_texts),
    "provides": ("a list of names", _is_texts),
    "default": ("true or false", _is_flag),
    "default_when": ('"hosted"', _is_platform),
    "extensions": ("a list of names, or a table of names and lowest versions", _is_extensions),
    "transactional": ("true or false", _is_flag),
    "statement_timeout": (f"a number of seconds above 0, at most {_MOST_SECONDS}", _is_seconds),
    "irreversible": ("a text that says why", _is_text),
    "supersedes": ("a list of SHA-256 checksums in hexadecimal", _is_checksums),
}
_DECLARATION_KEYS: Final[tuple[str, ...]] = ("creates", "changes", "drops", "expects")


def _read_facts(
    text: str | None, folder: str, faults: list[Fault], *, present: bool, lazily: bool
) -> dict[str, Any] | None:
    """Return the facts of a migration.toml as the arguments of a Migration, or None where it cannot be read."""
    path = f"{folder}/{_FACTS}"
    if text is None:
        if not present:
            faults.append(Fault(path, "the file is missing", 'write it; the least is: title = "..."'))
        return None if present else {}
    # TOML wants tables after plain keys, so what stands before them is whole.
    split = _DECLARATIONS.search(text) if lazily else None
    import tomllib  # late: a start-up that finds a catalog read needs none

    try:
        table = tomllib.loads(text if split is None else text[: split.start()])
    except (ValueError, RecursionError) as error:
        # Beside its own error: a number of thousands of digits, brackets nested as deeply.
        faults.append(Fault(path, f"it is not TOML: {error}", "mend it", _line_of_error(text, str(error))))
        return None
    facts: dict[str, Any] = {}
    declared = {key: table.pop(key) for key in _DECLARATION_KEYS if key in table}
    for key, value in table.items():
        known = _KEYS.get(key)
        line_number = _line_of_key(text, key)
        if known is None:
            meant = difflib.get_close_matches(key, (*_KEYS, *_DECLARATION_KEYS), n=1)
            cure = f"is it {meant[0]}?" if meant else f"the keys are {', '.join((*_KEYS, *_DECLARATION_KEYS))}"
            faults.append(Fault(path, f"there is no key {key}", cure, line_number))
        elif not known[1](value):
            faults.append(Fault(path, f"{key} is {value!r}", f"it wants {known[0]}", line_number))
        else:
            facts[key] = _converted(key, value)
    if split is not None:
        facts["declare"] = partial(_declarations_of, text)
    elif declared:
        declarations = _read_declarations(declared, path, text, faults)
        facts["declare"] = partial(_identity, declarations)
    return facts


def _identity(declarations: Declarations) -> Declarations:
    return declarations


def _converted(key: str, value: Any) -> Any:
    if key == "extensions":
        if isinstance(value, dict):
            return tuple(Extension(name, version) for name, version in value.items())
        return tuple(Extension(name) for name in value)
    if isinstance(value, list):
        return tuple(value)
    if key == "statement_timeout":
        return float(value)
    return value


def _line_of_error(text: str, message: str) -> int | None:
    if message.endswith("(at end of document)"):
        return text.rstrip().count("\n") + 1
    match = re.search(r"\(at line (\d+)", message)
    return None if match is None else int(match[1])


def _line_of_key(text: str, key: str) -> int | None:
    name = rf"[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*"
    match = re.search(rf"^(?:{name}[=.]|[ \t]*\[{name}[\].])", text, re.MULTILINE)
    return None if match is None else text.count("\n", 0, match.start()) + 1


def _declarations_of(text: str) -> Declarations:
    """Read the declarations of a file that was checked before it was shipped."""
    import tomllib  # late, as above

    table = tomllib.loads(text)
    faults: list[Fault] = []
    declared = {key: table[key] for key in _DECLARATION_KEYS if key in table}
    declarations = _read_declarations(declared, _FACTS, text, faults)
    if faults:
        raise CatalogError(faults)
    return declarations


def _read_declarations(declared: dict[str, Any], path: str, text: str, faults: list[Fault]) -> Declarations:
    read: dict[str, tuple[DatabaseObject, ...]] = {}
    for key in ("creates", "changes", "drops"):
        if key in declared:
            objects: list[DatabaseObject] = []
            for problem in _read_objects(declared[key], objects):
                faults.append(Fault(path, f"{key}: {problem}", _DECLARATION_CURE, _line_of_key(text, key)))
            read[key] = tuple(objects)
    expects = declared.get("expects", {})
    if not isinstance(expects, dict) or not all(
        isinstance(column, str) and column.count(".") == 1 and isinstance(kind, str) for column, kind in expects.items()
    ):
        faults.append(
            Fault(
                path,
                "expects is not a table of columns and types",
                'write "table.column" = "type"',
                _line_of_key(text, "expects"),
            )
        )
        expects = {}
    return Declarations(expects=expects, **read)


_DECLARATION_CURE = 'write a list such as ["table users", "column users.email"], or a table for each kind'


def _read_objects(value: Any, objects: list[DatabaseObject]) -> Iterator[str]:
    """Read what stands under `creates`: a list of "kind name", or a table of kinds."""
    if _is_texts(value):
        for item in value:
            kind, _, name = item.partition(" ")
            if kind not in OBJECT_KINDS or not name.strip():
                yield f"{item!r} names no object (kinds: {', '.join(OBJECT_KINDS)})"
            else:
                objects.append(DatabaseObject(kind, name.strip()))
    elif isinstance(value, dict):
        for kind, named in value.items():
            if kind not in OBJECT_KINDS:
                yield f"there is no kind {kind!r} (kinds: {', '.join(OBJECT_KINDS)})"
            elif _is_texts(named):
                objects.extend(DatabaseObject(kind, name) for name in named)
            elif isinstance(named, dict) and all(isinstance(item, str) for item in named.values()):
                objects.extend(DatabaseObject(kind, name, definition) for name, definition in named.items())
            else:
                yield f"{kind} is neither a list of names nor a table of names and definitions"
    else:
        yield f"{value!r} is neither a list nor a table"


# What must hold among the migrations of one catalog.


def _faults_among(migrations: Sequence[Migration]) -> list[Fault]:
    faults: list[Fault] = []
    by_name: dict[str, Migration] = {}
    by_number: dict[int, Migration] = {}
    for migration in migrations:
        where = migration.location or migration.name
        twin = by_name.setdefault(folded(migration.name), migration)
        if twin is not migration:
            faults.append(
                Fault(where, f"its name is that of {twin.location or twin.name}", "names differ by more than case")
            )
        same = by_number.setdefault(migration.number, migration)
        if same is not migration:
            faults.append(
                Fault(
                    where,
                    f"its number {migration.number} is that of {same.location or same.name}",
                    "take a free number",
                )
            )
    names = {migration.name for migration in migrations}
    providers: dict[str, list[Migration]] = {}
    for migration in migrations:
        for thing in dict.fromkeys(migration.provides):
            providers.setdefault(thing, []).append(migration)
    for migration in migrations:
        for wanted in migration.requires:
            if wanted not in names and wanted not in providers:
                close = near(wanted, (*sorted(names), *sorted(providers)))
                cure = (
                    f"is it {' or '.join(close)}?"
                    if close
                    else "name a migration of this folder, or what one of them provides"
                )
                where = f"{migration.location}/{_FACTS}" if migration.location else migration.name
                faults.append(Fault(where, f"it requires {wanted}, which is not here", cure))
    for thing, among in sorted(providers.items()):
        for mark, chosen in (
            ("default = true", [migration for migration in among if migration.default]),
            ('default_when = "hosted"', [migration for migration in among if migration.default_when == "hosted"]),
        ):
            if len(chosen) > 1:
                shown = " and ".join(migration.name for migration in chosen)
                faults.append(
                    Fault(
                        chosen[-1].location or chosen[-1].name,
                        f"{shown} both say `{mark}` for {thing}",
                        "one default for each",
                    )
                )
    return faults


def _with_alternatives(migrations: Sequence[Migration]) -> Iterator[Migration]:
    by_thing: dict[str, list[str]] = {}
    for migration in migrations:
        for thing in dict.fromkeys(migration.provides):
            by_thing.setdefault(thing, []).append(migration.name)
    for migration in migrations:
        others = sorted({name for thing in migration.provides for name in by_thing[thing]} - {migration.name})
        yield evolve(migration, alternatives=tuple(others)) if others else migration
