"""Fills: values of rows that were there before the columns which hold them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kimbledb.model.completion import Batches
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


def batches(table: str, fills: Mapping[str, str], objects: Mapping[Key, Facts], key: Sequence[str]) -> Batches:
    """Return the values of a table's columns as they are set in batches, with its triggers disabled.

    Args:
        table: The table.
        fills: The expression of each column.
        objects: The objects of the schema now.
        key: The columns of its primary key, as SQL.
    """
    held = list(_held(table, objects))
    types = (str(objects["column", f"{table}.{column}"]["type"]) for column in key)
    return Batches(
        table=written(table),
        key=tuple(zip(key, types, strict=True)),
        values=tuple((own_name(column), value) for column, value in fills.items()),
        holding=tuple(disable for disable, _ in held),
        releasing=tuple(enable for _, enable in held),
    )


def _held(table: str, objects: Mapping[Key, Facts]) -> Iterator[tuple[str, str]]:
    """Yield for each trigger of a table that fires the statement that disables it, and the one that enables it again."""
    for (kind, name), facts in objects.items():
        if kind == "trigger" and split(name)[0] == table and facts.get("enabled") != "disabled":
            mode = {"always": "ALWAYS ", "replica": "REPLICA "}.get(str(facts.get("enabled")), "")
            alter = f"ALTER TABLE {written(table)}"
            yield f"{alter} DISABLE TRIGGER {own_name(name)}", f"{alter} ENABLE {mode}TRIGGER {own_name(name)}"


def filling(
    table: str, fills: Mapping[str, str], objects: Mapping[Key, Facts], later: Mapping[Key, Facts]
) -> Iterator[str]:
    """Yield the statements that set columns of a table, with its triggers disabled.

    Args:
        table: The table.
        fills: The expression of each column.
        objects: The objects of the schema now.
        later: Those afterwards: what has gone by then is not set.
    """
    there = {column: value for column, value in fills.items() if ("column", column) in later}
    if not there:
        return
    held = list(_held(table, objects))
    yield from (disable for disable, _ in held)
    yield update(table, there)
    if held:
        # A key that is deferred would still wait for these rows, and block this.
        yield "SET CONSTRAINTS ALL IMMEDIATE"
    yield from (enable for _, enable in held)
