from __future__ import annotations

from typing import Any

import pytest

import kimbledb
from kimbledb.model.outputs import text as text_output
from kimbledb.model.reports import MigrationReport, VerificationReport

PLAN = kimbledb.Planner(kimbledb.Catalog([])).plan()


def passed(name: str, seconds: float = 0.1, schema: str = "public") -> kimbledb.ManyResult[Any]:
    """Return the result of a schema with nothing to do."""
    report = MigrationReport((), PLAN, seconds, VerificationReport(()))
    return kimbledb.ManyResult(f"host:5432/{name}", schema, report, seconds=seconds)


def failed(name: str, message: str, schema: str = "public") -> kimbledb.ManyResult[Any]:
    """Return the result of a schema that failed."""
    error = kimbledb.ConnectionLostError(message, hint="try again")
    return kimbledb.ManyResult(f"host:5432/{name}", schema, error=error, seconds=0.01)


def many(count: int = 2_000, kinds: int = 9) -> kimbledb.ManyReport[Any]:
    """Return a report of many results, of which each tenth failed in one of several ways."""
    words = [chr(ord("a") + kind) * 3 for kind in range(kinds)]
    long = "\n".join(f"line {line}" for line in range(60))
    results = [
        passed(f"t{number}", number / 1000)
        if number % 10
        else failed(f"t{number}", f"t{number}: {words[number % kinds]}\n{long}")
        for number in range(count)
    ]
    return kimbledb.ManyReport(tuple(results), 60.0, halted="200 of 2000 failed, and the limit is 10%", not_started=7)


@pytest.mark.parametrize("kinds", [1, 9, 23])
def test_thousands_of_results_are_a_summary(kinds: int) -> None:
    """A screen shows the counts, the slowest and the failures by kind, and no more; JSON has each result."""
    report = many(kinds=kinds)
    text = text_output.write(report.as_tables(), detail=True)

    assert str(report) == text
    assert len(text.splitlines()) <= 40
    assert text.splitlines()[0].startswith(
        "2000 schemas in 60.000 s: 200 FAILED; HALTED with 7 not started: 200 of 2000 failed"
    )
    assert "1800 schemas: nothing to do" in text
    assert "1.999 s  host:5432/t1999 public" in text
    assert len(report.as_dict()["results"]) == 2_000  # type: ignore[arg-type]


def test_failures_of_one_kind_stand_together() -> None:
    """Failures whose first lines differ only in their own names and in numbers are one kind, with the first names."""
    report = kimbledb.ManyReport(
        (
            failed("a", "a is away for 3 s\nthe session 4711"),
            failed("b", "b is away for 4.5 s\nthe session 4712"),
            failed("c", "c is full"),
            passed("d"),
        ),
        1.0,
    )

    assert str(report).splitlines() == [
        "4 schemas in 1.000 s: 3 FAILED",
        "  2 schemas (host:5432/a, host:5432/b): ConnectionLostError: a is away for 3 s",
        "  the session 4711",
        "    hint: try again",
        "  host:5432/c public: ConnectionLostError: c is full",
        "    hint: try again",
    ]


def test_the_names_of_schemas_of_one_database() -> None:
    """Where the database is the same for all, it is named once."""
    report = kimbledb.ManyReport(tuple(failed("shop", "away", schema) for schema in "abcde"), 1.0)

    assert "5 schemas (host:5432/shop a, b, c and 2 more): " in str(report)


def test_few_results_are_shown_one_by_one() -> None:
    """The command line and a notebook show each of a few schemas, and no outcome twice."""
    report = kimbledb.ManyReport((passed("a"), failed("b", "away\nfrom here")), 1.0)
    text = text_output.write(report.as_tables(), detail=True)

    assert "host:5432/a  public  passed  nothing to do (0.100 s)" in text
    assert text.count("from here") == 1
    assert "slowest" not in text
