"""The test line does not fail by luck."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def test_what_is_drawn_does_not_depend_on_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property test meets the same examples in every run, whatever tests ran before it in its process."""
    drawn: list[tuple[int, str]] = []

    @settings(settings.get_profile("fixed"))
    @given(st.integers(), st.text())
    def draw(number: int, text: str) -> None:
        drawn.append((number, text))

    draw()
    first = drawn.copy()
    drawn.clear()
    constants = [f'a{n} = {918_273_645 + n}\nb{n} = "constant {n}"\n' for n in range(200)]
    (tmp_path / "full_of_constants.py").write_text("".join(constants), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_constants")
    draw()

    assert first == drawn


def test_property_tests_run_from_fixed_seeds() -> None:
    """Unless somebody explores, no seed is drawn and no example of an earlier run is kept."""
    profile = settings.get_profile("fixed")

    assert (profile.derandomize, profile.database) == (True, None)
