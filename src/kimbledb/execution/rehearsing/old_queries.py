"""The queries of an application, tried on the clone before the plan and after each of its migrations.

Each is prepared, and executed in a transaction that is rolled back: a new column that is NOT NULL shows only when the old
INSERT is executed. Tables without rows get made-up ones in that transaction, the same each time. The role that migrates
may do everything, so each query is tried as each role, too, that is granted something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from kimbledb.execution.rehearsing import outcomes
from kimbledb.execution.rehearsing.outcomes import Before, Columns, Outcome, Tables
from kimbledb.execution.rehearsing.placeholders import numbered
from kimbledb.execution.rehearsing.query_values import HeldTable, Parameter, tries_of
from kimbledb.inspection import preflight, snapshot
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.rehearsal import BrokenQuery
from kimbledb.planning.sample_rows import filling, sample_tables
from kimbledb.server import queries
from kimbledb.server.driver import ServerError
from kimbledb.server.loops import END_OF_SCRIPT
from kimbledb.server.session import BEGIN, Session

_NAME = "kimbledb_query"
#: The statements that can be prepared by name, and those that are executed without.
_PREPARABLE = re.compile(r"\s*(?:\(|(?:select|insert|update|delete|merge|with|values|table)\b)", re.IGNORECASE)
_CALL = re.compile(r"\s*call\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$(\d+)")
#: The most rows of a table that are held, and of a result that are compared.
_MOST_HELD, _MOST_RETURNED = 20, 1000
#: The number of executions one message holds.
_AT_ONCE = 1000
#: The seeds of random(): two that differ before the plan, and the first one again after it.
_SEEDS = ("0.25", "0.75")


@frozen
class _Try:
    """One way of executing a query."""

    query: str
    role: str | None
    #: The values of its parameters, as SQL.
    values: tuple[str, ...]
    #: Whether it gives rows.
    returns: bool

    @property
    def sent(self) -> dict[str, Any]:
        """What a round takes."""
        if _CALL.match(self.query) is not None:
            text = _PLACEHOLDER.sub(lambda found: self.values[int(found[1]) - 1], self.query)
            return {"role": self.role, "prepare": None, "execute": text, "returns": False}
        values = f"({', '.join(self.values)})" if self.values else ""
        return {
            "role": self.role,
            "prepare": f"PREPARE {_NAME} AS {self.query}",
            "execute": f"EXECUTE {_NAME}{values}",
            "returns": self.returns,
        }


@define(eq=False)
class _Kept:
    """A query that works before the plan."""

    query: str
    columns: Columns
    tries: dict[_Try, Before] = field(factory=dict)


@define(eq=False)
class OldQueries:
    """Queries of an application on a clone."""

    session: Session
    path: Sequence[str]
    #: The target schema, and all that the clone has.
    schema: str
    schemas: Collection[str]
    #: Whether the clone holds rows of the target.
    sampled: bool = False
    breaks: list[BrokenQuery] = field(factory=list)
    #: The number of queries.
    count: int = 0
    #: The queries that did not work before the plan.
    unfit: list[str] = field(factory=list)
    #: The roles as which none could be tried, since this takes a superuser.
    untried: set[str] = field(factory=set)
    #: Those that work as before, by their texts.
    _kept: dict[str, _Kept] = field(init=False, factory=dict)
    #: The rows with which they are executed.
    _held: list[HeldTable] = field(init=False, factory=list)

    async def begin(self, texts: Iterable[str]) -> None:
        """Try the queries before the plan.

        Args:
            texts: The queries.
        """
        texts = dict.fromkeys(texts)
        if not texts:
            return
        session = self.session
        settings = session.settings(for_session=True) + "SET row_security = on;\n"
        await session.send(settings + session.path(self.path, for_session=True))
        await self._hold()
        roles = [
            None,
            *await session.ask(queries.question("rehearse_roles", schemas=quote_array(sorted(self.schemas)))),
        ]
        tries: list[_Try] = []
        for text in texts:
            self.count += 1
            query = numbered(text)
            columns = await self._columns(query)
            if isinstance(columns, ServerError):
                self.unfit.append(text)
                continue
            self._kept[text] = _Kept(query, columns)
            for values in await self._values(query):
                tries += [_Try(query, role, values, bool(columns)) for role in roles]
        first, tables = await self._round(tries, _SEEDS[0])
        second, _ = await self._round(tries, _SEEDS[1])
        by_query = {each.query: each for each in self._kept.values()}
        for each, one, other in zip(tries, first, second, strict=True):
            before = Before(one, other, tables)
            # A role that may not do it is none that the application has.
            if each.role is None or before.works:
                by_query[each.query].tries[each] = before
            elif not one.assumed:
                self.untried.add(each.role)

    async def after(self, migration: str) -> None:
        """Try them after a migration, and note those that it breaks.

        Args:
            migration: Its name.
        """
        broken: dict[str, tuple[str, str | None]] = {}
        for text, kept in self._kept.items():
            columns = await self._columns(kept.query)
            if isinstance(columns, ServerError):
                broken[text] = _described(columns), None
            elif (reason := outcomes.changed_columns(kept.columns, columns)) is not None:
                broken[text] = reason, None
        left = {text: kept for text, kept in self._kept.items() if text not in broken}
        tries = [(text, each) for text, kept in left.items() for each in kept.tries]
        found, there = await self._round([each for _, each in tries], _SEEDS[0])
        for (text, each), now in zip(tries, found, strict=True):
            if text not in broken:
                kept = left[text]
                reason = outcomes.difference(
                    kept.query, kept.columns, kept.tries[each], now, there, fixed=not self.sampled
                )
                if reason is not None:
                    broken[text] = reason, each.role
        for text in [each for each in self._kept if each in broken]:
            reason, role = broken[text]
            del self._kept[text]
            self.breaks.append(BrokenQuery(query=text, migration=migration, reason=reason, role=role))

    async def _hold(self) -> None:
        """Make up rows, where the clone has none, and note them."""
        made = "NULL"
        if not self.sampled:
            found = await snapshot.take(self.session, self.schema, self.path)
            objects = {key: DatabaseObject(*key, facts) for key, facts in found.objects.items()}
            made = filling(sample_tables(objects))
        block = queries.block(
            "rehearse_held_rows",
            filling=made,
            schemas=quote_array(sorted(self.schemas)),
            without=quote_array(preflight.HISTORY),
            most=str(_MOST_HELD),
        )
        [answer] = await self.session.send(f"{BEGIN}{self.session.path(self.path)}{block}ROLLBACK;\n")
        self._held = [HeldTable(oid, name, columns, keys, rows) for oid, name, columns, keys, rows in answer.value]

    async def _columns(self, query: str) -> Columns | ServerError:
        try:
            return await self.session.connection.describe(query)
        except ServerError as error:
            return error

    async def _values(self, query: str) -> list[tuple[str, ...]]:
        """Return the values with which a query is executed; none where it is not executed."""
        if _CALL.match(query) is not None:
            count = max((int(each) for each in _PLACEHOLDER.findall(query)), default=0)
            return [("NULL",) * count]
        if _PREPARABLE.match(query) is None:
            return []
        question = queries.question("rehearse_parameters", name=quote_literal(_NAME))
        prepare = f"{BEGIN}PREPARE {_NAME} AS {query}{END_OF_SCRIPT}"
        try:
            [answer] = await self.session.send(f"{prepare}{self.session.path()}{question}ROLLBACK;\n")
        except ServerError:
            return []
        finally:
            await self.session.send("DEALLOCATE ALL;\n")
        return tries_of(query, [Parameter(*each) for each in answer.value], self._held)

    async def _round(self, tries: Sequence[_Try], seed: str) -> tuple[list[Outcome], Tables]:
        """Execute queries, and return what each gives, and the tables that are there."""
        found: list[Outcome] = []
        tables = Tables()
        for place in range(0, len(tries), _AT_ONCE):
            some, tables = await self._some(tries[place : place + _AT_ONCE], seed)
            found += some
        return found, tables

    async def _some(self, tries: Sequence[_Try], seed: str) -> tuple[list[Outcome], Tables]:
        held: list[Any] = []
        if not self.sampled:
            held = [[each.oid, each.name, each.columns, each.keys, each.rows] for each in self._held]
        given: Mapping[str, Any] = {"held": held, "tries": [each.sent for each in tries]}
        block = queries.block(
            "rehearse_round",
            given=f"{quote_literal(json.dumps(given))}::jsonb",
            name=quote_literal(_NAME),
            seed=seed,
            most=str(_MOST_RETURNED),
            without=quote_array(preflight.HISTORY),
        )
        try:
            [answer] = await self.session.send(f"{BEGIN}{block}ROLLBACK;\n")
        except ServerError as error:
            # One of them ended the whole, by a timeout or an ASSERT: they are tried by fewer, and that one alone.
            await self.session.send("DEALLOCATE ALL;\n")
            if len(tries) == 1:
                return [Outcome((error.sqlstate, error.message.splitlines()[0]))], Tables()
            half = len(tries) // 2
            one, tables = await self._some(tries[:half], seed)
            other, others = await self._some(tries[half:], seed)
            return one + other, others if others.names else tables
        return [Outcome.of(each) for each in answer.value["answers"]], Tables.of(answer.value)


def _described(error: ServerError) -> str:
    return outcomes.described((error.sqlstate, error.message.splitlines()[0]))
