"""Contexts of a person's devices: whatever is written where, and in whatever order devices meet, they come to the same."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DEVICES = ("one", "two", "three")
KEYS = ("a", "b")
DEVICE = st.sampled_from(DEVICES)
#: A write of a value or, with None, a removal.
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from([None, None, 1, 2]), min_size=1)
SYNC = st.tuples(st.just("sync"), DEVICE, DEVICE).filter(lambda step: step[1] != step[2])
WRITE = st.tuples(st.just("save"), DEVICE, CHANGES)
#: By a clock that is wrong by some seconds, on top of an older version, and by another device.
LATE_WRITE = st.tuples(
    st.just("save"), DEVICE, CHANGES, st.integers(0, 3), st.sampled_from([None, 0, 1, 2]), st.none() | DEVICE
)


@pytest.fixture
async def devices(tables: asyncpg.Connection) -> asyncpg.Connection:
    """A connection to the whole schema with three devices of ann's in it."""
    await enrol(tables)
    return tables


async def enrol(devices: asyncpg.Connection) -> None:
    """Make the three devices anew."""
    await devices.execute("DELETE FROM devices")
    await devices.executemany("INSERT INTO devices (id, user_id) VALUES ($1, 'ann')", [(each,) for each in DEVICES])


async def save(
    devices: asyncpg.Connection,
    device: str,
    changes: dict[str, Any],
    seconds_late: int = 0,
    base_version: int | None = None,
    by_device: str | None = None,
) -> None:
    """Write keys of a device's context."""
    await devices.execute(
        "SELECT save_device_context($1, $2, $3, date_trunc('day', now()) - $4 * interval '1 second', $5)"
        if seconds_late
        else "SELECT save_device_context($1, $2, $3, by_device_id => $5) WHERE $4::integer IS NOT NULL",
        device,
        json.dumps(changes),
        base_version,
        seconds_late,
        by_device,
    )


async def sync(devices: asyncpg.Connection, source: str, target: str) -> None:
    """Bring one device's context to another."""
    await devices.execute(
        "SELECT sync_device_context($1, $2) WHERE EXISTS (SELECT FROM device_context WHERE device_id = $1)",
        source,
        target,
    )


async def meet(devices: asyncpg.Connection, line: Sequence[str] = DEVICES) -> list[dict[str, Any]]:
    """Let the devices meet along a line, there and back, and return their contexts: those at its ends never meet."""
    there = list(itertools.pairwise(line))
    back = [(target, source) for source, target in reversed(there)]
    for source, target in (*there, *back, *there):
        await sync(devices, source, target)
    return [json.loads(row[0]) for row in await devices.fetch("SELECT context FROM device_context ORDER BY device_id")]


async def run(devices: asyncpg.Connection, steps: list[tuple[Any, ...]]) -> None:
    """Take the steps one after the other."""
    await enrol(devices)
    for act, *arguments in steps:
        await (sync if act == "sync" else save)(devices, *arguments)


@settings(max_examples=settings().max_examples * 6 // 10, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(WRITE | SYNC, min_size=8, max_size=16), line=st.permutations(DEVICES))
async def test_the_newest_is_everywhere(
    devices: asyncpg.Connection, steps: list[tuple[Any, ...]], line: list[str]
) -> None:
    """After any writes, removals and meetings in any order, all devices show what was written last of each key, or that it was removed."""
    last: dict[str, Any] = {}
    for act, _, changes in steps:
        last |= changes if act == "save" else {}
    expected = {key: value for key, value in last.items() if value is not None}

    await run(devices, steps)

    found = await meet(devices, line)
    assert found == [expected] * len(DEVICES if last else ())


@settings(max_examples=settings().max_examples * 6 // 10, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(LATE_WRITE | SYNC, min_size=8, max_size=16), line=st.permutations(DEVICES))
async def test_all_come_to_the_same(devices: asyncpg.Connection, steps: list[tuple[Any, ...]], line: list[str]) -> None:
    """Also by clocks that are wrong, at the same instant, on top of old versions and by another device, all devices come to the same, and stay."""
    await run(devices, steps)

    found = await meet(devices, line)

    assert all(each == found[0] for each in found)
    before = await devices.fetch("SELECT context, key_stamps, version FROM device_context ORDER BY device_id")
    assert await meet(devices) == found
    assert await devices.fetch("SELECT context, key_stamps, version FROM device_context ORDER BY device_id") == before


async def test_a_removal_of_a_key_that_was_never_there(devices: asyncpg.Connection) -> None:
    """A removal on a device that does not have the key goes through a device that does not have it either to the one that has."""
    await save(devices, "one", {"c": 1})
    await save(devices, "two", {"b": 1})
    await sync(devices, "two", "three")
    await save(devices, "three", {"a": 1, "b": None})
    await devices.execute("DELETE FROM device_sync_queue")
    await save(devices, "one", {"a": None})
    assert await devices.fetchval("SELECT source_device_id FROM claim_device_sync('two')") == "one"

    await sync(devices, "one", "two")
    await sync(devices, "two", "three")

    assert await devices.fetchval("SELECT context FROM device_context WHERE device_id = 'three'") == '{"c": 1}'
    kept = await devices.fetchrow("SELECT kept_value, lost_value, kept_device_id FROM device_context_conflicts")
    assert kept is not None
    assert tuple(kept) == (None, "1", "one")


async def test_what_follows_is_no_conflict(devices: asyncpg.Connection) -> None:
    """A device that had seen a value overwrites it, though its clock is behind, and nothing is noted as lost; one that had not is noted."""
    await save(devices, "one", {"a": 1})
    await sync(devices, "one", "two")
    await save(devices, "two", {"a": 2}, seconds_late=3)
    await sync(devices, "two", "one")
    assert await devices.fetchval("SELECT context FROM device_context WHERE device_id = 'one'") == '{"a": 2}'
    assert await devices.fetchval("SELECT count(*) FROM device_context_conflicts") == 0

    await save(devices, "one", {"a": 3})
    await save(devices, "two", {"a": 4})
    await sync(devices, "two", "one")

    assert await devices.fetchval("SELECT context FROM device_context WHERE device_id = 'one'") == '{"a": 4}'
    assert await devices.fetchval("SELECT lost_value FROM device_context_conflicts") == "3"


async def test_a_device_that_is_set_up_again(devices: asyncpg.Connection) -> None:
    """A device that was deleted and set up again under its id brings its new context, though its versions count from one again."""
    for number in range(5):
        await save(devices, "one", {"a": number})
    await sync(devices, "one", "two")
    await devices.execute("DELETE FROM devices WHERE id = 'one'")
    await devices.execute("INSERT INTO devices (id, user_id) VALUES ('one', 'ann')")
    await save(devices, "one", {"a": 9})

    await sync(devices, "one", "two")

    assert await devices.fetchval("SELECT context FROM device_context WHERE device_id = 'two'") == '{"a": 9}'


async def test_what_waits_of_a_context_that_is_made_anew(devices: asyncpg.Connection) -> None:
    """What waited of a context that was deleted is done once the new one is brought, though its versions count from one again."""
    for number in range(3):
        await save(devices, "one", {"a": number})
    await devices.execute("DELETE FROM device_context WHERE device_id = 'one'")
    await save(devices, "one", {"b": 1})

    await sync(devices, "one", "two")

    assert await devices.fetchval("SELECT status FROM device_sync_queue WHERE target_device_id = 'two'") == "synced"


async def test_a_context_that_is_written_by_hand(devices: asyncpg.Connection) -> None:
    """A plain UPDATE of a context is later than what it overwrites, also where that has a stamp ahead of the clock, and reaches the others."""
    await save(devices, "one", {"a": 1})
    await devices.execute(
        "UPDATE device_context SET key_stamps = jsonb_set(key_stamps, '{a,changed_at}', to_jsonb(now() + interval '1 hour'))"
    )
    await sync(devices, "one", "two")
    await devices.execute("""UPDATE device_context SET context = '{"a": 2}' WHERE device_id = 'two'""")

    assert await meet(devices) == [{"a": 2}] * 3
