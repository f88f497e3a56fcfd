"""The placeholders of an application's queries, as PostgreSQL numbers them."""

from __future__ import annotations

import pytest

from kimbledb.execution.rehearsing.placeholders import numbered


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT $1, ':a', %s", "SELECT $1, ':a', %s"),
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1"),
        ("SELECT x::text, ':a', \"b:c\", :a::int -- :b", "SELECT x::text, ':a', \"b:c\", $1::int -- :b"),
        ("SELECT %s, %s, 5 %% 2, '%s'", "SELECT $1, $2, 5 % 2, '%s'"),
        ("SELECT %(a)s, %(b)s, %(a)s /* %s */", "SELECT $1, $2, $1 /* %s */"),
        (
            "SELECT a FROM t WHERE b = ? AND c IN (?, ?) LIMIT ?",
            "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3) LIMIT $4",
        ),
        ("SELECT d ? 'a', d ?| ARRAY['a'] FROM t WHERE d ? ?", "SELECT d ? 'a', d ?| ARRAY['a'] FROM t WHERE d ? ?"),
        ("SELECT $x$ :a $x$, a[1:2], :c", "SELECT $x$ :a $x$, a[1:2], $1"),
    ],
)
def test_placeholders_are_numbered(query: str, expected: str) -> None:
    """Those of SQLAlchemy and psycopg become numbers, one for each name; what stands in strings and comments stays."""
    assert numbered(query) == expected
