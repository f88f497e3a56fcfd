"""A large table of an application, and a migration whose work on it would hold others up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

import kimbledb
from kimbledb.model.snapshot import Snapshot
from tests.support.databases import fresh_database, take_snapshot
from tests.support.folders import Folder

#: 1.2 MB.
ROWS = 2000
_ORDERS = """\
CREATE TABLE customers (id integer PRIMARY KEY);
CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_id integer,
    number text,
    note text,
    total numeric,
    settled boolean,
    updated_at timestamptz NOT NULL DEFAULT '2024-01-01'
);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
CREATE TRIGGER orders_stamp BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
"""
_MORE = """\
ALTER TABLE orders
    ADD COLUMN paid boolean NOT NULL DEFAULT false,
    ADD COLUMN settled_at timestamptz;
ALTER TABLE orders ALTER COLUMN paid DROP DEFAULT;
CREATE TABLE shops (id integer PRIMARY KEY);
ALTER TABLE orders ADD COLUMN shop_id integer CONSTRAINT orders_shop_id_fkey REFERENCES shops (id);
CREATE INDEX idx_orders_total ON orders (total, id);
COMMENT ON INDEX idx_orders_total IS 'By what they cost.';
CREATE INDEX idx_orders_shop_id ON orders (shop_id);
ALTER TABLE orders
    ADD CONSTRAINT orders_total_check CHECK (total >= 0),
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id),
    ADD CONSTRAINT orders_number_key UNIQUE (number);
ALTER TABLE orders ALTER COLUMN number SET NOT NULL;
CREATE FUNCTION orders_pay() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN NEW.paid := coalesce(NEW.paid, NEW.settled, false); RETURN NEW; END';
CREATE TRIGGER orders_pay BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_pay();
"""
_FACTS = 'requires = ["orders.sql"]\n[fills]\n"orders.paid" = "coalesce(paid, settled, false)"\n'
_FILL = f"""
INSERT INTO customers SELECT n FROM generate_series(1, 10) AS n;
INSERT INTO orders (id, customer_id, number, note, total, settled)
SELECT n, 1 + n % 10, 'n' || n, repeat(md5(n::text), 18), n, n % 2 = 0 FROM generate_series(1, {ROWS}) AS n;
"""
#: Another hand's index of a declared name.
OTHER_INDEX = "CREATE INDEX idx_orders_total ON orders (total); COMMENT ON INDEX idx_orders_total IS 'By hand.'"


async def with_orders(dsn: str, folder: Folder, server: str | None = None, *, rows: bool = True) -> kimbledb.Catalog:
    """Make the table, with rows, and return a catalog of two migrations, of which the first is applied.

    Args:
        dsn: The database.
        folder: The folder for the migrations.
        server: Where they are recorded, or None for the database's server.
        rows: Whether the table holds any.
    """
    folder.add(1, "orders", _ORDERS, rollback=None)
    folder.add(2, "more", _MORE, facts=_FACTS, rollback=None)
    catalog = await folder.declared(server or dsn)
    await kimbledb.migrate(dsn, catalog=catalog, to="orders.sql")
    if rows:
        connection = await asyncpg.connect(dsn)
        await connection.execute(_FILL)
        await connection.close()
    return catalog


async def plain_end(dsn: str, catalog: kimbledb.Catalog) -> Snapshot:
    """Return the schema that the scripts make in an empty database of the same server."""
    async with fresh_database(dsn) as plain:
        await kimbledb.migrate(plain, catalog=catalog)
        return await take_snapshot(plain)


class Waits:
    """How long sessions of the application waited."""

    def __init__(self) -> None:
        self.longest = 0.0
        #: The rows that the application updated.
        self.updated: set[int] = set()


@asynccontextmanager
async def at_work(dsn: str) -> AsyncIterator[Waits]:
    """An application that reads and writes the orders all the time: one session each."""
    waits, ended = Waits(), asyncio.Event()

    async def work(statement: str, keep: set[int]) -> None:
        connection = await asyncpg.connect(dsn)
        number = 0
        while not ended.is_set():
            number = number % 100 + 1
            start = time.monotonic()
            await connection.execute(statement, number)
            waits.longest = max(waits.longest, time.monotonic() - start)
            keep.add(number)
            await asyncio.sleep(0.005)
        await connection.close()

    reading = asyncio.create_task(work("SELECT note FROM orders WHERE id = $1", set()))
    writing = asyncio.create_task(work("UPDATE orders SET note = note || '' WHERE id = $1", waits.updated))
    try:
        yield waits
    finally:
        ended.set()
        await asyncio.gather(reading, writing)
