"""The proof that people are kept apart: two of them get rows everywhere, and each tries what is the other's.

It happens in a schema of its own that is dropped at the end, and but for the
migrations in one transaction that is rolled back. Where the server has the roles
``authenticated`` and ``anon`` they are taken; where it has not, roles are made
inside of that transaction and go with it.

What a table is for is read from the schema: a column named ``user_id`` or
``owner_id`` says whose a row is, and a table without one belongs to whom its
parent belongs to. A refusal is what PostgreSQL calls insufficient privilege
(42501), or that no row is found. Everything else got through the policies, also
what a constraint stops afterwards: policies are asked first.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Any

from attrs import frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError, PreflightError
from kimbledb.inspection import history
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Table, listed, rows_of
from kimbledb.model.text import counted
from kimbledb.operations.api import migrate
from kimbledb.server import queries
from kimbledb.server.drivers import ServerError, driver_errors
from kimbledb.server.options import Options
from kimbledb.server.session import Session, first_line
from kimbledb.server.targets import TargetLike, target_of

#: Columns that say whose a row is.
OWNERS = ("user_id", "owner_id")

#: Rows that a person gets in a table: two, since a row may have to name two others that differ.
_ROWS = 2
_WORDS = re.compile(r"'((?:[^']|'')*)'")
#: The SQLSTATE of an insufficient privilege (manual, appendix A).
_REFUSED = "42501"
#: Classes of errors of constraints and data, which come after the policies (manual, appendix A).
_AFTERWARDS = ("22", "23")


@frozen
class Breach:
    """Something that a person could do and should not."""

    #: The table, or for ``anon`` any thing, such as ``function search_all(text)``.
    thing: str
    #: ``read``, ``insert``, ``change``, ``delete``, ``steal`` (make another's row one's own),
    #: ``give`` (make one's own row another's), or for ``anon`` a privilege.
    act: str
    #: What happened.
    detail: str

    def __str__(self) -> str:
        return f"{self.thing}: {self.act}: {self.detail}"


@frozen(eq=False)
class IsolationReport(Report):
    """What :func:`check_isolation` found."""

    #: The tables whose rows belong to somebody, each with how many of their own rows a person could read.
    tables: Mapping[str, int]
    breaches: tuple[Breach, ...]
    #: Own rows that may name a row of another's, which then is neither read nor changed, only
    #: known to be there and perhaps kept from being deleted. Not counted by :attr:`ok`.
    loose: tuple[Breach, ...]
    #: Tables that could not be tried, each with the reason.
    untried: Mapping[str, str]
    #: How often something was tried.
    tries: int
    #: The roles that people and strangers had.
    roles: tuple[str, str]

    @property
    def ok(self) -> bool:
        """Whether every table was tried, and nobody got at what is another's."""
        return not self.breaches and not self.untried

    @property
    def summary(self) -> str:
        """How often what was tried, and how much of it was not refused."""
        seen = sum(count > 0 for count in self.tables.values())
        people, nobody = self.roles
        return (
            f"{self.tries} tries as {people} on {counted(self.tables, 'table')} that belong to people"
            f" ({seen} show them their own), and as {nobody}: "
            + ("each was refused" if self.ok else f"{len(self.breaches)} NOT REFUSED, {len(self.untried)} not tried")
        )

    def as_tables(self) -> tuple[Table, ...]:
        """Return the breaches and what could not be tried, then what is not counted."""
        untried = (f"{table}: not tried: {reason}" for table, reason in self.untried.items())
        return (Table(self.summary, rows_of([*self.breaches, *untried])), *listed("not counted", self.loose))

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``ok``, ``tables``, ``untried``, ``tries``, ``roles``: as the attributes. ``breaches``, ``loose``: each with the
        attributes of a :class:`Breach`.
        """
        return {
            "ok": self.ok,
            "tables": plain(self.tables),
            "breaches": plain(self.breaches),
            "loose": plain(self.loose),
            "untried": plain(self.untried),
            "tries": self.tries,
            "roles": plain(self.roles),
        }


async def check_isolation(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    owners: Collection[str] = OWNERS,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    options: Options | None = None,
) -> IsolationReport:
    """Prove that people cannot touch each other's rows, on a fresh schema of its own.

    Two people get rows in every table that has an owner, by itself or by its
    parent. As ``authenticated`` each tries to read, change, delete and steal the
    other's rows, to insert rows as the other or under what is the other's, and to
    give rows away. ``anon`` may do nothing at all. The identity is given by the claim
    ``sub`` of ``request.jwt.claims`` and by the setting ``kimbledb.user_id``.

    Nothing stays but extensions that were missing. The role must be allowed to
    make a schema, and roles where the server has none for people.

    Args:
        target: As for :func:`kimbledb.migrate`.
        catalog: As for :func:`kimbledb.migrate`.
        owners: The names of columns that say whose a row is.
        values: By table and column what to put into rows where what is made up does not do.
        options: As for :func:`kimbledb.migrate`.

    Raises:
        ConfigurationError: The target cannot be used.
        PreflightError: The role may not take the part of people.
        MigrationError: The catalog cannot be applied to a fresh schema.
    """
    options = options or Options()
    where = target_of(target)
    schema = f"kimbledb_isolation_{secrets.token_hex(4)}"
    with driver_errors():
        try:
            await migrate(where, catalog=catalog, schema=schema, verify=False, options=options)
            async with where.session(options) as session:
                return await _Trial(session, schema, tuple(owners), values or {}).run()
        finally:
            async with where.session(options) as session:
                await session.send(f"DROP SCHEMA IF EXISTS {quote_identifier(schema)} CASCADE")


class _Trial:
    """One check: the schema, its people and their rows."""

    def __init__(
        self, session: Session, schema: str, owners: tuple[str, ...], values: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.session = session
        self.connection = session.connection
        self.schema = schema
        self.owners = owners
        self.values = values
        # Valid where an owner's column is a uuid, and where it is text.
        self.people = (str(uuid.uuid4()), str(uuid.uuid4()))
        self.rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        #: Where the rows of each table stand.
        self.places: dict[str, list[str]] = {}
        self.seen: dict[str, int] = {}
        self.loose: list[Breach] = []
        self.breaches: list[Breach] = []
        self.untried: dict[str, str] = {}
        self.tries = 0
        self.numbers = itertools.count(1)

    async def run(self) -> IsolationReport:
        state = await history.look(self.session, self.schema)
        found = await self.session.ask(queries.question("test_tables", schema=quote_literal(self.schema)))
        self.tables: dict[str, dict[str, Any]] = {table["name"]: table for table in found}
        self.owned = self._owned()
        async with self.connection.transaction(kept=False):
            path = state.search_path(self.schema, state.extensions)
            await self.connection.execute(Session.path(path))
            people, nobody = await self._roles()
            for table in self._order():
                await self._fill(table)
            for table in self.tables:
                await self._look_again(table)
            for table in sorted(self.owned):
                if table not in self.untried:
                    await self._try_table(people, table)
            may = await self._ask("test_granted", schema=quote_literal(self.schema), role=quote_literal(nobody))
            self.breaches += [Breach(thing, right, f"{nobody} may") for thing, right in may]
        return IsolationReport(
            self.seen, _once(self.breaches), _once(self.loose), self.untried, self.tries, (people, nobody)
        )

    # Whose a table's rows are.

    def _owner_columns(self, table: str) -> list[str]:
        columns = {column["name"] for column in self.tables[table]["columns"]}
        return [name for name in self.owners if name in columns] or self._own_id(table)

    def _own_id(self, table: str) -> list[str]:
        """Return the column by which people themselves are listed: what owners' columns refer to."""
        for other in self.tables.values():
            for reference in other["references"]:
                if (
                    reference["table"] == table
                    and len(reference["columns"]) == 1
                    and reference["columns"][0] in self.owners
                ):
                    return list(reference["targets"])
        return []

    def _owned(self) -> set[str]:
        owned = {table for table in self.tables if self._owner_columns(table)}
        while True:
            more = {
                name
                for name, table in self.tables.items()
                if name not in owned and any(reference["table"] in owned for reference in table["references"])
            }
            if not more:
                return owned
            owned |= more

    def _order(self) -> list[str]:
        """Return the tables, parents first."""
        parents = {
            name: {each["table"] for each in self._wanted_references(name) if each["table"] != name}
            for name in self.tables
        }
        try:
            return list(TopologicalSorter(parents).static_order())
        except CycleError as error:
            raise ConfigurationError(
                f"tables need each other's rows in a circle: {' -> '.join(error.args[1])}",
                hint="let one of the columns be NULL",
            ) from error

    def _wanted_references(self, table: str) -> list[dict[str, Any]]:
        """Return the references that a row is made with: those it must have, and those that say whose it is."""
        required = {column["name"] for column in self.tables[table]["columns"] if column["required"]}
        mine = self._owner_columns(table)
        return [
            each
            for each in self.tables[table]["references"]
            if required & set(each["columns"])
            or set(each["columns"]) & set(mine)
            or (not mine and each["table"] in self.owned and each["table"] != table)
        ]

    # Rows.

    def _made_up(self, table: str, person: str, *, turn: int) -> dict[str, Any]:
        """Return a new row of a person's, with what it must have.

        Raises:
            LookupError: A value cannot be made up, or a parent has no row.
        """
        facts = self.tables[table]
        row = {
            column["name"]: _value(column, facts["checks"], next(self.numbers))
            for column in facts["columns"]
            if column["required"]
        }
        row |= dict.fromkeys(self._owner_columns(table), person)
        used: dict[str, int] = {}
        for reference in self._wanted_references(table):
            parent = reference["table"]
            if parent == table and set(reference["targets"]) <= row.keys():
                continue
            rows = self.rows.get((parent, person), [])
            if not rows:
                raise LookupError(f"its parent {parent} has no row")
            # Two references to one table name two rows of it.
            chosen = rows[(turn + used.get(parent, 0)) % len(rows)]
            used[parent] = used.get(parent, 0) + 1
            row |= {
                column: chosen[target]
                for column, target in zip(reference["columns"], reference["targets"], strict=True)
            }
        return row | dict(self.values.get(table, {}))

    async def _fill(self, table: str) -> None:
        for person in self.people:
            made: list[dict[str, Any]] = []
            for turn in range(_ROWS):
                try:
                    row = self._made_up(table, person, turn=turn)
                    async with self.connection.transaction(kept=True):
                        [[answer]] = await self.connection.fetch(
                            f"{self._insert(table, row)} RETURNING to_jsonb({quote_identifier(table)}.*)",
                            json.dumps(row),
                        )
                    made.append(json.loads(answer))
                except (ServerError, LookupError) as error:
                    if not made and table in self.owned:
                        self.untried[table] = f"no row can be made up: {first_line(error)}; give `values` for it"
                    break  # one is enough where a person can have no second one
            self.rows[table, person] = made

    async def _look_again(self, table: str) -> None:
        """Read the rows as they are when all is there, since triggers write too, and where they stand."""
        key = self.tables[table]["key"]
        found = await self.connection.fetch(f"SELECT to_jsonb(r), ctid::text FROM {self._name(table)} AS r")
        present = [json.loads(row[0]) for row in found]
        self.places[table] = [row[1] for row in found]
        for person in self.people:
            made = self.rows[table, person]
            self.rows[table, person] = [
                row for row in present if any(all(row[name] == each[name] for name in key or row) for each in made)
            ]

    def _insert(self, table: str, columns: Collection[str]) -> str:
        names = ", ".join(map(quote_identifier, columns))
        return (
            f"INSERT INTO {self._name(table)} ({names}) SELECT {names} "
            f"FROM jsonb_populate_record(NULL::{self._name(table)}, $1::jsonb)"
        )

    def _given(self, table: str, column: str) -> str:
        """Return the expression for a column's value in the row that is a statement's parameter."""
        return f"(jsonb_populate_record(NULL::{self._name(table)}, $1::jsonb)).{quote_identifier(column)}"

    def _name(self, table: str) -> str:
        return f"{quote_identifier(self.schema)}.{quote_identifier(table)}"

    # Tries.

    async def _try_table(self, role: str, table: str) -> None:
        for actor, victim in (self.people, self.people[::-1]):
            mine, theirs = self.rows[table, actor], self.rows[table, victim]
            may = await self._ask(
                "test_columns_granted", table=quote_literal(self._name(table)), role=quote_literal(role)
            )
            await self._try_reading(role, table, actor, may["SELECT"], mine, theirs)
            for row in theirs:
                await self._try_changing(role, table, actor, may, row)
            await self._try_moving(role, table, (actor, victim), may, theirs)

    async def _try_reading(
        self,
        role: str,
        table: str,
        actor: str,
        readable: Sequence[str],
        mine: Sequence[dict[str, Any]],
        theirs: Sequence[dict[str, Any]],
    ) -> None:
        self.seen.setdefault(table, 0)
        if not readable:
            return
        names = ", ".join(map(quote_identifier, readable))
        async with self._as(role, actor):
            answers = await self.connection.fetch(
                f"SELECT to_jsonb(r) FROM (SELECT {names} FROM {self._name(table)}) AS r"
            )
        found = [json.loads(answer[0]) for answer in answers]
        own = [{name: row[name] for name in readable} for row in mine]
        others = [{name: row[name] for name in readable} for row in theirs]
        owners = [name for name in self._owner_columns(table) if name in readable]
        # Triggers may have made rows that we do not know of; an owner's column tells whose they are.
        seen = [
            row
            for row in found
            if (row in others and row not in own) or any(row[name] not in (actor, None) for name in owners)
        ]
        self.seen[table] = max(self.seen[table], sum(row in own for row in found))
        if seen:
            self.breaches.append(Breach(table, "read", f"{counted(seen, 'row')} of another's"))

    async def _try_changing(
        self, role: str, table: str, actor: str, may: dict[str, list[str]], row: dict[str, Any]
    ) -> None:
        """Try to change and to delete a row of another's."""
        facts = self.tables[table]
        key = facts["key"]
        # By its key where the role may name it, else with all that it gets at.
        only = "$1::jsonb IS NOT NULL"
        if key and set(key) <= set(may["SELECT"]):
            only = " AND ".join(f"{quote_identifier(name)} = {self._given(table, name)}" for name in key)
        linked = {name for reference in facts["references"] for name in reference["columns"]}
        special = {*facts["unique"], *linked, *self._owner_columns(table)}
        changeable = sorted(may["UPDATE"], key=lambda name: name in special)
        statements = {"delete": f"DELETE FROM {self._name(table)} WHERE {only}"}
        if changeable:
            new = f"{quote_identifier(changeable[0])} = {self._given(table, changeable[0])}"
            statements["change"] = f"UPDATE {self._name(table)} SET {new} WHERE {only}"
        owners = self._owner_columns(table)
        if owners and set(owners) <= set(may["UPDATE"]):
            new = ", ".join(f"{quote_identifier(name)} = {quote_literal(actor)}" for name in owners)
            statements["steal"] = f"UPDATE {self._name(table)} SET {new} WHERE {only}"
        for act, statement in statements.items():
            if await self._attempt(role, actor, Breach(table, act, ""), statement, row, touching=row):
                self.breaches.append(Breach(table, act, "a row of another's"))

    async def _try_moving(
        self,
        role: str,
        table: str,
        between: tuple[str, str],
        may: dict[str, list[str]],
        theirs: Sequence[dict[str, Any]],
    ) -> None:
        """Try to insert rows that are another's or hang on what is another's, and to make one's own so."""
        actor, victim = between
        for what, owning, link in self._links(table, victim, theirs):
            try:
                row = self._made_up(table, actor, turn=0) | link
            except LookupError:
                continue  # said already
            new = ", ".join(f"{quote_identifier(name)} = {self._given(table, name)}" for name in link)
            statements = {
                "insert": (self._insert(table, row), row, "INSERT"),
                "give": (f"UPDATE {self._name(table)} SET {new}", link, "UPDATE"),
            }
            for act, (statement, values, right) in statements.items():
                breach = Breach(table, act, what)
                if set(values) <= set(may[right]) and await self._attempt(role, actor, breach, statement, values):
                    (self.breaches if owning else self.loose).append(breach)

    def _links(
        self, table: str, victim: str, theirs: Sequence[dict[str, Any]]
    ) -> list[tuple[str, bool, dict[str, Any]]]:
        """Return each way in which a row can be another's: what it is, whether it says whose it is, and the columns.

        A row is another's by its owner's column, or as a part of what is another's: what is
        deleted with it, and what has no owner by itself. Any other reference is a loose one.
        """
        mine = self._owner_columns(table)
        links = [("as another's", True, dict.fromkeys(mine, victim))] if mine else []
        for reference in self.tables[table]["references"]:
            parent = reference["table"]
            parents = theirs if parent == table else self.rows.get((parent, victim), [])
            if parent in self.owned and parents and not set(reference["columns"]) <= set(mine):
                columns = dict(zip(reference["columns"], reference["targets"], strict=True))
                values = {column: parents[0][target] for column, target in columns.items()}
                owning = not mine or (reference["part"] and parent != table)
                links.append((f"{', '.join(columns)} names a row of another's in {parent}", owning, values))
        return links

    async def _attempt(
        self,
        role: str,
        actor: str,
        breach: Breach,
        statement: str,
        values: dict[str, Any],
        *,
        touching: dict[str, Any] | None = None,
    ) -> bool:
        """Try a statement and take back what it did; say whether it got through, and if need be to a certain row."""
        name = self._name(breach.thing)
        try:
            async with self._as(role, actor):
                changed = await self.connection.change(statement, json.dumps(values))
                if touching is None or not changed:
                    return changed > 0
                await self.connection.execute("RESET ROLE")
                # A row that was written to stands elsewhere; one that nobody touched is where it was.
                where = (
                    f"SELECT count(*) FROM {name} AS r WHERE to_jsonb(r) = $1::jsonb AND ctid = ANY ($2::text[]::tid[])"
                )
                [[untouched]] = await self.connection.fetch(where, json.dumps(touching), self.places[breach.thing])
                return bool(untouched == 0)
        except ServerError as error:
            if error.sqlstate == _REFUSED:
                return False
            if error.sqlstate[:2] not in _AFTERWARDS:
                self.untried[breach.thing] = f"{breach.act}: {first_line(error)}"
                return False
            # A constraint is asked after the policies; a trigger that raises such an error refuses.
            return bool(error.constraint_name or error.column_name)

    @asynccontextmanager
    async def _as(self, role: str, person: str) -> AsyncIterator[None]:
        """Be a person for a moment, and take back what was done."""
        self.tries += 1
        async with self.connection.transaction(kept=False):
            await self.connection.execute(
                f"SET LOCAL ROLE {quote_identifier(role)};"
                f'SET LOCAL "request.jwt.claims" = {quote_literal(json.dumps({"sub": person, "role": role}))};'
                f"SET LOCAL kimbledb.user_id = {quote_literal(person)}"
            )
            yield

    async def _roles(self) -> tuple[str, str]:
        """Return the roles of people and of strangers; those that the server lacks are made for this transaction."""
        there = {
            row[0]
            for row in await self.connection.fetch(
                "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('authenticated', 'anon')"
            )
        }
        schema = quote_identifier(self.schema)
        roles = []
        try:
            for name, temporary in (("authenticated", "people"), ("anon", "nobody")):
                role = name
                if name not in there:
                    role = f"kimbledb_{temporary}_{secrets.token_hex(4)}"
                    await self.connection.execute(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER")
                    if temporary == "people":
                        # No migration granted it anything: what stands between people is the policies alone.
                        tables = ", ".join(map(self._name, self.tables))
                        await self.connection.execute(
                            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role};"
                            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};"
                            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}"
                        )
                await self.connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
                roles.append(role)
            async with self._as(roles[0], self.people[0]):
                pass
        except ServerError as error:
            if error.sqlstate != _REFUSED:
                raise
            raise PreflightError(
                [
                    (
                        f"this role cannot take the part of people: {first_line(error)}",
                        "connect as one that may create roles, or GRANT it the roles authenticated and anon",
                    )
                ]
            ) from error
        return roles[0], roles[1]

    async def _ask(self, name: str, **values: str) -> Any:
        [[answer]] = await self.connection.fetch(queries.filled(name, **values))
        return json.loads(answer)


def _value(column: dict[str, Any], checks: Sequence[str], number: int) -> object:
    """Make up a value for a column.

    Raises:
        LookupError: Its type is none of which one can be made up.
    """
    name = column["name"]
    for check in checks:
        if re.search(rf'[(\s]"?{re.escape(name)}"? = ANY ', check) and (words := _WORDS.search(check)):
            return words[1].replace("''", "'")
    if column["label"] is not None:
        return column["label"]
    plain: dict[str, object] = {
        "uuid": str(uuid.uuid4()),
        "json": {},
        "jsonb": {},
        "vector": "[" + ",".join(["0.1"] * max(column["size"], 1)) + "]",
        "bytea": "\\x00",
        "boolean": True,
    }
    by_category: dict[str, object] = {
        "A": [],
        "D": "2001-02-03T04:05:06Z",
        "I": "127.0.0.1",
        "N": number,
        "S": f"x{number}",
        "T": "1 s",
    }
    value = plain.get(column["type"], by_category.get(column["category"]))
    if value is None:
        raise LookupError(f"the column {name} has the type {column['type']}")
    return value


def _once(breaches: Sequence[Breach]) -> tuple[Breach, ...]:
    """Return them without those that are said of both people."""
    return tuple(dict.fromkeys(breaches))
