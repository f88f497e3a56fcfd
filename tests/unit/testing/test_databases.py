"""Databases that are ready before a test asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kimbledb.testing import Databases

Making = asyncio.Task[str]


@pytest.fixture
async def databases() -> Databases:
    """Those of a server that is not asked."""
    return Databases("postgresql://ann@localhost/postgres")


async def _made(name: str) -> str:
    return name


async def _failing() -> str:
    raise ValueError


async def test_one_that_is_ready_is_taken_without_waiting(databases: Databases) -> None:
    """The first of those made ahead is the caller's own, once."""
    making = asyncio.create_task(_made("kimbledb_test_1"))
    databases._ready.append(making)

    assert databases.take_ready() is None
    await making
    assert databases.take_ready() == "postgresql://ann@localhost/kimbledb_test_1"
    assert databases.take_ready() is None


@pytest.mark.parametrize("spoil", [repr, Making.cancel], ids=["failed", "cancelled"])
async def test_one_that_could_not_be_made_is_left_to_take(
    databases: Databases, spoil: Callable[[Making], object]
) -> None:
    """take() raises what went wrong."""
    making = asyncio.create_task(_failing())
    databases._ready.append(making)
    spoil(making)
    await asyncio.wait([making])

    assert databases.take_ready() is None
    assert list(databases._ready) == [making]
