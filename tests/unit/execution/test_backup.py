from __future__ import annotations

import os
from pathlib import Path

import pytest

import kimbledb
from kimbledb.execution.backup.client import Client
from kimbledb.execution.backup.installed import fitting, in_order_of_fit
from kimbledb.execution.backup.restoring import _without


def test_the_fitting_client() -> None:
    """A server's own version is best, then the next newer one; an older one never does."""
    clients = [Client(Path(f"/{major}"), major) for major in (18, 14, 16, 15)]

    assert [client.major for client in in_order_of_fit(clients, 15)] == [15, 16, 18]
    assert [client.major for client in in_order_of_fit(clients, 17)] == [18]
    assert in_order_of_fit(clients, 19) == []


@pytest.mark.skipif(os.name != "posix", reason="the client is looked for in the embedded server's package")
async def test_every_client_is_too_old() -> None:
    """Where every client is older than the server, the error names both versions and the cure."""
    with pytest.raises(kimbledb.BackupError, match=r"PostgreSQL 99, and .*pg_dump here") as caught:
        await fitting(99)

    assert "postgresql-client-99" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("schemas", "extensions", "left"),
    [
        (
            ["public"],
            [],
            ["1; 2615 1 SCHEMA - my app bob", "2; 0 0 COMMENT - EXTENSION vector ", "3; 1259 4 TABLE my t bob"],
        ),
        (["my app"], [], ["2; 0 0 COMMENT - EXTENSION vector ", "3; 1259 4 TABLE my t bob"]),
        (["my"], ["vector"], ["1; 2615 1 SCHEMA - my app bob", "3; 1259 4 TABLE my t bob"]),
    ],
)
def test_what_is_there_is_not_made_again(schemas: list[str], extensions: list[str], left: list[str]) -> None:
    """Schemas and extensions' comments that a database came with are left out of what is brought back."""
    contents = "1; 2615 1 SCHEMA - my app bob\n2; 0 0 COMMENT - EXTENSION vector \n3; 1259 4 TABLE my t bob\n"

    found = {"schemas": schemas, "extensions": extensions, "roles": ["app bob of others", "bob"]}

    assert _without(contents, found).splitlines() == left
