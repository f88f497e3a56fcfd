"""Diesel and Hasura: ``2024-01-01-120000_create_users/up.sql``, and what takes it back in ``down.sql``.

The order is that of the versions before the first ``_``, in which dashes do not count. ``run_in_transaction = false`` in
a metadata.toml is heeded.
"""

from __future__ import annotations

import re

from kimbledb.catalog import toml
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.named_folders import NamedFolder, named_folders
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Folder
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration

_APPLY, _BACK, _FACTS = "up.sql", "down.sql", "metadata.toml"
_NAME = re.compile(r"([0-9][0-9-]*)(?:_(.*))?")


def matches(folder: Folder) -> bool:
    """Return whether a folder holds folders with an up.sql."""
    return folder.holds_folders_with(_APPLY)


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a folder of Diesel or Hasura, and all faults in it."""
    faults: list[Fault] = []
    found = named_folders(folder, (_APPLY, _BACK, _FACTS), faults)
    for each in found:
        if _NAME.fullmatch(each.name) is None:
            faults.append(Fault(each.path, "its name does not begin with a version", "name it 2024-01-01-120000_name"))
    found.sort(key=lambda each: (_version(each), each.name))
    if _by_text(found) != found and len({len(_version_text(each)) for each in found}) > 1:
        message = "its versions have different lengths, and Diesel and Hasura order these differently"
        faults.append(Fault(folder.shown, message, "give all versions the same number of digits"))
    return migrations_of(folder, [_draft_of(each, faults) for each in found], faults), faults


def _by_text(found: list[NamedFolder]) -> list[NamedFolder]:
    return sorted(found, key=lambda each: (_version_text(each), each.name))


def _version_text(found: NamedFolder) -> str:
    match = _NAME.fullmatch(found.name)
    return match[1].replace("-", "") if match else "0"


def _version(found: NamedFolder) -> int:
    return int(_version_text(found))


def _draft_of(found: NamedFolder, faults: list[Fault]) -> Draft:
    facts = found.scripts.get(_FACTS)
    stated = {} if facts is None else toml.read(facts.text, facts.path, faults) or {}
    return Draft(
        name=found.name,
        number=_version(found),
        title=title_of(found.name.partition("_")[2]),
        apply=found.scripts[_APPLY],
        rollback=found.scripts.get(_BACK),
        transactional=stated.get("run_in_transaction") is not False,
    )
