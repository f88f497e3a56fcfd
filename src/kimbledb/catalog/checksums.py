"""The checksums of a catalog, from its files alone: nothing is parsed.

Where history holds every one of them, a start has nothing to do and needs nothing else of the catalog. So the files
are hashed at each start, and whatever is out of the ordinary is left to the readers, which report it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from kimbledb.sql import packaged

#: The folder of the built-in migrations, below the package's SQL.
SHIPPED: Final = "migrations"
#: The files of a migration's folder. A file of SQL or TOML with another name is a fault.
_FILES: Final = frozenset(
    {"apply.sql", "hosted.sql", "verify.sql", "rollback.sql", "online.sql", "migration.toml", "declared.toml"}
)
#: Those of them that are read.
_HASHED: Final = ("apply.sql", "hosted.sql", "migration.toml")
#: The most digits of a number.
_MOST_DIGITS: Final = 18
#: A larger file is left to the readers, which know the limit.
_MOST_BYTES: Final = 1 << 20
#: O_NOFOLLOW: an entry that becomes a link after it was listed is not followed. O_NONBLOCK: a named pipe is not waited for.
FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Checksums(NamedTuple):
    """The checksums of a catalog's files."""

    #: The checksum of each migration, by its name.
    of: Mapping[str, str]
    #: The names of the migrations that provide each thing: several are alternatives.
    providers: Mapping[str, frozenset[str]]


class Seen:
    """A migration as hashed: if history holds its checksum, its files need no parsing."""

    def __init__(self, checksum: str, files: Collection[str], texts: Mapping[str, str]) -> None:
        """Note it.

        Args:
            checksum: The checksum.
            files: The names of the files in its folder.
            texts: The texts that were read, by the names of their files.
        """
        self.checksum = checksum
        self.files = files
        self.texts = texts


class _Unusual(Exception):
    """Something that only the readers judge."""


def of_shipped() -> Checksums:
    """Return the checksums of the migrations that ship with the package."""
    names = [name for name in packaged.names_in(SHIPPED) if name[0].isdigit()]

    def read(home: str, file: str) -> bytes | None:
        try:
            return packaged.read(f"{SHIPPED}/{home}/{file}")
        except FileNotFoundError:
            return None

    return _of(names, read)


def of_directory(root: str, seen: dict[str, Seen] | None = None) -> Checksums | None:
    """Return the checksums of the migrations in a folder of folders, or None where only the readers can judge it.

    Args:
        root: The folder.
        seen: Receives what was read of each migration, by its name; None where nobody wants it.
    """
    names: list[str] = []
    numbers: set[int] = set()
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith((".", "__")) or name == "catalog.toml" or name.endswith(".md"):
                    continue
                number = _number_of(name)
                if number is None or number in numbers or not entry.is_dir(follow_symlinks=False):
                    return None
                numbers.add(number)
                names.append(name)
        return _of(names, lambda home, file: _read(f"{root}/{home}/{file}"), lambda home: _list(f"{root}/{home}"), seen)
    except (OSError, _Unusual):
        return None


def _of(
    homes: Iterable[str],
    read: Callable[[str, str], bytes | None],
    files_in: Callable[[str], Collection[str]] = lambda _: _FILES,
    seen: dict[str, Seen] | None = None,
) -> Checksums:
    of: dict[str, str] = {}
    providers: dict[str, frozenset[str]] = {}
    for home in homes:
        name = f"{home.partition('_')[2]}.sql"
        files = files_in(home)
        found = {file: text for file in _HASHED if file in files and (text := read(home, file)) is not None}
        if "apply.sql" not in found or name in of:
            raise _Unusual
        sent = _sent(found["apply.sql"])
        if hosted := _sent(found.get("hosted.sql", b"")):
            sent += b"\0" + hosted
        of[name] = hashlib.sha256(sent).hexdigest()
        texts = {file: _decoded(text) for file, text in found.items()}
        if seen is not None:
            seen[name] = Seen(of[name], files, texts)
        facts = texts.get("migration.toml", "")
        # A key with an escape is another key to the eye.
        if "provides" in facts or "\\" in facts:
            for thing in _provided(facts):
                providers[thing] = providers.get(thing, frozenset()) | {name}
    return Checksums(of, providers)


def _decoded(data: bytes) -> str:
    """Return a text that PostgreSQL can store."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _Unusual from None
    if "\0" in text:
        raise _Unusual
    return text


def _sent(data: bytes) -> bytes:
    """Return the content of a script in the form that is sent, as ``Script.of_file()``."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data


def _provided(facts: str) -> list[str]:
    from kimbledb.catalog import plain_toml  # few migrations provide anything

    try:
        found = (plain_toml.read(facts) or _loaded(facts)).get("provides", [])
    except (ValueError, RecursionError):
        raise _Unusual from None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise _Unusual
    return found


def _loaded(facts: str) -> dict[str, Any]:
    import tomllib  # 2 ms, and the files that ship are of plain lines

    return tomllib.loads(facts)


def _number_of(name: str) -> int | None:
    """Return the number in the name of a migration's folder, or None for any other name."""
    number, _, rest = name.partition("_")
    is_right = rest and number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS and name.isprintable()
    return int(number) or None if is_right else None


def _list(folder: str) -> list[str]:
    names = os.listdir(folder)  # noqa: PTH208 - a start passes here for each migration
    for name in names:
        if name not in _FILES and not name.startswith((".", "__")) and name.lower().endswith((".sql", ".toml")):
            raise _Unusual
    return names


def _read(path: str) -> bytes:
    descriptor = os.open(path, FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            raise _Unusual
        # No more than it holds: the memory for a mebibyte would take longer than the rest.
        data = os.read(descriptor, status.st_size + 1)
        if len(data) != status.st_size:
            raise _Unusual
        return data
    finally:
        os.close(descriptor)
