"""TOML of plain lines, which is read as JSON."""

from __future__ import annotations

import tomllib

import pytest

from kimbledb.catalog import toml
from kimbledb.model.fault import Fault

READ = [
    "",
    'title = "A [b] = \\u00e9 # c"\n',
    'title = "ä"\nrequires = ["a.sql", "b.sql"]\nphase = 12\ndefault = true\n',
    'title = "a\\tb"\nnotes = """\nphase = 1\n"""\n',
    'title = "a"  # why\n\n[expects]\n"t.c" = "text"\n',
    "requires = []\nphase = 1_000\nstatement_timeout = 1e3\n",
    'requires = [\n  "a.sql",\n]\n',
    'title = "without a line break"',
]
REFUSED = [
    'title = "a"\ntitle = "b"\n',
    'title = "a\x7f"\n',
    'title = "a" "b"\n',
    "phase = null\n",
    "phase = 012\n",
    'requires = ["a.sql" "b.sql"]\n',
]


@pytest.mark.parametrize("text", READ)
def test_every_file_is_read_as_toml(text: str) -> None:
    """Whichever way it is read."""
    faults: list[Fault] = []

    assert toml.read(text, "migration.toml", faults) == tomllib.loads(text)
    assert not faults


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_toml_is_a_fault(text: str) -> None:
    """Also where JSON would read it."""
    faults: list[Fault] = []

    assert toml.read(text, "migration.toml", faults) is None
    assert "it is not TOML" in faults[0].message
