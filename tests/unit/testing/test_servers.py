"""What an override of the plugin's fixture ``kimbledb_server`` may return."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest

from _kimbledb_pytest.servers import dsn_of

PASSWORD = "p@ss/w:ord"  # noqa: S105 - nobody's
DSN = "postgresql://ann:p%40ss%2Fw%3Aord@localhost:5433/shop"


@pytest.mark.parametrize(
    ("server", "dsn"),
    [
        (DSN, DSN),
        ("host=localhost user=ann", "host=localhost user=ann"),
        (DSN.replace("postgresql", "postgresql+psycopg2"), DSN),
        (DSN.replace("postgresql", "postgres+asyncpg"), DSN.replace("postgresql", "postgres")),
        (SimpleNamespace(get_connection_url=lambda: DSN.replace("postgresql", "postgresql+psycopg2")), DSN),
        (SimpleNamespace(url=DSN), DSN),
        (
            SimpleNamespace(host="127.0.0.1", port=5433, user="ann", password=PASSWORD, dbname="tests"),
            "postgresql://ann:p%40ss%2Fw%3Aord@127.0.0.1:5433/postgres",
        ),
        (
            SimpleNamespace(host="::1", port="5433", user="ann", password=None, maintenance_dbname="home"),
            "postgresql://ann@[::1]:5433/home",
        ),
        (
            SimpleNamespace(host="/tmp/a b", port=5433, user="ann", password=""),  # noqa: S108 - nothing is there
            "postgresql://ann@/postgres?host=%2Ftmp%2Fa+b&port=5433",
        ),
    ],
)
def test_a_server_has_a_dsn(server: object, dsn: str) -> None:
    """A DSN, a URL with a driver, a container and an executor each give the DSN that every library takes."""
    assert dsn_of(server) == dsn


def test_a_url_of_sqlalchemy() -> None:
    """The password of SQLAlchemy's URL and of an engine is not masked."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = sqlalchemy.make_url(DSN).set(drivername="postgresql+psycopg")

    assert [dsn_of(each) for each in (url, SimpleNamespace(url=url))] == [DSN, DSN]


def test_a_container_of_testcontainers() -> None:
    """The URL that testcontainers' own class makes is taken; the container itself, for which Docker is needed, is none."""
    container_module = pytest.importorskip("testcontainers.core.container")
    postgres = pytest.importorskip("testcontainers.community.postgres")
    with mock.patch.object(container_module, "DockerClient"):
        container = postgres.PostgresContainer("postgres:18", username="ann", password=PASSWORD, dbname="shop")
    container._container = object()
    with (
        mock.patch.object(container, "get_container_host_ip", return_value="localhost"),
        mock.patch.object(container, "get_exposed_port", return_value=5433),
    ):
        assert "+psycopg2://" in container.get_connection_url()

        assert dsn_of(container) == DSN


def test_something_else() -> None:
    """What has no DSN is named by its type alone: it may hold a password."""
    with pytest.raises(pytest.UsageError, match="kimbledb_server returned dict; expected a DSN"):
        dsn_of({"password": "hushhush"})
