"""A forecast of seconds: a range, never a bare number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from attrs import frozen

#: Seconds below which a forecast is not told apart.
MOMENT = 0.1
#: The lower end from which a middle is taken where a range begins below.
_LEAST = 0.01


@frozen
class Forecast:
    """The forecast duration of a statement or run in the target, without its waits for locks."""

    #: The least number of seconds.
    low: float
    #: The largest number of seconds; None where nothing bounds it, as of a trigger of the user's own.
    high: float | None

    @property
    def is_moment(self) -> bool:
        """Whether it takes less than a tenth of a second."""
        return self.high is not None and self.high < MOMENT

    @property
    def is_known(self) -> bool:
        """Whether there is anything to say of it."""
        return self.high is not None or self.low >= MOMENT

    def __str__(self) -> str:
        if not self.is_known:
            return "unknown"
        if self.high is None:
            return f"at least {shown(self.low)}"
        if self.is_moment:
            return f"< {MOMENT:g} s"
        low, high = shown(self.low), shown(self.high)
        if self.low < MOMENT:
            return f"up to {high}"
        if low == high:
            return high
        # One unit for both where they share it.
        number, _, unit = low.partition(" ")
        return f"{number if high.endswith(f' {unit}') else low} to {high}"


#: Nothing is known.
UNKNOWN = Forecast(0.0, None)


@frozen
class PastForecasts:
    """The accuracy of a database's past forecasts, which its log holds beside the seconds that the migrations took."""

    #: The number of forecasts.
    count: int
    #: The number of ranges that held the fact. Facts below a tenth of a second count as one.
    within: int
    #: The median of the facts as multiples of the middles of their ranges, the geometric means of both ends; None where no
    #: range has two ends, or all were moments.
    ratio: float | None

    @classmethod
    def of(cls, known: Iterable[tuple[Forecast, float]]) -> PastForecasts:
        """Return how good some forecasts were.

        Args:
            known: Each forecast with the seconds that it took.
        """
        pairs = list(known)
        ratios = [
            fact / math.sqrt(max(each.low, _LEAST) * each.high)
            for each, fact in pairs
            if each.high is not None and not each.is_moment
        ]
        return cls(
            len(pairs),
            sum(each.low <= max(fact, MOMENT) and fact <= max(_high(each), MOMENT) for each, fact in pairs),
            median(ratios) if ratios else None,
        )

    def __str__(self) -> str:
        found = f"{self.within} of {self.count} held the fact"
        return (
            found if self.ratio is None else f"{found}, at {self.ratio:.2g} times the middle of the range in the median"
        )


def _high(forecast: Forecast) -> float:
    return math.inf if forecast.high is None else forecast.high


def total(forecasts: Iterable[Forecast | None]) -> Forecast:
    """Return the forecast of several things, one after the other.

    Args:
        forecasts: The forecast of each; None where there is none.
    """
    low, high = 0.0, 0.0
    is_bounded = True
    for each in forecasts:
        one = each or UNKNOWN
        low += one.low
        high += one.high or 0.0
        is_bounded = is_bounded and one.high is not None
    return Forecast(low, high if is_bounded else None)


def longest(forecasts: Iterable[Forecast]) -> Forecast:
    """Return the forecast of those that may take the longest; of none, that nothing is known."""
    return max(forecasts, key=lambda each: (_high(each), each.low), default=UNKNOWN)


def shown(seconds: float) -> str:
    """Return seconds with no more digits than a forecast is worth: ``0.3 s``, ``6 s``, ``4 min``, ``3 h``.

    Args:
        seconds: The number of seconds.
    """
    if seconds < 9.5:
        return f"{float(f'{seconds:.1g}'):g} s"
    if seconds < 120:
        return f"{float(f'{seconds:.2g}'):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
