"""The migrations that ship with the package.

They were checked before they were shipped (the tests read them as anybody's
folder), so that a start reads no more of them than it needs: the facts and
what is applied. Their checks and rollbacks are read when first asked for.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Final

from kimbledb import facts
from kimbledb.errors import CatalogError
from kimbledb.model import Fault, Migration
from kimbledb.scripts import checksum_of, named_queries, normalise

#: The folder as it is shown, whatever the place of installation.
_SHOWN: Final = "kimbledb/sql/migrations"


def read_migrations() -> list[Migration]:
    """Return the 35 migrations of the KimbleAI v4 schema.

    Raises:
        CatalogError: A migration.toml cannot be read: the installation is damaged.
    """
    faults: list[Fault] = []
    # By names and not by Path: at a start each millisecond counts.
    with os.scandir(Path(__file__).with_name("sql") / "migrations") as entries:
        migrations = [_read(entry, faults) for entry in entries if entry.name[0].isdigit()]
    if faults:
        raise CatalogError(faults)
    return migrations


def _read(entry: os.DirEntry[str], faults: list[Fault]) -> Migration:
    folder = entry.path
    number, _, name = entry.name.partition("_")
    location = f"{_SHOWN}/{entry.name}"
    apply_sql = _text_of(f"{folder}/apply.sql")
    read = facts.read(_text_of(f"{folder}/{facts.FILE}"), location, faults, present=True, lazily=True)
    return Migration(
        name=f"{name}.sql",
        number=int(number),
        apply_sql=apply_sql,
        verify_sql=partial(_text_of, f"{folder}/verify.sql"),
        rollback_sql=partial(_text_of, f"{folder}/rollback.sql"),
        online_sql=partial(_text_if_there, f"{folder}/online.sql"),
        checksum=checksum_of(apply_sql),
        location=location,
        read_queries=named_queries,
        **(read or {}),
    )


def _text_of(file: str) -> str:
    with open(file, "rb") as opened:  # noqa: PTH123 - as above
        return normalise(opened.read().decode())


def _text_if_there(file: str) -> str:
    return _text_of(file) if Path(file).exists() else ""
