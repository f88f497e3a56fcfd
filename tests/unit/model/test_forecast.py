"""Forecasts of seconds: how they read, and how they add up."""

from __future__ import annotations

import pytest

from kimbledb.model.forecast import Forecast, PastForecasts, longest, total


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.0, 0.01, "< 0.1 s"),
        (0.05, 0.4, "up to 0.4 s"),
        (2.04, 6.4, "2 to 6 s"),
        (2.0, 2.4, "2 s"),
        (0.52, 13.1, "0.5 to 13 s"),
        (40.0, 300.0, "40 s to 5 min"),
        (200.0, 9000.0, "3 min to 2 h"),
        (3.0, None, "at least 3 s"),
        (0.01, None, "unknown"),
    ],
)
def test_a_forecast_is_shown_as_a_range(low: float, high: float | None, shown: str) -> None:
    """A forecast reads as a range with its unit; below a tenth of a second nothing is told apart."""
    assert str(Forecast(low, high)) == shown


def test_forecasts_add_up() -> None:
    """What has no bounds, or is not known, takes them from the whole; the longest is the one without bounds."""
    one, two, open_end = Forecast(1, 2), Forecast(0.5, 4), Forecast(3, None)

    assert total([one, two]) == Forecast(1.5, 6)
    assert total([one, open_end]) == Forecast(4, None)
    assert total([one, None]) == Forecast(1, None)
    assert longest([one, open_end, two]) == open_end
    assert longest([one, two]) == two
    assert not longest([]).is_known


def test_how_good_forecasts_were() -> None:
    """A range held where the fact is in it; a moment and a lower end count, and the ratio is that of ranges alone."""
    known = [
        (Forecast(1, 4), 4.0),  # twice the middle
        (Forecast(1, 4), 8.0),  # four times, and beyond it
        (Forecast(2, 8), 1.0),  # a quarter, and before it
        (Forecast(0, 0.01), 0.09),
        (Forecast(0, 0.01), 0.2),
        (Forecast(1, None), 70.0),
    ]
    assert PastForecasts.of(known) == PastForecasts(6, 3, 2.0)
    assert str(PastForecasts.of(known)) == "3 of 6 held the fact, at 2 times the middle of the range in the median"
    assert str(PastForecasts.of(known[3:])) == "2 of 3 held the fact"
