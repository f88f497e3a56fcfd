"""Redaction: SQL and server errors without the strings of scripts and the values of rows.

In SQL the contents of string constants and comments are masked. Numbers stay in the caller's own scripts, since types
and limits consist of them.

In an error the SQLSTATE, the place and the names stay. PostgreSQL quotes values in its message (classes 22 and
42601), its DETAIL, its context and the text of a RAISE. ``without_values()`` removes them from the object that the
driver raised, so that no traceback, log or pickle of it shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

#: The text in place of a masked one.
MASK = "***"

#: The most characters of an excerpt: longer lines are cut around the place of the error.
_WIDTH = 120

# A quote, or a token that may contain one (manual, 4.1 "Lexical Structure").
_TOKEN = re.compile(
    r"""--[^\n]*|/\*|"(?:[^"]|"")*"?|(?:(?<![\w$])[eE])?'|(?<![\w$])\$(?:[^\W\d]\w*)?\$""",
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_QUOTE = re.compile(r"''|'")
_QUOTE_AFTER_E = re.compile(r"\\.|''|'", re.DOTALL)
# The words before a dollar-quoted body that is code itself.
_BEFORE_BODY = re.compile(r"\b(?:as|do|language\s+\w+)\s*\Z", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w$\"])\d[\w.]*")
# A password without its quotes, by mistake.
_BARE_PASSWORD = re.compile(r"\b(?:role|user|group)\b[^;']{0,200}?\bpassword\s+([^\s';]+)", re.IGNORECASE)


def masked(sql: str, *, numbers: bool = False) -> str:
    """Return SQL with the contents of its strings and comments masked.

    Args:
        sql: The text. A string without an end is masked to the end of the text.
        numbers: Whether numbers are masked, too: in the query of another session they are values of rows.
    """
    text = cover(sql, spans(sql), 0, len(sql))
    return _NUMBER.sub(MASK, text) if numbers else text


def excerpt(sql: str, offset: int, hidden: list[tuple[int, int]]) -> tuple[str, int]:
    """Return the line of a character, masked and cut, and the place of the character in the returned line."""
    start = sql.rfind("\n", 0, offset) + 1
    line, place = _cover(sql, hidden, start, _end_of_line(sql, offset), offset)
    line = line.rstrip("\r")
    if len(line) <= _WIDTH:
        return line, place
    first = max(0, min(place - _WIDTH // 2, len(line) - _WIDTH))
    head, tail = ("..." if first else ""), ("..." if first + _WIDTH < len(line) else "")
    return head + line[first : first + _WIDTH] + tail, place - first + len(head)


def cover(sql: str, hidden: list[tuple[int, int]], start: int, end: int) -> str:
    """Return a part of SQL, masked. ``hidden`` is the result of ``spans()``."""
    return _cover(sql, hidden, start, end, start)[0]


def spans(sql: str, *, broken_at: int | None = None) -> list[tuple[int, int]]:
    """Return the spans of SQL that are masked: the begin and the end of the contents of each string and comment.

    Args:
        sql: The text.
        broken_at: The offset of a syntax error. If an odd number of quotes follows on that line, a string ended
            too early, as in ``'the boys' room'``: the rest of the line after that end is masked.
    """
    found = list(_hidden(sql, 0, len(sql)))
    found += [match.span(1) for match in _BARE_PASSWORD.finditer(sql) if match[1].lower() != "null"]
    if broken_at is not None and sql.count("'", broken_at, end := _end_of_line(sql, broken_at)) % 2:
        closed = sql.rfind("'", sql.rfind("\n", 0, broken_at) + 1, broken_at)
        found.append((broken_at if closed < 0 else closed + 1, end))
    return sorted(found)


def _end_of_line(sql: str, position: int) -> int:
    end = sql.find("\n", position)
    return len(sql) if end < 0 else end


def _hidden(sql: str, position: int, end: int) -> Iterator[tuple[int, int]]:
    while (token := _TOKEN.search(sql, position, end)) is not None:
        word, start = token[0], token.end()
        if word[0] == '"':
            position = start
        elif word[:2] == "--":
            position = start
            yield token.start() + 2, position
        elif word == "/*":
            position = _end_of_comment(sql, start, end)
            yield start, max(start, position - 2) if sql[position - 2 : position] == "*/" else position
        elif word[-1] == "'":
            close = _end_of_string(sql, start, end, after_e=len(word) > 1)
            # A backslash before the end may hide it, where standard_conforming_strings is off.
            if len(word) == 1 and sql[close - 1 : close] == "\\":
                close = end
            yield start, close
            position = close + 1
            if _WORD.match(sql, position, end):
                # The string ended too early, as in 'it's': the rest of the line belongs to it.
                rest = position
                position = min(end, _end_of_line(sql, rest))
                yield rest, position
        else:
            close = sql.find(word, start, end)
            close = end if close < 0 else close
            if _BEFORE_BODY.search(sql, max(0, token.start() - 80), token.start()):
                yield from _hidden(sql, start, close)
            else:
                yield start, close
            position = close + len(word)


def _end_of_comment(sql: str, position: int, end: int) -> int:
    depth = 1  # they nest
    while depth and (edge := _COMMENT_EDGE.search(sql, position, end)) is not None:
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return end if depth else position


def _end_of_string(sql: str, position: int, end: int, *, after_e: bool) -> int:
    for quote in (_QUOTE_AFTER_E if after_e else _QUOTE).finditer(sql, position, end):
        if quote[0] == "'":
            return quote.start()
    return end


def _cover(sql: str, hidden: list[tuple[int, int]], start: int, end: int, offset: int) -> tuple[str, int]:
    """Return a part of a text with its hidden spans masked, and the new place of one of its characters."""
    pieces: list[str] = []
    length = place = 0
    position = start
    for begins, ends in hidden:
        first, last = max(begins, position), min(ends, end)
        if first >= last:
            continue
        pieces += [sql[position:first], MASK]
        if position <= offset < last:
            place = length + min(offset, first) - position
        length += first - position + len(MASK)
        position = last
    if offset >= position:
        place = length + min(offset, end) - position
    return "".join([*pieces, sql[position:end]]), place


# Errors of the server.

#: Classes of SQLSTATEs (manual, appendix A) whose messages name objects and quote no value.
_NAMES_ONLY = frozenset(
    [
        "08",
        "0A",
        "0L",
        "0P",
        "21",
        "23",
        "24",
        "25",
        "26",
        "28",
        "2B",
        "2D",
        "34",
        "3B",
        "3D",
        "3F",
        "40",
        "42",
        "44",
        "53",
        "54",
        "55",
        "57",
        "58",
    ]
)
#: The classes of these that concern objects alone, even if a script raises them.
_OF_OBJECTS = frozenset({"0A", "2B", "3D", "3F", "42"})
_SYNTAX_ERROR = "42601"
#: Errors of a name that the server did not find. At run time that name may be a value of a row.
_LOOKED_FOR = frozenset({"42602", "42703", "42704", "42883", "42P01", "42P02", "3F000"})
#: The class of other procedural languages, which put the text of an exception there unchanged.
_OF_OTHER_LANGUAGES = "38"
#: Errors whose DETAIL names objects: those that depend on an object, and those that use it.
_DETAIL_OF_NAMES = frozenset({"2BP01", "0A000", "42804", "55006"})
_RAISES = ("exec_stmt_raise", "exec_stmt_assert")
_RAISED = frozenset({"P0001", "P0004"})
_QUOTED = re.compile(r'"(?:.*)"', re.DOTALL)
_BEGINS_STRING = re.compile(r"(?:[eEbBxXnN]|[uU]&)?'|\$(?:[^\W\d]\w*)?\$")
# The server finds a parameter before it refuses its value: the name is one of the server's.
_OF_PARAMETER = re.compile(r'[^"]*\bparameter "[\w.]+"')
_INVALID_PARAMETER = "22023"
_BYTES = re.compile(r"\b0x[0-9a-f]{2}(?:\s+0x[0-9a-f]{2})*", re.IGNORECASE)
# A string that RAISE or format() fills: the author wrote it, so that it holds no value of a row.
_TEMPLATE = re.compile(
    r"(?:\braise\s+(?:exception\s+)?|\bassert\b[^;']{0,200}?,\s*|\bformat\s*\(\s*|\b(?:message|hint)\s*:?=\s*)'((?:[^']|'')*)'",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"%%|%(?:\d+\$)?-?\d*[sIL]|%")
_WORD = re.compile(r"\w+")
_BETWEEN_PARTS = re.compile(r"(: |; |, )")
#: Messages of the server on keys, which a script may raise again.
_BROKEN_KEY = re.compile(
    r'could not create unique index "[\w.$]+"'
    r'|(?:duplicate key value|insert or update on table "[\w.$]+") violates (?:unique|foreign key) constraint "[\w.$]+"'
)
#: The description of an object by the server (manual, 9.27, pg_describe_object), which scripts put into their errors.
_DESCRIPTION = re.compile(
    r"(?:(?:materialized |foreign |event )?(?:view|table|trigger)|index|policy|function|statistics(?: object)?|domain|type|constraint"
    r"|check|column|rule|default value|sequence|schema|extension|aggregate|operator|collation|role)(?: [\w.\"$()\[\]-]+){1,10}"
)
_OF_PLPGSQL = re.compile(r"PL/[^'\n]*\d[^'\n]*")
WITHHELD = "the text of this RAISE is not shown, since it may quote values of rows"


def without_values(error: Any, sql: str) -> None:
    """Remove from an error of the server, in place, all that may quote a value.

    Args:
        error: The error that the driver raised.
        sql: The SQL that was sent.
    """
    message = str(error.args[0]) if error.args else ""
    raised = error.sqlstate in _RAISED or getattr(error, "server_source_function", None) in _RAISES
    if raised:
        state = error.sqlstate or ""
        of_objects = state[:2] in _OF_OBJECTS and state != _SYNTAX_ERROR
        words = _as_written(message, sql, of_objects=of_objects)
        hint = None if error.hint is None else _as_written(error.hint, sql, of_objects=of_objects)
        error.hint = None if hint == WITHHELD else hint
    else:
        words = _without_quotes(message, error, sql)
    error.args = (words,)
    error.message = words
    if error.sqlstate not in _DETAIL_OF_NAMES or raised:
        error.detail = None
    if raised:
        # A RAISE may put any text into these.
        error.schema_name = error.table_name = error.column_name = error.data_type_name = error.constraint_name = None
    error.query = error.internal_query = None
    calls = [line for line in (error.context or "").splitlines() if _OF_PLPGSQL.fullmatch(line)]
    error.context = "\n".join(calls) or None


def _without_quotes(message: str, error: Any, sql: str) -> str:
    state = error.sqlstate or ""
    named = _OF_PARAMETER.match(message) if state == _INVALID_PARAMETER else None
    head = named[0] if named else ""
    masked_message = head + _BYTES.sub(MASK, _QUOTED.sub(f'"{MASK}"', message[len(head) :]))
    placed = error.position or error.internal_position
    if state == _SYNTAX_ERROR:
        # Without a place, or with the place of a string, it concerns the syntax of a value: a tsquery, a jsonpath.
        offset = int(error.position) - 1 if error.position else None
        if not placed or re.match(r"\w?&?['$\d]", message.partition('"')[2]):
            return masked_message
        if offset is not None and (
            _BEGINS_STRING.match(sql, offset)
            or any(first <= offset < last for first, last in spans(sql, broken_at=offset))
        ):
            return masked_message
        return message
    if state in _LOOKED_FOR and not placed:
        known = _names_of(sql)
        return re.sub(r'"((?:[^"]|"")*)"', lambda name: f'"{_names_in(name[1], known)}"', message)
    if state[:2] == _OF_OTHER_LANGUAGES:
        return "an error in a function of another language; its text is not shown, since it may quote values of rows"
    return message if state[:2] in _NAMES_ONLY else masked_message


def _as_written(message: str, sql: str, *, of_objects: bool) -> str:
    """Return the text of a RAISE with its inserted values masked: the rest stands in the SQL that was sent.

    Names of objects are not masked.

    Args:
        message: The text of the RAISE.
        sql: The SQL that was sent.
        of_objects: Whether all of the text concerns objects, by its SQLSTATE.
    """
    best: tuple[int, re.Match[str]] | None = None
    for template in _TEMPLATE.finditer(sql):
        pieces = _PLACEHOLDER.split(template[1].replace("''", "'"))
        letters = sum(map(str.isalpha, "".join(pieces)))
        if letters < 3 or (best is not None and letters <= best[0]):
            continue
        found = re.fullmatch("(.*)".join(map(re.escape, pieces)), message, re.DOTALL)
        if found is not None:
            best = letters, found
    if best is None:
        return WITHHELD
    if of_objects:
        return message
    found = best[1]
    known = _names_of(sql)
    text, position = "", 0
    for number in range(1, (found.re.groups or 0) + 1):
        text += message[position : found.start(number)] + _names_in(found[number], known)
        position = found.end(number)
    return text + message[position:]


def _names_of(sql: str) -> set[str]:
    """Return the words of SQL outside of strings and comments, in lower case."""
    return {word for word in _WORD.findall(masked(sql).lower()) if not word[0].isdigit()}


def _names_in(value: str, known: set[str]) -> str:
    """Return a value with each part masked that neither consists of known names nor describes an object."""
    parts = _BETWEEN_PARTS.split(value)
    shown = [part if place % 2 or _is_name(part, known) else MASK for place, part in enumerate(parts)]
    return "".join(shown)


def _is_name(part: str, known: set[str]) -> bool:
    words = _WORD.findall(part)
    if not words:
        return not part
    return all(word.lower() in known for word in words) or any(
        form.fullmatch(part) is not None for form in (_DESCRIPTION, _BROKEN_KEY)
    )
