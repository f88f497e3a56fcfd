"""Facts of a migration: the keys of migration.toml and of a script's first comments, and the declarations."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, Final

from kimbledb.errors import MOST_LISTED, CatalogError
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Extension
from kimbledb.model.names import near
from kimbledb.model.objects import OBJECT_KINDS, DatabaseObject, Declarations
from kimbledb.model.script import Script

FILE: Final = "migration.toml"
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
# A schema, all objects in it, or one object in it, as the system catalogs spell them.
_REACHED = re.compile(r"[^.*]+(?:\.(?:\*|[^.*]+))?")
# The start of the declarations, which are long and rarely used. TOML requires tables after plain keys, so the text
# before them is a document of its own.
_DECLARATIONS = re.compile(r"^\[(?:creates|changes|drops|expects)\b", re.MULTILINE)

# A key, or its first part, at the start of a line or of a table's name; or a text that may contain a lookalike.
# No group is possessive: up to Python 3.11.4 such a group gives up where one of its alternatives looks ahead.
# A text that is never closed ends where it may end, so that no position is looked at twice.
_KEY = re.compile(
    r"""^[ \t]*\[{0,2}[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([\w-]+))[ \t]*[=.\]]"""
    r"""|#[^\n]*|"{3}(?:[^"\\]|\\.|"(?!""))*(?:"{3}|\Z)|'{3}(?:[^']|'(?!''))*(?:'{3}|\Z)|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?""",
    re.MULTILINE | re.DOTALL,
)
# The time that tomllib takes grows with the square of the parts of a key.
_DEEPEST: Final = 50
_DEEP_KEY = re.compile(
    r"""\.(?:[ \t]*+(?:"[^"\n]*+"|'[^'\n]*+'|[\w-]++)[ \t]*+\.){%d}""" % (_DEEPEST - 1)  # noqa: UP031 - braces in it
)
_HEAD = re.compile(r"--[ \t]*kimbledb:[ \t]*(.*)")

# PostgreSQL keeps its timeouts as 32-bit integers of milliseconds (manual, 19.1.1).
_MOST_SECONDS = 2_147_483


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_reason(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


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


def _is_reaches(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and _REACHED.fullmatch(item) for item in value)


def _is_checksums(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and _CHECKSUM.fullmatch(item) for item in value)


#: The keys of migration.toml: the form of each value in words, and the check of it.
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
    "deletes": ("a text that says why", _is_reason),
    "reaches": ('a list of names in other schemas, such as "auth.users" or "audit.*"', _is_reaches),
    "supersedes": ("a list of SHA-256 checksums in hexadecimal", _is_checksums),
}
#: The keys that a comment at the head of a script may set, for formats without migration.toml.
_HEAD_KEYS: Final = ("deletes", "reaches", "transactional")
_DECLARATION_KEYS: Final[tuple[str, ...]] = ("creates", "changes", "drops", "expects")


def read(text: str | None, folder: str, faults: list[Fault], *, present: bool, lazily: bool) -> dict[str, Any] | None:
    """Return the facts of a migration.toml.

    Args:
        text: The text of the file, or None if there is none or it has a fault.
        folder: The migration's folder, to be shown.
        faults: Receives the faults of the file.
        present: Whether the file exists.
        lazily: Whether the declarations are read at their first use. Their faults are then an installation's damage.

    Returns:
        The facts as arguments of a Migration, or None if the file cannot be parsed.
    """
    path = f"{folder}/{FILE}"
    if text is None:
        if not present:
            faults.append(Fault(path, "the file is missing", 'write it; the shortest is: title = "..."'))
        return None if present else {}
    split = _DECLARATIONS.search(text) if lazily else None
    places = _Keys(text)
    if (deep := _DEEP_KEY.search(text)) is not None:
        line = text.count("\n", 0, deep.start()) + 1
        faults.append(Fault(path, f"a key has more than {_DEEPEST} parts", "write a plain key", line))
        return None
    try:
        table = tomllib.loads(text if split is None else text[: split.start()])
    except (ValueError, RecursionError) as error:
        # Python's own limits raise too: a number of thousands of digits, or brackets nested as deeply.
        faults.append(Fault(path, f"it is not TOML: {error}", "correct this line", _line_of_error(text, str(error))))
        return None
    facts: dict[str, Any] = {}
    declared = {key: table.pop(key) for key in _DECLARATION_KEYS if key in table}
    for key, value in table.items():
        known = _KEYS.get(key)
        if known is None:
            # A file with so many unknown keys is another file: no similar keys are suggested.
            meant = near(key, (*_KEYS, *_DECLARATION_KEYS)) if len(faults) < MOST_LISTED else ()
            cure = f"is it {meant[0]}?" if meant else f"the keys are {', '.join((*_KEYS, *_DECLARATION_KEYS))}"
            faults.append(Fault(path, f"there is no key {key}", cure, places.line_of(key)))
        elif not known[1](value):
            faults.append(_wrong_value(key, value, path, places.line_of(key)))
        else:
            facts[key] = _converted(key, value)
    if split is not None:
        facts["declare"] = partial(_declarations_of, text)
    elif declared:
        declarations = _read_declarations(declared, path, places, faults)
        facts["declare"] = partial(_identity, declarations)
    return facts


def of_head(script: Script, faults: list[Fault]) -> dict[str, Any]:
    """Return the facts in a script's first comments, such as ``-- kimbledb: deletes = "why"``.

    Args:
        script: The script.
        faults: Receives the faults of these comments.

    Returns:
        The facts as arguments of a Migration.
    """
    facts: dict[str, Any] = {}
    path = script.path
    for number, line in enumerate(script.text.split("\n"), script.first_line):
        if line.strip() and not line.startswith("--"):
            break
        if (match := _HEAD.match(line)) is None:
            continue
        try:
            table = tomllib.loads(match[1])
        except (ValueError, RecursionError) as error:
            faults.append(
                Fault(path, f"the comment is not TOML: {error}", 'write -- kimbledb: deletes = "why"', number)
            )
            continue
        for key, value in table.items():
            if key not in _HEAD_KEYS:
                cure = f"the keys of such a comment are: {', '.join(_HEAD_KEYS)}"
                faults.append(Fault(path, f"there is no key {key}", cure, number))
            elif not _KEYS[key][1](value):
                faults.append(_wrong_value(key, value, path, number))
            else:
                facts[key] = _converted(key, value)
    return facts


def _wrong_value(key: str, value: object, path: str, line: int | None) -> Fault:
    return Fault(path, f"{key} is {value!r}", f"it must be {_KEYS[key][0]}", line)


def _identity(declarations: Declarations) -> Declarations:
    return declarations


def _converted(key: str, value: Any) -> Any:
    if key == "extensions":
        if isinstance(value, dict):
            return tuple(Extension(name, version) for name, version in value.items())
        return tuple(Extension(name) for name in value)
    if key == "reaches":
        return tuple(item.removesuffix(".*") for item in value)
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


class _Keys:
    """The lines of the keys of a file, computed once, and only if a key has a fault."""

    def __init__(self, text: str) -> None:
        self._text = text

    def line_of(self, key: str) -> int | None:
        """Return the first line with a key, or a table, of this name, or None."""
        return self._lines.get(key)

    @cached_property
    def _lines(self) -> dict[str, int]:
        lines: dict[str, int] = {}
        line, position = 1, 0
        for match in _KEY.finditer(self._text):
            line += self._text.count("\n", position, match.start())
            position = match.start()
            if match.lastindex is not None:
                lines.setdefault(match[match.lastindex], line)
        return lines


def _declarations_of(text: str) -> Declarations:
    """Return the declarations of a built-in file, which the tests have checked."""
    table = tomllib.loads(text)
    faults: list[Fault] = []
    declared = {key: table[key] for key in _DECLARATION_KEYS if key in table}
    declarations = _read_declarations(declared, FILE, _Keys(text), faults)
    if faults:
        raise CatalogError(faults)
    return declarations


def _read_declarations(declared: dict[str, Any], path: str, places: _Keys, faults: list[Fault]) -> Declarations:
    read: dict[str, tuple[DatabaseObject, ...]] = {}
    for key in ("creates", "changes", "drops"):
        if key in declared:
            objects: list[DatabaseObject] = []
            for problem in _read_objects(declared[key], objects):
                faults.append(Fault(path, f"{key}: {problem}", _DECLARATION_CURE, places.line_of(key)))
            read[key] = tuple(objects)
    expects = declared.get("expects", {})
    if not isinstance(expects, dict) or not all(
        isinstance(column, str) and column.count(".") == 1 and isinstance(kind, str) for column, kind in expects.items()
    ):
        faults.append(
            Fault(
                path,
                "expects must be a table of columns and types",
                'write "table.column" = "type"',
                places.line_of("expects"),
            )
        )
        expects = {}
    return Declarations(expects=expects, **read)


_DECLARATION_CURE = 'write a list such as ["table users", "column users.email"], or a table for each kind'


def _read_objects(value: Any, objects: list[DatabaseObject]) -> Iterator[str]:
    """Add the objects of a declaration, a list of "kind name" or a table of kinds, and yield its problems."""
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
                yield f"{kind} must be a list of names, or a table of names and definitions"
    else:
        yield f"{value!r} must be a list or a table"
