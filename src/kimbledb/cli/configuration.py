"""``[tool.kimbledb]`` of pyproject.toml: the arguments that a project would otherwise repeat in every call.

    [tool.kimbledb]
    catalog = ["builtin", "migrations"]
    schema = "shop"

    [tool.kimbledb.options]
    lock_timeout = 5

The nearest pyproject.toml counts, of the current folder or one above it. Folders are relative to it. An argument of the
call takes the place of a value. A DSN has no place in a file that is committed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, fields, frozen

from kimbledb.errors import ConfigurationError
from kimbledb.model.names import near
from kimbledb.server.options import Options

_FILE: Final = "pyproject.toml"
#: The keys of the table, each with its meaning.
KEYS: Final = {
    "catalog": "The catalogs, as ``--catalog`` takes them: folders of migrations, or ``builtin`` for the built-in ones; one "
    "text, or a list of which each builds on those before it. Default: the built-in ones. ``declare`` and ``new`` work "
    "in the last folder of the list, else in ``migrations``.",
    "schema": "The target schema, as ``--schema`` takes it. Default: ``public``.",
    "options": "A table with the options below.",
}
#: The name of the built-in catalog; a folder of that name is written ``./builtin``.
BUILTIN: Final = "builtin"


@frozen
class Configuration:
    """The values of ``[tool.kimbledb]``."""

    #: The catalogs, as ``--catalog`` takes them: relative to the current folder, or absolute.
    catalog: tuple[str, ...] = ()
    #: The target schema, or None.
    schema: str | None = None
    options: Options = field(factory=Options)

    @property
    def folder(self) -> str:
        """The folder of the project's own migrations: the last catalog, which builds on the others; else ``migrations``."""
        return next((each for each in reversed(self.catalog) if each != BUILTIN), "migrations")


def read(folder: Path) -> Configuration:
    """Return the configuration of a folder, empty where there is none.

    Args:
        folder: The folder. The file may also be in one of its parents.

    Raises:
        ConfigurationError: The file is not TOML, or a value cannot be used.
    """
    file = next((each / _FILE for each in (folder, *folder.parents) if (each / _FILE).is_file()), None)
    if file is None:
        return Configuration()
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return Configuration()  # a file that the caller may not read is not the caller's project
    except ValueError as error:
        raise ConfigurationError(f"{file} is not TOML: {error}", hint="correct the file") from None
    table = found.get("tool", {})
    table = table.get("kimbledb", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise ConfigurationError(f"{file}: tool.kimbledb is no table", hint="write [tool.kimbledb]")
    _check(table, tuple(KEYS), f"{file}, [tool.kimbledb]")
    return Configuration(
        catalog=tuple(_folder(each, file, folder) for each in _texts(table.get("catalog", ()), "catalog", file)),
        schema=next(iter(_texts(table.get("schema", ()), "schema", file, only=True)), None),
        options=_options(table.get("options", {}), file),
    )


def _check(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in table:
        if "dsn" in key.casefold():
            raise ConfigurationError(
                f"{place}: {key!r} has no place in a file that is committed",
                hint="set KIMBLEDB_DSN or DATABASE_URL in the environment, or pass --dsn and --direct-dsn",
            )
        if key not in known:
            similar = near(key, known)
            raise ConfigurationError(
                f"{place}: there is no {key!r}",
                hint=f"did you mean {similar[0]}?" if similar else f"the keys are {', '.join(known)}",
            )


def _texts(value: object, key: str, file: Path, *, only: bool = False) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    is_right = isinstance(texts, list | tuple) and all(isinstance(each, str) and each for each in texts)
    if not is_right or (only and value and not isinstance(value, str)):
        raise ConfigurationError(
            f"{file}, [tool.kimbledb]: {key} is no text" + ("" if only else " and no list of texts"),
            hint='write schema = "shop"'
            if only
            else 'write catalog = "migrations", or catalog = ["builtin", "migrations"]',
        )
    assert isinstance(texts, list | tuple)
    return tuple(texts)


def _folder(name: str, file: Path, folder: Path) -> str:
    # Messages show the name as it is written in the file, if it is relative to the current folder.
    return name if name == BUILTIN or file.parent == folder else str(file.parent / name)


def _options(table: object, file: Path) -> Options:
    place = f"{file}, [tool.kimbledb.options]"
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"{place}: it is no table", hint="write lock_timeout = 5 below [tool.kimbledb.options]"
        )
    _check(table, tuple(each.name for each in fields(Options)), place)
    try:
        return Options(**table)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{place}: {error}", hint="seconds are numbers") from None
    except ConfigurationError as error:
        error.message = f"{place}: {error.message}"
        raise
