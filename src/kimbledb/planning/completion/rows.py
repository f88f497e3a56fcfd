"""The answers to ``kimbledb.planning.completion.questions``: the completions that the rows of a schema allow."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Rows:
    """The completions that the rows of a schema allow."""

    #: The tables that hold rows.
    filled: frozenset[str] = frozenset()
    #: The columns in which some row will have NULL.
    null: frozenset[str] = frozenset()
    #: The materialized views that are filled.
    populated: frozenset[str] = frozenset()
    #: The number of rows that violate a declaration, by the name in ``Questions.breaking``; declarations without any are left out.
    breaking: Mapping[str, int] = field(factory=dict)
    #: The entries of ``Questions.breaking`` that cannot be asked now, each with the reason.
    undecided: Mapping[str, str] = field(factory=dict)
