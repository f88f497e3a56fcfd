"""One statement of a script that runs outside of transactions, and what its text shows. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.statements import Statement
from kimbledb.model.completion import Batches

#: Statements that can leave something half done, by their first words.
_KINDS = {
    "index": re.compile(r"create\s+(?:unique\s+)?index\b", re.IGNORECASE),
    "reindex": re.compile(r"reindex\b", re.IGNORECASE),
    "detach": re.compile(r"alter\s+table\b.*\bdetach\s+partition\b", re.IGNORECASE | re.DOTALL),
}
_DROPS_DATABASE = re.compile(r"drop\s+(?:database|tablespace)\b", re.IGNORECASE)
#: A reserved word: outside of comments, strings and quotes it has no other meaning.
_CONCURRENTLY = re.compile(r"\bconcurrently\b", re.IGNORECASE)


@frozen
class ScriptStatement:
    """One statement of a script."""

    text: str
    #: The number of the script's characters before it.
    start: int
    #: Its id in the log.
    digest: str
    #: ``index``, ``reindex`` or ``detach`` for a statement that can leave something half done; empty for others.
    kind: str
    #: The names in it, where it is of such a kind.
    words: frozenset[str]
    #: Whether PostgreSQL is known to refuse it in a transaction.
    alone: bool
    concurrently: bool
    #: The batches, each in a transaction of its own, in which it runs; None for a statement that runs as it is.
    batches: Batches | None = None

    @property
    def may_delete(self) -> bool:
        """Whether it may delete rows where it runs outside of transactions: what commits by itself is not measured."""
        return not self.kind and (not self.alone or _DROPS_DATABASE.match(self.text) is not None)


def statements_of(script: str) -> list[ScriptStatement]:
    """Return the statements of a script, in order."""
    return [_statement(number, each) for number, each in enumerate(statements.split(script))]


def statements_of_stage(script: str, steps: Sequence[str | Batches]) -> list[ScriptStatement]:
    """Return the statements of a stage.

    Args:
        script: The script with the steps, each of which is one statement.
        steps: The steps.
    """
    return [
        evolve(statement, batches=step) if isinstance(step, Batches) else statement
        for statement, step in zip(statements_of(script), steps, strict=True)
    ]


def _statement(number: int, statement: Statement) -> ScriptStatement:
    words = statement.skeleton
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.match(words)), "")
    return ScriptStatement(
        text=statement.text,
        start=statement.start,
        digest=hashlib.sha256(f"{number}\n{statement.text}".encode()).hexdigest()[:16],
        kind=kind,
        words=statements.names_in(statement.text) if kind else frozenset(),
        alone=statements.runs_alone(words),
        concurrently=_CONCURRENTLY.search(words) is not None,
    )
