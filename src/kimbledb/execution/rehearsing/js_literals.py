"""The string literals of a program in JavaScript or TypeScript. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: A comment, a quote, a brace, or a slash that may begin a regular expression.
_SPECIAL = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|[\"'`{}/]", re.DOTALL)
_STRINGS = {quote: re.compile(rf"(?:[^{quote}\\\n]|\\.)*", re.DOTALL) for quote in "\"'"}
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
#: The tokens that precede a regular expression and not a division.
_BEFORE_REGEX = re.compile(r"(?:^|[=(,:\[!&|?{};+~^<>]|=>|\b(?:return|typeof|case|in|of|void|delete))\s*\Z")
_ESCAPE = re.compile(
    r"\\(?:u\{(?P<point>[0-9a-fA-F]+)\}|u(?P<four>[0-9a-fA-F]{4})|x(?P<two>[0-9a-fA-F]{2})|(?P<one>.))", re.DOTALL
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_PLUS = re.compile(r"\s*\+")


def literals(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the line and the text of each string literal, and whether it is whole.

    A template with ``${}`` is not whole, and neither is a string to which another text is added. The literals in a
    ``${}`` follow as literals of their own.

    Args:
        text: The program.
    """
    place = 0
    #: For each template that is open, how many braces are open in its ``${}``.
    depths: list[int] = []
    while (found := _SPECIAL.search(text, place)) is not None:
        start, sign = found.start(), found[0]
        place = found.end()
        if sign in _STRINGS:
            content = _STRINGS[sign].match(text, place)
            assert content is not None  # it matches nothing, too
            place = content.end() + 1
            yield _line(text, start), _unescaped(content[0]), _PLUS.match(text, place) is None
        elif sign == "`" or (sign == "}" and depths and depths[-1] == 0):
            content = _TEMPLATE.match(text, place)
            assert content is not None
            is_open = text.startswith("${", content.end())
            if sign == "`":
                after = content.end() + 1
                yield _line(text, start), _unescaped(content[0]), not is_open and _PLUS.match(text, after) is None
                if is_open:
                    depths.append(0)
            elif not is_open:
                depths.pop()
            place = content.end() + (2 if is_open else 1)
        elif sign in "{}" and depths:
            depths[-1] += 1 if sign == "{" else -1
        elif sign == "/" and _BEFORE_REGEX.search(text[max(0, start - 20) : start]) is not None:
            regex = _REGEX.match(text, start)
            place = regex.end() if regex is not None else place


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code = found["point"] or found["four"] or found["two"]
        return chr(int(code, 16)) if code else _ESCAPED.get(found["one"], found["one"])

    return _ESCAPE.sub(character, text)
