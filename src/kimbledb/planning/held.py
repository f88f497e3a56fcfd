"""Whether history holds all of a catalog, by names and checksums alone. Pure.

It is what ``Planner`` would find: no step to apply, and none to refuse. Where this cannot say so, a plan can.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kimbledb.catalog.checksums import Checksums


def holds_all(rows: Iterable[Sequence[Any]], checksums: Checksums) -> bool:
    """Return whether kimbledb applied every migration as it is now, or an alternative of it.

    Args:
        rows: The rows of history: name, success, checksum, time, version, adopted, and error of each.
        checksums: The checksums of the catalog.
    """
    held: dict[str, str | None] = {}
    for name, success, checksum, _, version, adopted, _ in rows:
        if not isinstance(name, str) or not name or (version is None and not adopted):
            return False  # another program wrote the row
        held[name] = checksum if success is True else ""
    # A migration that is made in Python may have no checksum.
    rest = [name for name, checksum in checksums.of.items() if not checksum or held.get(name, "") != checksum]
    if any(held.get(name, "") != "" or name.removesuffix(".sql") in held for name in rest):
        return False  # it is applied with another text, or by a shorter name
    applied = checksums.of.keys() - rest
    for providers in checksums.providers.values():
        if len(providers) > 1 and len(applied.intersection(providers)) > 1:
            return False  # they exclude each other
    return all(_is_replaced(name, applied, checksums) for name in rest)


def _is_replaced(name: str, applied: set[str], checksums: Checksums) -> bool:
    """Return whether an alternative is applied for each thing that a migration provides."""
    among = [providers for providers in checksums.providers.values() if name in providers]
    return bool(among) and all(not applied.isdisjoint(providers) for providers in among)
