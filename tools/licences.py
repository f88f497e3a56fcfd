"""List the licences of the packages that an installation of kimbledb adds, for the page of versions.

    python -m tools.licences            print the table
    python -m tools.licences --write    write it into docs/versions.md
    python -m tools.licences --check    compare it with the page

Reads the metadata of the installed packages: run it where all extras of users are installed. Fails on a licence that is
not in PERMISSIVE.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import metadata, requires
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).parent.parent / "docs" / "versions.md"
MARKED = re.compile(r"(<!-- licences: .*? -->\n).*?(<!-- end of licences -->)", re.DOTALL)
EXTRAS = ("cli", "otel", "embedded", "testing")
#: The licences that are accepted, by SPDX. All let a package be used in any application.
PERMISSIVE = {"MIT", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0"}
#: The licences that old metadata name by a classifier.
CLASSIFIED = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: BSD License": "BSD",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
}


def licence_of(package: str) -> str:
    """Return the licence of an installed package, as an expression of SPDX where its metadata have one.

    Raises:
        LookupError: The metadata name none, or one that is not permissive.
    """
    found = metadata(package)
    named = [*(found.get_all("License-Expression") or ())]
    named += [CLASSIFIED[each] for each in found.get_all("Classifier") or () if each in CLASSIFIED]
    expression = named[0] if named else ""
    if not PERMISSIVE & {each.strip("() ") for each in expression.split(" OR ")}:
        raise LookupError(
            f"{package}: its licence {expression or '(none named)'} is not in PERMISSIVE (tools/licences.py)"
        )
    return expression


def required_by(package: str, extras: Iterable[str]) -> Iterator[str]:
    """Yield the names of the packages that a package needs with these extras, in this environment, and all that they need."""
    for text in requires(package) or ():
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            if needed.name != package:
                yield needed.name.lower()
            yield from required_by(needed.name, needed.extras)


def table() -> str:
    """Return the table: each package once, at the core or at the first extra that brings it."""
    lines = ["| brought by | packages |", "| --- | --- |"]
    seen: set[str] = set()
    for extra in ("", *EXTRAS):
        new = sorted({*required_by("kimbledb", (extra,))} - seen)
        seen.update(new)
        cells = ", ".join(f"{each} ({licence_of(each)})" for each in new)
        lines.append(f"| {f'`{extra}`' if extra else 'the core'} | {cells} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the tool."""
    made = table()
    text = PAGE.read_text(encoding="utf-8")
    whole = MARKED.sub(lambda found: f"{found[1]}\n{made}\n{found[2]}", text)
    if arguments == ["--write"]:
        PAGE.write_text(whole, encoding="utf-8")
    elif arguments == ["--check"]:
        if whole != text:
            print(f"{PAGE.name} is out of step: run `nox -s licences -- --write`")
        return whole != text
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
