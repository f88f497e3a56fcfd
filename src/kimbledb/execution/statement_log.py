"""The log's entries about single statements: an intent before each, its completion after it.

By them an interrupted script continues at the statement that was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kimbledb.execution.work import Work
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.session import Answer, Session
from kimbledb.server.settings import setting
from kimbledb.version import __version__


class StatementLog:
    """Reads and writes the entries about the statements of one script."""

    def __init__(self, worker: Session, schema: str, work: Work) -> None:
        """Start with no known constraint.

        Args:
            worker: The session that runs the statements.
            schema: The target schema.
            work: The migration and its script.
        """
        self._worker = worker
        self._schema = schema
        self._work = work
        #: The checksum of the text that holds the statements, as history keeps it: an edit of hosted.sql repeats none of them.
        self._checksum = work.script.checksum if work.part == "apply" else work.migration.checksum
        #: The oids of all constraints that are not validated.
        self.unvalidated: list[int] = []
        #: Those of them that the script added, by oid, each as it is shown.
        self.added: dict[int, str] = {}

    async def completed(self) -> frozenset[str]:
        """Return the digests of the statements that are completed."""
        question = queries.question(
            "statements_done",
            statements=self.entries(),
            checksum=quote_literal(self._checksum),
            part=quote_literal(self._work.part),
        )
        return frozenset(await self._worker.ask(question))

    def entries(self) -> str:
        """Return the query of the entries about the migration's statements."""
        return queries.filled(
            "statements_of",
            schema=quote_identifier(self._schema),
            name=quote_literal(self._work.migration.name),
        )

    async def note(self, digest: str, state: str, *, kind: str = "", words: frozenset[str] = frozenset()) -> None:
        """Write an entry in a transaction of its own.

        Args:
            digest: The statement.
            state: ``begun``, ``done`` or ``taken back``.
            kind: The kind of object that the statement can leave half done, as ``ScriptStatement.kind``.
            words: The names in it, where it can.
        """
        self.heed(await self._worker.send("BEGIN;\n" + self.closing(digest, state, kind=kind, words=words)))

    def closing(
        self,
        digest: str,
        state: str,
        *,
        kind: str = "",
        words: frozenset[str] = frozenset(),
        before: Sequence[int] | None = None,
    ) -> str:
        """Return the end of a transaction that writes an entry.

        Args:
            digest: The statement.
            state: ``begun``, ``done`` or ``taken back``.
            kind: The kind of object that the statement can leave half done, as ``ScriptStatement.kind``.
            words: The names in it, where it can.
            before: The constraints that were not validated before it, where it ran in this transaction.
        """
        work = self._work
        facts: dict[str, Any] = {
            "name": work.migration.name,
            "checksum": self._checksum,
            "version": __version__,
            "words": sorted(words),
            "detail": {"statement": digest, "state": state, "during": work.part} | ({"kind": kind} if kind else {}),
        }
        if before is not None:
            facts["open"] = before
        return (
            self._worker.settings()
            + setting("kimbledb.step", facts)
            + queries.block("record_statement", schema=quote_identifier(self._schema))
            + "COMMIT;\n"
        )

    def heed(self, answers: Sequence[Answer]) -> None:
        """Keep which constraints are not validated, as the answer to ``closing()`` says."""
        found = answers[-1].value
        self.unvalidated = found["open"]
        added = self.added | {int(oid): shown for oid, shown in found["added"].items()}
        self.added = {oid: shown for oid, shown in added.items() if oid in self.unvalidated}
