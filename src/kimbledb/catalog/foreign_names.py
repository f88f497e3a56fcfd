"""Which migration of a catalog a row of another tool's history means. Pure.

Tools call a migration by the name of its file, with or without the ending, by the version at its beginning, or by a word
in it. A short version, such as 1, means a migration only where that has a file of its own and no folder: each tool counts
from 1, and folders are kimbledb's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from kimbledb.model.migration import Migration

#: A version at the beginning of a name, such as 20240101120000, 0007 or Flyway's V1.2.
_VERSION = re.compile(r"[vub]?([0-9]+(?:[._][0-9]+)*)(?=[-_. ]|$)")
#: A date and a time with dashes between them, at the beginning of a name: Diesel's, whose history has digits alone.
_DASHED = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})-([0-9]{6})")
#: The endings of a script's name, the longer ones first.
_ENDINGS = (".tx.up.sql", ".up.sql", ".sql")
#: Digits from which on a version says which migration it is: those of a date.
_DATE = 8
#: The shortest word of a name by which a tool may know a migration, such as a revision of Alembic.
_REVISION = 8


class Names:
    """The names by which other tools may know the migrations of a catalog."""

    def __init__(self, migrations: Iterable[Migration]) -> None:
        """Take the migrations, in their order."""
        self._migrations = tuple(migrations)
        self._by_name: dict[str, Migration] = {}
        for migration in self._migrations:
            for name in _names_of(migration):
                self._by_name.setdefault(name, migration)

    def meant_by(self, row: str) -> Migration | None:
        """Return the migration that a row means, or None if it means none of the catalog.

        Args:
            row: What the row calls it.
        """
        stem = _stem(row)
        version = _VERSION.fullmatch(stem)
        return self._by_name.get(stem) or (self._by_name.get(_plain(version[1])) if version else None)

    def up_to(self, migration: Migration) -> Sequence[Migration]:
        """Return a migration and all before it: some tools keep the last one alone.

        Args:
            migration: One of the migrations.
        """
        return self._migrations[: self._migrations.index(migration) + 1]


def _names_of(migration: Migration) -> Iterator[str]:
    """Yield the names of a migration, in lower case, the most exact first."""
    for name in dict.fromkeys((migration.name, migration.location.rpartition("/")[2])):
        stem = _stem(name)
        yield stem
        version = _VERSION.match(stem)
        if version is not None and (migration.is_flat or len(version[1]) >= _DATE):
            yield _plain(version[1])
        yield from (word for word in re.split(r"[-_.]", stem) if len(word) >= _REVISION and re.search("[0-9]", word))


def _stem(name: str) -> str:
    lower = name.strip().lower()
    lower = _DASHED.sub(r"\1\2\3\4", lower)
    return next((lower.removesuffix(end) for end in _ENDINGS if lower.endswith(end)), lower)


def _plain(version: str) -> str:
    """Return a version without zeros before its numbers and without zeros at its end: 01.0 is 1."""
    numbers = [str(int(part)) for part in re.split("[._]", version)]
    while len(numbers) > 1 and numbers[-1] == "0":
        numbers.pop()
    return ".".join(numbers)
