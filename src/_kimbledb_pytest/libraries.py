"""SQLAlchemy and psycopg, which are imported only by the fixtures that need them, and how each driver takes a DSN."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sqlalchemy import URL

#: The values of the ini option ``kimbledb_engine_driver``.
DRIVERS = ("asyncpg", "psycopg")
_PSYCOPG = ("psycopg", "pip install 'psycopg[binary]'")
_SQLALCHEMY = ("sqlalchemy", "pip install 'sqlalchemy[asyncio]>=2.0'")
#: An extra of SQLAlchemy, without which its asynchronous half fails at the first connection.
_GREENLET = ("greenlet", "pip install 'sqlalchemy[asyncio]>=2.0'")


def demand_psycopg(fixture: str) -> None:
    """Raise pytest.UsageError if psycopg, which a fixture needs, is not installed."""
    _demand(fixture, _PSYCOPG)


def demand_sqlalchemy(fixture: str, driver: str = "psycopg") -> None:
    """Raise pytest.UsageError if SQLAlchemy or the driver, which a fixture needs, is not installed.

    Args:
        fixture: The name of the fixture.
        driver: One of ``DRIVERS``; kimbledb itself needs asyncpg.
    """
    _demand(fixture, _SQLALCHEMY, *([_PSYCOPG] if driver == "psycopg" else []))


def demand_async_sqlalchemy(fixture: str, driver: str) -> None:
    """Raise pytest.UsageError if the asynchronous half of SQLAlchemy or the driver is not installed."""
    demand_sqlalchemy(fixture, driver)
    _demand(fixture, _GREENLET)


def _demand(fixture: str, *libraries: tuple[str, str]) -> None:
    for name, cure in libraries:
        if find_spec(name) is None:
            raise pytest.UsageError(f"the fixture {fixture} needs {name}, which is not installed: {cure}")


def driver_of(config: pytest.Config) -> str:
    """Return the driver of the asynchronous engines.

    Raises:
        pytest.UsageError: The ini option names another one.
    """
    driver = str(config.getini("kimbledb_engine_driver"))
    if driver not in DRIVERS:
        raise pytest.UsageError(f"kimbledb_engine_driver = {driver}: expected {' or '.join(DRIVERS)}")
    return driver


def asyncpg_arguments(dsn: str) -> dict[str, Any]:
    """Return the arguments of ``asyncpg.connect``."""
    from kimbledb.server.dsn import read

    address = read(dsn, "the DSN of the test database")
    return {**address.arguments(), "server_settings": dict(address.settings)}


def psycopg_arguments(dsn: str) -> dict[str, Any]:
    """Return the arguments of psycopg's ``connect``."""
    from kimbledb.server.dsn import parameters_of

    return dict(parameters_of(dsn, "the DSN of the test database"))


def engine_arguments(dsn: str, driver: str, options: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Return the arguments of SQLAlchemy's ``create_engine`` and ``create_async_engine``.

    The URL is for readers only. The arguments of the driver take precedence, since they hold all of a DSN,
    such as TLS and several hosts.

    Args:
        dsn: The DSN of the database.
        driver: One of ``DRIVERS``.
        options: The options of the project.
        arguments: Further arguments of the driver.
    """
    of_driver = psycopg_arguments(dsn) if driver == "psycopg" else asyncpg_arguments(dsn)
    given = options.get("connect_args", {})
    return {**options, "url": _url(dsn, driver), "connect_args": {**of_driver, **given, **arguments}}


def _url(dsn: str, driver: str) -> URL:
    from sqlalchemy import URL

    from kimbledb.server.dsn import read

    address = read(dsn, "the DSN of the test database")
    return URL.create(
        f"postgresql+{driver}",
        address.user,
        address.password,
        address.hosts[0] if address.hosts else None,
        address.ports[0],
        address.database,
    )
