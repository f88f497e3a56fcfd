"""What an execution of a query gives before and after a plan, and how these differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kimbledb.execution.rehearsing.outcomes import Before, Outcome, Tables, changed_columns, described, difference

TABLES = Tables.of({"tables": {"1": ["t", {"id": 1, "name": 2}]}, "refused": []})
RENAMED = Tables.of({"tables": {"1": ["t", {"id": 1, "title": 2}]}, "refused": []})
REPLACED = Tables.of({"tables": {"9": ["t", {"id": 1, "name": 2}]}, "refused": []})
REFUSING = Tables.of({"tables": {"1": ["t", {"id": 1, "name": 2}]}, "refused": [1]})
COLUMNS = [("a", "int4"), ("b", "text")]


def gave(
    *rows: tuple[int, str],
    error: tuple[str, str] | None = None,
    parameters: tuple[str, ...] = (),
    left: dict[str, Any] | None = None,
) -> Outcome:
    """Return an outcome."""
    return Outcome.of(
        {
            "error": error,
            "rows": [json.dumps({"a": a, "b": b}) for a, b in rows],
            "parameters": parameters,
            "left": left or {},
            "touched": [1],
            "assumed": True,
        }
    )


def compared(
    first: Outcome,
    after: Outcome,
    *,
    second: Outcome | None = None,
    query: str = "SELECT a, b FROM t",
    there: Tables = TABLES,
    fixed: bool = True,
) -> str | None:
    """Return the difference between what an execution gave twice before, and what it gives now."""
    return difference(query, COLUMNS, Before(first, second or first, TABLES), after, there, fixed=fixed)


ROWS = gave((1, "x"), (2, "y"))


def test_rows_are_compared_in_any_order_unless_they_are_sorted() -> None:
    """Rows in another order are the same without ORDER BY; with it, the columns by which they are sorted count."""
    turned = gave((2, "y"), (1, "x"))

    assert compared(ROWS, turned) is None
    assert (
        compared(ROWS, turned, query="SELECT a, b FROM t ORDER BY t.b DESC, a")
        == "it returns its rows in another order"
    )
    assert compared(ROWS, turned, query="SELECT a, b FROM (SELECT * FROM t ORDER BY a) AS t") is None
    ties, other_ties = gave((1, "x"), (2, "x")), gave((2, "x"), (1, "x"))
    assert compared(ties, other_ties, query="SELECT a, b FROM t ORDER BY b") is None
    assert compared(ROWS, gave((1, "x"))) == "it returns 1 rows instead of 2"
    assert compared(ROWS, gave((1, "x"), (2, "z"))) == "it returns other values of b"
    assert compared(ROWS, gave((1, "y"), (2, "x"))) == "it returns other rows"


def test_what_limit_takes_is_compared_where_the_rows_lie_as_before() -> None:
    """A LIMIT takes other rows where a migration wrote the table anew, which counts as no change."""
    query = "SELECT a, b FROM t LIMIT 1"

    assert compared(gave((1, "x")), gave((2, "y")), query=query) == "it returns other values of a, b"
    assert compared(gave((1, "x")), gave((2, "y")), query=query, fixed=False) is None


def test_what_differs_before_the_plan_is_not_compared() -> None:
    """A column, a number of rows, or a left value that differs from one time to the next before the plan is left out."""
    assert compared(ROWS, gave((1, "v"), (2, "w")), second=gave((1, "p"), (2, "q"))) is None
    assert compared(ROWS, gave((3, "v"), (2, "w")), second=gave((1, "p"), (2, "q"))) == "it returns other values of a"
    assert compared(ROWS, gave(), second=gave((1, "x"))) is None
    one, two, three = (gave(left={"1": [[{"id": n, "name": "x"}], []]}) for n in (1, 2, 3))
    assert compared(one, three, second=two) is None


def test_left_rows_are_compared_by_columns_that_are_still_there() -> None:
    """A renamed column has its number, a table in the place of another its name; new and dropped columns do not count."""
    was = gave(left={"1": [[{"id": 1, "name": "x"}], [{"id": 1, "name": "w"}]]})
    same = {"id": 1, "name": "x", "new": 5}

    assert compared(was, gave(left={"1": [[same], [{"id": 1, "name": "w", "new": 5}]]})) is None
    assert (
        compared(was, gave(left={"1": [[{"id": 1, "title": "x"}], [{"id": 1, "title": "w"}]]}), there=RENAMED) is None
    )
    assert compared(was, gave(left={"9": [[same], [{"id": 1, "name": "w"}]]}), there=REPLACED) is None
    assert compared(was, gave(), there=REPLACED) == "it leaves other values in column t.name"
    assert (
        compared(was, gave(left={"1": [[same], [{"id": 1, "name": "v"}]]})) == "it leaves other values in column t.name"
    )
    assert compared(was, gave(left={"1": [[same], [{"id": 1, "name": "v"}]]}), fixed=False) is None
    assert compared(gave(), was) == "it changes rows of t"
    assert compared(was, gave(), there=REFUSING) is None


@pytest.mark.parametrize(
    ("before", "after", "breaks"),
    [
        (None, ("23505", "unique"), True),
        (("23505", "unique"), ("23505", "unique"), False),
        (("23505", "unique"), ("23514", "check"), False),
        (("23505", "unique"), ("23502", "null in a"), True),
        (("23502", "null in a"), ("23502", "null in b"), True),
        (("23505", "unique"), ("42703", "no column"), True),
        (("23505", "unique"), None, False),
    ],
)
def test_an_error_counts_where_it_is_new(
    before: tuple[str, str] | None, after: tuple[str, str] | None, breaks: bool
) -> None:
    """Made-up values may break a rule before and after; a missing value, and what is no matter of values, is new."""
    assert (compared(gave(error=before), gave(error=after)) is not None) is breaks


def test_parameters_stay_among_numbers_and_among_texts() -> None:
    """A parameter of another type breaks clients that send it by its type; among numbers, and among texts, they convert."""

    def changed(was: str, now: str) -> str | None:
        return compared(gave(parameters=(was,)), gave(parameters=(now,)))

    assert changed("N int4", "N int8") is None
    assert changed("S varchar", "S text") is None
    assert changed("S text", "U uuid") == "parameter 1 changes from text to uuid"
    assert changed("D timestamp", "D timestamptz") == "parameter 1 changes from timestamp to timestamptz"


def test_columns_of_a_result() -> None:
    """Names, types and order of columns count, but for varchar in place of text."""
    assert changed_columns([("a", "varchar")], [("a", "text")]) is None
    assert changed_columns(COLUMNS, COLUMNS[::-1]) == "its result is another: its columns are in another order"
    assert changed_columns(COLUMNS, [("a", "int8")]) == (
        "its result is another: column b text is gone, column a changes from int4 to int8"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ("22P02", 'invalid input syntax for type integer: "secret"'),
            'invalid input syntax for type integer: "***" (SQLSTATE 22P02)',
        ),
        (("P0001", "order of secret refused"), "an error that a function raises (SQLSTATE P0001)"),
        (("42703", 'column "name" does not exist'), 'column "name" does not exist (SQLSTATE 42703)'),
    ],
)
def test_no_reason_holds_a_value(error: tuple[str, str], expected: str) -> None:
    """Values that the server or a function puts into an error stay out of the reason."""
    assert described(error) == expected
