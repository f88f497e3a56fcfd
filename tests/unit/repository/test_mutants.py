"""The list of changes that tests must notice is in step with the code: ``nox -s mutants`` makes them."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
MUTANTS: list[dict[str, Any]] = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text("utf-8"))["mutant"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant["name"] for mutant in MUTANTS])
def test_a_change_can_be_made(mutant: dict[str, Any]) -> None:
    """The text that is replaced stands once in its file, what comes in its place is another, and the tests are there."""
    text = (ROOT / mutant["file"]).read_text("utf-8")

    assert text.count(mutant["old"]) == 1, (
        f"mend `old` of it in tests/mutants/mutants.toml: {mutant['file']} has changed"
    )
    assert mutant["new"] != mutant["old"]
    if mutant["file"].endswith(".py"):
        ast.parse(text.replace(mutant["old"], mutant["new"]))
    for test in mutant["tests"]:
        file, *inside = test.split("::")
        name = inside[-1].partition("[")[0] if inside else ""
        assert f"def {name}" in (ROOT / file).read_text("utf-8"), f"there is no {test}"


def test_each_change_has_a_name_of_its_own() -> None:
    """No two of them are called the same."""
    names = [mutant["name"] for mutant in MUTANTS]

    assert len(set(names)) == len(names)
