"""Folders of migrations in the making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import kimbledb


class Folder:
    """A folder of migrations in the making."""

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
        verify: str = "-- name: nothing_to_check\nSELECT true AS passed",
        rollback: str = "",
    ) -> Path:
        """Add a migration and return its folder."""
        folder = self.path / f"{number:02}_{name}"
        folder.mkdir()
        for file, text in (
            ("migration.toml", facts),
            ("apply.sql", apply),
            ("verify.sql", verify),
            ("rollback.sql", rollback),
        ):
            (folder / file).write_text(text, encoding="utf-8")
        return folder

    def table(self, number: int, name: str, *, facts: str = "") -> Path:
        """Add a migration that makes a table of its own name."""
        return self.add(
            number,
            name,
            f"CREATE TABLE IF NOT EXISTS {name} (id integer PRIMARY KEY);\n",
            facts=facts,
            verify=f"-- name: {name}_is_there\nSELECT to_regclass('{name}') IS NOT NULL AS passed",
            rollback=f"DROP TABLE IF EXISTS {name};\n",
        )

    @property
    def catalog(self) -> kimbledb.Catalog:
        """The catalog of what is there now."""
        return kimbledb.Catalog.from_directory(self.path)


class Steps:
    """Adds migrations to a folder: each makes a table of its own name with one row.

    They need each other in their order, and cannot run twice.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def __call__(self, *names: str, after: Mapping[str, str] = {}, check: Mapping[str, str] = {}) -> Folder:
        """Add them and return the folder.

        Args:
            names: Their names, in their order.
            after: What a script does after its table is there, by the migration's name.
            check: What a verification does beside looking at the table, by the migration's name.
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
    """The names of applied steps."""
    return [step.migration.name for step in steps]
