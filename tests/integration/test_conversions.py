"""The rules of conversion beside the server: a value that fits by a rule is one that the server converts."""

from __future__ import annotations

import json
import random

import asyncpg
import pytest

from kimbledb.planning.conversions import conversion_of

#: Texts at the edge of JSON.
EDGES = [
    *(
        "",
        " ",
        "v",
        "s",
        "01",
        "-0",
        "- 1",
        "1-2",
        "00",
        "1.",
        ".5",
        "1e5",
        "1e9999",
        "1e400000",
        "truefalse",
        "NaN",
        "[v]",
    ),
    *(
        '"a',
        '"\\x"',
        '"\\u12"',
        '"\\u0000"',
        '"\\ud83d"',
        '"\\ud83d\\ude00"',
        '"\\ude00"',
        '"\t"',
        '"\n"',
        '""""',
        '"" ""',
    ),
    *(
        "[]]",
        "[1,]",
        "[1 2]",
        '["a\\q", "b"]',
        '[""\n""]',
        "{1:2}",
        '{"a"}',
        '{"a":1,}',
        '{"a":{"b":[{}]}}',
        "\xa01",
        "[1]\f",
    ),
    *('"\x7f"', '"\\\\"', '"\\\\\\"', "[" * 60 + "]" * 60, "[{}" * 9, "// c", "{'a':1}"),
]
#: Values at the edge of other types, by the type before.
VALUES = {
    "text": [
        *("2025-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "2025-04-31", "0000-01-01", "2025-01-01 10:00+16:00"),
        *(
            "2025-01-01T10:00:00+15:59",
            "2025-01-01 10:00:60",
            "\u200712",
            "\u0661\u0662",
            "\u00a01",
            "\v12\f",
            "1e99",
            "-1e-99",
        ),
        *("9" * 400, "1e5", " 1 ", "t", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "infinity", "", "99999999999999999999"),
    ],
    "json": ['"a"', '"\\u0000"', '["a", "\\ud83d"]', "[]", '["a"]', '{"a": "\\u0000"}', "1e5"],
    "numeric": ["1e400", "1e-400", "-1e308", "NaN", "Infinity", "0", "1e38", "1e-46", "1e-310", "99999.999"],
    "double precision": ["1e300", "1e-300", "NaN", "-Infinity", "1e-45", "1e-40", "0.1", "2147483647.9"],
    "bigint": ["9223372036854775807", "-2147483649", "253402300800", "1", "0"],
}
TYPES = [
    *(
        "uuid",
        "boolean",
        "integer",
        "bigint",
        "numeric",
        "numeric(6,2)",
        "double precision",
        "real",
        "date",
        "json",
        "jsonb",
    ),
    *("timestamp with time zone", "timestamp without time zone", "text", "character varying(3)", "text[]"),
]


async def judged(
    connection: asyncpg.Connection, before: str, after: str, values: list[str]
) -> list[tuple[str, bool, bool]]:
    """Each value with whether it fits by the rule from one type to another, and whether the server converts it."""
    rule = conversion_of("things.it", before, after)
    if rule is None:
        return []
    await connection.execute(
        f"CREATE OR REPLACE FUNCTION pg_temp.converts(it {before}) RETURNS boolean LANGUAGE plpgsql AS $$"
        f"BEGIN PERFORM {rule.value}; RETURN true; EXCEPTION WHEN data_exception OR feature_not_supported THEN RETURN false; END$$"
    )
    rows = await connection.fetch(
        f"SELECT given, ({rule.fits or 'true'}) AS fits, pg_temp.converts(it) AS converts"
        f" FROM (SELECT given, given::{before} AS it FROM unnest($1::text[]) AS given) AS things",
        values,
    )
    return [tuple(row) for row in rows]


async def test_a_value_that_fits_is_converted_by_the_server(connection: asyncpg.Connection) -> None:
    """No value at the edge of a type fits by a rule and fails in the conversion."""
    await connection.execute("SET timezone = 'UTC'")
    failing = [
        (before, after, value)
        for before, values in VALUES.items()
        for after in TYPES
        for value, fits, converts in await judged(connection, before, after, values)
        if fits and not converts
    ]

    assert failing == []


@pytest.mark.parametrize("kind", ["json", "jsonb"])
async def test_a_text_is_json_as_the_server_reads_it(connection: asyncpg.Connection, kind: str) -> None:
    """Of texts at the edge of JSON, and of JSON with letters changed, those fit that the server reads, and no others."""
    chance = random.Random(5)  # the same texts in each run
    texts = list(EDGES)
    for number in range(300):
        value = {"a": [number, -2.5, None, 'q"\\\u20ac\n', {}], "c:,}": [[True], {"d": {"e": 1e9}}]}
        text = json.dumps(value, ensure_ascii=bool(number % 2), indent=number % 3 or None)
        place = chance.randrange(len(text))
        texts += [
            text,
            text[:place] + chance.choice(['"', "\\", "[", "}", ",", "0", "e", "", "\n", "v"]) + text[place + 1 :],
        ]

    otherwise = [
        (text, fits) for text, fits, converts in await judged(connection, "text", kind, texts) if fits != converts
    ]

    assert otherwise == []
