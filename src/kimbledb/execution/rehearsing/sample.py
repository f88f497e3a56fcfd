"""A sample of rows, where the caller allows it: some of each table, and all that they refer to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from kimbledb.inspection import preflight
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import ServerError
from kimbledb.server.search_path import trusted
from kimbledb.server.session import Session

#: The number of rows one question asks for by their keys.
_AT_ONCE = 1000


@define(eq=False)
class Sampled:
    """The sampled rows of one table."""

    schema: str
    table: str
    is_partitioned: bool
    columns: Sequence[str]
    #: The rows as objects of JSON, by table and place in it.
    rows: dict[str, Mapping[str, Any]] = field(factory=dict)

    @property
    def name(self) -> str:
        """Its name as SQL."""
        return f"{quote_identifier(self.schema)}.{quote_identifier(self.table)}"

    def take(self, found: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
        """Take rows, and return those that are new."""
        new = {place: row for place, row in found if place not in self.rows}
        self.rows |= new
        return list(new.values())


@frozen(eq=False)
class Sample:
    """Rows of the target."""

    tables: Sequence[Sampled] = ()
    #: The tables of which none could be read.
    unread: Sequence[str] = ()

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(len(each.rows) for each in self.tables)


async def read(session: Session, schemas: Iterable[str], reached: Sequence[str], number: int) -> Sample:
    """Read a sample of the target.

    Args:
        session: A session of the target.
        schemas: The schemas that the clone has.
        reached: The schemas that migrations declare to reach, whose owners are trusted.
        number: How many rows of each table are wanted, beside those that other rows refer to.
    """
    names, without = quote_array(sorted(schemas)), quote_array(preflight.HISTORY)
    question = queries.question("rehearse_tables", schemas=names, without=without, trusted=trusted(reached))
    known = await session.ask(question)
    reader = _Reader(session, known)
    await reader.take_some(number)
    await reader.take_what_they_refer_to()
    return Sample([each for each in reader.tables.values() if each.rows], list(reader.unread.values()))


class _Reader:
    """Reads rows of tables, and those that they refer to."""

    def __init__(self, session: Session, known: Mapping[str, Any]) -> None:
        self._session = session
        self.tables = {
            oid: Sampled(schema, name, is_top, columns) for oid, schema, name, is_top, columns in known["tables"]
        }
        #: The keys of each table: the other table, the own columns and those of the other.
        self._keys: dict[int, list[tuple[int, list[str], list[str]]]] = {}
        for child, parent, own, others in known["keys"]:
            if parent in self.tables:
                self._keys.setdefault(child, []).append((parent, own, others))
        self.unread: dict[int, str] = {}
        self._waiting: list[tuple[int, list[Mapping[str, Any]]]] = []

    async def take_some(self, number: int) -> None:
        """Take some rows of each table."""
        for oid, table in self.tables.items():
            try:
                await self._take(oid, f"LIMIT {number}")
            except ServerError as error:
                if error.sqlstate != INSUFFICIENT_PRIVILEGE:
                    raise
                self.unread[oid] = f"{table.schema}.{table.table}"

    async def take_what_they_refer_to(self) -> None:
        """Take the rows that taken ones refer to, until there are none."""
        while self._waiting:
            child, rows = self._waiting.pop()
            for parent, own, others in self._keys.get(child, ()):
                values = {tuple(json.dumps(row[each]) for each in own) for row in rows}
                wanted = [
                    dict(zip(others, map(json.loads, each), strict=True)) for each in values if "null" not in each
                ]
                if parent not in self.unread:
                    for place in range(0, len(wanted), _AT_ONCE):
                        part = wanted[place : place + _AT_ONCE]
                        await self._take(parent, _with_keys(self.tables[parent], others, part))

    async def _take(self, oid: int, which: str) -> None:
        table = self.tables[oid]
        name = table.name if table.is_partitioned else f"ONLY {table.name}"
        found = await self._session.ask(queries.question("rehearse_rows", table=name, which=which))
        if new := table.take((place, content) for place, content in found):
            self._waiting.append((oid, new))


async def give(session: Session, sample: Sample) -> None:
    """Give a clone the rows. Keys are not checked meanwhile.

    Args:
        session: A session of the clone.
        sample: The rows.
    """
    for each in sample.tables:
        rows = quote_literal(json.dumps(list(each.rows.values())))
        columns = ", ".join(map(quote_identifier, each.columns))
        block = queries.block(
            "rehearse_take_rows", table=each.name, columns=columns, rows=rows, literal=quote_literal(each.name)
        )
        await session.send(f"BEGIN;\n{session.settings()}{block}COMMIT;\n")


def _with_keys(table: Sampled, columns: Sequence[str], values: Sequence[Mapping[str, Any]]) -> str:
    own = ", ".join(f"own.{quote_identifier(each)}" for each in columns)
    given = ", ".join(f"given.{quote_identifier(each)}" for each in columns)
    rows = quote_literal(json.dumps(values))
    return (
        f"WHERE ({own}) IN (SELECT {given} FROM jsonb_populate_recordset(NULL::{table.name}, {rows}::jsonb) AS given)"
    )
