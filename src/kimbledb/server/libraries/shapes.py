"""The shapes of other libraries' targets, for type checkers: those parts that kimbledb uses.

The libraries need not be installed, and their classes fit these protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class SQLAlchemyURL(Protocol):
    """A ``URL`` of SQLAlchemy."""

    @property
    def drivername(self) -> str:
        """The dialect and the driver, as ``postgresql+asyncpg``."""

    @property
    def query(self) -> Mapping[str, Any]:
        """The parameters; of several values of one parameter, a tuple."""

    def get_backend_name(self) -> str:
        """Return the name of the dialect."""


class SQLAlchemyEngine(Protocol):
    """An ``AsyncEngine`` of SQLAlchemy."""

    @property
    def sync_engine(self) -> Any:
        """The engine under it."""

    def connect(self) -> Any:
        """Return an ``AsyncConnection``."""


class SQLAlchemyConnection(Protocol):
    """An ``AsyncConnection`` of SQLAlchemy."""

    async def get_raw_connection(self) -> Any:
        """Return the pool's connection."""

    def in_transaction(self) -> bool:
        """Whether a transaction was begun."""


class PsycopgConnection(Protocol):
    """An ``AsyncConnection`` of psycopg."""

    @property
    def info(self) -> Any:
        """The parameters and the state of the connection."""


class PsycopgPool(Protocol):
    """An ``AsyncConnectionPool`` or ``AsyncNullConnectionPool`` of psycopg_pool."""

    conninfo: Any
    kwargs: Any
