"""Row ownership, read from the facts of a schema's tables: the person that a row belongs to. It knows no server.

A column named ``user_id`` or ``owner_id`` names the owner of a row. The rows of a
table without such a column belong to the owner of their parent row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TypedDict

from kimbledb.errors import ConfigurationError


class ColumnFacts(TypedDict):
    """A column, as ``sql/queries/test_tables.sql`` describes it."""

    name: str
    type: str
    #: PostgreSQL's type category (pg_type.typcategory).
    category: str
    #: The type modifier, such as the dimensions of a vector.
    size: int
    #: The first label of an enum type.
    label: str | None
    #: NOT NULL, without a default and without an identity.
    required: bool
    #: NULL where no value is given.
    optional: bool
    #: The server computes the value.
    made: bool


class Reference(TypedDict):
    """A foreign key to a table of the same schema."""

    table: str
    #: ON DELETE CASCADE: the row is a part of its parent.
    part: bool
    columns: list[str]
    targets: list[str]


class TableFacts(TypedDict):
    """A table, as ``sql/queries/test_tables.sql`` describes it."""

    name: str
    columns: list[ColumnFacts]
    key: list[str]
    unique: list[str]
    checks: list[str]
    references: list[Reference]


class Ownership:
    """The owner columns, the references and the order of the tables of one schema.

    Args:
        tables: The facts of each table, by its name.
        owners: The names of the columns that name the owner of a row.

    Attributes:
        tables: The facts of each table, by its name.
        owned: The tables whose rows have an owner, by a column of their own or by a parent.
    """

    def __init__(self, tables: Mapping[str, TableFacts], owners: Sequence[str]) -> None:
        self.tables = tables
        self._owners = owners
        self.owned = self._find_owned()

    def owner_columns(self, table: str) -> list[str]:
        """Return the columns of a table that name the owner of a row; none where only a parent has them."""
        columns = {column["name"] for column in self.tables[table]["columns"]}
        return [name for name in self._owners if name in columns] or self._person_key(table)

    def wanted_references(self, table: str) -> list[Reference]:
        """Return the references that a new row of a table gets: the required ones, and those that make it owned."""
        required = {column["name"] for column in self.tables[table]["columns"] if column["required"]}
        mine = self.owner_columns(table)
        return [
            each
            for each in self.tables[table]["references"]
            if required & set(each["columns"])
            or set(each["columns"]) & set(mine)
            or (not mine and each["table"] in self.owned and each["table"] != table)
        ]

    def parents_first(self) -> list[str]:
        """Return the tables in an order in which each comes after the tables that its new rows reference.

        Raises:
            ConfigurationError: Tables require each other's rows.
        """
        parents = {
            name: {each["table"] for each in self.wanted_references(name) if each["table"] != name}
            for name in self.tables
        }
        try:
            return list(TopologicalSorter(parents).static_order())
        except CycleError as error:
            raise ConfigurationError(
                f"tables require each other's rows in a cycle: {' -> '.join(error.args[1])}",
                hint="allow NULL in one of the columns",
            ) from error

    def _person_key(self, table: str) -> list[str]:
        """Return the key of the table of the people themselves: the column that owner columns reference."""
        for other in self.tables.values():
            for reference in other["references"]:
                if (
                    reference["table"] == table
                    and len(reference["columns"]) == 1
                    and reference["columns"][0] in self._owners
                ):
                    return list(reference["targets"])
        return []

    def _find_owned(self) -> set[str]:
        owned = {table for table in self.tables if self.owner_columns(table)}
        while True:
            more = {
                name
                for name, table in self.tables.items()
                if name not in owned and any(reference["table"] in owned for reference in table["references"])
            }
            if not more:
                return owned
            owned |= more
