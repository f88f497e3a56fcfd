"""Fills: values of rows that were there before the columns which hold them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kimbledb.planning.fold import split
from kimbledb.planning.writer.names import own_name, written


def by_table(fills: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the expressions of a migration's ``fills`` by table and column, such as ``orders`` and ``orders.paid``.

    Args:
        fills: The expressions by column.
    """
    found: dict[str, dict[str, str]] = {}
    for column, expression in fills.items():
        found.setdefault(split(column)[0], {})[column] = expression
    return found


def update(table: str, fills: Mapping[str, str]) -> str:
    """Return the statement that sets columns in the rows in which they differ.

    Args:
        table: The table.
        fills: The expressions by column.
    """
    names = ", ".join(map(own_name, fills))
    values = ", ".join(f"({value})" for value in fills.values())
    assigned = ", ".join(f"{own_name(column)} = ({value})" for column, value in fills.items())
    return f"UPDATE {written(table)} SET {assigned} WHERE ROW ({names}) IS DISTINCT FROM ROW ({values})"
