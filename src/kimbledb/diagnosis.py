"""From a server's error to the line that caused it, and to a cure."""

from __future__ import annotations

import re

import asyncpg
from attrs import evolve, frozen

from kimbledb import statements
from kimbledb.model import Migration

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
    "KD004": "name only objects of the target schema; extensions are declared under `extensions` in migration.toml",
}
#: Errors of our own blocks, whose detail is for programs.
_OUR_DETAILS = frozenset({"KD006"})
_MISSING_TYPE = re.compile(r'type "(?:\w+\.)?(vector|halfvec|sparsevec)(?:\(\d+\))?" does not exist')
_MISSING_OPCLASS = re.compile(r'(?:operator class|access method) "(\w+)" does not exist')


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
    #: The text of the line, to be shown.
    source: str | None = None
    #: What the server says of functions on the way, or None.
    context: str | None = None
    #: What the server adds. It can hold values of rows, and so stays out of history.
    detail: str | None = None

    @property
    def for_history(self) -> str:
        """The error without values of rows."""
        place = "" if self.file is None else f" at {self.file}" + ("" if self.line is None else f":{self.line}")
        return f"{self.message} (SQLSTATE {self.sqlstate}){place}"

    def __str__(self) -> str:
        lines = [f"{self.message} (SQLSTATE {self.sqlstate})"]
        if self.file is not None and self.line is not None:
            place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
            lines.append(f"  at {place}")
            if self.source is not None:
                number = f"{self.line}"
                lines.append(f"  {number} | {self.source}")
                if self.column:
                    # Tabs stay tabs, so that the caret stands under its character.
                    lead = re.sub(r"[^\t]", " ", self.source[: self.column - 1])
                    lines.append(f"  {' ' * len(number)} | {lead}^")
        elif self.file is not None:
            lines.append(f"  in {self.file}")
        if self.detail:
            lines += [f"  {line}" for line in self.detail.splitlines()[:10]]
        if self.context:
            lines += [f"  {line}" for line in self.context.splitlines()[:3] if "inline_code_block" not in line]
        return "\n".join(lines)


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
        context=getattr(error, "context", None),
        detail=None if sqlstate in _OUR_DETAILS else getattr(error, "detail", None),
    )
    if offset is None or not 0 <= offset <= len(text):
        return diagnosis
    line, column = statements.line_and_column(text, offset)
    lines = text.split("\n")
    return evolve(
        diagnosis,
        line=line,
        column=column if exact else None,
        statement=_statement_at(text, offset),
        source=lines[line - 1] if line <= len(lines) else None,
    )


def _cure(error: asyncpg.PostgresError, sqlstate: str) -> str | None:
    message = str(error)
    if (match := _MISSING_TYPE.search(message)) or ("vector" in message and _MISSING_OPCLASS.search(message)):
        name = match[1] if match else "vector"
        return f'the type {name} comes with the extension vector: write extensions = ["vector"] in migration.toml'
    if sqlstate == "2BP01":
        # The server's own hint is to use CASCADE, which would take what is not ours.
        return _CURES[sqlstate]
    return getattr(error, "hint", None) or _CURES.get(sqlstate)


def _statement_at(text: str, offset: int) -> str | None:
    try:
        for statement in statements.split(text):
            if statement.start <= offset <= statement.start + len(statement.text):
                return statement.text
    except ValueError:
        return None  # the server found a fault that keeps statements from being told apart
    return None
