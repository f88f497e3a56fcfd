"""The folder of a new migration, with its four files to be filled in."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kimbledb.catalog import Catalog
from kimbledb.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_FACTS = """\
title = "{title}"
purpose = ""
requires = [{requires}]
# All keys, with their reasons: docs/format.md
"""
_APPLY = """\
-- Forward. No schema name, no BEGIN or COMMIT; it must be able to run again
-- without effect: CREATE TABLE IF NOT EXISTS, ADD COLUMN IF NOT EXISTS,
-- CREATE OR REPLACE FUNCTION.
"""
_VERIFY = """\
-- name: it_is_there
-- One SELECT for each name, giving a boolean `passed` and, if of use, `expected` and `found`.
SELECT false AS passed, 'a check of your own' AS expected, 'the template' AS found;
"""
_ROLLBACK = """\
-- Back to exactly the state before, without CASCADE: DROP TABLE IF EXISTS ...
"""


def new_migration(
    directory: str | os.PathLike[str], name: str, *, title: str = "", requires: tuple[str, ...] = ()
) -> Path:
    """Make the folder of a new migration, with the next free number.

    Args:
        directory: The folder that holds the migrations; made if missing.
        name: The migration's name, with or without ``.sql``: letters, digits, ``.``, ``_`` and ``-``.
        title: Its title; made of the name where empty.
        requires: The names of those that it needs.

    Returns:
        The folder.

    Raises:
        ConfigurationError: The name cannot be one, or is taken.
        CatalogError: The migrations that are there have faults.
        UnknownMigrationError: One that it needs is not there.
    """
    stem = name.removesuffix(".sql")
    if not _NAME.fullmatch(stem):
        raise ConfigurationError(
            f"{name!r} cannot be a migration's name", hint="use letters, digits, '.', '_' and '-', such as add-invoices"
        )
    root = Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    catalog = Catalog.from_directory(root)
    if f"{stem}.sql" in catalog:
        raise ConfigurationError(f"{stem}.sql is there already: {catalog[f'{stem}.sql'].location}")
    for needed in requires:
        if not catalog.providers(needed):
            catalog[needed]
    number = max((migration.number for migration in catalog), default=0) + 1
    folder = root / f"{number:02}_{stem}"
    folder.mkdir()
    shown = ", ".join(f'"{needed}"' for needed in requires)
    facts = _FACTS.format(title=(title or stem.replace("-", " ").replace("_", " ")).replace('"', "'"), requires=shown)
    for file, text in (
        ("migration.toml", facts),
        ("apply.sql", _APPLY),
        ("verify.sql", _VERIFY),
        ("rollback.sql", _ROLLBACK),
    ):
        (folder / file).write_text(text, encoding="utf-8")
    return folder
