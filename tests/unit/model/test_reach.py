"""The entries of ``reaches``."""

from __future__ import annotations

from kimbledb.model import reach


def test_an_entry_is_an_object_a_schemas_objects_or_a_schema() -> None:
    """Each entry has a schema; an object has a name in it; an own schema counts itself."""
    entries = ["auth.users", "audit", "schema private"]

    assert [reach.home_of(each) for each in entries] == ["auth", "audit", "private"]
    assert [reach.name_of(each) for each in entries] == ["users", None, None]
    assert [reach.is_own(each) for each in entries] == [False, False, True]
    assert reach.wholes(entries) == ["audit", "private"]
    assert reach.places(entries) == ["auth.users", "audit", "private"]
    assert reach.own("private") == entries[2]
