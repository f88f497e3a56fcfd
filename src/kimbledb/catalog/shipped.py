"""The built-in migrations, read without checks and as late as possible.

The tests check them as any user's folder, so a start need not. It reads the facts and the text of each migration.
The checks, the rollback and the declarations are read at their first use, as in any folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from kimbledb.catalog import declared, facts
from kimbledb.catalog.checksums import SHIPPED
from kimbledb.catalog.scripts import named_queries
from kimbledb.errors import CatalogError
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.script import Part, Script, checksum_of
from kimbledb.sql import packaged

#: The path of their folder in messages, which does not depend on the place of installation.
_SHOWN: Final = f"kimbledb/sql/{SHIPPED}"


def read_migrations() -> list[Migration]:
    """Return the 35 migrations of the KimbleAI v4 schema.

    Raises:
        CatalogError: A migration.toml has a fault: the installation is damaged.
    """
    faults: list[Fault] = []
    together: list[declared.Recorded] = []
    names = packaged.names_in(SHIPPED)
    whole = facts.of_catalog(_text_of(facts.WHOLE), _SHOWN, faults) if facts.WHOLE in names else {}
    migrations = [_read(name, faults, together, whole) for name in names if name[0].isdigit()]
    if faults:
        raise CatalogError(faults)
    return migrations


def _read(folder: str, faults: list[Fault], together: list[declared.Recorded], whole: Mapping[str, Any]) -> Migration:
    number, _, name = folder.partition("_")
    location = f"{_SHOWN}/{folder}"
    apply = _script_of(folder, "apply")
    read = facts.read(_file_of(folder, facts.FILE).text, location, faults)
    source = declared.Source(f"{location}/{declared.FILE}", partial(_declared_in, folder))
    scripts: dict[Part, Script] = {"apply": apply}
    if isinstance(hosted := _optional(folder, "hosted"), Script):
        scripts["hosted"] = hosted
    together.append(declared.Recorded(source, scripts, together=together, is_checked=True))
    return Migration(
        name=f"{name}.sql",
        number=int(number),
        apply_sql=apply,
        hosted_sql=hosted,
        verify_sql=partial(_optional, folder, "verify"),
        rollback_sql=partial(_optional, folder, "rollback"),
        online_sql=partial(_optional, folder, "online"),
        checksum=checksum_of(scripts.values()),
        location=location,
        declare=together[-1],
        read_queries=named_queries,
        **(read or {}),
        **whole,
    )


def _file_of(folder: str, file: str) -> Script:
    return Script.of_file(f"{_SHOWN}/{folder}/{file}", _text_of(f"{folder}/{file}"))


def _text_of(file: str) -> str:
    return packaged.read(f"{SHIPPED}/{file}").decode()


def _script_of(folder: str, part: Part) -> Script:
    return _file_of(folder, f"{part}.sql")


def _optional(folder: str, part: Part) -> Script | str:
    try:
        return _script_of(folder, part)
    except FileNotFoundError:
        return ""


def _declared_in(folder: str, _faults: list[Fault]) -> str | None:
    return _file_of(folder, declared.FILE).text
