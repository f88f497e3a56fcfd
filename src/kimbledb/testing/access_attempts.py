"""Attempts of each person to reach the rows of the other one, each in a transaction that is rolled back.

A refusal is an insufficient privilege (SQLSTATE 42501) or a statement that finds no
row. Every other outcome passed the policies, an error of a constraint included:
PostgreSQL checks policies before constraints.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.text import counted
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import Connection, ServerError, first_line
from kimbledb.testing.isolation_report import Breach
from kimbledb.testing.ownership import Ownership
from kimbledb.testing.sample_rows import Row, SampleRows

#: The SQLSTATE classes of data and of constraints, which PostgreSQL checks after the policies (manual, appendix A).
_AFTER_THE_POLICIES = ("22", "23")


@asynccontextmanager
async def acting_as(connection: Connection, role: str, person: str) -> AsyncIterator[None]:
    """Act as a person in a savepoint, and roll back to it at the end.

    Args:
        connection: A connection in a transaction.
        role: The person's role.
        person: The id, for the claim ``sub`` and for the setting ``kimbledb.user_id``.
    """
    async with connection.transaction(kept=False):
        await connection.execute(
            f"SET LOCAL ROLE {quote_identifier(role)};"
            f'SET LOCAL "request.jwt.claims" = {quote_literal(json.dumps({"sub": person, "role": role}))};'
            f"SET LOCAL kimbledb.user_id = {quote_literal(person)}"
        )
        yield


class AccessAttempts:
    """The attempts on the owned tables of one schema, and their results.

    Args:
        connection: A connection in a transaction.
        role: The role of the two people.
        ownership: The tables and their owners.
        samples: The rows of the two people.

    Attributes:
        breaches: The accesses that the database should have refused.
        loose: The references to another person's row that the database allowed.
        seen: The number of own rows that a person could read, by table.
        untried: The tables that could not be tried, each with the reason.
        tries: The number of attempts.
    """

    def __init__(self, connection: Connection, role: str, ownership: Ownership, samples: SampleRows) -> None:
        self.breaches: list[Breach] = []
        self.loose: list[Breach] = []
        self.seen: dict[str, int] = {}
        self.untried: dict[str, str] = {}
        self.tries = 0
        self._connection = connection
        self._role = role
        self._ownership = ownership
        self._samples = samples

    async def try_table(self, table: str) -> None:
        """Try, as each of the two people, to read, change, delete, take over, insert and hand over rows of a table."""
        privileges = await self._privileges(table)
        people = self._samples.people
        for actor, victim in (people, people[::-1]):
            mine, theirs = self._samples.rows[table, actor], self._samples.rows[table, victim]
            await self._try_reading(table, actor, privileges["SELECT"], mine, theirs)
            for row in theirs:
                await self._try_changing(table, actor, privileges, row)
            await self._try_moving(table, actor, victim, privileges)

    async def _privileges(self, table: str) -> Mapping[str, list[str]]:
        """Return the columns that the role may SELECT, INSERT and UPDATE."""
        name = self._samples.qualified(table)
        query = queries.filled("test_columns_granted", table=quote_literal(name), role=quote_literal(self._role))
        [[answer]] = await self._connection.fetch(query)
        privileges: Mapping[str, list[str]] = json.loads(answer)
        return privileges

    async def _try_reading(
        self, table: str, actor: str, readable: Sequence[str], mine: Sequence[Row], theirs: Sequence[Row]
    ) -> None:
        self.seen.setdefault(table, 0)
        if not readable:
            return
        names = ", ".join(map(quote_identifier, readable))
        async with self._acting_as(actor):
            answers = await self._connection.fetch(
                f"SELECT to_jsonb(r) FROM (SELECT {names} FROM {self._samples.qualified(table)}) AS r"
            )
        found = [json.loads(answer[0]) for answer in answers]
        own = [{name: row[name] for name in readable} for row in mine]
        others = [{name: row[name] for name in readable} for row in theirs]
        owners = [name for name in self._ownership.owner_columns(table) if name in readable]
        # Triggers may have inserted rows beside the samples; the owner column shows their owner.
        leaked = [
            row
            for row in found
            if (row in others and row not in own) or any(row[name] not in (actor, None) for name in owners)
        ]
        self.seen[table] = max(self.seen[table], sum(row in own for row in found))
        if leaked:
            self.breaches.append(Breach(table, "read", f"{counted(leaked, 'row')} of another person"))

    async def _try_changing(self, table: str, actor: str, privileges: Mapping[str, list[str]], row: Row) -> None:
        """Try to change, delete and take over one row of the other person."""
        name, facts = self._samples.qualified(table), self._ownership.tables[table]
        key, owners = facts["key"], self._ownership.owner_columns(table)
        # Find the row by its key where the role may read the key, else try every row.
        only = "$1::jsonb IS NOT NULL"
        if key and set(key) <= set(privileges["SELECT"]):
            only = " AND ".join(f"{quote_identifier(each)} = {self._samples.parameter(table, each)}" for each in key)
        linked = {column for reference in facts["references"] for column in reference["columns"]}
        special = {*facts["unique"], *linked, *owners}
        changeable = sorted(privileges["UPDATE"], key=lambda column: column in special)
        statements = {"delete": f"DELETE FROM {name} WHERE {only}"}
        if changeable:
            new = f"{quote_identifier(changeable[0])} = {self._samples.parameter(table, changeable[0])}"
            statements["change"] = f"UPDATE {name} SET {new} WHERE {only}"
        if owners and set(owners) <= set(privileges["UPDATE"]):
            new = ", ".join(f"{quote_identifier(column)} = {quote_literal(actor)}" for column in owners)
            statements["steal"] = f"UPDATE {name} SET {new} WHERE {only}"
        for act, statement in statements.items():
            if await self._passes(table, act, actor, statement, row, touching=row):
                self.breaches.append(Breach(table, act, "a row of another person"))

    async def _try_moving(self, table: str, actor: str, victim: str, privileges: Mapping[str, list[str]]) -> None:
        """Try to insert rows that belong to the other person or reference that person's rows, and to make own rows so."""
        for detail, owning, link in self._links(table, victim):
            try:
                row = self._samples.new_row(table, actor, turn=0) | link
            except LookupError:
                continue  # `untried` has the reason already
            new = ", ".join(f"{quote_identifier(name)} = {self._samples.parameter(table, name)}" for name in link)
            statements = {
                "insert": (self._samples.insert_statement(table, row), row, "INSERT"),
                "give": (f"UPDATE {self._samples.qualified(table)} SET {new}", link, "UPDATE"),
            }
            for act, (statement, values, privilege) in statements.items():
                permitted = set(values) <= set(privileges[privilege])
                if permitted and await self._passes(table, act, actor, statement, values):
                    (self.breaches if owning else self.loose).append(Breach(table, act, detail))

    def _links(self, table: str, victim: str) -> list[tuple[str, bool, Row]]:
        """Return each way in which a row can be tied to the other person.

        A row belongs to the other person by its owner column, or as a part of that person's row:
        by a reference that deletes the row with its parent, or by any reference where the table
        has no owner column. Any other reference is a loose one.

        Returns:
            For each way the detail of the breach, whether the row then belongs to the other person, and the columns.
        """
        mine = self._ownership.owner_columns(table)
        links: list[tuple[str, bool, Row]] = []
        if mine:
            links.append(("as a row of another person", True, dict.fromkeys(mine, victim)))
        for reference in self._ownership.tables[table]["references"]:
            parent = reference["table"]
            parents = self._samples.rows.get((parent, victim), [])
            if parent in self._ownership.owned and parents and not set(reference["columns"]) <= set(mine):
                columns = dict(zip(reference["columns"], reference["targets"], strict=True))
                values = {column: parents[0][target] for column, target in columns.items()}
                owning = not mine or (reference["part"] and parent != table)
                links.append((f"{', '.join(columns)} references a row of another person in {parent}", owning, values))
        return links

    async def _passes(
        self, table: str, act: str, actor: str, statement: str, values: Row, *, touching: Row | None = None
    ) -> bool:
        """Try a statement, roll it back, and return whether the database let it through.

        Args:
            table: The table.
            act: The word for the attempt.
            actor: The person who tries.
            statement: The statement, with one parameter.
            values: The parameter: a row as JSON.
            touching: Where given, the row that the statement must have written to.
        """
        try:
            async with self._acting_as(actor):
                changed = await self._connection.change(statement, json.dumps(values))
                if touching is None or not changed:
                    return changed > 0
                await self._connection.execute("RESET ROLE")
                # PostgreSQL writes a changed row to a new position; an untouched row keeps its position.
                query = (
                    f"SELECT count(*) FROM {self._samples.qualified(table)} AS r"
                    " WHERE to_jsonb(r) = $1::jsonb AND ctid = ANY ($2::text[]::tid[])"
                )
                places = self._samples.places[table]
                [[untouched]] = await self._connection.fetch(query, json.dumps(touching), places)
                return bool(untouched == 0)
        except ServerError as error:
            if error.sqlstate == INSUFFICIENT_PRIVILEGE:
                return False
            if error.sqlstate[:2] not in _AFTER_THE_POLICIES:
                self.untried[table] = f"{act}: {first_line(error)}"
                return False
            # A constraint is checked after the policies; a trigger that raises such an error refuses.
            return bool(error.constraint_name or error.column_name)

    @asynccontextmanager
    async def _acting_as(self, person: str) -> AsyncIterator[None]:
        self.tries += 1
        async with acting_as(self._connection, self._role, person):
            yield
