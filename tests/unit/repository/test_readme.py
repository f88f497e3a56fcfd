"""The README: read on GitHub and on PyPI, where a relative link leads nowhere."""

from __future__ import annotations

import re

from tools.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: What the addresses stand for, below the repository's root.
PLACES = {
    "https://kimbledb.readthedocs.io/en/latest/": "docs/",
    "https://github.com/kimbledb/kimbledb/blob/main/": "",
    "https://raw.githubusercontent.com/kimbledb/kimbledb/main/": "",
}


def files() -> list[str]:
    """The file of each link and picture, as a path from the root; an address of another place as it is."""
    found = []
    for address in re.findall(r"\]\(([^)]+)\)", README):
        place = next((each for each in PLACES if address.startswith(each)), "")
        path = PLACES.get(place, "") + address.removeprefix(place)
        found.append(f"{path.rstrip('/')}.md" if PLACES.get(place) else path)
    return found


def test_every_link_leads_to_a_file() -> None:
    """Each link is absolute, and leads to a page that the navigation names or to a file of the repository."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    missing = [
        file
        for file in files()
        if not (ROOT / file).is_file()
        and not re.search(
            rf"[ :]{file.removeprefix('docs/').removesuffix('.md')}(/index)?\.md$", navigation, re.MULTILINE
        )
    ]

    assert files()
    assert missing == []


def test_it_is_one_screen() -> None:
    """Nobody scrolls through a README: what is longer has a page of its own."""
    assert len(README.splitlines()) <= 75
