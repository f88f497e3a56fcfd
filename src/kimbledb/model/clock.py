"""How long something takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def stopwatch() -> Callable[[], float]:
    """Start a monotonic clock; calling what is returned gives the seconds since."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
