"""One connection for the calls of a command that follow each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from kimbledb.server.options import Options
from kimbledb.server.sources import KeptConnection


class Source:
    """Lends connections, and notes how each came back."""

    can_reconnect = True
    address = None

    def __init__(self) -> None:
        self.lent: list[Any] = []
        self.back: list[str] = []

    @asynccontextmanager
    async def lend(self, _label: str, _options: Options) -> AsyncIterator[Any]:
        """See ``kimbledb.server.sources.Source``."""
        self.lent.append(SimpleNamespace(is_closed=False))
        try:
            yield self.lent[-1]
        except BaseException as error:
            self.back.append(type(error).__name__)
            raise
        self.back.append("well")


async def _used(kept: KeptConnection, error: Exception | None = None) -> Any:
    async with kept.lend("a database", Options()) as connection:
        if error is not None:
            raise error
        return connection


async def test_sessions_that_follow_each_other_share_a_connection() -> None:
    """A session beside another one has its own, which is not kept."""
    source = Source()
    kept = KeptConnection(source)

    async with kept.lend("a database", Options()) as first:
        assert await _used(kept) is not first
        assert source.back == ["well"]
    assert await _used(kept) is first
    assert source.back == ["well"]

    await kept.close()

    assert source.back == ["well", "well"]


async def test_no_connection_is_kept_after_an_error() -> None:
    """Its state may be unknown: whoever lent it decides what becomes of it."""
    source = Source()
    kept = KeptConnection(source)
    first = await _used(kept)

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        await _used(kept, ValueError())

    assert source.back == ["ValueError"]
    assert await _used(kept) is not first


async def test_a_connection_that_is_gone_is_not_lent_again() -> None:
    """The server may end it between two calls."""
    source = Source()
    kept = KeptConnection(source)
    (await _used(kept)).is_closed = True

    assert not (await _used(kept)).is_closed
    assert source.back == ["well"]
