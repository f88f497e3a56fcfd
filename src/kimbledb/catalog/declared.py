"""declared.toml: the declarations of one migration, or of all in one file, as ``kimbledb declare`` records them.

The file of a migration's folder holds one migration. A flat or read-only folder has one file for all of its
migrations: a table for each, by the migration's name, with the same content. docs/format.md has both with their
reasons. A file is read at the first use of its declarations: a start with nothing to do reads none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, Final

from attrs import field, frozen

from kimbledb.catalog import toml
from kimbledb.errors import CatalogError
from kimbledb.model.declarations import UNRECORDED, Declarations, DeclaredStatement
from kimbledb.model.fault import Fault
from kimbledb.model.migration import DeclarationsReader
from kimbledb.model.objects import HASHED, OBJECT_KINDS, DatabaseObject, Fact, Facts, Key, in_order, rank_of
from kimbledb.model.script import Part, Script, checksum_of

FILE: Final = "declared.toml"
#: The cure of every fault of such a file.
_CURE: Final = "nobody edits this file: run `kimbledb declare`, which writes it"
_CURE_OF_TEXT: Final = (
    "after a merge with conflicts take either side, and run `kimbledb declare`, which writes the file"
)
_HEADING: Final = (
    "# Recorded by `kimbledb declare` from PostgreSQL {server}. Do not edit: change the SQL and record it again.\n"
)
_PLATFORMS: Final[Mapping[str | None, bool | None]] = {None: None, "bare": False, "hosted": True}
_NAMES_OF_PLATFORMS: Final = {hosted: name for name, hosted in _PLATFORMS.items()}
_EFFECTS: Final = ("creates", "changes", "drops", "renames")
#: A place: the name of a file, a line, and the column of a statement that is not the first of its line.
_PLACE = re.compile(r"(.+?):([1-9][0-9]{0,8})(?::([1-9][0-9]{0,8}))?")
_HEAD = re.compile(r'\A(?:#[^\n]*\n|\n)*checksum = "([0-9a-f]{64})"\n')
_STATEMENT = re.compile(r"^\[\[(?:.*\.)?statement\]\]", re.MULTILINE)
_ORDER: Final = {kind: place for place, kind in enumerate(OBJECT_KINDS)}
#: The longest facts that stand on one line with their object's name, in characters.
_LONGEST_LINE: Final = 400


@frozen(eq=False, slots=False)
class Source:
    """A file with declarations. It is read once, at its first use."""

    #: The path of the file, for messages.
    path: str
    _read: Callable[[list[Fault]], str | None]

    @cached_property
    def _text_and_faults(self) -> tuple[str | None, list[Fault]]:
        faults: list[Fault] = []
        return self._read(faults), faults

    @property
    def text(self) -> str:
        """The text of the file; empty where it cannot be read."""
        return self._text_and_faults[0] or ""

    @cached_property
    def content(self) -> tuple[str, dict[str, Any], list[Fault]]:
        """The text of the file, its tables, and the faults that keep them from being read."""
        text, known = self._text_and_faults
        if text is None:
            return "", {}, known
        faults = [*known]
        return text, toml.read(text, self.path, faults, _CURE_OF_TEXT) or {}, faults

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text of the file, in hexadecimal; empty without a file."""
        text, _, _ = self.content
        return hashlib.sha256(text.encode()).hexdigest() if text else ""

    def __reduce__(self) -> tuple[type[Source], tuple[str, Callable[[list[Fault]], str | None]]]:
        text, _, faults = self.content
        return Source, (self.path, partial(_given, text, faults))


def _given(text: str, known: list[Fault], faults: list[Fault]) -> str | None:
    if not text:
        faults += known
    return text or None


@frozen(eq=False, slots=False)
class Recorded(DeclarationsReader):
    """Reads the declarations of one migration when it is called."""

    #: The file.
    source: Source
    #: The scripts whose statements the file names, in the order in which they run.
    scripts: Mapping[Part, Script]
    #: The name of the migration in a file for several, or None.
    name: str | None = None
    #: Those of all migrations of the catalog: their faults are reported together.
    together: list[Recorded] = field(factory=list)
    #: Whether the file was checked before, as that of a migration which history holds as it is, or of a built-in one: then
    #: its head, as it was written, tells the checksum.
    is_checked: bool = False

    def __call__(self) -> Declarations:
        """Return the declarations.

        Raises:
            CatalogError: A file of the catalog has faults.
        """
        faults: list[Fault] = []
        found = self.read(faults)
        if faults:
            raise CatalogError(_each_once(fault for each in self.together or (self,) for fault in each.faults))
        return found

    @cached_property
    def faults(self) -> list[Fault]:
        """The faults of the declarations."""
        faults: list[Fault] = []
        self.read(faults)
        return faults

    @property
    def checksum(self) -> str | None:
        """The checksum of the text from which they were recorded; empty if the file has a fault, None without any."""
        if self.is_checked and (head := _HEAD.match(self.source.text)) is not None:
            return head[1]
        _, tables, known = self.source.content
        table: object = tables if self.name is None else tables.get(self.name)
        if table is None and not known:
            return None
        return "" if known or not isinstance(table, dict) else str(table.get("checksum", ""))

    @property
    def digest(self) -> str:
        """SHA-256 of the text of the file, in hexadecimal; empty without a file."""
        return self.source.digest

    def read(self, faults: list[Fault]) -> Declarations:
        """Return the declarations, as far as they can be read.

        Args:
            faults: Receives the faults of the file.
        """
        text, table, known = self.source.content
        faults += known
        if known:
            return UNRECORDED
        if self.name is not None:
            if self.name not in table:
                return UNRECORDED
            table = table[self.name]
        return _Reading(self.source.path, text, self.scripts, self.name, faults).declarations_of(table)

    def without_sql(self) -> Kept:
        """Return a function that returns the same declarations without SQL. A file with faults declares nothing there."""
        found = self.read([])
        return Kept(None if found is UNRECORDED else found.without_sources())

    def __reduce__(self) -> tuple[type[Recorded], tuple[Source, Mapping[Part, Script], str | None]]:
        return Recorded, (self.source, self.scripts, self.name)


@frozen
class Kept:
    """Returns declarations that were read before."""

    _declarations: Declarations | None

    def __call__(self) -> Declarations:
        """Return the declarations."""
        return UNRECORDED if self._declarations is None else self._declarations


def _each_once(faults: Iterable[Fault]) -> list[Fault]:
    return sorted(set(faults), key=lambda fault: (fault.path, fault.line or 0))


def names_in(source: Source) -> list[str]:
    """Return the names of the migrations in a file for several."""
    return [name for name, table in source.content[1].items() if isinstance(table, dict)]


class _Reading:
    """Reads the declarations of one migration from the tables of a file."""

    def __init__(
        self, path: str, text: str, scripts: Mapping[Part, Script], name: str | None, faults: list[Fault]
    ) -> None:
        self._path = path
        self._text = text
        self._scripts = scripts
        self._name = name
        self._faults = faults
        self._is_current = False

    def declarations_of(self, table: Any) -> Declarations:
        if not isinstance(table, dict):
            self._fault(f"{self._name} is no table", self._name)
            return UNRECORDED
        for key in table.keys() - {"checksum", "server", "recorded_on", "no_rollback", "statement"}:
            self._fault(f"there is no key {key}", key)
        texts = {}
        for key in ("checksum", "server", "recorded_on", "no_rollback"):
            value = table.get(key, "" if key in ("checksum", "server") else None)
            if value is not None and (not isinstance(value, str) or not value):
                self._fault(f"{key} is {value!r}, and must be a text" if key in table else f"{key} is missing", key)
            texts[key] = value
        self._is_current = texts["checksum"] == checksum_of(self._scripts.values())
        given = table.get("statement", [])
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            self._fault("statement must be a list of tables", "statement")
            given = []
        statements = [each for number, entry in enumerate(given) for each in self._statement(entry, number)]
        return Declarations(
            tuple(statements),
            checksum=texts["checksum"] or None,
            server=texts["server"] or "",
            recorded_on=texts["recorded_on"],
            no_rollback=texts["no_rollback"],
        )

    def _statement(self, entry: dict[str, Any], number: int) -> Iterator[DeclaredStatement]:
        for key in entry.keys() - {"at", "on", *_EFFECTS}:
            self._fault(f"there is no key {key}", key, number)
        place = _PLACE.fullmatch(at) if isinstance(at := entry.get("at"), str) else None
        part = None if place is None else self._parts.get(place[1])
        on = entry.get("on")
        if place is None or part is None:
            shown = "at is missing" if at is None else f"at is {at!r}"
            expected = " or ".join(f'"{file}:12"' for file in self._parts)
            self._fault(f"{shown}, and must name a file and a line, as {expected}", "at", number)
        elif not isinstance(on, str | None) or on not in _PLATFORMS:
            self._fault(f'on is {on!r}, and must be "bare" or "hosted"', "on", number)
        else:
            line, column = int(place[2]), int(place[3] or 1)
            text = self._text_at(self._scripts[part], line, column, number)
            yield DeclaredStatement(
                part=part,
                line=line,
                column=column,
                hosted=_PLATFORMS[on],
                creates=self._objects(entry, "creates", number, text),
                changes=self._objects(entry, "changes", number, text),
                drops=self._drops(entry, number),
                renames=self._renames(entry, number),
            )

    @property
    def _parts(self) -> Mapping[str, Part]:
        return {script.file_name: part for part, script in self._scripts.items()}

    def _text_at(self, script: Script, line: int, column: int, number: int) -> Callable[[], str | None]:
        """Return a function that returns the text of the statement at a place, which is read once and if it is needed."""
        known: list[str | None] = []

        def text() -> str | None:
            if not known:
                known.append(statement_at(script, line, column) if self._is_current else None)
                if self._is_current and known[0] is None:
                    self._fault(f"no statement begins at line {line}", "at", number)
            return known[0]

        return text

    def _objects(
        self, entry: dict[str, Any], key: str, number: int, text: Callable[[], str | None]
    ) -> tuple[DatabaseObject, ...]:
        given = entry.get(key, {})
        if not isinstance(given, dict):
            self._fault(f"{key} must be a table of objects", key, number)
            return ()
        found = []
        for name, stated in given.items():
            each = self._named(name, number)
            if each is None:
                continue
            if not isinstance(stated, dict) or not all(_is_fact(*item) for item in stated.items()):
                self._fault(f"{name} must be a table of facts: texts, numbers, true, or lists of texts", name, number)
                continue
            facts = {fact: tuple(value) if isinstance(value, list) else value for fact, value in stated.items()}
            source = facts.pop("source", None)
            if source is None and not HASHED.isdisjoint(facts):
                source = text()
            found.append(DatabaseObject(each.kind, each.name, facts, None if source is None else str(source)))
        return tuple(sorted(found, key=rank_of))

    def _drops(self, entry: dict[str, Any], number: int) -> tuple[DatabaseObject, ...]:
        given = entry.get("drops", [])
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            self._fault("drops must be a list of objects", "drops", number)
            return ()
        return tuple(each for name in given if (each := self._named(name, number)) is not None)

    def _renames(self, entry: dict[str, Any], number: int) -> dict[Key, str]:
        given = entry.get("renames", {})
        if not isinstance(given, dict) or not all(isinstance(each, str) and each for each in given.values()):
            self._fault("renames must be a table of objects and their new names", "renames", number)
            return {}
        named = {name: each for name in given if (each := self._named(name, number)) is not None}
        return {each.key: given[name] for name, each in named.items()}

    def _named(self, name: str, number: int) -> DatabaseObject | None:
        try:
            return DatabaseObject.of(name)
        except ValueError as error:
            self._fault(str(error), name, number)
            return None

    def _fault(self, message: str, key: str | None, number: int | None = None) -> None:
        """Report a fault.

        Args:
            message: The problem.
            key: The key that has it.
            number: The number of the statement that holds the key, counted from 0, or None for none.
        """
        self._faults.append(Fault(self._path, message, _CURE, self._line_of(key, number)))

    def _line_of(self, key: str | None, number: int | None) -> int | None:
        begin = 0
        if self._name is not None:
            begin = max(self._text.find(f"[{toml.spelled_key(self._name)}]"), 0)
        if number is not None:
            heads = list(_STATEMENT.finditer(self._text, begin))
            begin = heads[number].start() if number < len(heads) else begin
        spelled = re.escape(toml.spelled_key(key or ""))
        plain = re.escape(key or "")
        pattern = rf'^[ \t]*(?:\[+(?:.*\.)?)?["\']?(?:{spelled}|{plain})["\']?[ \t]*[\].=,]'
        match = re.compile(pattern, re.MULTILINE).search(self._text, begin)
        if match is None and number is None:
            return None
        return self._text.count("\n", 0, begin if match is None else match.start()) + 1


def _is_fact(name: str, value: object) -> bool:
    if name == "source":
        return isinstance(value, str)
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int) and value is not False


def statement_at(script: Script, line: int, column: int = 1) -> str | None:
    """Return the text of the statement that begins at a place of a script's file, or None if none does.

    Args:
        script: The script.
        line: The line of the file, counted from 1.
        column: The column of the statement; 1 for the first one of the line.
    """
    from kimbledb.catalog import statements  # late: its patterns take 15 ms, and few declarations need a statement

    offset = script.offset_of(line, column)
    found = None if offset is None else statements.first_from(script.text, offset)
    if found is None or place_of(script, found.start) != (line, column):
        return None
    return found.text


def place_of(script: Script, offset: int) -> tuple[int, int]:
    """Return the line and the column of a statement, as declarations have them: the first of a line is in column 1.

    Args:
        script: The script.
        offset: The place of the statement's first character in the text, counted from 0.
    """
    line, column = script.line_and_column(offset)
    is_first = not script.text[offset - column + 1 : offset].strip()
    return line, 1 if is_first else column


# Writing.


def written(declarations: Declarations, scripts: Mapping[Part, Script]) -> str:
    """Return the declarations of one migration as the content of the file in its folder.

    Args:
        declarations: The declarations.
        scripts: The scripts that they name.
    """
    lines = [_HEADING.format(server=declarations.server).rstrip("\n")]
    return "\n".join([*lines, *_lines_of(declarations, scripts, "")]) + "\n"


def written_together(declared: Mapping[str, tuple[Declarations, Mapping[Part, Script]]]) -> str:
    """Return the declarations of several migrations as the content of one file.

    Args:
        declared: The declarations of each migration and the scripts that they name, by the migration's name.
    """
    servers = sorted({declarations.server for declarations, _ in declared.values()})
    lines = [_HEADING.format(server=" and ".join(servers)).rstrip("\n")]
    sections = [section(name, declarations, scripts) for name, (declarations, scripts) in declared.items()]
    return "\n".join([*lines, *sections]) + "\n"


def section(name: str, declarations: Declarations, scripts: Mapping[Part, Script]) -> str:
    """Return the part of a file for several migrations that holds one of them.

    Args:
        name: The name of the migration.
        declarations: Its declarations.
        scripts: The scripts that they name.
    """
    key = toml.spelled_key(name)
    return "\n".join(["", f"[{key}]", *_lines_of(declarations, scripts, f"{key}.")])


def _lines_of(declarations: Declarations, scripts: Mapping[Part, Script], prefix: str) -> Iterator[str]:
    yield f"checksum = {toml.spelled_text(declarations.checksum or '')}"
    yield f"server = {toml.spelled_text(declarations.server)}"
    if declarations.recorded_on is not None:
        yield f"recorded_on = {toml.spelled_text(declarations.recorded_on)}"
    if declarations.no_rollback is not None:
        yield f"no_rollback = {toml.spelled_text(declarations.no_rollback)}"
    for each in declarations.statements:
        script = scripts[each.part]
        place = f"{script.file_name}:{each.line}" + (f":{each.column}" if each.column != 1 else "")
        yield f"\n[[{prefix}statement]]"
        yield f"at = {toml.spelled_text(place)}"
        if (platform := _NAMES_OF_PLATFORMS[each.hosted]) is not None:
            yield f"on = {toml.spelled_text(platform)}"
        if each.drops:
            yield from _drops(each.drops)
        if each.renames:
            yield f"[{prefix}statement.renames]"
            for (kind, old), new in sorted(each.renames.items(), key=lambda item: (_ORDER[item[0][0]], item[0][1])):
                yield f"{toml.spelled_text(f'{kind} {old}')} = {toml.spelled_text(new)}"
        own = statement_at(script, each.line, each.column) if _has_sources(each) else None
        yield from _objects(each.creates, f"{prefix}statement.creates", own)
        yield from _objects(each.changes, f"{prefix}statement.changes", own)


def _drops(objects: Iterable[DatabaseObject]) -> Iterator[str]:
    names = [toml.spelled_text(f"{each.kind} {each.name}") for each in sorted(objects, key=rank_of)]
    if len(names) == 1:
        yield f"drops = [{names[0]}]"
    else:
        yield "drops = ["
        yield from (f"    {name}," for name in names)
        yield "]"


def _has_sources(statement: DeclaredStatement) -> bool:
    return any(each.source is not None for each in statement.creates + statement.changes)


def _objects(objects: Iterable[DatabaseObject], table: str, own: str | None) -> Iterator[str]:
    short: list[str] = []
    long: list[str] = []
    for each in sorted(objects, key=rank_of):
        name = toml.spelled_text(f"{each.kind} {each.name}")
        facts = _spelled_facts(each.facts or {}, None if each.source == own else each.source)
        line = f"{name} = {{ {', '.join(facts)} }}" if facts else f"{name} = {{}}"
        if len(line) <= _LONGEST_LINE and "\n" not in line:
            short.append(line)
        else:
            long += [f"[{table}.{name}]", *facts]
    if short:
        yield f"[{table}]"
    yield from (*short, *long)


def _spelled_facts(facts: Facts, source: str | None) -> list[str]:
    spelled = [f"{toml.spelled_key(name)} = {_spelled(facts[name])}" for name in in_order(facts)]
    if source is not None:
        spelled.append(f"source = {toml.spelled_lines(source)}")
    return spelled


def _spelled(value: Fact) -> str:
    if isinstance(value, bool):
        return "true"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return toml.spelled_text(value)
    return f"[{', '.join(map(toml.spelled_text, value))}]"
