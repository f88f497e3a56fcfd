"""The files of the repository that tools write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.installations import CHECKSUMS
from tools import order, rooms

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", order.WRITTEN)
def test_a_file_that_is_made_from_the_code_is_in_step(name: str) -> None:
    """Each file that `nox -s order` writes has the text that the code gives today."""
    assert (ROOT / name).read_text(encoding="utf-8") == order.WRITTEN[name](), "run `nox -s order`"


def test_each_room_has_tests() -> None:
    """The table of rooms names tests for each room that can fail, and each of them exists."""
    found = {name: rooms.tests_of(name) for name in rooms.RANKS}

    assert [name for name, tests in found.items() if not tests] == ["version", "__main__"]
    assert not [
        path for tests in found.values() for path in tests if not (rooms.TESTS / path.partition("::")[0]).exists()
    ]
    assert not [
        folder.name
        for folder in (rooms.TESTS / "unit").iterdir()
        if folder.is_dir() and folder.name not in (*rooms.RANKS, "repository", "__pycache__")
    ], "tests/unit has a folder for each room"


def test_generated_files_are_marked() -> None:
    """Git's attributes mark as generated what a tool writes, each picture of the docs among it, and nothing else."""
    lines = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    marked = {line.split()[0] for line in lines if line.endswith(" linguist-generated")}
    pictures = {f"docs/images/{file.name}" for file in (ROOT / "docs" / "images").iterdir()}

    assert marked == {*order.FILES, *pictures, str(CHECKSUMS.relative_to(ROOT))}
