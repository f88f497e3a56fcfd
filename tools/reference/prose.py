"""Docstrings and types as Markdown, with links to what is public."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable

import griffe

#: Returns the address of a path of the sources, or of a public name, seen from the page; None where there is none.
Address = Callable[[str], str | None]

_CODE = re.compile(r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)", re.DOTALL)
#: Code that names a thing: `Plan`, `Plan.sql()`, `kimbledb.migrate()`, `rehearse(queries=...)`.
_NAME = re.compile(r"(?P<path>[A-Za-z][\w.]*\w)(?P<call>\(.*\))?", re.DOTALL)
_URL = re.compile(r"(https?://[^\s)>]*[^\s)>.,;:])")
#: What Markdown would take for mark-up. An underscore within a word is none.
_SPECIAL = re.compile(r"([\\*<\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def text(docstring: str, links: Links) -> str:
    """Return the text of a docstring as Markdown: its names are links, its literal blocks are fenced.

    Args:
        docstring: The text, whose code stands in double or single backticks.
        links: What its names may mean.
    """
    paragraphs = re.split(r"(?m)^::\n\n((?:[ ]{4}.*\n?|\n)+)", docstring.strip() + "\n")
    parts = []
    for place, paragraph in enumerate(paragraphs):
        if place % 2:
            code = textwrap.dedent(paragraph).strip("\n")
            parts.append(f"```{'python' if _is_python(code) else 'text'}\n{code}\n```")
        elif paragraph.strip():
            parts.append(inline(paragraph.strip(), links))
    return "\n\n".join(parts)


def item(docstring: str, links: Links) -> str:
    """Return the text of a docstring as one line, for an item of a list."""
    return inline(" ".join(docstring.split()), links)


def inline(paragraph: str, links: Links) -> str:
    """Return a text as Markdown: code in single backticks, names as links, and no other mark-up."""
    parts, place = [], 0
    for match in _CODE.finditer(paragraph):
        parts += [_plain(paragraph[place : match.start()]), _code(match["code"], links)]
        place = match.end()
    return "".join([*parts, _plain(paragraph[place:])])


def _plain(between: str) -> str:
    """Return a text without code: addresses are links, and nothing else is mark-up."""
    parts = _URL.split(between)
    return "".join(f"<{part}>" if place % 2 else _SPECIAL.sub(r"\\\1", part) for place, part in enumerate(parts))


def _code(code: str, links: Links) -> str:
    code = " ".join(code.split())
    match = _NAME.fullmatch(code)
    address = links.of(match["path"], is_call=match["call"] is not None) if match else None
    return f"[`{code}`]({address})" if address else f"`{code}`"


def _is_python(code: str) -> bool:
    try:
        compile(code, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return False
    return True


class Links:
    """What the names in a docstring mean."""

    def __init__(
        self,
        page: str,
        addresses: dict[str, tuple[str, str]],
        faults: list[str] | None = None,
        scope: str = "",
    ) -> None:
        """Make the links of a page.

        Args:
            page: The name of the page.
            addresses: For each public name, and for each path of the sources, its page and its anchor.
            faults: Takes what is wrong in the docstrings of the page.
            scope: The public name of the class that the text is about, whose methods are named without it.
        """
        self.page = page
        self.faults: list[str] = [] if faults is None else faults
        self._addresses = addresses
        self._scope = scope

    def within(self, scope: str) -> Links:
        """Return the links of a text about a class."""
        return Links(self.page, self._addresses, self.faults, scope)

    def address(self, path: str) -> str | None:
        """Return the address of a public name or of a path of the sources, or None."""
        found = self._addresses.get(path)
        if found is None:
            return None
        page, anchor = found
        return f"#{anchor}" if page == self.page else f"{page}.md#{anchor}"

    def of(self, name: str, *, is_call: bool) -> str | None:
        """Return the address of a name in a text, or None if it names nothing that is public.

        A lower-case name alone is an argument's as often as a function's: only a call is a link. A member that a public
        class lacks is a fault.
        """
        own = name.removeprefix("kimbledb.")
        if is_call and self._scope and (found := self.address(f"{self._scope}.{own}")):
            return found
        head, _, member = own.partition(".")
        is_path = name != own or head[0].isupper() or bool(member and self.address(f"kimbledb.{own}"))
        for path in (f"kimbledb.{own}", f"kimbledb.events.{own}", f"kimbledb.testing.{own}"):
            if (is_call or is_path) and (found := self.address(path)):
                return found
        owner = self._addresses.get(f"kimbledb.{head}") or self._addresses.get(f"kimbledb.events.{head}")
        if owner is not None and member and head[0].isupper():
            self.faults.append(f"{self._scope or self.page}: a docstring names {name}, which is no public member")
        return None


def type_of(annotation: griffe.Expr | str | None, links: Links) -> str:
    """Return a type as code in which each public class is a link."""
    names = list(annotation.iterate(flat=True)) if isinstance(annotation, griffe.Expr) else [str(annotation).strip("'")]
    parts: list[str] = []
    for each in names:
        address = links.address(each.canonical_path) if isinstance(each, griffe.ExprName) else None
        shown = _SPECIAL.sub(r"\\\1", each.name if isinstance(each, griffe.ExprName) else str(each))
        if address and parts[-1:] == ["."]:  # a module stands before the name
            del parts[-2:]
        parts.append(f"[{shown}]({address})" if address else shown)
    return f"<code>{''.join(parts)}</code>"
