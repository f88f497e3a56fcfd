"""The application: it writes and reads rows with all of its columns, as the facts that are kept with the tests say."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncpg

with (Path(__file__).parent.parent / "data" / "contract_columns.csv").open(newline="", encoding="utf-8") as _file:
    ROWS = list(csv.DictReader(_file))
TABLES = sorted({row["table"] for row in ROWS})
#: One table's columns that name one thing twice: the documented one is left out of an insert.
ALIASES = {
    "conversations": {"is_pinned"},
    "model_performance_metrics": {"model_name", "total_tokens"},
    "audio_transcriptions": {"error_message"},
    "workflows": {"active"},
    "mcp_servers": {"active"},
    "projects": {"owner_id"},
}


async def columns_of(connection: asyncpg.Connection, table: str) -> dict[str, str]:
    """Return the types of a table's columns.

    Args:
        connection: A connection.
        table: The table.
    """
    rows = await connection.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )
    return {row[0]: row[1] for row in rows}


class Application:
    """Writes rows as the application does: all its columns at once, parents first."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.seen: dict[str, dict[str, Any]] = {}

    async def parents(self, table: str) -> dict[str, tuple[str, str]]:
        rows = await self.connection.fetch(
            "SELECT a.attname, p.relname, b.attname FROM pg_constraint AS k JOIN pg_class AS p ON p.oid = k.confrelid "
            "JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] "
            "JOIN pg_attribute AS b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1] "
            "WHERE k.contype = 'f' AND k.conrelid = $1::text::regclass",
            table,
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def value(self, table: str, column: str, kind: str, seen: str, parents: dict[str, tuple[str, str]]) -> str:
        """Return a literal for a column: a parent's key, a value that was seen, or one of its type."""
        if (table, column) == ("projects", "user_id"):
            column = "owner_id"  # the same thing, and only the documented name has the key
        if column in parents:
            parent, key = parents[column]
            if parent == table:
                return "NULL"
            if parent not in self.seen:
                await self.insert(parent)
            return _literal(str(self.seen[parent][key]))
        if seen:
            return _literal(seen.split(maxsplit=1)[0])
        if (table, column) == ("agent_tasks", "recurrence"):
            return "'daily'"  # one that nobody understands is refused
        if column in ("importance", "confidence", "impact_score", "organization_confidence", "category_confidence"):
            return "0.5"
        if kind.startswith("vector"):
            return _literal(json.dumps([0.1] * 1536))
        return {
            "text": f"'some {column}'",
            "uuid": "gen_random_uuid()",
            "boolean": "true",
            "jsonb": "'{\"k\": 1}'",
            "text[]": "'{one,two}'",
            "integer[]": "'{1,2}'",
            "timestamp with time zone": "now()",
        }.get(kind, "3")

    async def insert(self, table: str, uses: tuple[str, ...] = ("insert", "upsert")) -> None:
        kinds = await columns_of(self.connection, table)
        parents = await self.parents(table)
        wanted = {
            row["column"]: row["values_seen"]
            for row in ROWS
            if row["table"] == table and set(uses) & set(row["used_by_the_application_for"].split())
        }
        for required in await self.connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped "
            "AND attnotnull AND NOT atthasdef AND attidentity = ''",
            table,
        ):
            wanted.setdefault(required[0], "")
        for left in ALIASES.get(table, ()):
            wanted.pop(left, None)
        values = {
            column: await self.value(table, column, kinds[column], seen, parents) for column, seen in wanted.items()
        }
        listed = ", ".join(f'"{column}"' for column in values)
        row = await self.connection.fetchrow(
            f'INSERT INTO "{table}" ({listed}) VALUES ({", ".join(values.values())}) RETURNING *'
            if values
            else f'INSERT INTO "{table}" DEFAULT VALUES RETURNING *'
        )
        assert row is not None
        self.seen[table] = dict(row)

    async def use(self, table: str) -> None:
        """Select, filter, order, update and upsert as the application does it, with every value that was seen.

        Args:
            table: A table into which a row was inserted.
        """
        service = self.connection
        rows = [row for row in ROWS if row["table"] == table]
        seen = {row["column"]: row["values_seen"].split() for row in rows}
        uses: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            for use in row["used_by_the_application_for"].split():
                uses[use].append(row["column"])
        kinds = await columns_of(service, table)
        key = "user_id" if table == "user_tokens" else "id"

        for column in uses["select"] + uses["filter"]:
            await service.fetch(
                f'SELECT "{column}" FROM "{table}" WHERE "{column}" = (SELECT "{column}" FROM "{table}" LIMIT 1)'
            )
        for column in uses["order"]:
            await service.fetch(f'SELECT "{column}" FROM "{table}" ORDER BY "{column}" DESC LIMIT 10')
        for column in uses["update"]:
            await service.execute(f'UPDATE "{table}" SET "{column}" = "{column}"')
        for column, values in seen.items():
            for value in values:
                written = f"'{{{value}}}'" if kinds[column].endswith("[]") else _literal(value)
                await service.execute(f'UPDATE "{table}" SET "{column}" = {written}')
        conflict = [column for column in uses["conflict"] if column != key] or [key]
        for target in {key, *conflict} if uses["upsert"] else ():
            held = self.seen[table][target]
            if held is not None:
                columns = [column for column in uses["upsert"] if column not in (target, *ALIASES.get(table, ()))]
                assigned = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
                values = ", ".join(f'"{column}"' for column in columns)
                await service.execute(
                    f'INSERT INTO "{table}" ("{target}", {values}) SELECT "{target}", {values} FROM "{table}" '
                    f'WHERE "{target}" = $1 ON CONFLICT ("{target}") DO UPDATE SET {assigned}',
                    held,
                )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
