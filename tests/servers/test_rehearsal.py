"""rehearse() with a target of each version, on a server of its own version and on the embedded one."""

from __future__ import annotations

import pytest

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder
from tests.support.programs import Cluster

from .conftest import Servers, each
from .installations import VERSIONS

BASE = """
CREATE TABLE people (id integer PRIMARY KEY, name text, short varchar(10));
CREATE TABLE orders (id integer PRIMARY KEY, person integer);
CREATE VIEW names AS SELECT name FROM people;
"""
STATEMENTS = """
ALTER TABLE people ALTER COLUMN short TYPE varchar(20);
ALTER TABLE people ADD COLUMN must integer NOT NULL;
CREATE UNIQUE INDEX ON people (name);
ALTER TABLE orders ADD FOREIGN KEY (person) REFERENCES people (id);
ALTER TABLE orders ALTER COLUMN id TYPE bigint;
"""


@each(*VERSIONS)
async def test_a_target_of_each_version(cluster: Cluster, version: int, folder: Folder) -> None:
    """What is seen and asked is the same on a clone of the target's own version and on a newer one, which is told."""
    folder.add(1, "base", BASE)
    async with fresh_database(cluster.dsn) as dsn:
        await kimbledb.migrate(dsn, catalog=folder.catalog)
        await sql(dsn, "INSERT INTO people SELECT i, i % 5, 'x' FROM generate_series(1, 10) AS i")
        await sql(dsn, "INSERT INTO orders SELECT i, i FROM generate_series(1, 20) AS i")
        folder.add(2, "next", STATEMENTS)

        reports = [
            await kimbledb.rehearse(dsn, catalog=folder.catalog, server=server, sample=2)
            for server in (cluster.dsn, None)
        ]

    for report in reports:
        assert [(dict(each.locks), each.rewrites) for each in report.statements] == [
            ({"people": "ACCESS EXCLUSIVE"}, ()),
            ({}, ()),
            ({}, ()),
            ({"orders": "SHARE ROW EXCLUSIVE"}, ()),
            ({"orders": "ACCESS EXCLUSIVE"}, ("orders",)),
        ]
        assert [str(each.will_fail).partition(" rows of ")[0] for each in report.failing] == ["10", "10", "10"]
        assert report.target_server.startswith(str(version))
        told = [note for note in report.notes if "only a newer server accepts" in note]
        assert bool(told) == (not report.server.startswith(str(version)))


@each(15)
async def test_a_server_that_is_older_than_the_target(cluster: Cluster, servers: Servers, folder: Folder) -> None:
    """A clone on a server that may not know all that the target holds is refused with both versions."""
    folder.add(1, "base", BASE)
    async with fresh_database(servers.get(18).dsn) as dsn:
        with pytest.raises(kimbledb.RehearsalError, match=r"(?s)the target is PostgreSQL 18.* on 15.*server="):
            await kimbledb.rehearse(dsn, catalog=folder.catalog, server=cluster.dsn)
