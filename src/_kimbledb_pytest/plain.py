"""The fixtures for tests that are not asynchronous: SQLAlchemy's engine and session, and a connection of psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from _kimbledb_pytest.kept import BACK, LEFTOVERS, SAVEPOINT, Database
from _kimbledb_pytest.libraries import demand_psycopg, demand_sqlalchemy, engine_arguments, psycopg_arguments

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session


@pytest.fixture(scope="session")
def kimbledb_sync_engine_options() -> dict[str, Any]:
    """The options of ``create_engine``, to be overridden."""
    return {}


@pytest.fixture(scope="session")
def kimbledb_sync_session_options() -> dict[str, Any]:
    """The options of ``sessionmaker``, to be overridden."""
    return {}


@pytest.fixture
def kimbledb_sync_connection(_kimbledb_rolled_back: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection of psycopg to a migrated database, in a transaction that is rolled back after the test."""
    demand_psycopg("kimbledb_sync_connection")
    import psycopg

    connection = psycopg.connect(**psycopg_arguments(_kimbledb_rolled_back.dsn))
    changed = False
    with closing(connection), connection.transaction(force_rollback=True):
        connection.execute(SAVEPOINT)
        yield connection
        try:
            connection.execute(BACK)
        except psycopg.Error:
            changed = True
    if changed:
        _kimbledb_rolled_back.discard()


@pytest.fixture
def kimbledb_sync_engine(kimbledb_sync_engine_options: dict[str, Any], kimbledb_database: str) -> Iterator[Engine]:
    """An ``Engine`` of psycopg on a fresh migrated database, which is dropped after the test."""
    demand_sqlalchemy("kimbledb_sync_engine")
    from sqlalchemy import create_engine

    engine = create_engine(**engine_arguments(kimbledb_database, "psycopg", kimbledb_sync_engine_options))
    yield engine
    engine.dispose()


class _Engines:
    """The engine of the sessions, kept for the next test."""

    def __init__(self) -> None:
        self._key: Any = None
        self._engine: Engine | None = None

    def of(self, dsn: str, options: dict[str, Any]) -> Engine:
        """Return the engine of a database, whose sessions roll back."""
        from sqlalchemy import create_engine

        if self._engine is None or self._key != (dsn, options):
            self.close()
            # Nothing is prepared: a test may roll back the table that a statement was prepared for.
            arguments = engine_arguments(dsn, "psycopg", options, prepare_threshold=None)
            self._key, self._engine = (dsn, options), create_engine(**arguments)
        return self._engine

    def close(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


@pytest.fixture(scope="session")
def _kimbledb_sync_engines() -> Iterator[_Engines]:
    engines = _Engines()
    yield engines
    engines.close()


@pytest.fixture
def kimbledb_sync_session(
    kimbledb_sync_engine_options: dict[str, Any],
    kimbledb_sync_session_options: dict[str, Any],
    _kimbledb_rolled_back: Database,
    _kimbledb_sync_engines: _Engines,
) -> Iterator[Session]:
    """A ``Session`` on a migrated database, in a transaction that is rolled back after the test.

    ``session.commit()`` and ``session.rollback()`` in the test end a savepoint of that transaction.
    """
    demand_sqlalchemy("kimbledb_sync_session")
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.orm import sessionmaker

    database = _kimbledb_rolled_back
    clean = changed = False
    with _kimbledb_sync_engines.of(database.dsn, kimbledb_sync_engine_options).connect() as connection:
        connection.begin()
        connection.exec_driver_sql(SAVEPOINT)
        made = sessionmaker(bind=connection, join_transaction_mode="create_savepoint", **kimbledb_sync_session_options)
        session = made()
        yield session
        try:
            session.close()
            connection.exec_driver_sql(BACK)
            connection.rollback()
            _, prepared = connection.exec_driver_sql(LEFTOVERS).one()
            clean = database.shared and prepared == 0
        except SQLAlchemyError:
            changed = True
    if not clean:
        _kimbledb_sync_engines.close()
    if changed:
        database.discard()
