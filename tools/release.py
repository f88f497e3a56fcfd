"""Check that a tag is the version that the files of the repository name, and write the notes of its release.

python -m tools.release v1.0.0 dist/notes.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from kimbledb.version import __version__

ROOT = Path(__file__).parent.parent
CHANGELOG = ROOT / "CHANGELOG.md"
#: A section of the changelog: its version, the day of its release, and its text up to the next one or to the links.
SECTION = re.compile(
    r"^## \[(?P<version>[\w.]+)\] - (?P<day>\d{4}-\d\d-\d\d)\n(?P<text>.*?)(?=^## |^\[[\w.]+\]: |\Z)",
    re.MULTILINE | re.DOTALL,
)
#: Files that name the version by hand, each with what stands around it.
NAMED = {"docs/recipes/pre-commit/pre-commit-config.yaml": "rev: v{version} "}


def notes(version: str) -> str:
    """Return the text of a version's section of the changelog, or nothing if it has none with a date."""
    sections = {found["version"]: found["text"].strip() for found in SECTION.finditer(CHANGELOG.read_text("utf-8"))}
    return sections.get(version, "")


def faults(tag: str) -> Iterator[str]:
    """Yield what keeps a tag from being released."""
    if tag != f"v{__version__}":
        yield f"the tag is {tag}, and src/kimbledb/version.py has {__version__}"
    if not notes(__version__):
        yield f"CHANGELOG.md has no section `## [{__version__}] - <day>` with a text"
    for file, around in NAMED.items():
        if around.format(version=__version__) not in (ROOT / file).read_text("utf-8"):
            yield f"{file} names another version"


def main(arguments: list[str]) -> int:
    """Run the tool."""
    tag, output = arguments
    found = list(faults(tag))
    print("\n".join(found) or f"{tag}: the files name this version")
    if not found:
        Path(output).write_text(notes(__version__) + "\n", encoding="utf-8")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
