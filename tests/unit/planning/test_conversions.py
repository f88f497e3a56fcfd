"""The defaults of columns that are converted."""

from __future__ import annotations

import pytest

from kimbledb.planning.conversions import conversion_of, default_of

ZONED, ZONELESS = "timestamp with time zone", "timestamp without time zone"


@pytest.mark.parametrize(
    ("before", "after", "default", "later"),
    [
        ("uuid", "text", "gen_random_uuid()", "gen_random_uuid()::text"),
        ("integer", "bigint", "1 + 1", "(1 + 1)::bigint"),
        (ZONELESS, ZONED, "now()", "now()"),
        (ZONELESS, ZONED, "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        (ZONELESS, ZONED, "timezone('utc'::text, now())", "timezone('UTC', (timezone('utc'::text, now())))"),
        ("text", "jsonb", "'{}'::text", "('{}'::text)::jsonb"),
        ("json", "jsonb", "'[1, \"it''s\"]'::json", "('[1, \"it''s\"]'::json)::jsonb"),
        ("text", "jsonb", "'NaN'::text", None),
        ("text", "jsonb", "'{'::text", None),
        ("text", "jsonb", "lower('{}'::text)", None),
        ("text", "integer", "'0'::text", None),
    ],
)
def test_a_default_is_converted_where_it_is_sure_to_fit(
    before: str, after: str, default: str, later: str | None
) -> None:
    """The later default gives the same values under the later type; one that may not fit goes."""
    conversion = conversion_of("things.it", before, after)

    assert conversion is not None
    assert default_of(conversion, default) == later
