"""The files of the repository that tools write whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.installations import CHECKSUMS
from tools import order

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", order.FILES)
def test_what_is_written_from_the_catalog_is_in_step(name: str) -> None:
    """Each file of the docs that is written from the catalog is what the catalog gives today."""
    assert (ROOT / name).read_text(encoding="utf-8") == order.FILES[name](), "run `nox -s order`"


def test_generated_files_are_marked() -> None:
    """Git's attributes mark as generated what a tool writes, each picture of the docs among it, and nothing else."""
    lines = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    marked = {line.split()[0] for line in lines if line.endswith(" linguist-generated")}
    pictures = {f"docs/images/{file.name}" for file in (ROOT / "docs" / "images").iterdir()}

    assert marked == {*order.FILES, *pictures, str(CHECKSUMS.relative_to(ROOT))}
