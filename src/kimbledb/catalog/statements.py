r"""SQL text: the statements in it, and the problems that a script may not have.

A migration's script is sent to the server whole. It is split into statements only to refuse some of them (a COMMIT, a
command of psql), to read a verify.sql, to find the statement of a run-time error, and to run a script that cannot run
in a transaction.

The rules are those of the PostgreSQL manual, 4.1 "Lexical Structure". A statement ends where psql ends it: at a
semicolon outside of parentheses, strings, comments and ``BEGIN ATOMIC`` bodies. sqlparse breaks these rules in places
(it ends the string ``'C:\'`` too late, and does not nest comments), so it only names statements for messages.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from unicodedata import name as name_of_character

from attrs import evolve, frozen

from kimbledb.model.check import VerificationQuery
from kimbledb.model.redaction import MASK, masked
from kimbledb.model.script import Part, Script

# PostgreSQL's scanner takes only these characters for space. A no-break space is part of a name
# (src/backend/parser/scan.l).
_SPACE = " \t\n\r\f\v"
# The first character of a name, and a later one: each may be any character beyond ASCII. The classes exclude the
# other ASCII characters, since a class of a million characters takes long to compile.
_BEGINS_NAME = r"[^\x00-@\[-^`{-\x7F]"
_IN_NAME = r"[^\x00-#%-/:-@\[-^`{-\x7F]"
_DOLLAR_TAG = rf"\$(?:{_BEGINS_NAME}(?:(?!\$){_IN_NAME})*)?\$"

# A semicolon, or the start of a text that may hide one. A string or a quoted name without doubled quotes matches as a
# whole. Each alternative has a fixed first character, by which re finds it fast.
_SPECIAL = re.compile(rf"""--[^\n\r]*|/\*|'(?:[^']*'(?!'))?|"(?:[^"]*"(?!"))?|{_DOLLAR_TAG}|;|\(|\)|\\""", re.ASCII)
# The same for a statement that creates a routine, whose body may be BEGIN ATOMIC ... END. CASE and END after AS are
# names of columns.
_SPECIAL_IN_ROUTINE = re.compile(
    rf"{_SPECIAL.pattern}|(?<!{_IN_NAME})(?<!\.)(?i:as\s+(?:case|end)|begin|case|end)(?!{_IN_NAME})",
    re.ASCII,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
# The end of a string or a quoted name, or a doubled quote in it.
_QUOTE = re.compile("''|'")
_QUOTE_AFTER_E = re.compile(r"\\.|''|'", re.DOTALL)
_DOUBLE_QUOTE = re.compile('""|"')
_BLANK = re.compile(r"(?:[ \t\n\r\f\v]+|--[^\n\r]*)*")
_CREATE = re.compile(r"create\s+(?:or\s+replace\s+)?(?!or\b)(\w+)(?!\$)\b", re.ASCII | re.IGNORECASE)
_WORD = re.compile(rf"{_BEGINS_NAME}{_IN_NAME}*", re.ASCII)

_CHECK_NAME = re.compile(r"^--[ \t]*name:(.*)$", re.MULTILINE)
_CHECK_HEADER = re.compile(r"([A-Za-z_][\w-]*)([ \t]+runs)?")

_TRANSACTION_CONTROL = re.compile(
    r"(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b",
    re.IGNORECASE,
)
# The same inside of one statement: no body of statements may contain these.
_HIDDEN_CONTROL = re.compile(
    r"(?:;|\batomic\b)\s*(?P<found>start\s+transaction|commit|abort|prepare\s+transaction"
    r"|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|begin\b(?!\s*[.,;)]))\b",
    re.IGNORECASE,
)
_SESSION_STATE = re.compile(
    r"(?:set\s+(?!\s|local\b|constraints\b|transaction\b)|reset\b|discard\b|deallocate\s+(?:prepare\s+)?all\b"
    r"|listen\b|unlisten\b|load\b)",
    re.IGNORECASE,
)
# COPY (SELECT ...) only writes: a FROM in its parentheses is not its source.
_COPY_STDIN = re.compile(r"copy\b(?!\s*\().*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
# Statements that the server refuses in a transaction block (PreventInTransactionBlock in its source). It refuses
# CLUSTER and REINDEX of a partitioned table too, which their text does not show.
_ALONE = re.compile(
    r"(?:(?:create\s+(?:unique\s+)?|drop\s+)index\s+concurrently\b|vacuum\b|(?:create|drop)\s+(?:database|tablespace)\b"
    r"|reindex\b(?:\s*\([^)]*\))?\s*(?:schema|database|system)\b"
    r"|(?:reindex|alter\s+table)\b.*\bconcurrently\b(?!\s*(?:=\s*)?(?:false|off|0)\b)"
    r"|cluster\s*(?:verbose\s*|\([^)]*\)\s*)?$"
    r"|alter\s+database\b.*\bset\s+tablespace\b|alter\s+system\b"
    r"|create\s+subscription\b(?!.*\b(?:create_slot|connect)\b)"
    r"|alter\s+subscription\b.*\brefresh\s+(?:publication|sequences)\b"
    r"|alter\s+subscription\b.*\b(?:set|add|drop)\s+publication\b(?!.*\brefresh\b))",
    re.IGNORECASE | re.DOTALL,
)
_QUERY = re.compile(r"(?:(?:select|with|values|table)\b|\()", re.IGNORECASE)
_DROPS_SUBSCRIPTION = re.compile(r"drop\s+subscription\b", re.IGNORECASE)
_LEAVES_SLOT = re.compile(r"\bslot_name\s*=\s*none\b", re.IGNORECASE)
_NAME = re.compile(rf'(?:[uU]&)?"(?:[^"]|"")+"|{_BEGINS_NAME}{_IN_NAME}*', re.ASCII)
_UESCAPE = re.compile(r"\buescape\s*'(.)'", re.IGNORECASE)
#: The server truncates a name to this number of bytes.
_LONGEST_NAME = 63
# The last line of the rows that psql reads after COPY FROM STDIN.
_END_OF_ROWS = re.compile(r"^\\\.[ \t]*$", re.MULTILINE)
_CLIENT_COMMAND = re.compile(r"\\[^\s\\]{0,40}")

#: The search of one file stops at this number of problems: a file with more is no script.
MOST_PROBLEMS = 1000

# Characters that look like ASCII or are invisible, and that PostgreSQL takes for part of a name. A joiner (U+200C,
# U+200D) after a letter beyond ASCII is not among them: some languages need it.
_UNSEEN = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
_JOINER = r"(?<![^\x00-\x7f])[\u200c\u200d]"
_WIDE = "\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_TYPOGRAPHIC = "\u00ab\u00b4\u00bb\u2010-\u2015\u2018-\u201f\u2032-\u2036\u2039\u203a\u2212\uff07\uff1b"
_INVISIBLE = re.compile(f"[{_UNSEEN}]|{_JOINER}")
_MISLEADING = re.compile(f"[{_UNSEEN}{_WIDE}{_TYPOGRAPHIC}]|{_JOINER}")
# The same, or a comment or string that may hide such a character. For text with an unterminated part.
_MISLEADING_OR_HIDDEN = re.compile(rf"--[^\n\r]*|'[^']*'|({_MISLEADING.pattern})")


@frozen
class Statement:
    """One statement in a text."""

    #: Its text, from the first word up to the semicolon.
    text: str
    #: Its offset in the text, in characters.
    start: int
    #: Its text with a space for each comment, string, quoted name and body, for the search of keywords.
    skeleton: str


@frozen
class Problem:
    """A problem in a script."""

    #: Its offset in the text, in characters.
    offset: int
    message: str
    cure: str
    #: Whether the problem is a single character, so that its column is shown.
    exact: bool = False


class UnreadableSQL(ValueError):
    """The text ends inside a string, comment, quoted name, dollar-quoted body or parenthesis.

    Attributes:
        offset: The start of the unterminated part, in characters from the start of the text.
    """

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"{what} starts here and is never closed")
        self.offset = offset


def split(text: str) -> Iterator[Statement]:
    """Split a text into its statements, lazily.

    Args:
        text: The SQL.

    Raises:
        UnreadableSQL: A part of the text is never closed. No end is guessed.
    """
    return _split(text, 0)


def first_from(text: str, offset: int) -> Statement | None:
    """Return the first statement from an offset on, where one begins or the text before it ended, or None.

    Args:
        text: The SQL.
        offset: The offset, in characters.
    """
    with suppress(ValueError):  # UnreadableSQL, and the commands of psql
        return next(_split(text, offset), None)
    return None


def with_names(statement: str) -> str:
    """Return a statement with a space for each comment, string and body. Quoted names are kept.

    Args:
        statement: The text of one statement.

    Raises:
        UnreadableSQL: A part of the text is never closed.
    """
    return _with_names(statement, " ")


def with_masks(statement: str) -> str:
    """Return a statement as ``with_names()`` does, and each string as a mask, so that it can be shown.

    Args:
        statement: The text of one statement.

    Raises:
        UnreadableSQL: A part of the text is never closed.
    """
    return _with_names(statement, f"'{MASK}'")


def _with_names(statement: str, of_string: str) -> str:
    end, hidden = _end_of_statement(statement, 0)
    return _skeleton(statement, 0, end, [span for span in hidden if statement[span[0]] != '"'], of_string)


def names_in(statement: str) -> frozenset[str]:
    """Return the words of a statement that can be names, as the server folds, unescapes and truncates them.

    Args:
        statement: The text of one statement.

    Raises:
        UnreadableSQL: A part of the text is never closed.
    """
    # Each UESCAPE of the statement is tried for each name: too many names do no harm.
    escapes = {"\\", *_UESCAPE.findall(statement)}
    names: set[str] = set()
    for word in _NAME.findall(with_names(statement)):
        if word[-1] != '"':
            names.add(re.sub("[A-Z]", lambda big: big[0].lower(), word))
            continue
        name = word[word.index('"') + 1 : -1].replace('""', '"')
        names |= {_unescaped(name, each) for each in escapes} if word[0] in "uU" else {name}
    return frozenset(name.encode()[:_LONGEST_NAME].decode(errors="ignore") for name in names)


def _unescaped(name: str, escape: str) -> str:
    """Return the name that U&"..." spells (manual, 4.1.1)."""
    pattern = rf"{re.escape(escape)}(?:({re.escape(escape)})|([0-9A-Fa-f]{{4}})|\+([0-9A-Fa-f]{{6}}))"
    text = re.sub(pattern, lambda found: found[1] or chr(min(int(found[2] or found[3], 16), 0x10FFFF)), name)
    # Two escapes may form one character (a surrogate pair).
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")


def line_of_block(text: str, offset: int, number: int) -> int | None:
    """Return the offset of a line of a DO block, which PL/pgSQL counts from the start of the block's body.

    Args:
        text: The script.
        offset: The offset of the statement, in characters.
        number: The line. Line 1 is the rest of the line on which the body starts.

    Returns:
        The offset of the first character of the line that is no space. None if the statement is no DO block or has no
        such line.
    """
    if re.match(r"do\b", text[offset : offset + 3], re.IGNORECASE) is None:
        return None
    begin, end = _body_at(text, offset)
    for _ in range(number - 1):
        begin = text.find("\n", begin, end) + 1
        if not begin:
            return None
    return _skip_space(text, begin) if begin < end else None


def body_of_block(statement: str) -> str:
    """Return the body of a DO block with a space for each comment. Its strings are kept.

    Args:
        statement: The text of the DO statement.

    Raises:
        UnreadableSQL: A part of the text is never closed.
    """
    begin, end = _body_at(statement, 0)
    if statement[begin : begin + 1] == "'":
        body = statement[begin + 1 : end - 1].replace("''", "'")
    else:
        tag = statement.find("$", begin + 1) + 1 - begin
        body = statement[begin + tag : end - tag]
    return _without_comments(body)


def _body_at(text: str, offset: int) -> tuple[int, int]:
    """Return the span of the body of the DO statement at an offset, with its quotes."""
    bodies = [span for span in _end_of_statement(text, offset)[1] if text[span[0]] in "$'"]
    # The name of the language may also be a string.
    return max(bodies, key=lambda span: span[1] - span[0], default=(0, 0))


def _without_comments(text: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(text):
        start = _skip_blank(text, position)
        end, hidden = _end_of_statement(text, start)
        spans = [(position, start), *(span for span in hidden if text[span[0]] in "-/")]
        for (_, begin), (stop, _) in itertools.pairwise([*spans, (end + 1, 0)]):
            parts += [" ", text[begin:stop]]
        position = end + 1
    return "".join(parts)


def runs_alone(skeleton: str) -> bool:
    """Return whether the server refuses a statement in a transaction block, as far as the statement's skeleton shows."""
    return _ALONE.match(skeleton) is not None


def pattern(text: str) -> re.Pattern[str]:
    """Return a pattern of the words of a statement: a space matches any space, and case makes no difference."""
    return re.compile(text.replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL)


def is_query(skeleton: str) -> bool:
    """Return whether a statement is a query, as far as the statement's skeleton shows."""
    return _QUERY.match(skeleton) is not None


def ends_transaction(skeleton: str) -> bool:
    """Return whether a statement would begin or end a transaction, as far as the statement's skeleton shows."""
    return _TRANSACTION_CONTROL.match(skeleton) is not None or _HIDDEN_CONTROL.search(skeleton) is not None


def find_problems(text: str, *, transactional: bool, part: Part = "apply") -> list[Problem]:
    """Return the problems of a migration's script, in the order of the text.

    Args:
        text: The script.
        transactional: Whether the script will run in a transaction block.
        part: The script's part of its migration: ``apply``, ``hosted``, ``rollback`` or ``online``.
    """
    search = _Search(text, transactional=transactional, part=part)
    position: int | None = 0
    while position is not None and len(search.problems) < MOST_PROBLEMS:
        position = search.go_on(position)
    return _capped(search.problems)


def in_comments(text: str, offsets: Sequence[int]) -> Iterator[int]:
    """Yield the offsets that are in comments. In a text that cannot be split, all of them count.

    Args:
        text: The SQL.
        offsets: Offsets in characters, ascending.
    """
    waiting = iter(offsets)
    offset = next(waiting, None)
    position = 0
    try:
        while offset is not None:
            start = _skip_blank(text, position)
            while offset is not None and offset < start:
                yield offset
                offset = next(waiting, None)
            if offset is None or start >= len(text):
                break
            end, hidden = _end_of_statement(text, start)
            for begin, stop in hidden:
                while offset is not None and offset < stop:
                    if offset >= begin and text[begin] in "-/":
                        yield offset
                    offset = next(waiting, None)
            position = end + 1
    except (UnreadableSQL, _ClientCommand):
        if offset is not None:
            yield offset
        yield from waiting


def holds_sql(text: str, offset: int) -> bool:
    """Return whether a text contains anything but space and comments from an offset on."""
    try:
        return _skip_blank(text, offset) < len(text)
    except UnreadableSQL:
        return True


def misleading_in(text: str) -> str | None:
    """Return the first character that is invisible or looks like another, with its column, or None.

    Args:
        text: One line, for which the server reported an error.
    """
    found = _MISLEADING.search(text)
    return None if found is None else f"column {found.start() + 1} holds {_described(found[0])}"


def _capped(problems: list[Problem]) -> list[Problem]:
    if len(problems) < MOST_PROBLEMS:
        return problems
    last = problems[MOST_PROBLEMS - 1]
    return [
        *problems[: MOST_PROBLEMS - 1],
        Problem(last.offset, "the search for faults stopped here", "correct the faults above first"),
    ]


def name_of(statement: str) -> str:
    """Return the first words of a statement on one line, for messages, with its literals masked."""
    import sqlparse  # late: 7 ms, and only messages need it

    head = masked(statement[:2000])  # sqlparse is slow, and the name is shorter
    with suppress(sqlparse.exceptions.SQLParseError):  # it limits the depth of nesting
        head = sqlparse.format(head, strip_comments=True)
    first_line = " ".join(head.split())
    return first_line if len(first_line) <= 72 else first_line[:69] + "..."


def read_named_queries(script: Script) -> tuple[list[VerificationQuery], list[Problem]]:
    """Read a verify.sql: lines ``-- name: x``, each followed by one SELECT.

    Args:
        script: The text of the file.

    Returns:
        The queries in the order of the file, and the problems of the file.
    """
    text = script.text
    queries: list[VerificationQuery] = []
    problems: list[Problem] = []
    headers = list(_CHECK_NAME.finditer(text))
    if not headers:
        return [], [Problem(0, "it contains no check", "write `-- name: <check>` and a SELECT below it")]
    try:
        beginning = _skip_blank(text, 0)
    except UnreadableSQL as error:
        # The headers are in a comment that is never closed.
        return [], [Problem(error.offset, str(error), "close it")]
    if beginning < headers[0].start():
        problems.append(
            Problem(beginning, "this text precedes the first `-- name:`", "write a `-- name:` line above it")
        )
    seen: set[str] = set()
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        if len(problems) >= MOST_PROBLEMS:
            break
        match = _CHECK_HEADER.fullmatch(header[1].strip())
        if match is None:
            problems.append(
                Problem(
                    header.start(),
                    f"{header[0][:80]!r} is no valid name of a check",
                    "write `-- name: <word>` or `-- name: <word> runs`",
                )
            )
            continue
        name, runs = match[1], match[2] is not None
        if name in seen:
            problems.append(Problem(header.start(), f"two checks have the name {name}", "give each check its own name"))
        seen.add(name)
        statement = _statement_of_check(name, text, header, following, problems)
        if statement is not None:
            line, _ = script.line_and_column(header.end() + statement.start)
            queries.append(VerificationQuery(name, statement.text, runs, line))
    return queries, _capped(problems)


def _statement_of_check(
    name: str, text: str, header: re.Match[str], following: re.Match[str] | None, problems: list[Problem]
) -> Statement | None:
    """Return the SELECT between a check's header and the next header, or None where there is not exactly one."""
    beginning = header.end()
    body = text[beginning : following.start() if following is not None else len(text)]
    try:
        statements = list(split(body))
    except UnreadableSQL as error:
        problems.append(Problem(beginning + error.offset, str(error), "close it"))
        return None
    except _ClientCommand as error:
        problems.append(error.problem("ask the system catalogs instead", after=beginning))
        return None
    if not body.isascii():
        problems += [
            evolve(problem, offset=beginning + problem.offset)
            for statement in statements
            for problem in _misleading(body, statement)
        ]
    if len(statements) != 1:
        problems.append(
            Problem(header.start(), f"check {name} has {len(statements)} statements", "write one SELECT for each name")
        )
        return None
    [statement] = statements
    if not is_query(statement.skeleton):
        problems.append(
            Problem(beginning + statement.start, f"check {name} is no SELECT", "write a query: a check only reads")
        )
        return None
    return statement


class _ClientCommand(ValueError):
    def __init__(self, offset: int, command: str) -> None:
        super().__init__(command)
        self.offset = offset
        self.command = command

    def problem(self, cure: str, *, after: int = 0) -> Problem:
        """Return the problem that this command is, in a file with ``after`` characters before the searched text."""
        message = f"{self.command} is a command of psql and not SQL"
        return Problem(after + self.offset, message, cure)


def _split(text: str, position: int) -> Iterator[Statement]:
    length = len(text)
    while True:
        start = _skip_blank(text, position)
        if start >= length:
            return
        end, hidden = _end_of_statement(text, start)
        yield Statement(text[start:end].rstrip(_SPACE), start, _skeleton(text, start, end, hidden))
        position = end + 1


class _Search:
    """The search of one text for problems, with the state that keeps it from searching any part twice."""

    def __init__(self, text: str, *, transactional: bool, part: Part) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._transactional = transactional
        self._part = part
        self._may_mislead = not text.isascii() and _MISLEADING.search(text) is not None
        #: Whether the rest of the text may contain an end of the rows of a COPY.
        self._rows_may_end = True

    def go_on(self, position: int) -> int | None:
        """Search from a position, and return the position at which to continue, or None at the end.

        A command of psql ends with its line, and the rows of a COPY with their last line. The SQL after these is split
        anew.
        """
        text, last = self._text, position
        try:
            for statement in _split(text, position):
                last = statement.start + len(statement.text)
                if self._may_mislead:
                    self.problems += _misleading(text, statement)
                alone = self._transactional and self._runs_alone(statement)
                problem = _runs_alone_problem(statement, self._part) if alone else _problem_of(statement)
                if problem is not None:
                    self.problems.append(problem)
                if len(self.problems) >= MOST_PROBLEMS:
                    return None
                if problem is not None and self._rows_may_end and _COPY_STDIN.match(statement.skeleton):
                    rows = _END_OF_ROWS.search(text, last)
                    if rows is not None:
                        return rows.end()
                    self._rows_may_end = False
        except UnreadableSQL as error:
            self._look_before_the_unreadable(last, error.offset)
            self.problems.append(Problem(error.offset, str(error), self._closing(error.offset)))
        except _ClientCommand as error:
            self.problems.append(error.problem("remove it (a dump of pg_dump has \\restrict lines: delete them)"))
            line_end = text.find("\n", error.offset)
            return None if line_end < 0 else line_end
        return None

    def _look_before_the_unreadable(self, start: int, end: int) -> None:
        """Find misleading characters between the last statement and the unterminated part."""
        if self._may_mislead:
            for match in _MISLEADING_OR_HIDDEN.finditer(self._text, start, end):
                if match[1] is not None:
                    self.problems.append(_misleading_at(match.start(1), match[1]))

    def _runs_alone(self, statement: Statement) -> bool:
        if _DROPS_SUBSCRIPTION.match(statement.skeleton):
            # It also drops the slot on the other server, unless the script dissociates the slot before.
            return statement.start < self._slot_left
        return runs_alone(statement.skeleton)

    @cached_property
    def _slot_left(self) -> float:
        """The offset after the first `slot_name = NONE`, which dissociates a slot on another server."""
        found = _LEAVES_SLOT.search(self._text)
        return math.inf if found is None else found.end()

    def _closing(self, offset: int) -> str:
        """Return the cure of an unterminated part: its line may contain a character that only looks like a quote."""
        line_end = self._text.find("\n", offset)
        found = self._may_mislead and _MISLEADING.search(
            self._text, offset, len(self._text) if line_end < 0 else line_end
        )
        return f"close it: {_described(found[0])} on the same line closes nothing" if found else "close it"


def _misleading(text: str, statement: Statement) -> Iterator[Problem]:
    """Yield a problem for each misleading character outside of a statement's strings, comments and bodies."""
    if _MISLEADING.search(statement.text) is None:
        return
    end, hidden = _end_of_statement(text, statement.start)
    position = statement.start
    for begin, stop in [*hidden, (end, end)]:
        for match in _MISLEADING.finditer(text, position, begin):
            yield _misleading_at(match.start(), match[0])
        if text.startswith('"', begin):
            for match in _INVISIBLE.finditer(text, begin, stop):
                yield _misleading_at(match.start(), match[0])
        position = stop


def _misleading_at(offset: int, character: str) -> Problem:
    cure = "remove it"
    if re.match(f"[{_WIDE}]", character):
        cure = "replace it by a plain space"
    elif re.match(f"[{_TYPOGRAPHIC}]", character):
        cure = "use ASCII: ' for a string, \" for a name, - for minus, -- for a comment"
    return Problem(offset, f"{_described(character)} would be part of a name", cure, exact=True)


def _described(character: str) -> str:
    words = name_of_character(character, "").lower() or "control character"
    name = {"\ufeff": "byte-order mark", "\u0085": "next line"}.get(character, words)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} (U+{ord(character):04X})"


def _runs_alone_problem(statement: Statement, part: Part) -> Problem:
    words = statement.skeleton
    leave_out = ", or omit CONCURRENTLY" if re.search(r"\bconcurrently\b", words, re.IGNORECASE) else ""
    if part == "rollback":
        cure = f'a rollback runs in one transaction, after a try: write `irreversible = "..."` in migration.toml{leave_out}'
    elif part == "hosted":
        cure = f"hosted.sql runs in the transaction that records the migration: move it to a migration of its own{leave_out}"
    else:
        cure = (
            "write `transactional = false` in migration.toml, or `-- kimbledb: transactional = false` at the head of the"
            f" script{leave_out}"
        )
    return Problem(statement.start, f"{_shown(statement)} cannot run in a transaction", cure)


def _shown(statement: Statement) -> str:
    # A statement may be as long as the file. Signs that end it here, as in `SET x = 1`, say nothing without what follows.
    return " ".join(statement.skeleton[:200].split()[:3]).rstrip(" =,(")


def _problem_of(statement: Statement) -> Problem | None:
    words = statement.skeleton
    shown = _shown(statement)
    hidden = _HIDDEN_CONTROL.search(words)
    if hidden is not None:
        shown = " ".join(hidden["found"].split())
    if hidden is not None or _TRANSACTION_CONTROL.match(words):
        return Problem(
            statement.start,
            f"{shown} would end or begin a transaction",
            "remove it: each migration runs in its own transaction",
        )
    if _COPY_STDIN.match(words):
        return Problem(
            statement.start,
            "COPY FROM STDIN waits for data that a script cannot send",
            "use INSERT, or dump with `pg_dump --inserts`",
        )
    if _SESSION_STATE.match(words):
        return Problem(
            statement.start,
            f"{shown} would outlive the transaction and affect the next user of the connection",
            "use SET LOCAL" if words[:3].lower() == "set" else "remove it",
        )
    return None


def _skip_blank(text: str, position: int) -> int:
    """Return the next offset that is neither in space nor in a comment nor in an empty statement."""
    while text.startswith(";", position := _skip_space(text, position)):
        position += 1
    return position


def _skip_space(text: str, position: int) -> int:
    """Return the next offset that is neither in space nor in a comment."""
    while True:
        match = _BLANK.match(text, position)
        assert match is not None  # it matches the empty string
        position = match.end()
        if not text.startswith("/*", position):
            return position
        position = _end_of_comment(text, position)


def _end_of_comment(text: str, start: int) -> int:
    """Return the end of a block comment. Block comments nest (manual, 4.1.5)."""
    depth, position = 1, start + 2
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            raise UnreadableSQL(start, "a comment")
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position


def _end_of_statement(text: str, start: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the end of the statement at ``start``, and the spans of its comments, strings, quoted names and bodies."""
    pattern = _SPECIAL_IN_ROUTINE if _makes_routine(text, start) else _SPECIAL
    hidden: list[tuple[int, int]] = []
    parentheses: list[int] = []
    blocks: list[int] = []  # BEGIN ATOMIC and CASE without their END so far
    position = start
    while (match := pattern.search(text, position)) is not None:
        token, begin, position = match[0], match.start(), match.end()
        # A name cannot begin before the end of the last hidden span.
        clear = hidden[-1][1] if hidden else start
        if token == ";":
            if not parentheses and not blocks:
                return begin, hidden
        elif token == "(":
            parentheses.append(begin)
        elif token == ")":
            del parentheses[-1:]
        elif token == "\\":
            command = _CLIENT_COMMAND.match(text, begin)
            assert command is not None  # it begins with this backslash
            raise _ClientCommand(begin, command[0])
        elif token[0].isalpha():
            # In parentheses and in a body these words are names: FROM begin atomic.
            word = token.lower()
            opens = word == "begin" and not (parentheses or blocks) and _words_at(text, position, 1) == ["atomic"]
            _enter_or_leave(blocks, word, begin, opens=opens)
        elif token[0] == "$" and _is_in_name(text, begin - 1, clear):
            position = begin + 1  # a dollar sign inside a name
        else:
            position = _end_of_hidden(text, token, begin, clear)
            hidden.append((begin, position))
    _check_closed(parentheses, blocks)
    return len(text), hidden


def _enter_or_leave(blocks: list[int], word: str, begin: int, *, opens: bool) -> None:
    """Track a word of a routine: BEGIN ATOMIC opens the body, CASE a block in it, and END closes the innermost block."""
    if opens or (word == "case" and blocks):
        blocks.append(begin)
    elif word == "end" and blocks:
        blocks.pop()


def _check_closed(parentheses: list[int], blocks: list[int]) -> None:
    if parentheses:
        raise UnreadableSQL(parentheses[-1], "a parenthesis")
    if blocks:
        raise UnreadableSQL(blocks[0], "a BEGIN ATOMIC body")


def _end_of_hidden(text: str, token: str, begin: int, clear: int) -> int:
    """Return the end of the comment, string, quoted name or body that starts with a token."""
    after = begin + len(token)
    if token.startswith("--"):
        return after
    if token == "/*":
        return _end_of_comment(text, begin)
    if token[0] == "'":
        return _end_of_string(text, token, begin, clear)
    if token[0] == '"':
        return after if len(token) > 1 else _end_of_quoted(_DOUBLE_QUOTE, text, after, begin, "a quoted name")
    closing = text.find(token, after)
    if closing < 0:
        raise UnreadableSQL(begin, f"a body quoted by {token}")
    return closing + len(token)


def _makes_routine(text: str, start: int) -> bool:
    if text[start : start + 6].lower() != "create":
        return False
    plain = _CREATE.match(text, start)
    if plain is not None:
        return plain[1].lower() in ("function", "procedure")
    # Comments separate the words.
    words = _words_at(text, start, 4)
    if words[1:3] == ["or", "replace"]:
        del words[1:3]
    return words[0] == "create" and words[1:2] in (["function"], ["procedure"])


def _words_at(text: str, position: int, most: int) -> list[str]:
    """Return the next words in lower case. Space and comments may separate them."""
    words: list[str] = []
    while len(words) < most and (match := _WORD.match(text, _skip_space(text, position))) is not None:
        words.append(match[0].lower())
        position = match.end()
    return words


def _is_in_name(text: str, position: int, clear: int) -> bool:
    """Return whether the character at ``position`` is part of a name that begins at ``clear`` or later."""
    if position < clear:
        return False
    character = text[position]
    return character.isalnum() or character in "_$" or not character.isascii()


def _end_of_string(text: str, token: str, begin: int, clear: int) -> int:
    """Return the end of a string, of which the token is the start or the whole. After E a backslash escapes."""
    escapes = begin > clear and text[begin - 1] in "eE" and not _is_in_name(text, begin - 2, clear)
    if not escapes:
        return begin + len(token) if len(token) > 1 else _end_of_quoted(_QUOTE, text, begin + 1, begin, "a string")
    position = _end_of_quoted(_QUOTE_AFTER_E, text, begin + 1, begin, "a string")
    # A quote after a line break continues the same string, with its escapes (manual, 4.1.2.1).
    while (gap := _BLANK.match(text, position)) is not None:
        if not text.startswith("'", gap.end()) or not ("\n" in gap[0] or "\r" in gap[0]):
            break
        position = _end_of_quoted(_QUOTE_AFTER_E, text, gap.end() + 1, begin, "a string")
    return position


def _end_of_quoted(edge: re.Pattern[str], text: str, position: int, begin: int, what: str) -> int:
    while (found := edge.search(text, position)) is not None:
        position = found.end()
        if len(found[0]) == 1:
            return position
    raise UnreadableSQL(begin, what)


def _skeleton(text: str, start: int, end: int, hidden: list[tuple[int, int]], of_string: str = " ") -> str:
    parts: list[str] = []
    position = start
    for begin, stop in hidden:
        parts.append(text[position:begin])
        parts.append(of_string if text[begin] == "'" else " ")
        position = stop
    parts.append(text[position:end])
    return "".join(parts).strip(_SPACE)
