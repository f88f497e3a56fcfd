"""docs/migration-order.md against the catalog and the document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kimbledb

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "migration-order.md").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "tests" / "data" / "MIGRATION_ORDER.md").read_text(encoding="utf-8")


def test_the_page_has_the_shape_of_the_document() -> None:
    """The same phases, and in them the same migrations with the same numbers, in the same order."""
    headings = r"^#{3,4} (?:Phase \d+: .+|\d+\. .+\.sql)$"

    assert re.findall(headings, PAGE, re.MULTILINE) == re.findall(headings, DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize("migration", kimbledb.Catalog.builtin(), ids=str)
def test_each_migration_is_told_whole(migration: kimbledb.Migration) -> None:
    """Purpose, what it needs, tables that it makes, rollback and checks of each stand in its section."""
    section = PAGE.partition(f"#### {migration.number}. {migration.name}\n")[2].partition("\n###")[0]

    assert f"- **Purpose:** {migration.purpose}" in section
    assert f"- **Execution order:** {migration.order}" in section
    assert all(f"`{name}`" in section for name in migration.requires)
    assert all(f"`{each.name}`" in section for each in migration.creates if each.kind in ("table", "view", "function"))
    assert "**Rollback:**" in section
    assert all(query.name.replace("_", " ") in section or query.runs for query in migration.verification_queries)
