"""Random schemas are written into another database, and changed into others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.random_schemas import changes, schemas
from tests.support.written import Pair, pair


@pytest.fixture
async def both(hosted_server: str) -> AsyncIterator[Pair]:
    """Two databases of a server with the roles that privileges are granted to."""
    async with pair(hosted_server) as made:
        yield made


@settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
@given(statements=schemas())
async def test_a_schema_is_written_again(both: Pair, statements: list[str]) -> None:
    """What the writer makes of the snapshot of any schema has an equal snapshot, and pg_dump writes the same file of it."""
    await both.empty()
    await both.one.run(statements)

    await both.write_over()


@settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
@given(drawn=changes())
async def test_a_schema_is_changed_into_another(both: Pair, drawn: tuple[list[str], list[str]]) -> None:
    """The statements from any schema to a changed one lead to an equal snapshot, an equal pg_dump, and keep the rows."""
    await both.change_over(*drawn)


@settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
@given(drawn=changes())
async def test_a_changed_schema_is_made_whole_again(both: Pair, drawn: tuple[list[str], list[str]]) -> None:
    """Whatever was changed of a schema comes back, where names are all that tells which object needs which."""
    await both.complete(*drawn)
