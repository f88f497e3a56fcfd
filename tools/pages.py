"""The pages of the docs, each with what keeps it true.

A page is made from the code, or a test runs its blocks, or it has none. Whatever its kind, the links of a page are checked
(``tools.check_site``), and each of its blocks is parsed (tests/unit/repository/test_blocks_of_pages.py).
``python -m tools.pages`` lists them.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

#: The pages whose blocks need more than a server and an empty folder, each with the tests that run them.
OWN_TESTS = {
    "how-to/two-roles.md": "tests/integration/test_pages.py",
    "testing.md": "tests/integration/test_testing_page.py",
}


class Kept(StrEnum):
    """How a page is kept true."""

    MADE = "made from the code by nox -s order"
    TRANSCRIPT = "its files are written, its commands run and their outputs compared"
    EXAMPLES = "its examples run"
    OWN_TEST = "has a test of its own"
    BLOCKS = "its blocks are parsed"
    PROSE = "has nothing to run"


def pages() -> list[str]:
    """Return the path of each page below docs."""
    return sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def made() -> set[str]:
    """Return the pages that a tool writes: those that Git's attributes mark."""
    lines = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    return {
        line.split()[0].removeprefix("docs/") for line in lines if re.match(r"docs/\S+\.md linguist-generated$", line)
    }


def kept(page: str) -> Kept:
    """Return how a page is kept true, given its path below docs."""
    if page in made():
        return Kept.MADE
    if page in OWN_TESTS:
        return Kept.OWN_TEST
    text = (DOCS / page).read_text(encoding="utf-8")
    if re.search(r"^```console$", text, re.MULTILINE):
        return Kept.TRANSCRIPT
    if re.search(r"^```python", text, re.MULTILINE):
        return Kept.EXAMPLES
    return Kept.BLOCKS if "\n```" in text else Kept.PROSE


def databases(page: str) -> list[str]:
    """Return the names of the databases to which a page connects, in the order in which it names them."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r"^\$ export \w+=postgres\w*://[^/\s]+/(\w+)$", text, re.MULTILINE)))


if __name__ == "__main__":
    for each in pages():
        print(f"{each}: {kept(each)}" + (f" ({OWN_TESTS[each]})" if each in OWN_TESTS else ""))
