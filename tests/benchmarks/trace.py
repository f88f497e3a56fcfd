"""What a fresh run sends: its messages, how large they are, and which side each keeps waiting."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from functools import cache
from importlib.resources import files

from attrs import define, field

import kimbledb
from tests.support.proxy import Link, Proxy

from .measuring import Server

#: A line of SQL that is shorter may stand in several questions.
_SHORTEST = 30
_ERROR = re.compile(rb"SERROR\0VERROR\0C(\w{5})\0")
#: How many questions the description of a message names.
_NAMED = 3


@define
class Message:
    """A message of the client that waits for an answer."""

    #: When its first piece came, and the last of its answer; when the answer before it had come.
    began: float
    ended: float
    before: float
    data: bytearray = field(factory=bytearray)
    received: int = 0
    #: The SQLSTATE of the error that the server answered with.
    error: str = ""

    @property
    def client(self) -> float:
        """Milliseconds that the client took to make it."""
        return 1000 * (self.began - self.before)

    @property
    def server(self) -> float:
        """Milliseconds from its first byte to the last of the answer."""
        return 1000 * (self.ended - self.began)


class Recorder(Link):
    """A connection whose messages are recorded."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        super().__init__(client, server)
        self.messages: list[Message] = []
        self._ended = time.perf_counter()

    def read(self, toward: str, data: bytes) -> None:
        """Add a piece to the message that it belongs to."""
        before = self.round_trips
        super().read(toward, data)
        now = time.perf_counter()
        if self.round_trips > before:
            self.messages.append(Message(now, now, self._ended))
        if toward == "client":
            self._ended = now
        if self.messages:
            message = self.messages[-1]
            if toward == "client":
                message.received += len(data)
                message.ended = now
                if refused := _ERROR.search(data):
                    message.error = refused[1].decode()
            elif data[:1] != b"X":
                message.data += data


async def messages(server: Server) -> list[Message]:
    """Migrate an empty database, a second time in this process, and return what was sent after connecting."""
    for _ in range(2):
        proxy = Proxy(await server.fresh())
        proxy.link = Recorder
        async with proxy:
            await kimbledb.migrate(proxy.dsn)
    return [message for link in proxy.links if isinstance(link, Recorder) for message in link.messages]


def table(found: list[Message]) -> str:
    """Return the messages as a table of Markdown, with the sum."""
    rows = [
        (
            f"{number}: ",
            said(bytes(message.data)) + (message.error and f"; refused by {message.error}"),
            len(message.data),
            message.received,
            message.client,
            message.server,
        )
        for number, message in enumerate(found, 1)
    ]
    sums = [sum(column) for column in list(zip(*rows, strict=True))[2:]]
    lines = [
        f"| {number}{what} | {sent:,}; {received:,} | {client:,.1f}; {server:,.1f} |\n"
        for number, what, sent, received, client, server in [*rows, ("", "sum", *sums)]
    ]
    head = "| questions in the message | bytes sent; received | ms of client; server |\n"
    return head + "| --- | ---: | ---: |\n" + "".join(lines)


def said(message: bytes) -> str:
    """Describe a message by the files of ``sql/queries`` whose text is in it, the most frequent first."""
    text = message.decode(errors="replace")
    counted = Counter({name: text.count(line) for name, line in _signs().items()})
    named = [(name, count) for name, count in counted.most_common() if count]
    shown = [f"{count} {name}" if count > 1 else name for name, count in named[:_NAMED]]
    if len(named) > _NAMED:
        shown.append(f"{len(named) - _NAMED} more")
    return ", ".join(shown) or re.sub(r"\s+", " ", text[5:45]).strip("\0 ")


@cache
def _signs() -> dict[str, str]:
    """Return for each question a line that no other has and that has nothing to fill in."""
    texts = {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8").splitlines()
        for file in files("kimbledb.sql").joinpath("queries").iterdir()
        if file.name.endswith(".sql")
    }
    times = Counter(line for lines in texts.values() for line in set(lines))
    found = {}
    for name, lines in texts.items():
        own = [
            line for line in lines if times[line] == 1 and not set(line) & set("{}'\"") and not line.startswith("--")
        ]
        longest = max(own, key=len, default="")
        if len(longest) >= _SHORTEST:
            found[name] = longest
    return found
