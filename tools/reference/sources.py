"""The texts that the sources hold: docstrings with their sections, and the comments ``#:`` of attributes."""

from __future__ import annotations

import inspect
import re
import textwrap
from types import ModuleType

from kimbledb import errors

#: A heading of a docstring's section: ``Attributes:``.
_SECTION = re.compile(r"^(\w+):\n((?: {4}.*\n?|\n)+)", re.MULTILINE)
_ASSIGNED = re.compile(r"\s*(\w+)\s*(?::[^=]*)?=|\s*(\w+):\s")


def head(title: str, purpose: str) -> list[str]:
    """Return the first lines of a page.

    Args:
        title: The title of the page.
        purpose: For whom the page is, and for what.
    """
    return ["<!-- Written by `nox -s order` from the code: do not edit. -->", "", f"# {title}", "", prose(purpose), ""]


def comments_of(thing: type | ModuleType) -> dict[str, str]:
    """Return the comment ``#:`` of each attribute of a class, or of each name of a module. Its paragraphs stay."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in inspect.getsource(thing).splitlines():
        stripped = line.strip()
        if stripped.startswith("#:"):
            comment.append(stripped[2:].strip())
        else:
            match = _ASSIGNED.match(line)
            if comment and match:
                found[match[1] or match[2]] = "\n".join(comment)
            comment = []
    return found


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, each in one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def docstring(thing: object) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring before its sections, and its sections, without their indentation."""
    text = inspect.getdoc(thing) or ""
    sections = {name: textwrap.dedent(body).strip() for name, body in _SECTION.findall(text)}
    return _SECTION.sub("", text).strip(), sections


def items(section: str) -> dict[str, str]:
    """Return the items of a section such as ``Attributes:``, each with its text in one line."""
    found = re.findall(r"^(\w+): ((?:.*\n?)(?:^ +.*\n?)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def lines_of(section: str) -> list[str]:
    """Return the lines of a list in a section, without their marks."""
    return [" ".join(each.split()) for each in re.split(r"^(?:- |\d+\. )", section, flags=re.MULTILINE)[1:]]


def prose(text: str, page: str = "") -> str:
    """Return a text of the code as Markdown: its code in single backticks, the names of errors as links.

    Args:
        text: The text.
        page: The address of the page of errors from the page of the text; empty if it is that page.
    """
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    return re.sub(r"`(\w+Error)`", lambda found: _link(found[1], page), text)


def _link(name: str, page: str) -> str:
    known = isinstance(getattr(errors, name, None), type)
    return f"[`{name}`]({page}#{name.lower()})" if known else f"`{name}`"


def shown(value: object) -> str:
    """Return a default as it is written in TOML, or ``none``."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:_}`".replace(".0`", "`")
