"""Reading a verify.sql that was checked before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kimbledb.model.check import VerificationQuery
    from kimbledb.model.script import Script


def named_queries(script: Script) -> tuple[VerificationQuery, ...]:
    """Return the named queries of a verify.sql without faults."""
    # Late: its patterns take 15 ms, and a start with nothing to do runs no check.
    from kimbledb.catalog.named_queries import read_named_queries

    return tuple(read_named_queries(script)[0])
