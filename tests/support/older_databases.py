"""Databases as the application had them before: made from ``tests/data/bases``, with rows as the application writes them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

_DATA = Path(__file__).parent.parent / "data"
#: How many rows each table gets.
_ROWS = 3
#: The tables that others refer to without a key, in the order in which they are filled.
_FIRST = ("users", "projects", "content_categories", "categories", "conversations", "devices")
#: What columns refer to by their names.
_REFERENCES = {
    "user_id": "users",
    "owner_id": "users",
    "created_by": "users",
    "pinned_by": "users",
    "assigned_to": "users",
    "project_id": "projects",
    "parent_project_id": "projects",
    "conversation_id": "conversations",
    "category_id": "categories",
    "target_device_id": "devices",
}
_VECTOR = "array_fill(0.01::real, ARRAY[1536])::vector"
#: By table and column: rows, each by its key, as text.
Rows: TypeAlias = dict[str, dict[str, dict[str, str | None]]]


def _seen() -> dict[tuple[str, str], list[str]]:
    """The values that were seen in a column."""
    with (_DATA / "contract_columns.csv").open(newline="", encoding="utf-8") as file:
        return {
            (row["table"], row["column"]): row["values_seen"].split()
            for row in csv.DictReader(file)
            if row["values_seen"]
        }


async def build(connection: asyncpg.Connection, name: str) -> None:
    """Make the objects of a database as the application had it.

    Args:
        connection: A connection to an empty database.
        name: The name of the file, without its ending.
    """
    await connection.execute((_DATA / "bases" / f"{name}.sql").read_text(encoding="utf-8"))
    await connection.execute("RESET ALL")


async def fill(connection: asyncpg.Connection) -> None:
    """Put rows into every table, as the application writes them: what refers to a row by its name or a key finds it."""
    filler = _Filler(connection, _seen())
    tables = [
        row[0]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"
        )
    ]
    for table in sorted(tables, key=lambda each: _FIRST.index(each) if each in _FIRST else len(_FIRST)):
        await filler.fill(table)


class _Filler:
    def __init__(self, connection: asyncpg.Connection, seen: dict[tuple[str, str], list[str]]) -> None:
        self.connection = connection
        self.seen = seen
        self.rows: dict[str, list[dict[str, Any]]] = {}

    async def fill(self, table: str) -> None:
        """Fill a table, and those that it refers to before it."""
        if table in self.rows:
            return
        self.rows[table] = []
        keys = {
            row[0]: (row[1], row[2])
            for row in await self.connection.fetch(
                "SELECT a.attname, p.relname, b.attname FROM pg_constraint AS k JOIN pg_class AS p ON p.oid = k.confrelid "
                "JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] "
                "JOIN pg_attribute AS b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1] "
                "WHERE k.contype = 'f' AND k.conrelid = $1::text::regclass",
                f'"{table}"',
            )
        }
        for parent, _ in keys.values():
            await self.fill(parent)
        columns = await self.connection.fetch(
            "SELECT attname, format_type(atttypid, atttypmod) AS type, atthasdef, attnotnull FROM pg_attribute "
            "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''",
            f'"{table}"',
        )
        checks = await self._checks(table)
        for number in range(_ROWS):
            values = {
                each["attname"]: value
                for each in columns
                if (value := self._value(table, each, keys.get(each["attname"]), checks, number)) is not None
            }
            try:
                row = await self._insert(table, values)
            except asyncpg.CheckViolationError:
                # A check of several columns; the row needs no more than this.
                needed = {each["attname"] for each in columns if each["attnotnull"]} | keys.keys()
                row = await self._insert(table, {name: value for name, value in values.items() if name in needed})
            self.rows[table].append(row)

    async def _insert(self, table: str, values: dict[str, str]) -> dict[str, Any]:
        listed = ", ".join(f'"{column}"' for column in values)
        row = await self.connection.fetchrow(
            f'INSERT INTO "{table}" ({listed}) VALUES ({", ".join(values.values())}) RETURNING *'
        )
        return dict(row or {})

    async def _checks(self, table: str) -> dict[str, list[str]]:
        """The values that checks list, by column."""
        found = {}
        for row in await self.connection.fetch(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = $1::text::regclass",
            f'"{table}"',
        ):
            if column := re.match(r'CHECK \(\(+"?(\w+)"?\)?(?:::text)? = ANY', row[0]):
                found[column[1]] = re.findall(r"'([^']*)'::", row[0])
        return found

    def _value(
        self, table: str, column: asyncpg.Record, key: tuple[str, str] | None, checks: dict[str, list[str]], number: int
    ) -> str | None:
        """Return the value of a column as SQL; None leaves it to its default."""
        name, kind = column["attname"], column["type"]
        if (table, name) == ("audio_transcriptions", "project_id") and kind == "text" and key is None:
            return (("'general'", "'gaming'", None)[number]) or self._row("projects", "id", number)
        if key is not None and key[0] == "users" and "device" in table:
            return self._row(*key, 0)
        if key is not None:
            # What goes from one device goes to another.
            number += name == "source_device_id"
            return None if key[0] == table else self._row(key[0], key[1], number)
        if (parent := _REFERENCES.get(name)) and kind in ("text", "uuid", "integer", "bigint"):
            if parent == "categories" and "content_categories" in self.rows:
                parent = "content_categories"
            # The devices of the rows are one person's.
            found = self._row(parent, "id", 0 if "device" in table and parent == "users" else number)
            return found if found is not None or not column["attnotnull"] else f"'{_uuid(table, name, number)}'"
        if name in checks:
            known = [each for each in checks[name] if each in self.seen.get((table, name), checks[name])]
            return f"'{known[number % len(known)]}'"
        if (table, name) in self.seen and not kind.endswith("[]"):
            return f"'{self.seen[table, name][0]}'"
        if column["atthasdef"] and not kind.startswith("timestamp"):
            return None
        return self._of_type(table, name, kind, number)

    def _row(self, table: str, column: str, number: int) -> str | None:
        rows = self.rows.get(table)
        return f"'{rows[number % len(rows)][column]}'" if rows else None

    def _of_type(self, table: str, name: str, kind: str, number: int) -> str | None:
        if kind == "uuid" or (name == "id" and kind == "text"):
            return f"'{_uuid(table, name, number)}'"
        if kind.startswith("timestamp"):
            # What is made, begun and at its end comes in this order.
            hour = 10 + ("start" in name) + 2 * ("complete" in name or "end" in name or "expire" in name)
            return f"'2025-10-0{number + 1} {hour}:00:00.{number * 25:02}+00'"
        values = {
            "text": f"'{name} {number}'",
            "jsonb": f"'{json.dumps({'k': number})}'",
            "text[]": f"'{{a{number},b}}'",
            "boolean": "true",
            "date": "'2025-10-01'",
            "vector(1536)": _VECTOR,
            "inet": "'10.0.0.1'",
            "bigint": str(1761600000 + number) if "expires" in name else str(number + 1),
            "integer": "200" if name in ("status_code", "response_status") else str(number + 1),
        }
        if kind.startswith(("numeric", "double", "real")):
            return f"0.{number + 1}"
        return values.get(kind, f"'{name}{number}'" if kind.startswith("character") else None)


def _uuid(table: str, name: str, number: int) -> str:
    return f"00000000-0000-4000-8000-{sum(map(ord, table + name)) % 10**6:06d}{number:06d}"


async def rows_of(connection: asyncpg.Connection) -> Rows:
    """Return all rows of all tables but history, each column as text."""
    found: Rows = {}
    for table, key in await connection.fetch(
        "SELECT c.relname, (SELECT a.attname FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1) FROM pg_class AS c "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'migration\\_%'"
    ):
        columns = [
            row[0]
            for row in await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
                f'"{table}"',
            )
        ]
        listed = ", ".join(f'"{column}"::text' for column in columns)
        rows = await connection.fetch(f'SELECT {listed} FROM "{table}" ORDER BY ctid')
        found[table] = {
            str(row[key]) if key else str(number): dict(zip(columns, row, strict=True))
            for number, row in enumerate(rows)
        }
    return found
