"""Fills: values of rows that were there before the columns which hold them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kimbledb.model.objects import Facts, Key
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


def filling(
    table: str, fills: Mapping[str, str], objects: Mapping[Key, Facts], later: Mapping[Key, Facts]
) -> Iterator[str]:
    """Yield the statements that set columns of a table, with its triggers held still.

    Args:
        table: The table.
        fills: The expression of each column.
        objects: The objects of the schema now.
        later: Those afterwards: what has gone by then is not set.
    """
    there = {column: value for column, value in fills.items() if ("column", column) in later}
    if not there:
        return
    held = [
        (own_name(name), facts)
        for (kind, name), facts in objects.items()
        if kind == "trigger" and split(name)[0] == table and facts.get("enabled") != "disabled"
    ]
    for name, _ in held:
        yield f"ALTER TABLE {written(table)} DISABLE TRIGGER {name}"
    yield update(table, there)
    if held:
        # A key that is deferred would still wait for these rows, and block this.
        yield "SET CONSTRAINTS ALL IMMEDIATE"
    for name, facts in held:
        mode = {"always": "ALWAYS ", "replica": "REPLICA "}.get(str(facts.get("enabled")), "")
        yield f"ALTER TABLE {written(table)} ENABLE {mode}TRIGGER {name}"
