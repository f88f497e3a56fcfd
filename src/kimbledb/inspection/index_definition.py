"""Reads the columns of an index from its definition, as ``pg_get_indexdef()`` prints it.

The server alone knows which operator class and which collation it would choose by itself, and prints only the others.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r" USING \w+ \(([\w$, ]+)\)(?: WHERE .*| WITH .*)?", re.DOTALL)
_METHOD = re.compile(r' USING (?:"(?:[^"]|"")*"|[\w$]+) \(')
_INCLUDE = " INCLUDE ("
#: Texts and identifiers in quotes, parentheses, commas, and everything between them.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[(),]|[^'"(),]+""")
#: The head of an expression that is a function's call: the server prints no parentheses around it.
_CALL = re.compile(r'(?:(?:"(?:[^"]|"")*"|[\w$]+)\.)?(?:"(?:[^"]|"")*"|[\w$]+)\(')


def columns_of(definition: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of an index with their operator classes and order, and the columns that it includes.

    An expression among the columns is in parentheses, unlike a column.

    Args:
        definition: The definition from `` USING `` on, as the server prints it.

    Raises:
        ValueError: It is no definition of an index.
    """
    if plain := _PLAIN.fullmatch(definition):
        return tuple(plain[1].split(", ")), ()
    method = _METHOD.match(definition)
    if method is None:
        raise ValueError(f"no definition of an index: {definition!r}")
    columns, end = _elements(definition, method.end())
    include: tuple[str, ...] = ()
    if definition.startswith(_INCLUDE, end):
        include, _ = _elements(definition, end + len(_INCLUDE))
    return tuple(map(_in_parentheses, columns)), include


def _elements(text: str, start: int) -> tuple[tuple[str, ...], int]:
    """Return the elements of a list, and the position behind its closing parenthesis.

    Args:
        text: The text.
        start: The position behind the opening parenthesis.
    """
    found = [""]
    depth = 1
    for token in _TOKEN.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return tuple(map(str.strip, found)), token.end()
        if token[0] == "," and depth == 1:
            found.append("")
        else:
            found[-1] += token[0]
    raise ValueError(f"no end of the columns in {text!r}")


def _in_parentheses(element: str) -> str:
    """Return the column of an index with parentheses around an expression that has none."""
    call = _CALL.match(element)
    if call is None:
        return element
    _, end = _elements(element, call.end())
    return f"({element[:end]}){element[end:]}"
