"""The folder of a new migration: apply.sql, and a migration.toml that holds its title."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from kimbledb.catalog import directories, naming, relations, toml
from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

#: A number from this one on is a timestamp, such as 20240101120000.
_FIRST_MOMENT = 10**13

_APPLY = """\
-- The change, as one would write it for an empty database. Without a schema's name, without BEGIN and COMMIT.
"""


def new_migration(
    directory: str | os.PathLike[str],
    name: str,
    *,
    title: str = "",
    requires: tuple[str, ...] = (),
    base: Catalog | None = None,
) -> Path:
    """Create the folder of a new migration, with the next free number.

    Args:
        directory: The folder that holds the migrations. It is created if it is missing.
        name: The migration's name, with or without ``.sql``: letters, digits, ``.``, ``_`` and ``-``.
        title: The migration's title. If it is empty, the title is made from the name.
        requires: The names of the migrations, or of the provided things, that the migration requires: of the folder,
            or of ``base``.
        base: The catalog on which the folder builds, or None for the built-in one.

    Returns:
        The new folder.

    Raises:
        ConfigurationError: The name is invalid or taken, or the folder holds migrations in files, or the new folder
            cannot be created.
        CatalogError: The existing migrations have faults.
        UnknownMigrationError: A required migration does not exist.
    """
    stem = name.removesuffix(".sql")
    if not _NAME.fullmatch(stem):
        raise ConfigurationError(
            f"{name!r} is no valid name of a migration",
            hint="use letters, digits, '.', '_' and '-', such as add-invoices",
        )
    root = Path(directory)
    # All checks come before the first change.
    migrations: list[Migration] = []
    faults: list[Fault] = []
    if root.exists():
        migrations, faults = directories.read(root, may_be_empty=True)
    catalog = Catalog([*(base or ()), *relations.raised(migrations, base.last_number if base else 0)], faults=faults)
    flat = next((migration for migration in migrations if migration.is_flat), None)
    if flat is not None:
        raise ConfigurationError(
            f"{root} holds migrations in files, such as {flat.name}: a folder beside them would make the catalog invalid",
            hint=f"write the next one as a file, {_next_file(flat, migrations, stem)}",
        )
    if f"{stem}.sql" in catalog:
        raise ConfigurationError(f"{stem}.sql already exists: {catalog[f'{stem}.sql'].location}")
    for needed in requires:
        if not (catalog.has(needed) or (base is None and Catalog.builtin().has(needed))):
            catalog[needed]
    facts = _facts(title or naming.title_of(stem), requires)
    folder = root / f"{_next_number(migrations):02}_{stem}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise _cannot_be_made(folder, error) from error
    try:
        for file, text in (("migration.toml", facts), ("apply.sql", _APPLY)):
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # an incomplete migration would make the catalog invalid
        raise _cannot_be_made(folder, error) from error
    return folder


def _facts(title: str, requires: tuple[str, ...]) -> str:
    """Return the text of a migration.toml."""
    lines = [f"title = {toml.spelled_text(title)}"]
    if requires:
        lines.append(f"requires = [{', '.join(map(toml.spelled_text, requires))}]")
    return "\n".join(lines) + "\n"


def _cannot_be_made(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{folder} cannot be created: {error.strerror or error}",
        hint="give write permission to the user who runs kimbledb",
    )


def _next_file(flat: Migration, migrations: Iterable[Migration], stem: str) -> str:
    """Return the name of the next file, in words: that of another tool has its own rules."""
    number = flat.name.partition("_")[0]
    if number.isdigit() and naming.NUMBERED_FILE.fullmatch(flat.name):
        return f"such as {_next_number(migrations):0{len(number)}}_{stem}.sql"
    if naming.DATED_FILE.fullmatch(flat.name):
        return f"such as {stem}-{datetime.now(UTC):%Y-%m-%d}.sql"
    return f"named as {flat.name} is"


def _next_number(migrations: Iterable[Migration]) -> int:
    """Return the number after the last one; after a timestamp, the present time."""
    last = max((migration.number for migration in migrations), default=0)
    now = int(f"{datetime.now(UTC):%Y%m%d%H%M%S}")
    return max(now, last + 1) if last >= _FIRST_MOMENT else last + 1
