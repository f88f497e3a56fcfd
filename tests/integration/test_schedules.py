"""When something is due that repeats: periods, weekdays and cron lines, by the clocks of time zones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    """Return a time of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def slots(
    tables: asyncpg.Connection,
    schedule: str,
    after: str,
    zone: str = "UTC",
    first_run: str | None = None,
    count: int = 3,
) -> list[str]:
    """Return the next slots of a schedule in UTC, each one asked for after the one before."""
    found: list[datetime] = []
    for _ in range(count):
        found.append(
            await tables.fetchval(
                "SELECT next_scheduled($1, $2, $3, $4)",
                schedule,
                found[-1] if found else at(after),
                zone,
                at(first_run) if first_run else None,
            )
        )
    return [f"{slot.astimezone(UTC):%Y-%m-%d %H:%M}" for slot in found]


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("0 3 * * *", "2026-03-01 10:00", ["2026-03-02 03:00", "2026-03-03 03:00", "2026-03-04 03:00"]),
        # 2026-11-27 is a Friday.
        ("*/30 9-10 * * mon-fri", "2026-11-27 10:00", ["2026-11-27 10:30", "2026-11-30 09:00", "2026-11-30 09:30"]),
        ("5,50-54/2 0 * * *", "2026-11-27 00:50", ["2026-11-27 00:52", "2026-11-27 00:54", "2026-11-28 00:05"]),
        # The 13th, and every Friday.
        ("0 0 13 * 5", "2026-12-05", ["2026-12-11 00:00", "2026-12-13 00:00", "2026-12-18 00:00"]),
        # One of the two begins with *: odd days that are Fridays.
        ("0 0 */2 * FRI", "2026-11-01", ["2026-11-13 00:00", "2026-11-27 00:00", "2026-12-11 00:00"]),
        ("0 9 * jan,JUL 7", "2026-11-30", ["2027-01-03 09:00", "2027-01-10 09:00", "2027-01-17 09:00"]),
        ("0 9 1 1 0,7", "2026-12-30", ["2027-01-01 09:00", "2027-01-03 09:00", "2027-01-10 09:00"]),
        ("0 0 * * sat-sun", "2026-11-27", ["2026-11-28 00:00", "2026-11-29 00:00", "2026-12-05 00:00"]),
        ("0 0 29 2 *", "2026-01-01", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 29 2 *", "2096-03-01", ["2104-02-29 00:00", "2108-02-29 00:00", "2112-02-29 00:00"]),
        ("0 0 31 * *", "2026-01-31", ["2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00"]),
        ("0 0 L * *", "2028-01-31", ["2028-02-29 00:00", "2028-03-31 00:00", "2028-04-30 00:00"]),
        ("10/20 8 * * *", "2026-11-27 08:10", ["2026-11-27 08:30", "2026-11-27 08:50", "2026-11-28 08:10"]),
        ("@weekly", "2026-11-27", ["2026-11-29 00:00", "2026-12-06 00:00", "2026-12-13 00:00"]),
    ],
)
async def test_a_cron_line(tables: asyncpg.Connection, schedule: str, after: str, expected: list[str]) -> None:
    """A cron line has lists, ranges, steps and names, Sunday as 0 and 7, and takes a day that either field of days names."""
    assert await slots(tables, schedule, after) == expected


@pytest.mark.parametrize(
    ("schedule", "first_run", "expected"),
    [
        ("monthly", "2026-01-31 09:00", ["2026-02-28 09:00", "2026-03-31 09:00", "2026-04-30 09:00"]),
        ("P1M", "2028-01-30 09:00", ["2028-02-29 09:00", "2028-03-30 09:00", "2028-04-30 09:00"]),
        ("every quarter", "2026-11-30 09:00", ["2027-02-28 09:00", "2027-05-30 09:00", "2027-08-30 09:00"]),
        ("yearly", "2024-02-29 09:00", ["2025-02-28 09:00", "2026-02-28 09:00", "2027-02-28 09:00"]),
        ("P1W", "2026-11-27 09:00", ["2026-12-04 09:00", "2026-12-11 09:00", "2026-12-18 09:00"]),
        ("PT15M", "2026-11-27 23:40", ["2026-11-27 23:55", "2026-11-28 00:10", "2026-11-28 00:25"]),
        ("p1dt12h", "2026-11-27 09:00", ["2026-11-28 21:00", "2026-11-30 09:00", "2026-12-01 21:00"]),
        ("1 day and 12 hours", "2026-11-27 09:00", ["2026-11-28 21:00", "2026-11-30 09:00", "2026-12-01 21:00"]),
        ("every 2 weeks", "2026-11-27 09:00", ["2026-12-11 09:00", "2026-12-25 09:00", "2027-01-08 09:00"]),
        ("an hour", "2026-11-27 09:10", ["2026-11-27 10:10", "2026-11-27 11:10", "2026-11-27 12:10"]),
        ("every monday", "2026-11-27 09:10", ["2026-11-30 09:10", "2026-12-07 09:10", "2026-12-14 09:10"]),
        ("weekdays", "2026-11-27 09:10", ["2026-11-30 09:10", "2026-12-01 09:10", "2026-12-02 09:10"]),
        (
            "every tuesday and thursday at 7:05",
            "2026-11-27 09:10",
            ["2026-12-01 07:05", "2026-12-03 07:05", "2026-12-08 07:05"],
        ),
        ("every day at 23:59", "2026-11-27 09:10", ["2026-11-27 23:59", "2026-11-28 23:59", "2026-11-29 23:59"]),
    ],
)
async def test_a_period_and_weekdays(
    tables: asyncpg.Connection, schedule: str, first_run: str, expected: list[str]
) -> None:
    """A period counts from its first run, so that the 31st comes back after February; weekdays keep the time of the first run."""
    assert await slots(tables, schedule, first_run, first_run=first_run) == expected


@pytest.mark.parametrize(
    ("schedule", "after", "first_run", "expected"),
    [
        # On 2026-03-29 at 01:00 UTC the clocks of Berlin go from 02:00 to 03:00.
        ("0 9 * * *", "2026-03-28 09:00", None, ["2026-03-29 07:00", "2026-03-30 07:00"]),
        ("30 2 * * *", "2026-03-28 09:00", None, ["2026-03-29 01:30", "2026-03-30 00:30"]),
        ("0 * * * *", "2026-03-29 00:00", None, ["2026-03-29 01:00", "2026-03-29 02:00"]),
        ("daily", "2026-03-28 09:00", "2026-03-01 01:30", ["2026-03-29 01:30", "2026-03-30 00:30"]),
        ("PT24H", "2026-03-28 09:00", "2026-03-01 01:30", ["2026-03-29 01:30", "2026-03-30 01:30"]),
        ("every sunday", "2026-03-28 09:00", "2026-03-01 08:00", ["2026-03-29 07:00", "2026-04-05 07:00"]),
        # On 2026-10-25 at 01:00 UTC they go from 03:00 back to 02:00: 02:30 is read at 00:30 and at 01:30 UTC.
        ("30 2 * * *", "2026-10-24 09:00", None, ["2026-10-25 00:30", "2026-10-26 01:30"]),
        ("daily", "2026-10-24 09:00", "2026-10-01 00:30", ["2026-10-25 00:30", "2026-10-26 01:30"]),
        ("30 * * * *", "2026-10-25 00:00", None, ["2026-10-25 00:30", "2026-10-25 01:30"]),
        ("hourly", "2026-10-25 00:00", "2026-10-01 00:30", ["2026-10-25 00:30", "2026-10-25 01:30"]),
    ],
)
async def test_where_clocks_change(
    tables: asyncpg.Connection, schedule: str, after: str, first_run: str | None, expected: list[str]
) -> None:
    """A time of day is that of the zone's clock, once a day, an hour later where clocks skip it; what runs each hour runs in each hour."""
    assert await slots(tables, schedule, after, BERLIN, first_run, count=2) == expected


async def test_nothing_is_before_the_first_run(tables: asyncpg.Connection) -> None:
    """A schedule that starts later has its first slot there: a period at the start itself, a cron line at the first time from then on."""
    assert await slots(tables, "daily", "2026-01-01", first_run="2026-03-01 09:10", count=2) == [
        "2026-03-01 09:10",
        "2026-03-02 09:10",
    ]
    assert await slots(tables, "10 9 * * *", "2026-01-01", first_run="2026-03-01 09:10", count=1) == [
        "2026-03-01 09:10"
    ]
    assert await slots(tables, "0 9 * * *", "2026-01-01", first_run="2026-03-01 09:10", count=1) == ["2026-03-02 09:00"]


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("whenever", "is not understood\nHINT"),
        ("", "is not understood\nHINT"),
        ("5", "is not understood\nHINT"),
        ("-1 day", "is not understood\nHINT"),
        ("P", "is not understood\nHINT"),
        ("P1.5D", "is not understood\nHINT"),
        ("monday at 25:00", "is not understood\nHINT"),
        ("P0D", "no period from a second"),
        ("200 years", "no period from a second"),
        ("0 3 * *", "a cron line has five fields and it has 4"),
        ("0 0 3 * * *", "a cron line has five fields and it has 6"),
        ("60 * * * *", 'its minute "60" is none of 0 to 59'),
        ("0 24 * * *", 'its hour "24" is none of 0 to 23'),
        ("0 0 0 * *", 'its day of the month "0" is none of 1 to 31 and L'),
        ("0 0 * 13 *", 'its month "13" is none of 1 to 12 and jan to dec'),
        ("0 0 * * 8", 'its day of the week "8" is none of 0 to 7 and sun to sat'),
        ("*/0 * * * *", 'its minute "\\*/0"'),
        ("30-10 * * * *", 'its minute "30-10"'),
        ("0 0 30 2 *", "never comes"),
    ],
)
async def test_a_schedule_that_is_not_understood(tables: asyncpg.Connection, schedule: str, words: str) -> None:
    """What is no schedule, or has no day that fits, is an error that names it."""
    with pytest.raises(asyncpg.InvalidParameterValueError, match=words) as caught:
        await tables.execute("SELECT check_schedule($1, 'UTC')", schedule)

    assert f'"{schedule}"' in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe/Berlin5", "+05:00", "XYZ5", "", "UTC "])
async def test_a_time_zone_that_is_not_known(tables: asyncpg.Connection, zone: str) -> None:
    """A time zone is one by name: also what PostgreSQL would take for a rule, such as a misspelt name with a number, is an error."""
    with pytest.raises(asyncpg.InvalidParameterValueError, match="time zone"):
        await tables.execute("SELECT check_schedule(NULL, $1)", zone)


async def test_time_zones_that_are_known(tables: asyncpg.Connection) -> None:
    """Every name of a zone that PostgreSQL lists is taken, but those of its own making."""
    await tables.execute(
        """
        CREATE FUNCTION pg_temp.refused(zone text) RETURNS boolean LANGUAGE plpgsql AS
            'BEGIN PERFORM check_schedule(NULL, zone); RETURN false; EXCEPTION WHEN invalid_parameter_value THEN RETURN true; END';
        """
    )
    refused = await tables.fetch("SELECT name FROM pg_timezone_names WHERE pg_temp.refused(name) ORDER BY name")

    assert [row["name"] for row in refused if not row["name"].startswith("posix")] == []


def _field(lowest: int, highest: int, listed: int | None = None) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """Draw a field of a cron line, with numbers up to one that every month has, and the numbers that it means."""
    number = st.integers(lowest, listed or highest)
    every = st.integers(1, highest).map(lambda step: (f"*/{step}", frozenset(range(lowest, highest + 1, step))))
    spans = st.lists(st.tuples(number, number).map(sorted), min_size=1, max_size=3).map(
        lambda pairs: (
            ",".join(f"{a}-{b}" for a, b in pairs),
            frozenset(each for a, b in pairs for each in range(a, b + 1)),
        )
    )
    return st.one_of(st.just(("*", frozenset(range(lowest, highest + 1)))), every, spans)


def _instants(
    minutes: frozenset[int], hours: frozenset[int], *, each_hour: bool, day: date, zone: ZoneInfo
) -> Iterator[datetime]:
    """The runs of a day, by Python's own time zones."""
    for hour in sorted(hours):
        for minute in sorted(minutes):
            reading = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            both = [reading.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
            real = [
                each for each in both if (each.astimezone(zone).hour, each.astimezone(zone).minute) == (hour, minute)
            ]
            yield from (real if each_hour else real[:1] or both[:1])


@settings(suppress_health_check=list(HealthCheck))
@given(
    fields=st.tuples(_field(0, 59), _field(0, 23), _field(1, 31, 28), _field(1, 12), _field(0, 6)),
    # Clocks change near most of these days, and one is before a leap day.
    near=st.sampled_from(
        ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01", "2028-02-28"]
    ),
    minutes_later=st.integers(0, 2 * 24 * 60),
    name=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
async def test_cron_lines_against_a_walk_through_the_days(
    tables: asyncpg.Connection,
    fields: tuple[tuple[str, frozenset[int]], ...],
    near: str,
    minutes_later: int,
    name: str,
) -> None:
    """The next slot of any cron line is the first that a walk through all days finds, also where clocks change."""
    texts, (minutes, hours, days, months, weekdays) = zip(*fields, strict=True)
    since = at(near) + timedelta(minutes=minutes_later)
    zone = ZoneInfo(name)

    found = await tables.fetchval("SELECT next_scheduled($1, $2, $3)", " ".join(texts), since, name)

    day = since.astimezone(zone).date() - timedelta(days=1)
    expected: list[datetime] = []
    while not expected:
        in_month, in_week = day.day in days, (day.weekday() + 1) % 7 in weekdays
        either = not texts[2].startswith("*") and not texts[4].startswith("*")
        if day.month in months and ((in_month or in_week) if either else (in_month and in_week)):
            each_hour = texts[1].startswith("*")
            runs = _instants(minutes, hours, each_hour=each_hour, day=day, zone=zone)
            expected = sorted(each for each in runs if each > since)
        day += timedelta(days=1)
    assert found == expected[0]
