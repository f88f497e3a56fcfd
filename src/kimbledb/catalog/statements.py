r"""SQL text: the statements in it.

A migration's script is sent to the server whole. It is split into statements only to refuse some of them
(``kimbledb.catalog.script_problems``), to read a verify.sql (``kimbledb.catalog.named_queries``), to find the statement of
a run-time error, and to run a script that cannot run in a transaction.

The rules are those of the PostgreSQL manual, 4.1 "Lexical Structure". A statement ends where psql ends it: at a
semicolon outside of parentheses, strings, comments and ``BEGIN ATOMIC`` bodies. sqlparse breaks these rules in places
(it ends the string ``'C:\'`` too late, and does not nest comments), so it only names statements for messages.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from attrs import frozen

from kimbledb.model.redaction import MASK, masked

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
_NAME = re.compile(rf'(?:[uU]&)?"(?:[^"]|"")+"|{_BEGINS_NAME}{_IN_NAME}*', re.ASCII)
_UESCAPE = re.compile(r"\buescape\s*'(.)'", re.IGNORECASE)
#: The server truncates a name to this number of bytes.
_LONGEST_NAME = 63
_CLIENT_COMMAND = re.compile(r"\\[^\s\\]{0,40}")


@frozen
class Statement:
    """One statement in a text."""

    #: Its text, from the first word up to the semicolon.
    text: str
    #: Its offset in the text, in characters.
    start: int
    #: Its text with a space for each comment, string, quoted name and body, for the search of keywords.
    skeleton: str


class UnreadableSQL(ValueError):
    """The text ends inside a string, comment, quoted name, dollar-quoted body or parenthesis.

    Attributes:
        offset: The start of the unterminated part, in characters from the start of the text.
    """

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"{what} starts here and is never closed")
        self.offset = offset


class ClientCommand(ValueError):
    """The text holds a command of psql.

    Attributes:
        offset: The start of the command, in characters from the start of the text.
        command: The command.
    """

    def __init__(self, offset: int, command: str) -> None:
        super().__init__(command)
        self.offset = offset
        self.command = command


def split(text: str, position: int = 0) -> Iterator[Statement]:
    """Split a text into its statements, lazily.

    Args:
        text: The SQL.
        position: The offset from which on it is split, in characters.

    Raises:
        UnreadableSQL: A part of the text is never closed. No end is guessed.
        ClientCommand: The text holds a command of psql.
    """
    length = len(text)
    while True:
        start = skip_blank(text, position)
        if start >= length:
            return
        end, hidden = end_of_statement(text, start)
        yield Statement(text[start:end].rstrip(_SPACE), start, _skeleton(text, start, end, hidden))
        position = end + 1


def first_from(text: str, offset: int) -> Statement | None:
    """Return the first statement from an offset on, where one begins or the text before it ended, or None.

    Args:
        text: The SQL.
        offset: The offset, in characters.
    """
    with suppress(ValueError):  # UnreadableSQL, and the commands of psql
        return next(split(text, offset), None)
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
    end, hidden = end_of_statement(statement, 0)
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
    bodies = [span for span in end_of_statement(text, offset)[1] if text[span[0]] in "$'"]
    # The name of the language may also be a string.
    return max(bodies, key=lambda span: span[1] - span[0], default=(0, 0))


def _without_comments(text: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(text):
        start = skip_blank(text, position)
        end, hidden = end_of_statement(text, start)
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
            start = skip_blank(text, position)
            while offset is not None and offset < start:
                yield offset
                offset = next(waiting, None)
            if offset is None or start >= len(text):
                break
            end, hidden = end_of_statement(text, start)
            for begin, stop in hidden:
                while offset is not None and offset < stop:
                    if offset >= begin and text[begin] in "-/":
                        yield offset
                    offset = next(waiting, None)
            position = end + 1
    except (UnreadableSQL, ClientCommand):
        if offset is not None:
            yield offset
        yield from waiting


def holds_sql(text: str, offset: int) -> bool:
    """Return whether a text contains anything but space and comments from an offset on."""
    try:
        return skip_blank(text, offset) < len(text)
    except UnreadableSQL:
        return True


def name_of(statement: str) -> str:
    """Return the first words of a statement on one line, for messages, with its literals masked."""
    import sqlparse  # late: 7 ms, and only messages need it

    head = masked(statement[:2000])  # sqlparse is slow, and the name is shorter
    with suppress(sqlparse.exceptions.SQLParseError):  # it limits the depth of nesting
        head = sqlparse.format(head, strip_comments=True)
    first_line = " ".join(head.split())
    return first_line if len(first_line) <= 72 else first_line[:69] + "..."


def skip_blank(text: str, position: int) -> int:
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


def end_of_statement(text: str, start: int) -> tuple[int, list[tuple[int, int]]]:
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
            raise ClientCommand(begin, command[0])
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
