"""Scratch schemas: what the original statements of migrations make on this server, without touching the live schema.

The statements run in a schema of their own, in a transaction that is rolled back. A server prints an expression as its
version does, and a restored dump holds the text of the dump's server: so only what this server makes of the original
statement shows whether an expression is the declared one.

The server's own text is no fixpoint: fed back it may be printed otherwise, and a restored dump was fed back. So the
scratch schema can be written once more from what the server shows of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Self

from attrs import evolve, frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.inspection import proof, snapshot
from kimbledb.inspection.proof import Declared, Site
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import DatabaseState
from kimbledb.planning import writer
from kimbledb.planning.rebuilding import LeftOut, Piece, Surroundings, pieces
from kimbledb.server import queries
from kimbledb.server.codes import LEFT_OUT
from kimbledb.server.driver import ServerError
from kimbledb.server.search_path import guard_of, path_of
from kimbledb.server.session import BEGIN, Answer, Session
from kimbledb.server.settings import PINNED_FOR_QUESTIONS, pin

#: Milliseconds that a statement waits for a lock. It needs none that another session holds.
_PATIENCE = 100
#: Kinds that the second writing leaves out: no expression depends on them.
_APART = frozenset({"comment", "privilege", "default privilege"})


class NoScratch(Exception):
    """No scratch schema can be made, with the reason as its text."""


@frozen
class _Rebuilt:
    """A migration with the statements that make its objects again."""

    migration: Migration
    pieces: tuple[Piece, ...]
    #: The objects whose forms are wanted.
    printed: tuple[Declared, ...]


class Scratch:
    """A transaction with a scratch schema. Leaving it rolls the transaction back."""

    def __init__(self, session: Session, state: DatabaseState, schema: str, catalog: Catalog) -> None:
        """Take what is needed; the first question opens the transaction.

        Args:
            session: The session, in which no transaction is open.
            state: The state of the database.
            schema: The target schema.
            catalog: The migrations of the call.
        """
        self._session = session
        self._target = schema
        # The target schema itself, where extensions live in it.
        self._homes = tuple(state.homes(catalog.extensions))
        self._hosted = state.hosted
        name = f"kimbledb_scratch_{os.urandom(6).hex()}"
        self._shadow = f"{name}_shadow"
        self._again = f"{name}_again"
        self._site = evolve(Site.of(state, schema, catalog), schema=name, path=(name, *self._homes))
        #: The statements that were left out, although they make declared objects.
        self.left_out: list[LeftOut] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.roll_back()

    async def forms(self, migrations: Sequence[Migration]) -> dict[str, dict[Key, str]]:
        """Run the statements of migrations, and return for each migration the forms of its objects right after it.

        An object has no form where a statement that it depends on was left out.

        Args:
            migrations: The migrations, in the order in which they are applied.

        Raises:
            NoScratch: The role may make no schema, or the server refuses for another reason.
            PreflightError: Strangers own, or may create, objects on the search_path.
            ConnectionLostError: The connection is lost.
        """
        rebuilt = await self._rebuilt(migrations)
        try:
            answers = await self._run(rebuilt, tolerant=False)
        except ServerError:
            # A statement failed, and the transaction is rolled back: run each on its own.
            try:
                answers = await self._run(rebuilt, tolerant=True)
            except ServerError as error:
                raise NoScratch(f"the server refuses a scratch schema: {error.message}") from error
        self._note_failures(rebuilt, answers)
        found = [answer.value for answer in answers if answer.code != LEFT_OUT]
        return {
            each.migration.name: {DatabaseObject.of(key).key: form for key, form in value["forms"].items()}
            for each, value in zip(rebuilt, found, strict=True)
        }

    async def second_forms(self) -> dict[Key, str]:
        """Write the schema that ``forms()`` has made from what the server shows of it, and return the forms of that.

        Raises:
            NoScratch: The server refuses.
            ConnectionLostError: The connection is lost.
        """
        try:
            first = await self._snapshot(self._site.schema, whole=True)
            made = [each for each in first if each.kind not in _APART]
            statements = writer.create(made, first.needs)
            await self._session.send(
                f"CREATE SCHEMA {quote_identifier(self._again)};\n"
                + self._session.path((self._again, *self._homes))
                + "".join(map(_tolerated, range(len(statements)), statements))
            )
            return dict((await self._snapshot(self._again)).forms)
        except ServerError as error:
            raise NoScratch(f"the server refuses a second scratch schema: {error.message}") from error

    async def _rebuilt(self, migrations: Iterable[Migration]) -> list[_Rebuilt]:
        known = await self._session.ask(queries.question("scratch_look"))
        if not known["may_create"]:
            raise NoScratch("it takes the privilege CREATE on the database")
        beside = Surroundings(frozenset(known["schemas"]), frozenset(self._homes) - {self._target}, self._hosted)
        found: list[_Rebuilt] = []
        for migration in migrations:
            all_pieces = list(pieces(migration, beside))
            self.left_out += [each for each in all_pieces if isinstance(each, LeftOut)]
            printed = [each for each in proof.declared_by(migration, hosted=self._hosted) if _is_wanted(each)]
            kept = tuple(each for each in all_pieces if isinstance(each, Piece))
            found.append(_Rebuilt(migration, kept, tuple(printed)))
        return found

    async def _run(self, rebuilt: Sequence[_Rebuilt], *, tolerant: bool) -> list[Answer]:
        session = self._session
        message = self._opening({word for each in rebuilt for piece in each.pieces for word in _words(piece.text)})
        place = 0
        for each in rebuilt:
            message += session.path((self._site.schema, self._shadow, *self._homes))
            for piece in each.pieces:
                message += _tolerated(place, piece.text) if tolerant else f"{piece.text}\n;\n"
                place += 1
            message += session.path() + proof.statement(each.printed, self._site, judging=False)
            message += queries.answering("SELECT current_setting('kimbledb.forms')::jsonb")
        return await session.transact(BEGIN + session.remember(), message)

    def _opening(self, words: Collection[str]) -> str:
        session = self._session
        return (
            session.settings()
            + f"SET LOCAL lock_timeout = {_PATIENCE};\nSET LOCAL check_function_bodies = off;\n"
            + f"DO {quote_literal(guard_of(self._homes, self._site.reached))};\n"
            + session.path()
            + queries.block(
                "scratch_begin",
                schema=quote_identifier(self._site.schema),
                shadow=quote_identifier(self._shadow),
                homes=quote_array(self._homes),
                words=quote_array(sorted(words)),
            )
        )

    def _note_failures(self, rebuilt: Sequence[_Rebuilt], answers: Iterable[Answer]) -> None:
        places = [(each.migration, piece) for each in rebuilt for piece in each.pieces]
        for answer in answers:
            if answer.code == LEFT_OUT:
                place, sqlstate, message = answer.value
                migration, piece = places[place]
                reason = f"it fails beside the live schema: {message} (SQLSTATE {sqlstate})"
                self.left_out.append(LeftOut(migration.name, migration.file(piece.part), piece.line, reason))

    async def _snapshot(self, schema: str, *, whole: bool = False) -> Snapshot:
        question = snapshot.query(schema, sources=whole, needs=whole)
        path = quote_literal(path_of((schema, *self._homes)))
        answers = await self._session.send(
            self._session.path() + pin(PINNED_FOR_QUESTIONS) + queries.anonymous(queries.printed(question, path))
        )
        return snapshot.snapshot_of(answers[-1].value)


def _is_wanted(each: Declared) -> bool:
    return each.is_printed and not each.is_reached


def _tolerated(place: int, statement: str) -> str:
    return queries.block("scratch_statement", place=str(place), statement=quote_literal(statement))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z_][a-z0-9_$]*", text.lower())
