"""The snapshots of a recording: of all objects, brought up to date by what a transaction touched, or of some.

The functions that take them are made outside of a script's transaction, so that they do not count as the script's: the
server then plans their long queries once, and not each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kimbledb.inspection import snapshot, touched
from kimbledb.inspection.touched import Change, Held
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import OBJECT_KINDS, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.server import queries
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session
from kimbledb.server.settings import PINNED_FOR_QUESTIONS, pin

#: The functions that take a snapshot of all objects, without and with sources, one of some, and one of privileges.
ALL, SOURCES, SCOPE, PRIVILEGES = "kimbledb_all", "kimbledb_sources", "kimbledb_scope", "kimbledb_privileges"
_SAVEPOINT = "kimbledb_recording"


class Snapshots:
    """Takes snapshots in the transactions of one session, whose database nobody else changes."""

    def __init__(self, session: Session, schema: str, path: Sequence[str]) -> None:
        """Take a session.

        Args:
            session: The session.
            schema: The target schema.
            path: The schemas whose names snapshots omit.
        """
        self._session = session
        self._schema = schema
        self._path = quote_literal(path_of(path))
        self._reached: tuple[str, ...] = ()
        #: The bodies of the functions that exist.
        self._functions: dict[str, str] = {}
        #: All objects before the open transaction, and at this point of it; None where they are not known.
        self._before: Held | None = None
        self._now: Held | None = None

    @property
    def held(self) -> Snapshot | None:
        """All objects before the open transaction, or None where they are not known."""
        return None if self._before is None else self._before.snapshot

    def keep(self) -> None:
        """The transaction was committed, or did nothing: what was found last in it holds from now on."""
        self._before, self._now = self._now, None

    def forget(self) -> None:
        """Something is done in the transaction, or it is rolled back: what was found in it does not hold any more."""
        self._now = None

    def lose(self) -> None:
        """Something is done outside of a transaction: no objects are known."""
        self._before = self._now = None

    async def prepare(self, *names: str, reached: Iterable[str], scope: Sequence[Key] = ()) -> None:
        """Make functions that take snapshots.

        Args:
            names: Those that will be used.
            reached: Objects of other schemas to look at besides, as in ``reaches``.
            scope: The objects that ``SCOPE`` looks at.
        """
        if self._reached != tuple(reached):
            self._reached = tuple(reached)
            self.lose()
        for name in names:
            if name == SCOPE:
                # A scope names the objects of other schemas, too.
                text = snapshot.query(self._schema, *snapshot.scope_of(self._schema, scope), identities=True)
                await self._make(f"{name}()", queries.printed(text, self._path))
                continue
            kinds = ("privilege",) if name == PRIVILEGES else OBJECT_KINDS
            body = touched.function(self._schema, self._reached, self._path, kinds=kinds, sources=name == SOURCES)
            await self._make(f"{name}(everything boolean)", body)

    async def _make(self, function: str, body: str) -> None:
        if self._functions.get(function) == body:
            return
        # A plan for any names: to plan one anew takes longer than to run it.
        await self._session.send(
            f"CREATE OR REPLACE FUNCTION pg_temp.{function} RETURNS void LANGUAGE plpgsql "
            f"SET plan_cache_mode = force_generic_plan AS {queries.quoted(body, 'body')};"
        )
        self._functions[function] = body

    async def take(self, name: str) -> Snapshot:
        """Take a snapshot in the open transaction, whose settings come back afterwards.

        Where the objects before the transaction are known, the cost is in line with what the transaction touched.

        Args:
            name: The function that takes it, which was prepared.
        """
        if name == SCOPE:
            [answer] = await self._call(f"{name}()")
            return snapshot.snapshot_of(answer)
        self._now = None if self._before is None else await self._after_change(name, self._before)
        if self._now is None:
            self._now = Held.of(*await self._call(f"{name}(true)"))
        return self._now.snapshot

    async def _after_change(self, name: str, before: Held) -> Held | None:
        """Return all objects at this point of the transaction, or None where those that it did not touch may differ, too."""
        head, answer = await self._call(f"{name}(false)")
        if head["whole"]:
            return Held.of(head, answer)
        change = Change.of(before, head, answer)
        if not change.is_local:
            return None
        if names := change.names_given_up:
            [is_taken] = await ask_aside(self._session, queries.question("names_taken", names=quote_array(names)))
            if is_taken:
                return None
        return change.after

    async def _call(self, function: str) -> list[Any]:
        return await ask_aside(self._session, f"SELECT pg_temp.{function};\n")


async def ask_aside(session: Session, question: str) -> list[Any]:
    """Ask in the transaction that is open, whose role and settings come back afterwards, and return the answers.

    Args:
        session: The session.
        question: The statements that answer, which run as the role of the connection.
    """
    settings = session.settings() + pin(PINNED_FOR_QUESTIONS)
    answers = await session.send(
        f"SAVEPOINT {_SAVEPOINT};\nSET LOCAL SESSION AUTHORIZATION DEFAULT;\nSET LOCAL ROLE NONE;\n{settings}{question}"
        f"ROLLBACK TO {_SAVEPOINT};\nRELEASE {_SAVEPOINT};\n"
    )
    return [answer.value for answer in answers]
