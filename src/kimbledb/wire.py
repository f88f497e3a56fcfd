"""How far the server got with a message of several statements, and whether it committed.

An error that arises while a statement runs names no place in the message. But the
server says of each statement that it is complete (manual, 55.2.2, "Multiple Statements
in a Simple Query"), and asyncpg keeps that to itself. To run the script once more,
statement by statement, would do twice what reaches outside of the transaction; so
what the server sends is looked at on its way to asyncpg.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Type and length of a message: the length counts itself and what follows (manual, 55.7).
_TYPE, _HEADER = 1, 5
_COMMAND_COMPLETE = ord("C")
#: What the server says of statements after which something stays whatever comes: a COMMIT in a
#: transaction that had failed reads "ROLLBACK".
_COMMITS = (b"COMMIT\0", b"PREPARE TRANSACTION\0")


class Completions(asyncio.Protocol):
    """Counts the statements that the server completes, and its COMMITs, and passes everything on."""

    def __init__(self, protocol: Any) -> None:
        self.count = 0
        self.commits = 0
        self._protocol = protocol
        self._header = b""
        #: Bytes of the present message that are still to come, and what came of it where it says what is complete.
        self._rest = 0
        self._tag: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Count, and pass on."""
        self._look_through(data)
        self._protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on."""
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass on."""
        keep: bool | None = self._protocol.eof_received()
        return keep

    def pause_writing(self) -> None:
        """Pass on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._protocol.resume_writing()

    def _look_through(self, data: bytes) -> None:
        position, end = 0, len(data)
        while position < end:
            if self._rest:
                step = min(self._rest, end - position)
                self._rest -= step
                if self._tag is not None:
                    self._tag += data[position : position + step]
                position += step
                if not self._rest:
                    self.commits += self._tag in _COMMITS
                continue
            missing = _HEADER - len(self._header)
            self._header += data[position : position + missing]
            position += missing
            if len(self._header) == _HEADER:
                self._tag = b"" if self._header[0] == _COMMAND_COMPLETE else None
                self.count += self._tag is not None
                self._rest = int.from_bytes(self._header[_TYPE:]) - (_HEADER - _TYPE)
                self._header = b""


@contextmanager
def counting(connection: Any) -> Iterator[Completions]:
    """Count, as long as the block lasts, the statements that the server completes on a connection of asyncpg's."""
    # asyncpg shows it to nobody; a version that keeps it elsewhere only costs the place of an error.
    transport = getattr(connection, "_transport", None)
    protocol = None if transport is None else transport.get_protocol()
    completions = Completions(protocol)
    if transport is not None:
        transport.set_protocol(completions)
    try:
        yield completions
    finally:
        if transport is not None and not transport.is_closing():
            transport.set_protocol(protocol)
