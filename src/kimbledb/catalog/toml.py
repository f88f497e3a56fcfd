"""TOML for the files of a catalog: reading with the place of each fault, and the spelling of keys and texts."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cached_property
from typing import Any, Final

from kimbledb.catalog import plain_toml
from kimbledb.model.fault import Fault

# A key, or its first part, at the start of a line or of a table's name; or a text that may contain a lookalike.
# No group is possessive: up to Python 3.11.4 such a group gives up where one of its alternatives looks ahead.
# A text that is never closed ends where it may end, so that no position is looked at twice.
_KEY = re.compile(
    r"""^[ \t]*\[{0,2}[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([\w-]+))[ \t]*[=.\]]"""
    r"""|#[^\n]*|"{3}(?:[^"\\]|\\.|"(?!""))*(?:"{3}|\Z)|'{3}(?:[^']|'(?!''))*(?:'{3}|\Z)|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?""",
    re.MULTILINE | re.DOTALL,
)
# The time that tomllib takes grows with the square of the parts of a key.
_DEEPEST: Final = 50
_DEEP_KEY = re.compile(
    r"""\.(?:[ \t]*+(?:"[^"\n]*+"|'[^'\n]*+'|[\w-]++)[ \t]*+\.){%d}""" % (_DEEPEST - 1)  # noqa: UP031 - braces in it
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Characters that no literal text may hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read(text: str, path: str, faults: list[Fault], cure: str = "correct this line") -> dict[str, Any] | None:
    """Return the content of a file, or None if it has a fault.

    Args:
        text: The text of the file.
        path: The path of the file, to be shown.
        faults: Receives the fault.
        cure: The cure for a text that is not TOML.
    """
    if (plain := plain_toml.read(text)) is not None:
        return plain
    if (deep := _DEEP_KEY.search(text)) is not None:
        line = text.count("\n", 0, deep.start()) + 1
        faults.append(Fault(path, f"a key has more than {_DEEPEST} parts", "write a plain key", line))
        return None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Python's own limits raise too: a number of thousands of digits, or brackets nested as deeply.
        faults.append(Fault(path, f"it is not TOML: {error}", cure, _line_of_error(text, str(error))))
        return None


def _line_of_error(text: str, message: str) -> int | None:
    if message.endswith("(at end of document)"):
        return text.rstrip().count("\n") + 1
    match = re.search(r"\(at line (\d+)", message)
    return None if match is None else int(match[1])


class Keys:
    """The lines of the keys of a file, computed once, and only if a key has a fault."""

    def __init__(self, text: str) -> None:
        self._text = text

    def line_of(self, key: str) -> int | None:
        """Return the first line with a key, or a table, of this name, or None."""
        return self._lines.get(key)

    @cached_property
    def _lines(self) -> dict[str, int]:
        lines: dict[str, int] = {}
        line, position = 1, 0
        for match in _KEY.finditer(self._text):
            line += self._text.count("\n", position, match.start())
            position = match.start()
            if match.lastindex is not None:
                lines.setdefault(match[match.lastindex], line)
        return lines


def spelled_key(key: str) -> str:
    """Return a key as TOML spells it."""
    return key if _BARE_KEY.fullmatch(key) else spelled_text(key)


def spelled_text(text: str) -> str:
    """Return a text as TOML spells it on one line."""
    # A basic string of TOML has JSON's escapes; DEL must be escaped, too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def spelled_lines(text: str) -> str:
    """Return a text as TOML spells it, with its own lines where TOML can hold them unchanged."""
    if "\n" not in text or "'''" in text or text.endswith("'") or _CONTROL.search(text):
        return spelled_text(text)
    # The line break after the opening quotes is no part of the text.
    return f"'''\n{text}'''"
