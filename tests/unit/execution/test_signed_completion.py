"""What a completion may send where a plan was signed."""

from __future__ import annotations

import pytest

from kimbledb.execution.completing import Background
from kimbledb.model.completion import Completion
from kimbledb.model.forms import Forms, Origin

FORESEEN = ["DROP POLICY p;", "CREATE POLICY p;", "ALTER TABLE t;"]


@pytest.mark.parametrize(
    ("statements", "signed", "whole", "is_signed"),
    [
        (("ALTER TABLE t",), None, True, True),
        (("DROP POLICY p", "CREATE POLICY p", "ALTER TABLE t"), FORESEEN, True, True),
        (("ALTER TABLE t",), FORESEEN, True, False),
        (("ALTER TABLE t",), FORESEEN, False, True),
        (("ALTER TABLE t", "DROP TABLE t"), FORESEEN, False, False),
    ],
)
def test_it_sends_what_was_signed(
    statements: tuple[str, ...], signed: list[str] | None, whole: bool, is_signed: bool
) -> None:
    """The first migration sends all of it; a later one no more than that, since those before it may have done a part."""
    background = Background(
        migrations=(), forms=Forms(Origin(180001, 1, 100)), hosted=False, signed=signed, signed_whole=whole
    )

    assert background.is_signed(Completion(statements=statements)) is is_signed
