"""The queries that a script names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kimbledb.model.migration import VerificationQuery
    from kimbledb.model.script import Script


def named_queries(script: Script) -> tuple[VerificationQuery, ...]:
    """Return the named queries of a verify.sql in which no fault was found."""
    from kimbledb.catalog import statements  # late: no start-up with nothing to do runs checks

    return tuple(statements.read_named_queries(script)[0])
