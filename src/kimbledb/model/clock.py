"""The duration of an operation."""

from __future__ import annotations

import time
from collections.abc import Callable


def stopwatch() -> Callable[[], float]:
    """Start a monotonic clock, and return a function that gives the seconds since."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
