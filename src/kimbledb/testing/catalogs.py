"""The proof of a whole catalog, as a test of an application's own suite."""

from __future__ import annotations

from typing import Literal

from kimbledb.catalog.catalog import Catalog
from kimbledb.model.catalog_report import CatalogReport


async def prove_catalog(
    catalog: Catalog | None = None,
    *,
    server: str | None = None,
    platform: Literal["bare", "hosted"] | None = None,
    cuts: int | None = 3,
) -> CatalogReport:
    """Try every migration of a catalog on throwaway databases, as ``kimbledb.prove()`` does, and raise its failures.

    Args:
        catalog: As for ``kimbledb.prove()``.
        server: As there: the fixture ``kimbledb_server`` is one.
        platform: As there.
        cuts: As there.

    Returns:
        Everything that was tried.

    Raises:
        AssertionError: Something failed. Its text is the report.
        KimbleDBError: As ``kimbledb.prove()`` raises it.
    """
    from kimbledb.operations.prove import prove  # 180 ms, which a suite that only takes databases saves

    report = await prove(catalog, server=server, platform=platform, cuts=cuts)
    if not report.ok:
        raise AssertionError(str(report))
    return report
