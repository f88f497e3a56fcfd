"""The queries of an application, tried on the clone before the plan and after each of its steps.

Each is prepared, and executed in a transaction that is rolled back: a new column that is NOT NULL shows only when the old
INSERT is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from kimbledb.execution.messages import END_OF_SCRIPT
from kimbledb.execution.rehearsing.placeholders import numbered
from kimbledb.model.names import quote_literal
from kimbledb.model.rehearsal import BrokenQuery
from kimbledb.model.text import one_line
from kimbledb.server import queries
from kimbledb.server.driver import ServerError
from kimbledb.server.session import BEGIN, Session

_NAME = "kimbledb_query"
#: The statements that can be prepared by name.
_PREPARABLE = re.compile(r"\s*(?:\(|(?:select|insert|update|delete|merge|with|values|table)\b)", re.IGNORECASE)
_NOT_NULL = "23502"


@frozen
class _Outcome:
    """What a query gives."""

    #: The names and types of the columns of its result, or None where it cannot be prepared.
    columns: tuple[tuple[str, str], ...] | None
    #: What it meets when it is prepared or executed: SQLSTATE and message; None where it works.
    error: tuple[str, str] | None = None


@define(eq=False)
class OldQueries:
    """Queries of an application on a clone."""

    session: Session
    path: Sequence[str]
    breaks: list[BrokenQuery] = field(factory=list)
    #: How many queries there are.
    count: int = 0
    #: The queries that did not work before the plan.
    unfit: list[str] = field(factory=list)
    #: Those that work as before, with what they gave then.
    _kept: dict[str, _Outcome] = field(init=False, factory=dict)

    async def begin(self, texts: Iterable[str]) -> None:
        """Try the queries before the plan.

        Args:
            texts: The queries.
        """
        session = self.session
        await session.send(session.settings(for_session=True) + session.path(self.path, for_session=True))
        for text in dict.fromkeys(texts):
            self.count += 1
            outcome = await self._try(text)
            if outcome.columns is None:
                self.unfit.append(text)
            else:
                self._kept[text] = outcome

    async def after(self, migration: str) -> None:
        """Try them after a migration, and note those that it breaks.

        Args:
            migration: Its name.
        """
        for text, before in list(self._kept.items()):
            reason = _difference(before, await self._try(text))
            if reason is not None:
                del self._kept[text]
                self.breaks.append(BrokenQuery(query=text, migration=migration, reason=one_line(reason)))

    async def _try(self, text: str) -> _Outcome:
        query = numbered(text)
        try:
            columns = tuple(await self.session.connection.describe(query))
        except ServerError as error:
            return _Outcome(None, _described(error))
        if _PREPARABLE.match(query) is None:
            return _Outcome(columns)
        try:
            prepare = f"{BEGIN}PREPARE {_NAME} AS {query}{END_OF_SCRIPT}"
            question = queries.question("rehearse_parameters", name=quote_literal(_NAME))
            [answer] = await self.session.send(
                f"{prepare}{self.session.path()}{question}{self.session.path(self.path)}"
            )
            values = f"({', '.join(answer.value)})" if answer.value else ""
            await self.session.send(f"EXECUTE {_NAME}{values};\nSET CONSTRAINTS ALL IMMEDIATE;\nROLLBACK;\n")
        except ServerError as error:
            return _Outcome(columns, _described(error))
        finally:
            await self.session.send("DEALLOCATE ALL;\n")
        return _Outcome(columns)


def _described(error: ServerError) -> tuple[str, str]:
    return error.sqlstate, error.message.splitlines()[0]


def _difference(before: _Outcome, after: _Outcome) -> str | None:
    """Return why a query no longer works as before, or None."""
    if after.error is not None and _is_new(before.error, after.error):
        return f"{after.error[1]} (SQLSTATE {after.error[0]})"
    if before.columns is None or after.columns is None or before.columns == after.columns:
        return None
    was, now = dict(before.columns), dict(after.columns)
    lines = [f"column {name} {kind} is gone" for name, kind in was.items() if name not in now]
    lines += [f"column {name} {kind} is new" for name, kind in now.items() if name not in was]
    lines += [
        f"column {name} changes from {was[name]} to {kind}" for name, kind in now.items() if was.get(name, kind) != kind
    ]
    return f"its result is another: {', '.join(lines) or 'its columns are in another order'}"


def _is_new(before: tuple[str, str] | None, after: tuple[str, str]) -> bool:
    """Return whether an error is another than before: values that are made up for parameters break rules, as well."""
    if before is None or before[0] != after[0]:
        return True
    return after[0] == _NOT_NULL and before != after
