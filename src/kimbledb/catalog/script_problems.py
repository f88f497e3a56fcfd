"""The problems that a script may not have: statements that cannot run, and characters that look like others."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property
from unicodedata import name as name_of_character

from attrs import frozen

from kimbledb.catalog.statements import ClientCommand, Statement, UnreadableSQL, end_of_statement, runs_alone, split
from kimbledb.model.script import Part

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
_DROPS_SUBSCRIPTION = re.compile(r"drop\s+subscription\b", re.IGNORECASE)
_LEAVES_SLOT = re.compile(r"\bslot_name\s*=\s*none\b", re.IGNORECASE)
# The last line of the rows that psql reads after COPY FROM STDIN.
_END_OF_ROWS = re.compile(r"^\\\.[ \t]*$", re.MULTILINE)

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
class Problem:
    """A problem in a script."""

    #: Its offset in the text, in characters.
    offset: int
    message: str
    cure: str
    #: Whether the problem is a single character, so that its column is shown.
    exact: bool = False


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
    return capped(search.problems)


def misleading_in(text: str) -> str | None:
    """Return the first character that is invisible or looks like another, with its column, or None.

    Args:
        text: One line, for which the server reported an error.
    """
    found = _MISLEADING.search(text)
    return None if found is None else f"column {found.start() + 1} holds {_described(found[0])}"


def capped(problems: list[Problem]) -> list[Problem]:
    """Return problems, cut off where the search stopped."""
    if len(problems) < MOST_PROBLEMS:
        return problems
    last = problems[MOST_PROBLEMS - 1]
    return [
        *problems[: MOST_PROBLEMS - 1],
        Problem(last.offset, "the search for faults stopped here", "correct the faults above first"),
    ]


def of_command(error: ClientCommand, cure: str, *, after: int = 0) -> Problem:
    """Return the problem that a command of psql is.

    Args:
        error: The command.
        cure: The cure.
        after: The number of characters before the searched text.
    """
    return Problem(after + error.offset, f"{error.command} is a command of psql and not SQL", cure)


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
            for statement in split(text, position):
                last = statement.start + len(statement.text)
                if self._may_mislead:
                    self.problems += misleading(text, statement)
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
        except ClientCommand as error:
            self.problems.append(of_command(error, "remove it (a dump of pg_dump has \\restrict lines: delete them)"))
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


def misleading(text: str, statement: Statement) -> Iterator[Problem]:
    """Yield a problem for each misleading character outside of a statement's strings, comments and bodies."""
    if _MISLEADING.search(statement.text) is None:
        return
    end, hidden = end_of_statement(text, statement.start)
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
