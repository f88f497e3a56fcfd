"""Forecasts of seconds beside facts: how far the ends of each range are from the time that the statement then takes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import asyncpg
from attrs import frozen

import kimbledb

from .measuring import Figure, Server

ROWS = 300_000
#: Statements of each kind, each a migration.
STATEMENTS = {
    "rewrite": "ALTER TABLE orders ALTER COLUMN id TYPE bigint",
    "index": "CREATE INDEX ON orders (note)",
    "key": "ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers",
    "not null": "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
    "check": "ALTER TABLE orders ADD CHECK (note ~ '^[0-9a-f]+$')",
    "update": "UPDATE orders SET state = 'closed'",
    "column": "ALTER TABLE orders ADD COLUMN added integer",
}
_BASE = """
CREATE TABLE customers (id integer PRIMARY KEY);
CREATE TABLE orders (id integer PRIMARY KEY, customer integer, state text, note text);
"""
_FILL = f"""
INSERT INTO customers SELECT generate_series(1, 1000);
INSERT INTO orders SELECT i, 1 + i % 1000, 'open', md5(i::text) FROM generate_series(1, {ROWS}) AS i;
"""
_FACTS = "SELECT migration_name, execution_time_ms FROM migration_log WHERE event = 'apply'"


@frozen
class Foretold:
    """A statement with its forecast and its fact, in seconds."""

    low: float
    high: float
    fact: float


async def figures(server: Server, runs: int) -> list[Figure]:
    """Rehearse a plan on a filled database, run it, and give the ends of each forecast against the fact."""
    tries = [await _one(server) for _ in range(min(runs, 3))]
    found: list[Figure] = []
    for name in STATEMENTS:
        fact = 1000 * median(each[name].fact for each in tries)
        low, high = (1000 * median(getattr(each[name], end) for each in tries) for end in ("low", "high"))
        found.append(Figure(f"forecast, {name}: at the least", f"fact, {ROWS:,} rows", low, fact, 1.0))
        # The log has the time of the whole transaction; below a tenth of a second a forecast says no more.
        most = max(high, 100.0)
        found.append(Figure(f"forecast, {name}: at the most", "fact", most, fact, 1.0, more_is_better=True))
    return found


async def _one(server: Server) -> dict[str, Foretold]:
    dsn = await server.fresh()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _add(folder, 1, "base", _BASE)
        await kimbledb.migrate(dsn, catalog=kimbledb.Catalog.from_directory(folder), verify=False)
        connection = await asyncpg.connect(dsn)
        await connection.execute(_FILL)
        await connection.execute("VACUUM ANALYZE")
        for number, (kind, text) in enumerate(STATEMENTS.items(), 2):
            _add(folder, number, kind.replace(" ", "-"), f"{text};\n")
        catalog = kimbledb.Catalog.from_directory(folder)
        report = await kimbledb.rehearse(dsn, catalog=catalog)
        await kimbledb.migrate(dsn, catalog=catalog, verify=False)
        facts = {row["migration_name"]: row["execution_time_ms"] for row in await connection.fetch(_FACTS)}
        await connection.close()
    await server.drop([dsn])
    found = {}
    for kind, each in zip(STATEMENTS, report.statements, strict=True):
        assert each.forecast is not None
        assert each.forecast.high is not None, kind
        found[kind] = Foretold(each.forecast.low, each.forecast.high, facts[each.migration] / 1000)
    return found


def _add(folder: Path, number: int, name: str, text: str) -> None:
    home = folder / f"{number:02}_{name}"
    home.mkdir()
    (home / "apply.sql").write_text(text, encoding="utf-8")
