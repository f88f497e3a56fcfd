"""Facts: the keys of migration.toml and of a script's first comments, and those of catalog.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from kimbledb.catalog import toml
from kimbledb.errors import MOST_LISTED
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Extension
from kimbledb.model.names import near
from kimbledb.model.objects import OBJECT_KINDS, DatabaseObject
from kimbledb.model.script import Script

FILE: Final = "migration.toml"
#: The facts of a whole catalog, beside the folders of its migrations.
WHOLE: Final = "catalog.toml"
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_KIND = re.compile(rf"(?:{'|'.join(map(re.escape, OBJECT_KINDS))}) +\S")
# All objects of a schema, one object in it, or a schema of one's own, as the system catalogs spell them.
_REACHED = re.compile(r"(?!schema +)[^.*]+(?:\.(?:\*|[^.*]+))?|schema +[^.*\s][^.*]*")
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


def _is_expects(value: object) -> bool:
    return isinstance(value, dict) and all(
        column.count(".") == 1 and isinstance(kind, str) and kind for column, kind in value.items()
    )


def _is_renames(value: object) -> bool:
    return isinstance(value, dict) and all(
        _KIND.match(old) and isinstance(new, str) and new.strip() for old, new in value.items()
    )


#: Keys with the form of each value in words, and the check of it.
_Keys = Mapping[str, tuple[str, Callable[[object], bool]]]
#: The keys of migration.toml.
_KEYS: Final[_Keys] = {
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
    "demands": ("a text that says why", _is_reason),
    "repeatable": ("true or false", _is_flag),
    "reaches": ('a list of names in other schemas, such as "auth.users", "audit.*" or "schema private"', _is_reaches),
    "expects": ('a table such as "table.column" = "type"', _is_expects),
    "fills": ('a table such as "table.column" = "expression"', _is_expects),
    "renames": ('a table such as "column orders.total" = "orders.sum"', _is_renames),
    "formerly": ('a table such as "column purchases.total" = "orders.sum"', _is_renames),
    "supersedes": ("a list of SHA-256 checksums in hexadecimal", _is_checksums),
}
#: The keys of catalog.toml. Each is a fact of every migration.
_KEYS_OF_WHOLE: Final[_Keys] = {"closed": ("true or false", _is_flag)}
#: The keys that a comment at the head of a script may set, for formats without migration.toml.
_HEAD_KEYS: Final[_Keys] = {
    key: _KEYS[key] for key in ("deletes", "demands", "extensions", "reaches", "repeatable", "transactional")
}
#: The keys that a catalog.toml beside files may set for all of them.
_KEYS_OF_FILES: Final[_Keys] = {key: _KEYS[key] for key in ("extensions", "reaches")}
#: Keys of earlier versions, which a person wrote.
_RECORDED: Final = ("creates", "changes", "drops")
_RECORDED_CURE: Final = "remove it: `kimbledb declare` records the objects of each migration in its declared.toml"


def read(text: str | None, folder: str, faults: list[Fault]) -> dict[str, Any] | None:
    """Return the facts of a migration.toml.

    Args:
        text: The text of the file, or None if it cannot be read, which is a fault already.
        folder: The migration's folder, to be shown.
        faults: Receives the faults of the file.

    Returns:
        The facts as arguments of a Migration, or None if the file cannot be read or parsed.
    """
    path = f"{folder}/{FILE}"
    table = None if text is None else toml.read(text, path, faults)
    if text is None or table is None:
        return None
    places = toml.Keys(text)
    facts: dict[str, Any] = {}
    for key, value in table.items():
        known = _KEYS.get(key)
        if key in _RECORDED:
            faults.append(Fault(path, f"it holds {key}", _RECORDED_CURE, places.line_of(key)))
        elif known is None:
            # A file with so many unknown keys is another file: no similar keys are suggested.
            faults.append(_unknown_key(key, _KEYS if len(faults) < MOST_LISTED else {}, path, places.line_of(key)))
        elif not known[1](value):
            faults.append(_wrong_value(key, value, _KEYS, path, places.line_of(key)))
        else:
            facts[key] = _converted(key, value)
    return facts


def of_catalog(text: str | None, folder: str, faults: list[Fault]) -> dict[str, Any]:
    """Return the facts of a catalog.toml.

    Args:
        text: The text of the file, or None if it cannot be read, which is a fault already.
        folder: The catalog's folder, to be shown.
        faults: Receives the faults of the file.

    Returns:
        The facts as arguments of each Migration of the catalog.
    """
    path = f"{folder}/{WHOLE}"
    table = None if text is None else toml.read(text, path, faults)
    if text is None or table is None:
        return {}
    return _checked(table, _KEYS_OF_WHOLE, path, toml.Keys(text).line_of, faults)


def of_files(
    text: str, folder: str, names: Collection[str], faults: list[Fault]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the facts in a catalog.toml that lies beside migrations in files: such files may not be touched.

    Args:
        text: The text of the file.
        folder: The catalog's folder, to be shown.
        names: The names of the migrations. A table of one holds its facts, as comments at the head of its script do.
        faults: Receives the faults of the file.

    Returns:
        The facts of all migrations, and those of single ones by their names.
    """
    path = f"{folder}/{WHOLE}"
    places = toml.Keys(text)
    whole: dict[str, Any] = {}
    single: dict[str, dict[str, Any]] = {}
    for key, value in (toml.read(text, path, faults) or {}).items():
        line = places.line_of(key)
        if key in names and isinstance(value, dict):
            single[key] = _checked(value, _HEAD_KEYS, path, dict.fromkeys(value, line).get, faults)
        elif key in _KEYS_OF_WHOLE:
            message = "files have no hosted.sql, which opens what is closed"
            faults.append(Fault(path, message, "give each migration a folder, such as 01_base-tables/apply.sql", line))
        elif key in _KEYS_OF_FILES:
            whole |= _checked({key: value}, _KEYS_OF_FILES, path, places.line_of, faults)
        else:
            faults.append(_unknown_key(key, dict.fromkeys((*_KEYS_OF_FILES, *names)), path, line))
    return whole, single


def _checked(
    table: Mapping[str, Any], known: _Keys, path: str, line_of: Callable[[str], int | None], faults: list[Fault]
) -> dict[str, Any]:
    """Return the facts of a table whose keys and values are right."""
    facts: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            faults.append(_unknown_key(key, known, path, line_of(key)))
        elif not known[key][1](value):
            faults.append(_wrong_value(key, value, known, path, line_of(key)))
        else:
            facts[key] = _converted(key, value)
    return facts


def _unknown_key(key: str, known: Mapping[str, object], path: str, line: int | None) -> Fault:
    meant = near(key, known)
    cure = f"is it {meant[0]}?" if meant else f"the keys are {', '.join(known or _KEYS)}"
    return Fault(path, f"there is no key {key}", cure, line)


def of_head(script: Script, faults: list[Fault]) -> dict[str, Any]:
    """Return the facts in a script's first comments, such as ``-- kimbledb: deletes = "why"``.

    Args:
        script: The script.
        faults: Receives the faults of these comments.

    Returns:
        The facts as arguments of a Migration.
    """
    facts: dict[str, Any] = {}
    if "kimbledb:" not in script.text:
        return facts
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
            elif not _HEAD_KEYS[key][1](value):
                faults.append(_wrong_value(key, value, _HEAD_KEYS, path, number))
            else:
                facts[key] = _converted(key, value)
    return facts


def _wrong_value(key: str, value: object, known: _Keys, path: str, line: int | None) -> Fault:
    return Fault(path, f"{key} is {value!r}", f"it must be {known[key][0]}", line)


def _converted(key: str, value: Any) -> Any:
    if key == "extensions":
        if isinstance(value, dict):
            return tuple(Extension(name, version) for name, version in value.items())
        return tuple(Extension(name) for name in value)
    if key in ("renames", "formerly"):
        return {DatabaseObject.of(old).key: new.strip() for old, new in value.items()}
    if key == "reaches":
        return tuple(re.sub("^schema +", "schema ", item).removesuffix(".*") for item in value)
    if isinstance(value, list):
        return tuple(value)
    if key == "statement_timeout":
        return float(value)
    return value
