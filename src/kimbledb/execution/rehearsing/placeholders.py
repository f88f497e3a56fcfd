"""The placeholders of an application's queries, as PostgreSQL numbers them. Pure."""

from __future__ import annotations

import re

#: Tokens without placeholders, and the placeholders of libraries: ``:name``, ``%(name)s``, ``%s`` and ``?``.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|::|:="
    r"|(?<![\w\]]):(?P<colon>[A-Za-z_]\w*)|%\((?P<named>\w+)\)s|(?P<next>%s)|(?P<percent>%%)|(?P<question>\?[|&]?)",
    re.DOTALL,
)
#: The tokens that precede a value. After a value, ``?`` is an operator of jsonb.
_BEFORE_VALUE = re.compile(
    r"(?:\A|[(,=<>+*/%|&~^!-]|\b(?:and|any|between|by|case|else|i?like|in|limit|not|offset|on|or|select|set|then|values|when|where))\s*\Z",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\$\d")


def numbered(query: str) -> str:
    """Return a query with PostgreSQL's own placeholders, ``$1`` and so on, in place of those of a library.

    Args:
        query: The query. One with numbered placeholders stays as it is.
    """
    if _NUMBERED.search(query):
        return query
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found["percent"]:
            return "%"
        if found["question"] and not (found[0] == "?" and _BEFORE_VALUE.search(query[: found.start()])):
            return found[0]
        if found["next"] or found["question"]:
            names[f"%{len(names)}"] = place = len(names) + 1
            return f"${place}"
        name = found["colon"] or found["named"]
        return found[0] if name is None else f"${names.setdefault(name, len(names) + 1)}"

    return _TOKEN.sub(number, query)
