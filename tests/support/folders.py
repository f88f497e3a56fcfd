"""Folders of migrations that tests write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import kimbledb


class Folder:
    """A folder of migrations; it is created if it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        number: int,
        name: str,
        apply: str,
        *,
        facts: str = "",
        verify: str | None = "-- name: nothing_to_check\nSELECT true AS passed",
        rollback: str | None = "",
        hosted: str | None = None,
    ) -> Path:
        """Add a migration, by the texts of its files, and return its folder. None for no such file."""
        folder = self.path / f"{number:02}_{name}"
        folder.mkdir()
        for file, text in (
            ("migration.toml", facts),
            ("apply.sql", apply),
            ("verify.sql", verify),
            ("rollback.sql", rollback),
            ("hosted.sql", hosted),
        ):
            if text is not None:
                (folder / file).write_text(text, encoding="utf-8")
        return folder

    def close(self) -> None:
        """Let what its migrations make start closed."""
        (self.path / "catalog.toml").write_text("closed = true\n", encoding="utf-8")

    def table(self, number: int, name: str, *, facts: str = "") -> Path:
        """Add a migration that creates a table with the migration's name, and return its folder."""
        return self.add(
            number,
            name,
            f"CREATE TABLE IF NOT EXISTS {name} (id integer PRIMARY KEY);\n",
            facts=facts,
            verify=f"-- name: {name}_is_there\nSELECT to_regclass('{name}') IS NOT NULL AS passed",
            rollback=f"DROP TABLE IF EXISTS {name};\n",
        )

    async def declared(self, server: str) -> kimbledb.Catalog:
        """Record what the migrations do on a server, and return their catalog."""
        await kimbledb.declare(self.path, server=server)
        return self.catalog

    @property
    def catalog(self) -> kimbledb.Catalog:
        """The catalog of the migrations that the folder has now."""
        return kimbledb.Catalog.from_directory(self.path)


class Steps:
    """Adds migrations to a folder: each creates a table with the migration's name and one row.

    Each requires the one before. A migration that runs twice fails.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def __call__(self, *names: str, after: Mapping[str, str] = {}, check: Mapping[str, str] = {}) -> Folder:
        """Add migrations and return the folder.

        Args:
            names: The names of the migrations, in order.
            after: SQL that a script runs after it has created its table, by the migration's name.
            check: A second verification query, by the migration's name.
        """
        before = None
        for number, name in enumerate(names, 1):
            self._folder.add(
                number,
                name,
                f"CREATE TABLE {name} (n integer);\nINSERT INTO {name} VALUES (1);\n{after.get(name, '')}",
                facts=f'requires = ["{before}.sql"]' if before else "",
                verify=f"-- name: one_row\nSELECT count(*) = 1 AS passed FROM {name}"
                + (f"\n;\n-- name: more\n{check[name]}" if name in check else ""),
                rollback=f"DROP TABLE {name};\n",
            )
            before = name
        return self._folder


def names(steps: Sequence[kimbledb.AppliedStep]) -> list[str]:
    """Return the names of the migrations of applied steps."""
    return [step.migration.name for step in steps]
