"""A forecast of seconds: a range, never a bare number."""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrs import frozen

#: Seconds below which a forecast is not told apart.
MOMENT = 0.1


@frozen
class Forecast:
    """How long something will take in the target, without the time that it waits for locks."""

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
    return max(forecasts, key=lambda each: (math.inf if each.high is None else each.high, each.low), default=UNKNOWN)


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
