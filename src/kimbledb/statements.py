"""What stands in a file of SQL: its statements, and what must not be in one.

A migration's script is sent to the server as it is, never in pieces. Telling
statements apart is needed only to refuse what a script may not hold (a COMMIT,
a client's command), to read a verify.sql, to find the statement behind a
run-time error, and to run what cannot run in a transaction.

The rules are those of the PostgreSQL manual, 4.1 "Lexical Structure", and,
for what ends a statement, those of psql: a semicolon outside of parentheses,
strings, comments and ``BEGIN ATOMIC`` bodies. sqlparse, which we use to name a
statement, does not follow them everywhere (it ends a string at ``'C:\\'`` too
late, and does not nest comments), so it does not decide where one ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from kimbledb.model import VerificationQuery

# What can begin something that hides a semicolon, or is one.
_SPECIAL = re.compile(r"--[^\n]*|/\*|'|\"|\$(?:[^\W\d]\w*)?\$|[;()\\]")
# The same in a statement that makes a function, whose body may be BEGIN ATOMIC ... END.
_SPECIAL_IN_FUNCTION = re.compile(
    r"--[^\n]*|/\*|'|\"|\$(?:[^\W\d]\w*)?\$|[;()\\]|(?<![\w$.])(?:begin\s+atomic|case|end)(?![\w$])", re.IGNORECASE
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_STRING_REST = re.compile(r"(?:[^']|'')*'")
# A string constant goes on after a line break; with E'' its escapes do, too.
_ESCAPE_STRING_REST = re.compile(r"(?:[^'\\]|''|\\.)*'(?:\s*\n\s*'(?:[^'\\]|''|\\.)*')*", re.DOTALL)
_QUOTED_IDENTIFIER_REST = re.compile(r'(?:[^"]|"")*"')
_BLANK = re.compile(r"(?:\s+|--[^\n]*)*")
_MAKES_ROUTINE = re.compile(r"create\s+(?:or\s+replace\s+)?(?:function|procedure)\b", re.IGNORECASE)

_CHECK_NAME = re.compile(r"^--[ \t]*name:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_CHECK_HEADER = re.compile(r"([A-Za-z_][\w-]*)([ \t]+runs)?")

_TRANSACTION_CONTROL = re.compile(
    r"(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b",
    re.IGNORECASE,
)
_SESSION_STATE = re.compile(
    r"(?:set\s+(?!local\b|constraints\b|transaction\b)|reset\b|discard\b|listen\b|unlisten\b|load\b)", re.IGNORECASE
)
_COPY_STDIN = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_CONCURRENTLY = re.compile(
    r"(?:create\s+(?:unique\s+)?index\s+concurrently|drop\s+index\s+concurrently|reindex\b.*\bconcurrently|vacuum\b"
    r"|create\s+database\b|drop\s+database\b|alter\s+system\b|create\s+tablespace\b|drop\s+tablespace\b"
    r"|alter\s+table\b.*\bdetach\s+partition\b.*\bconcurrently)",
    re.IGNORECASE | re.DOTALL,
)


@frozen
class Statement:
    """One statement of a file."""

    #: From its first word to before its semicolon.
    text: str
    #: Characters before it in the file.
    start: int
    #: Its text with comments, strings, quoted names and bodies blanked out, for looking at keywords.
    skeleton: str


@frozen
class Problem:
    """Something in a file that may not be there."""

    #: Characters before it in the file.
    offset: int
    message: str
    cure: str


class UnreadableSQL(ValueError):
    """The text ends inside a string, comment, quoted name, dollar-quoted body or parenthesis.

    Attributes:
        offset: Where that begins, in characters from the start of the text.
    """

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"{what} begins here and never ends")
        self.offset = offset


def split(text: str) -> Iterator[Statement]:
    """Tell the statements of a text apart, lazily.

    Raises:
        UnreadableSQL: Something begins and never ends. Nothing is guessed.
    """
    position, length = 0, len(text)
    while True:
        start = _skip_blank(text, position)
        if start >= length:
            return
        end, hidden = _end_of_statement(text, start)
        if text[start:end].strip():
            yield Statement(text[start:end].rstrip(), start, _skeleton(text, start, end, hidden))
        position = end + 1


def find_problems(text: str, *, transactional: bool) -> list[Problem]:
    """Return what a script of a migration may not hold, in the order of the text.

    Args:
        text: The file's text.
        transactional: Whether it will run in a transaction block.
    """
    problems: list[Problem] = []
    try:
        for statement in split(text):
            problem = _problem_of(statement, transactional=transactional)
            if problem is not None:
                problems.append(problem)
    except UnreadableSQL as error:
        problems.append(Problem(error.offset, str(error), "close it"))
    except _ClientCommand as error:
        problems.append(
            Problem(
                error.offset,
                f"{error.command} is a command of psql, which the server does not know",
                "take it out (a dump made with `pg_dump --no-...` still has \\restrict lines: delete them)",
            )
        )
    return problems


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column, both counted from 1, of a character of a text."""
    before = text.rfind("\n", 0, offset)
    return text.count("\n", 0, offset) + 1, offset - before


def name_of(statement: str) -> str:
    """Return a short name for a statement, to be shown: its kind and its object, on one line."""
    import sqlparse  # slow to import, and wanted only when something is shown

    bare = sqlparse.format(statement, strip_comments=True).strip()
    first_line = " ".join(bare.split())
    return first_line if len(first_line) <= 72 else first_line[:69] + "..."


def read_named_queries(text: str) -> tuple[list[VerificationQuery], list[Problem]]:
    """Read a verify.sql: ``-- name: x`` lines, each followed by one SELECT.

    Returns:
        The queries in the order of the file, and what is wrong with it.
    """
    queries: list[VerificationQuery] = []
    problems: list[Problem] = []
    headers = list(_CHECK_NAME.finditer(text))
    if not headers:
        problems.append(Problem(0, "it holds no check", "write `-- name: <check>` and a SELECT under it"))
    elif _skip_blank(text, 0) < headers[0].start():
        problems.append(Problem(_skip_blank(text, 0), "this stands before the first `-- name:`", "name the check"))
    seen: set[str] = set()
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        match = _CHECK_HEADER.fullmatch(header[1])
        if match is None:
            problems.append(
                Problem(
                    header.start(), f"{header[0]!r} names no check", "write `-- name: <word>` or `-- name: <word> runs`"
                )
            )
            continue
        name, runs = match[1], match[2] is not None
        if name in seen:
            problems.append(Problem(header.start(), f"the name {name} stands twice", "give each check its own name"))
        seen.add(name)
        body_end = following.start() if following is not None else len(text)
        body = text[header.end() : body_end]
        try:
            statements = list(split(body))
        except UnreadableSQL as error:
            problems.append(Problem(header.end() + error.offset, str(error), "close it"))
            continue
        except _ClientCommand as error:
            problems.append(
                Problem(
                    header.end() + error.offset,
                    f"{error.command} is a command of psql, which the server does not know",
                    "ask the system catalogs instead",
                )
            )
            continue
        if len(statements) != 1:
            problems.append(
                Problem(header.start(), f"check {name} holds {len(statements)} statements", "one SELECT for each name")
            )
            continue
        [statement] = statements
        if not re.match(r"(?:select|with|values|table|\()", statement.skeleton, re.IGNORECASE):
            problems.append(Problem(header.end() + statement.start, f"check {name} is no SELECT", "a check only reads"))
            continue
        line, _ = line_and_column(text, header.end() + statement.start)
        queries.append(VerificationQuery(name, statement.text, runs, line))
    return queries, problems


class _ClientCommand(ValueError):
    def __init__(self, offset: int, command: str) -> None:
        super().__init__(command)
        self.offset = offset
        self.command = command


def _problem_of(statement: Statement, *, transactional: bool) -> Problem | None:
    words = statement.skeleton
    shown = " ".join(words.split()[:3])
    if _TRANSACTION_CONTROL.match(words):
        return Problem(
            statement.start,
            f"{shown} would end or begin a transaction",
            "take it out: each migration is run in one transaction by itself",
        )
    if _COPY_STDIN.match(words):
        return Problem(
            statement.start,
            "COPY FROM STDIN waits for data that a file of SQL cannot send",
            "use INSERT, or dump with `pg_dump --inserts`",
        )
    if _SESSION_STATE.match(words):
        return Problem(
            statement.start,
            f"{shown} would outlive the transaction and reach whoever uses the connection next",
            "use SET LOCAL",
        )
    if transactional and _CONCURRENTLY.match(words):
        return Problem(
            statement.start,
            f"{shown} cannot run in a transaction",
            "write `transactional = false` in migration.toml, or leave CONCURRENTLY out",
        )
    return None


def _skip_blank(text: str, position: int) -> int:
    """Return where the next thing stands that is neither space nor comment nor an empty statement."""
    while True:
        match = _BLANK.match(text, position)
        assert match is not None  # it matches the empty string
        position = match.end()
        if text.startswith("/*", position):
            position = _end_of_comment(text, position)
        elif text.startswith(";", position):
            position += 1
        else:
            return position


def _end_of_comment(text: str, start: int) -> int:
    """Return the end of a block comment; they nest (manual, 4.1.5)."""
    depth, position = 1, start + 2
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            raise UnreadableSQL(start, "a comment")
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position


def _end_of_statement(text: str, start: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the end of the statement that begins at ``start``, and the spans in it that hide text."""
    pattern = _SPECIAL_IN_FUNCTION if _MAKES_ROUTINE.match(text, start) else _SPECIAL
    hidden: list[tuple[int, int]] = []
    parentheses: list[int] = []
    blocks = 0  # BEGIN ATOMIC and CASE that wait for their END
    position = start
    while (match := pattern.search(text, position)) is not None:
        token, begin, position = match[0], match.start(), match.end()
        if token == ";":
            if not parentheses and not blocks:
                return begin, hidden
            continue
        if token == "(":
            parentheses.append(begin)
            continue
        if token == ")":
            if parentheses:
                parentheses.pop()
            continue
        if token == "\\":
            raise _ClientCommand(begin, text[begin:].split(None, 1)[0])
        if token.startswith("--"):
            pass
        elif token == "/*":
            position = _end_of_comment(text, begin)
        elif token == "'":
            position = _end_of(_string_pattern(text, begin), text, position, begin, "a string")
        elif token == '"':
            position = _end_of(_QUOTED_IDENTIFIER_REST, text, position, begin, "a quoted name")
        elif token.startswith("$"):
            if begin and (text[begin - 1].isalnum() or text[begin - 1] in "_$"):
                position = begin + 1  # a dollar sign inside a name
                continue
            position = text.find(token, position)
            if position < 0:
                raise UnreadableSQL(begin, f"a body quoted by {token}")
            position += len(token)
        else:
            word = token.lower()
            if word.startswith("begin"):
                blocks += 1
            elif blocks:
                blocks += 1 if word == "case" else -1
            continue
        hidden.append((begin, position))
    if parentheses:
        raise UnreadableSQL(parentheses[-1], "a parenthesis")
    if blocks:
        raise UnreadableSQL(start, "a BEGIN ATOMIC body")
    return len(text), hidden


def _string_pattern(text: str, quote: int) -> re.Pattern[str]:
    """Return what a string goes on with: with E before its quote a backslash escapes."""
    if quote and text[quote - 1] in "eE" and not (quote > 1 and (text[quote - 2].isalnum() or text[quote - 2] in "_$")):
        return _ESCAPE_STRING_REST
    return _STRING_REST


def _end_of(pattern: re.Pattern[str], text: str, position: int, begin: int, what: str) -> int:
    match = pattern.match(text, position)
    if match is None:
        raise UnreadableSQL(begin, what)
    return match.end()


def _skeleton(text: str, start: int, end: int, hidden: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    position = start
    for begin, stop in hidden:
        parts.append(text[position:begin])
        parts.append(" ")
        position = stop
    parts.append(text[position:end])
    return "".join(parts).strip()
