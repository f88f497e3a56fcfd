"""Sample rows for two people: made up from the facts of each table, inserted, and read back after all triggers."""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from kimbledb.model.names import quote_identifier
from kimbledb.server.driver import Connection, ServerError, first_line
from kimbledb.testing.ownership import ColumnFacts, Ownership

#: A row, by its columns, as ``to_jsonb()`` gives it.
Row: TypeAlias = dict[str, Any]

#: The number of rows for each person and table: two, since a row may have to reference two different rows of a parent.
_ROWS = 2
#: The number of rows that are made up for a table before it counts as untried. The first has the required columns alone.
#: The others have every optional text too, each with the next value of each list: a type of row may require columns of its own.
_VARIANTS = 4
#: A string literal in a CHECK constraint.
_LITERAL = re.compile(r"'((?:[^']|'')*)'")


class SampleRows:
    """The rows of two people in every table of a schema.

    Args:
        connection: A connection in a transaction; the role may write to every table.
        schema: The schema.
        ownership: The tables and their owners.
        values: Values that replace made-up ones, by table and column.

    Attributes:
        people: The ids of the two people: each is valid as a uuid and as a text.
        rows: The rows, by table and person.
        places: The physical position (ctid) of every row of a table.
        untried: The owned tables without sample rows, each with the reason.
    """

    def __init__(
        self, connection: Connection, schema: str, ownership: Ownership, values: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.people = (str(uuid.uuid4()), str(uuid.uuid4()))
        self.rows: dict[tuple[str, str], list[Row]] = {}
        self.places: dict[str, list[str]] = {}
        self.untried: dict[str, str] = {}
        self._connection = connection
        self._schema = schema
        self._ownership = ownership
        self._values = values
        self._numbers = itertools.count(1)
        #: The variant whose rows a table takes.
        self._variants: dict[str, int] = {}

    async def insert_all(self) -> None:
        """Insert the rows, parents first, then read every table again: triggers write, too.

        Raises:
            ConfigurationError: Tables require each other's rows.
        """
        for table in self._ownership.parents_first():
            await self._fill(table)
        for table in self._ownership.tables:
            await self._read_back(table)

    def new_row(self, table: str, person: str, *, turn: int) -> Row:
        """Return a new row for a person, with a value for each required column.

        Args:
            table: The table.
            person: The owner.
            turn: The index of the parent's row that the new row references.

        Raises:
            LookupError: A column has a type without a made-up value, or a parent has no row.
        """
        facts = self._ownership.tables[table]
        variant = self._variants.get(table, 0)
        referencing = {column for each in facts["references"] for column in each["columns"]}
        row: Row = {
            column["name"]: _value(column, facts["checks"], next(self._numbers), max(variant - 1, 0))
            for column in facts["columns"]
            if column["required"]
            or (variant and column["optional"] and column["category"] == "S" and column["name"] not in referencing)
        }
        row |= dict.fromkeys(self._ownership.owner_columns(table), person)
        used: dict[str, int] = {}
        for reference in self._ownership.wanted_references(table):
            parent = reference["table"]
            if parent == table and set(reference["targets"]) <= row.keys():
                continue
            rows = self.rows.get((parent, person), [])
            if not rows:
                raise LookupError(f"its parent {parent} has no row")
            # Two references to one table get two different rows.
            chosen = rows[(turn + used.get(parent, 0)) % len(rows)]
            used[parent] = used.get(parent, 0) + 1
            row |= {
                column: chosen[target]
                for column, target in zip(reference["columns"], reference["targets"], strict=True)
            }
        return row | dict(self._values.get(table, {}))

    def insert_statement(self, table: str, columns: Collection[str]) -> str:
        """Return the INSERT of a row that is the statement's parameter as JSON."""
        names = ", ".join(map(quote_identifier, columns))
        return (
            f"INSERT INTO {self.qualified(table)} ({names}) SELECT {names} "
            f"FROM jsonb_populate_record(NULL::{self.qualified(table)}, $1::jsonb)"
        )

    def parameter(self, table: str, column: str) -> str:
        """Return the expression for a column of the row that is a statement's parameter as JSON."""
        return f"(jsonb_populate_record(NULL::{self.qualified(table)}, $1::jsonb)).{quote_identifier(column)}"

    def qualified(self, table: str) -> str:
        """Return the quoted name of a table with its schema."""
        return f"{quote_identifier(self._schema)}.{quote_identifier(table)}"

    async def _fill(self, table: str) -> None:
        for person in self.people:
            made: list[Row] = []
            for turn in range(_ROWS):
                try:
                    made.append(await self._insert(table, person, turn))
                except (ServerError, LookupError) as error:
                    if not made and table in self._ownership.owned:
                        self.untried[table] = (
                            f"no sample row could be inserted: {first_line(error)}; pass `values` for this table"
                        )
                    break  # one row is enough where a constraint forbids a second one
            self.rows[table, person] = made

    async def _insert(self, table: str, person: str, turn: int) -> Row:
        """Insert a row, and return it. The table's first row finds the variant of row that the table takes.

        Raises:
            ServerError: The table takes no variant; the error is that of the first.
            LookupError: A column has a type without a made-up value, or a parent has no row.
        """
        refused: ServerError | None = None
        known = self._variants.get(table)
        for variant in range(_VARIANTS) if known is None else (known,):
            self._variants[table] = variant
            row = self.new_row(table, person, turn=turn)
            try:
                async with self._connection.transaction(kept=True):
                    [[answer]] = await self._connection.fetch(
                        f"{self.insert_statement(table, row)} RETURNING to_jsonb({quote_identifier(table)}.*)",
                        json.dumps(row),
                    )
            except ServerError as error:
                refused = refused or error
            else:
                return dict(json.loads(answer))
        if known is None:
            del self._variants[table]
        assert refused is not None
        raise refused

    async def _read_back(self, table: str) -> None:
        """Replace the rows by their present values, and note the positions of all rows of the table."""
        key = self._ownership.tables[table]["key"]
        found = await self._connection.fetch(f"SELECT to_jsonb(r), ctid::text FROM {self.qualified(table)} AS r")
        present = [json.loads(row[0]) for row in found]
        self.places[table] = [row[1] for row in found]
        for person in self.people:
            made = self.rows[table, person]
            self.rows[table, person] = [
                row for row in present if any(all(row[name] == each[name] for name in key or row) for each in made)
            ]


def _value(column: ColumnFacts, checks: Sequence[str], number: int, choice: int) -> object:
    """Return a made-up value for a column: from a CHECK's list, an enum's labels, or the type.

    Args:
        column: The column.
        checks: The CHECK constraints of its table.
        number: A number that no other value has.
        choice: Which value of a list to take; the list begins again after its last.

    Raises:
        LookupError: The type has no made-up value.
    """
    name = column["name"]
    for check in checks:
        if re.search(rf'[(\s]"?{re.escape(name)}"? = ANY ', check) and (literals := _LITERAL.findall(check)):
            return literals[choice % len(literals)].replace("''", "'")
    if column["label"] is not None:
        return column["label"]
    by_type: dict[str, object] = {
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
    value = by_type.get(column["type"], by_category.get(column["category"]))
    if value is None:
        raise LookupError(f"the column {name} has the type {column['type']}")
    return value
