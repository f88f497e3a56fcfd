"""Check a built site: each link and anchor, and that its search finds what people look for.

No generator is trusted with this: each one reports other faults, and passes over the rest. ``nox -s docs`` runs
``python -m tools.check_site site`` on what it has built.
"""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ERRORS = Path(__file__).parent.parent / "src" / "kimbledb" / "errors.py"
#: The attributes that a browser loads by itself when it shows a page.
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("object", "data")}
#: What a `<link>` with one of these relations makes a browser load or connect to.
RELATIONS = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "icon"}
#: A reference of Markdown that stayed as it was written: `[text][name]`.
UNRESOLVED = re.compile(r"\]\[[^\]\s\x00]*\]|(?<![\w\]\x00])\[\x00\]\[\]")

#: What people look for, each with the page that answers it.
SOUGHT = {
    "--json": "reference/commands/",
    "fastapi": "how-to/start-up/",
    "exit code": "reference/exit-codes/",
    "pgbouncer": "how-to/poolers/",
    "KIMBLEDB_DSN": "reference/environment/",
    "lock_timeout": "reference/settings/",
    **dict.fromkeys(re.findall(r"^class (\w+Error)\b", ERRORS.read_text("utf-8"), re.MULTILINE), "reference/errors/"),
}


class Page(HTMLParser):
    """The anchors, links and prose of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.prose: list[str] = []
        self._code = 0
        self.feed(text)

    # The names of these three are those of HTMLParser, which documents them.
    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:  # noqa: D102
        given = {name: value or "" for name, value in attributes}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        self.links.extend(
            given[name] for name in ("href", "src", "data") if name in given and tag not in ("base", "meta")
        )
        self.loaded.extend(value for name, value in given.items() if (tag, name) in LOADED)
        if tag == "link" and RELATIONS & set(given.get("rel", "").split()):
            self.loaded.append(given.get("href", ""))
        if tag in ("pre", "code", "script", "style"):
            self._code += 1
            self.prose.append("\x00" if self._code == 1 else "")

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        if tag in ("pre", "code", "script", "style"):
            self._code = max(0, self._code - 1)
        elif tag in ("p", "li", "td", "th", "dd", "dt"):
            self.prose.append("\n")

    def handle_data(self, data: str) -> None:  # noqa: D102
        if not self._code:
            self.prose.append(data)


def faults(site: Path) -> list[str]:
    """Return the faults of a site, each with its page."""
    return [*_faults_of_pages(site), *_faults_of_styles(site), *_faults_of_search(site)]


def _faults_of_pages(site: Path) -> list[str]:
    pages = {file.resolve(): Page(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}
    found: list[str] = []
    for file, page in pages.items():
        name = file.relative_to(site.resolve())
        if name.name == "404.html":  # its links begin at the root, wherever that will be
            continue
        found.extend(f"{name}: is loaded from elsewhere: {url}" for url in page.loaded if urlsplit(url).netloc)
        found.extend(f"{name}: unresolved: {each}" for each in UNRESOLVED.findall("".join(page.prose)))
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            if parts.path.startswith("/"):
                found.append(f"{name}: begins at the root: {link}")
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{name}: is not there: {link}")
            elif (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors | {"__top"}
            ):
                found.append(f"{name}: has no such anchor: {link}")
        if 'data-md-component="source"' in file.read_text("utf-8"):
            found.append(f"{name}: the theme's script asks the repository's host for figures")
        if "--8<--" in file.read_text("utf-8"):
            found.append(f"{name}: a file that it should show is not in it")
    return found


def _faults_of_styles(site: Path) -> list[str]:
    found: list[str] = []
    for file in sorted(site.rglob("*.css")):
        for url in re.findall(
            r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')]+)", file.read_text("utf-8", "replace")
        ):
            found.append(f"{file.relative_to(site)}: is loaded from elsewhere: {url}")
    return found


def _faults_of_search(site: Path) -> list[str]:
    """Return the queries of ``SOUGHT`` whose answer the index of the search does not have."""
    entries = json.loads((site / "search.json").read_text("utf-8"))["items"]
    found: list[str] = []
    for query, page in SOUGHT.items():
        at = [each["location"] for each in entries if query.lower() in f"{each['title']} {each['text']}".lower()]
        if not any(location.startswith(page) for location in at):
            found.append(f"search: {query!r} does not lead to {page}, but to {', '.join(at) or 'nothing'}")
    return found


if __name__ == "__main__":
    every = faults(Path(sys.argv[1]))
    print("\n".join(every))
    sys.exit(bool(every))
