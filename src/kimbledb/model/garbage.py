"""Python's search for circles of objects, which takes the longer the more objects there are."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Make objects without a search for circles among them, again and again as they grow in number.

    It is for work that makes many objects, no circles, and waits for nothing.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
