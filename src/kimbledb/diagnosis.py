"""From a server's error to the line that caused it, and to a cure."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
from attrs import evolve, frozen

from kimbledb import statements
from kimbledb.errors import one_line
from kimbledb.model import Migration
from kimbledb.redaction import cover, excerpt, spans

#: For each SQLSTATE (manual, appendix A) what helps. The first five answer the
#: common issues of the document: already exists, column missing, foreign key
#: fails, permission denied, vector not found.
_CURES = {
    "42P07": "it is there already: write CREATE ... IF NOT EXISTS, or let `kimbledb adopt` record what is applied",
    "42701": "the column is there already: write ADD COLUMN IF NOT EXISTS",
    "42710": "it is there already: ask the catalogs first, or let `kimbledb adopt` record what is applied",
    "42723": "the function is there already: write CREATE OR REPLACE FUNCTION",
    "42703": "the migration that makes this column is not applied: name it under `requires` in migration.toml, or mend the spelling",
    "42P01": "the migration that makes this table is not applied: name it under `requires` in migration.toml, or mend the spelling",
    "42883": "no function of that name takes these arguments: look at the spelling, at the types, and at `requires` and `extensions` in migration.toml",
    "23503": "rows point to rows that are not there: find and mend them first, then run again",
    "42830": "the referenced columns have no unique key: the migration that makes it is not applied; name it under `requires`",
    "42804": "the types differ: on a database from before a repair such as FIX_PROJECT_ID_TYPE.sql has to come first",
    "23505": "rows that are there already repeat a value: find and merge them first, then run again",
    "23514": "rows that are there already break this check: mend them first, then run again",
    "23502": "rows that are there already have no value here: fill it in first, then run again",
    "42501": "connect as the schema's owner, or let the owner grant what is missing",
    "0A000": "the server does not have this extension or feature: install it (for vector: the package pgvector), then run again",
    "58P01": "a file of the server is missing, often an extension's: install its package",
    "57014": "the statement took longer than its limit: raise statement_timeout in migration.toml or in Options",
    "53200": "too many objects in one transaction for the server's lock table: raise max_locks_per_transaction, or split the migration",
    "53100": "the server's disk is full: free some room, then run again",
    "2BP01": "what is named here was made on top by another hand: drop or move it first, then run again",
    "KD003": "take COMMIT, ROLLBACK and procedures that commit out of it",
}
#: Errors of our own blocks, whose detail is for programs.
_OUR_DETAILS = frozenset({"KD006"})
_OUR_CONDITIONS = {
    "KD003": "the script ended its transaction",
    "KD004": "the script reached outside of its schema",
    "KD006": "rows or values would be lost",
}
_MISSING_TYPE = re.compile(r'type "(?:\w+\.)?(vector|halfvec|sparsevec)(?:\(\d+\))?" does not exist')
_MISSING_OPCLASS = re.compile(r'(?:operator class|access method) "(\w+)" does not exist')

#: Where asyncpg's names of classes are not the manual's conditions.
_CONDITIONS = {
    "PostgresSyntaxError": "syntax error",
    "RaiseError": "raise exception",
    "AssertError": "assert failure",
    "InternalServerError": "internal error",
    "PLPGSQLError": "plpgsql error",
}


#: Of names and syntax: what looks like a space may have been taken for a name.
_NAMES = frozenset({"42601", "42703", "42P01", "42883", "42704"})


@frozen
class Diagnosis:
    """Where an error arose and what helps."""

    message: str
    sqlstate: str
    hint: str | None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    statement: str | None = None
    #: The line, to be shown: strings and comments masked, and cut where it is long.
    source: str | None = None
    #: Where the caret stands under it, counted from 0, or None where the server named no character.
    caret: int | None = None
    #: The functions on the way, as the server says, or None.
    context: str | None = None
    #: What the server adds: names of objects.
    detail: str | None = None
    #: What the error is about, by the server's own fields: ``constraint t_pkey of table t``.
    subject: str | None = None

    @property
    def for_history(self) -> str:
        """What history and log keep: condition, names and place, and no words that could quote a value."""
        about = "" if self.subject is None else f" of {self.subject}"
        place = "" if self.file is None else f" at {self.file}" + ("" if self.line is None else f":{self.line}")
        return (
            f"{_OUR_CONDITIONS.get(self.sqlstate) or condition(self.sqlstate)}{about} (SQLSTATE {self.sqlstate}){place}"
        )

    def __str__(self) -> str:
        lines = [f"{self.message} (SQLSTATE {self.sqlstate})"]
        if self.file is not None and self.line is not None:
            place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
            lines.append(f"  at {place}")
            if self.source is not None:
                number = f"{self.line}"
                lines.append(f"  {number} | {self.source}")
                if self.caret is not None:
                    # Tabs stay tabs, so that the caret stands under its character.
                    lead = re.sub(r"[^\t]", " ", self.source[: self.caret])
                    lines.append(f"  {' ' * len(number)} | {lead}^")
        elif self.file is not None:
            lines.append(f"  in {self.file}")
        if self.detail:
            lines += [f"  {line}" for line in self.detail.splitlines()[:10]]
        if self.context:
            lines += [f"  {line}" for line in self.context.splitlines()[:3] if "inline_code_block" not in line]
        return "\n".join(lines)


def condition(sqlstate: str | None) -> str:
    """Return what a SQLSTATE means, in words."""
    classes: Any = type(asyncpg.PostgresError)
    name = classes.get_message_class_for_sqlstate(sqlstate).__name__
    if name == "UnknownPostgresError":
        return "an error of a kind of its own"
    if name in _CONDITIONS:
        return _CONDITIONS[name]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Error").replace("SQL", "Sql")).lower()


def diagnose(
    error: asyncpg.PostgresError, migration: Migration, part: str, text: str, *, offset: int | None, exact: bool
) -> Diagnosis:
    """Place an error in a file.

    Args:
        error: What the server said.
        migration: Whose file it is.
        part: ``apply`` or ``rollback``.
        text: The file's text as it was sent.
        offset: Characters before the place in the text, or None where there is no place.
        exact: True where the server named the very character, False where
            only the statement's start is known.
    """
    sqlstate = error.sqlstate or "XX000"
    diagnosis = Diagnosis(
        message=str(getattr(error, "message", None) or error),
        sqlstate=sqlstate,
        hint=_cure(error, sqlstate),
        file=migration.file(part),
        context=error.context,
        detail=None if sqlstate in _OUR_DETAILS else error.detail,
        subject=_subject(error),
    )
    if offset is None or not 0 <= offset <= len(text):
        return diagnosis
    line, column = statements.line_and_column(text, offset)
    hidden = spans(text, broken_at=offset if sqlstate == "42601" and exact else None)
    source, caret = excerpt(text, offset, hidden)
    seeming = None
    if sqlstate in _NAMES:
        begin = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        seeming = statements.misleading_in(text[begin : len(text) if end < 0 else end])
    return evolve(
        diagnosis,
        hint=diagnosis.hint if seeming is None else f"{seeming}, which is part of a name there: write it in ASCII",
        line=line,
        column=column if exact else None,
        statement=_statement_at(text, offset, hidden),
        source=source,
        caret=caret if exact else None,
    )


def _subject(error: asyncpg.PostgresError) -> str | None:
    """Return what an error is about, by the names that the server gives beside its words."""
    names = (("constraint", error.constraint_name), ("column", error.column_name), ("table", error.table_name))
    told = [f"{kind} {one_line(name)}" for kind, name in names if name]
    return " of ".join(told) or None


def _cure(error: asyncpg.PostgresError, sqlstate: str) -> str | None:
    message = str(error)
    if (match := _MISSING_TYPE.search(message)) or ("vector" in message and _MISSING_OPCLASS.search(message)):
        name = match[1] if match else "vector"
        return f'the type {name} comes with the extension vector: write extensions = ["vector"] in migration.toml'
    if sqlstate == "2BP01":
        # The server's own hint is to use CASCADE, which would take what is not ours.
        return _CURES[sqlstate]
    return getattr(error, "hint", None) or _CURES.get(sqlstate)


def _statement_at(text: str, offset: int, hidden: list[tuple[int, int]]) -> str | None:
    try:
        for statement in statements.split(text):
            if statement.start <= offset <= statement.start + len(statement.text):
                return cover(text, hidden, statement.start, statement.start + len(statement.text))
    except ValueError:
        return None  # the server found a fault that keeps statements from being told apart
    return None
