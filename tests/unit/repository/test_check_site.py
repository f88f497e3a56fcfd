"""The check of the built site, on a site with a fault of each kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import check_site

#: A page's body, with the end of the fault that is found in it.
FAULTS = {
    '<a href="../missing/">x</a>': "is not there: ../missing/",
    '<a href="#missing">x</a>': "has no such anchor: #missing",
    '<a href="/page/">x</a>': "begins at the root: /page/",
    '<img src="missing.svg">': "is not there: missing.svg",
    '<script src="https://example.com/a.js"></script>': "is loaded from elsewhere: https://example.com/a.js",
    '<link rel="stylesheet" href="//example.com/a.css">': "is loaded from elsewhere: //example.com/a.css",
    "<p>see [the page][missing]</p>": "unresolved: ][missing]",
    '<a href="https://github.com/a/b" data-md-component="source">x</a>': "the theme's script asks the repository's host for figures",
    "<pre>--8<-- file</pre>": "a file that it should show is not in it",
}


def site(folder: Path, body: str) -> Path:
    """A site of one page, whose search finds all that is looked for."""
    items = [{"location": page, "title": query, "text": ""} for query, page in check_site.SOUGHT.items()]
    (folder / "search.json").write_text(json.dumps({"items": items}), encoding="utf-8")
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text(f'<h1 id="top">Page</h1>{body}', encoding="utf-8")
    return folder


@pytest.mark.parametrize("body", FAULTS)
def test_a_fault_of_a_page_is_found(tmp_path: Path, body: str) -> None:
    """Each kind of fault in a page is told with the page."""
    assert check_site.faults(site(tmp_path, body)) == [f"page/index.html: {FAULTS[body]}"]


@pytest.mark.parametrize(
    "body", ['<a href="#top">x</a>', '<a href="https://example.com">x</a>', "<code>a[0][b]</code>"]
)
def test_a_sound_page_has_none(tmp_path: Path, body: str) -> None:
    """Links to what is there, links to other sites, and brackets in code are no faults."""
    assert check_site.faults(site(tmp_path, body)) == []


def test_a_style_from_elsewhere_is_found(tmp_path: Path) -> None:
    """A style sheet that loads another one from elsewhere is told."""
    (site(tmp_path, "") / "style.css").write_text('@import "https://example.com/font.css";', encoding="utf-8")

    assert check_site.faults(tmp_path) == ["style.css: is loaded from elsewhere: https://example.com/font.css"]


def test_a_search_without_an_answer_is_found(tmp_path: Path) -> None:
    """A query that the index answers by another page than the one that is meant is told."""
    site(tmp_path, "")
    items = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))["items"]
    items[0]["location"] = "elsewhere/"
    (tmp_path / "search.json").write_text(json.dumps({"items": items}), encoding="utf-8")

    assert check_site.faults(tmp_path) == ["search: '--json' does not lead to reference/commands/, but to elsewhere/"]
