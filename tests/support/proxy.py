"""A TCP proxy between a client and a server that use PostgreSQL's protocol.

It forwards both streams. On demand it holds a stream before a pattern of bytes, resets
connections, resets the client's side only, swallows or delays data, or refuses
clients. It counts round trips: the messages of a client that wait for an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

#: Codes of the messages without a type, which precede all others (manual, 55.7 "Message Formats").
_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102

#: The most bytes that are forwarded at once: so large that one delay applies to a whole message.
_PIECE = 4 * 1024 * 1024


class Hold:
    """A place where a stream stops: before a pattern of bytes."""

    def __init__(self, pattern: bytes, toward: str, occurrence: int) -> None:
        self.pattern = pattern
        self.toward = toward
        self.left = occurrence
        #: Set when the stream has reached the pattern.
        self._reached = asyncio.Event()
        self._released = asyncio.Event()
        self.link: Link | None = None

    def release(self) -> None:
        """Resume the stream."""
        self._released.set()

    async def stop(self, link: Link) -> None:
        self.link = link
        self._reached.set()
        await self._released.wait()

    async def reach(self, run: asyncio.Future[Any]) -> Link:
        """Wait until the stream of a run has reached the pattern, and return its connection.

        Args:
            run: The run or the process. If it ends before, the test fails at once, and does not wait for ever.
        """
        reached = asyncio.ensure_future(self._reached.wait())
        await asyncio.wait([reached, run], return_when=asyncio.FIRST_COMPLETED)
        if not reached.done():
            reached.cancel()
            raise AssertionError(f"it ended before the proxy saw {self.pattern!r}: {run!r}")
        assert self.link is not None
        return self.link


class Link:
    """One client's connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        #: The number of round trips after the connection was made, and the number of the client's messages by type.
        self.round_trips = 0
        self.sent: Counter[str] = Counter()
        self._buffers = {"client": b"", "server": b""}
        self._typed = False
        self._connected = self._answered = False
        self._questions = 0
        self.client_is_lost = False

    def cut(self) -> None:
        """Reset both sides."""
        self.client.transport.abort()
        self.server.transport.abort()

    def lose_client(self) -> None:
        """Reset the client's side only: the server does not notice."""
        self.client_is_lost = True
        self.client.transport.abort()

    def read(self, toward: str, data: bytes) -> None:
        """Count the messages in a piece of a stream."""
        # A message that follows an answer waits for one itself, whatever it holds (Query, or Parse and Flush), except
        # for Terminate.
        if toward == "server" and self._connected and self._answered and data[:1] != b"X":
            self.round_trips += 1
        self._answered = toward == "client"
        buffer = self._buffers[toward] + data
        read = self._read_client if toward == "server" else self._read_server
        self._buffers[toward] = read(buffer)

    def _read_client(self, buffer: bytes) -> bytes:
        while True:
            start = 1 if self._typed else 0
            if len(buffer) < start + 4:
                return buffer
            [length] = struct.unpack_from("!I", buffer, start)
            if len(buffer) < start + length:
                return buffer
            if self._typed:
                self.sent[chr(buffer[0])] += 1
            elif length >= 8:
                [code] = struct.unpack_from("!I", buffer, 4)
                if code in (_SSL_REQUEST, _GSS_REQUEST):
                    self._questions += 1
                elif code != _CANCEL_REQUEST:
                    self._typed = True
            buffer = buffer[start + length :]

    def _read_server(self, buffer: bytes) -> bytes:
        while buffer:
            if self._questions:
                # The answer to an SSLRequest or GSSENCRequest is one byte.
                self._questions -= 1
                buffer = buffer[1:]
                continue
            if len(buffer) < 5:
                return buffer
            [length] = struct.unpack_from("!I", buffer, 1)
            if len(buffer) < 1 + length:
                return buffer
            self._connected = self._connected or buffer[:1] == b"Z"
            buffer = buffer[1 + length :]
        return buffer


class Proxy:
    """A proxy in front of the server of a DSN; ``async with`` starts and stops it."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        #: The clients' connections, in order, and what makes them.
        self.links: list[Link] = []
        self.link: type[Link] = Link
        #: Seconds that each piece of a stream waits.
        self.delay = 0.0
        self._holds: list[Hold] = []
        self._swallowing = False
        self._turned_away = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def dsn(self) -> str:
        """The DSN through the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{port}"))

    @property
    def round_trips(self) -> int:
        """The number of round trips of all connections."""
        return sum(link.round_trips for link in self.links)

    @property
    def sent(self) -> Counter[str]:
        """The number of messages of all clients, by type."""
        return sum((link.sent for link in self.links), Counter())

    def hold(self, pattern: bytes, *, toward: str = "client", occurrence: int = 1) -> Hold:
        """Stop a stream before a pattern.

        Args:
            pattern: The bytes.
            toward: ``client`` for the server's messages, ``server`` for the client's messages.
            occurrence: The number of the occurrence before which it stops, counted from 1 over all connections.
        """
        hold = Hold(pattern, toward, occurrence)
        self._holds.append(hold)
        return hold

    def cut(self) -> None:
        """Reset all connections."""
        for link in self.links:
            link.cut()

    def swallow(self) -> None:
        """From now on forward nothing and close nothing."""
        self._swallowing = True

    def turn_away(self, times: int) -> None:
        """Reset the next connections as soon as they are made.

        Args:
            times: The number of connections.
        """
        self._turned_away = times

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_PIECE)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        if self._turned_away:
            self._turned_away -= 1
            client.transport.abort()
            return
        try:
            server_reader, server = await asyncio.open_connection(self._parts.hostname, self._parts.port, limit=_PIECE)
        except OSError:
            client.transport.abort()
            return
        link = self.link(client, server)
        self.links.append(link)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pump(link, "server", client_reader, server), self._pump(link, "client", server_reader, client)
            )

    async def _pump(self, link: Link, toward: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        taking = asyncio.create_task(self._take(reader, pieces))
        try:
            with contextlib.suppress(OSError):
                await self._forward(link, toward, pieces, writer)
            if link.client_is_lost:
                await asyncio.Event().wait()
            with contextlib.suppress(OSError):
                writer.close()
        finally:
            taking.cancel()

    async def _take(self, reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Queue each piece with the time of its arrival: pieces are delayed in parallel, as on a network."""
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while data := await reader.read(_PIECE):
                pieces.put_nowait((clock() + self.delay, data))
        pieces.put_nowait((clock() + self.delay, b""))

    async def _forward(
        self, link: Link, toward: str, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        seen = b""  # possibly the beginning of a pattern
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - clock())
            if not data:
                return
            link.read(toward, data)
            hold, place = self._matching(toward, seen, data)
            if hold is not None:
                writer.write(data[:place])
                data = data[place:]
                await hold.stop(link)
                seen = b""
            else:
                seen = (seen + data)[-self._longest :]
            if self._swallowing:
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()

    @property
    def _longest(self) -> int:
        """The length of the longest pattern."""
        return max((len(each.pattern) for each in self._holds), default=1)

    def _matching(self, toward: str, seen: bytes, data: bytes) -> tuple[Hold | None, int]:
        """Count the patterns in a piece of a stream; return the hold that is reached, and its place in the piece.

        A piece may hold a pattern several times: what the server writes in two messages may arrive in one.

        Args:
            toward: The direction of the stream.
            seen: The end of the pieces before, in which a pattern may begin.
            data: The piece.
        """
        for hold in self._holds:
            if hold.toward != toward:
                continue
            begun = seen[len(seen) - len(hold.pattern) + 1 :] if len(seen) >= len(hold.pattern) else seen
            text, place = begun + data, -1
            while hold.left > 0 and (place := text.find(hold.pattern, place + 1)) >= 0:
                hold.left -= 1
            if place >= 0 and hold.left == 0:
                return hold, max(0, place - len(begun))
        return None, 0
