"""Pictures as a browser shows them."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

import kimbledb
from kimbledb.model.step import StepState

CATALOG = kimbledb.Catalog.builtin()
#: Tells where each text of the picture is drawn, in the picture's own measure.
MEASURE = """
<script>
const svg = document.querySelector("svg"), box = svg.getBoundingClientRect();
const found = [...svg.querySelectorAll("text")].map(text => {
    const at = text.getBoundingClientRect();
    return {text: text.textContent, left: at.left - box.left, top: at.top - box.top,
            right: at.right - box.left, bottom: at.bottom - box.top};
});
document.body.innerHTML = "<pre id=found></pre>";
document.getElementById("found").textContent =
    JSON.stringify({width: box.width, height: box.height, texts: found, scheme: matchMedia("(prefers-color-scheme: dark)").matches});
</script>
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    """The browser."""
    program = shutil.which("chromium")
    if program is None:
        reason = "chromium is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and CI must have it")
        pytest.skip(reason)
    return program


def _run(program: str, home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
            *(f"--user-data-dir={home / 'profile'}", "--window-size=2400,3200", *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _plans() -> dict[str, kimbledb.Plan]:
    """Plans that show many states."""
    planner = kimbledb.Planner(CATALOG)
    some = [
        kimbledb.AppliedMigration(
            each.name,
            success=True,
            checksum=each.checksum,
            applied_at="2026-01-01T00:00:00+00:00",
            version="0.1.0",
            adopted=False,
            error=None,
        )
        for each in CATALOG
        if each.number in (1, 2, 4, 5, 6, 7)
    ]
    return {"empty": planner.plan(), "begun": planner.plan(some)}


@pytest.mark.parametrize("plan", ["empty", "begun"])
def test_a_browser_shows_every_migration(chromium: str, tmp_path: Path, plan: str) -> None:
    """Each migration's name is drawn once, inside of the picture, and over no other name."""
    picture = _plans()[plan].to_svg()
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body style='margin:0'>{picture}{MEASURE}", encoding="utf-8")

    dom = _run(chromium, tmp_path, "--dump-dom", page.as_uri())

    [text] = re.findall(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    found: dict[str, Any] = json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    names = [each for each in found["texts"] if any(m.name in each["text"] for m in CATALOG)]
    assert sorted(m.name for m in CATALOG if sum(m.name in each["text"] for each in names) != 1) == []
    for each in names:
        assert 0 <= each["left"] < each["right"] <= found["width"] + 1, each
        assert 0 <= each["top"] < each["bottom"] <= found["height"] + 1, each
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            apart = (
                one["right"] <= other["left"]
                or other["right"] <= one["left"]
                or one["bottom"] <= other["top"]
                or other["bottom"] <= one["top"]
            )
            assert apart, (one, other)


def test_a_notebooks_page_becomes_a_picture(chromium: str, tmp_path: Path) -> None:
    """What a notebook shows of a plan is drawn to a PNG that is no blank sheet, in light and in dark."""
    plan = _plans()["begun"]
    assert {step.state for step in plan.steps} >= {StepState.APPLIED, StepState.PENDING, StepState.REPLACED}
    sizes = []
    for ground, ink in (("white", "black"), ("#111", "#eee")):
        page, shot = tmp_path / "plan.html", tmp_path / f"plan_{ground.strip('#')}.png"
        page.write_text(
            f"<!doctype html><meta charset=utf-8><body style='background:{ground};color:{ink}'>{plan._repr_html_()}",
            encoding="utf-8",
        )
        _run(chromium, tmp_path, f"--screenshot={shot}", page.as_uri())
        content = shot.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert struct.unpack(">II", content[16:24]) == (2400, 3200)
        sizes.append(len(content))

    # A blank sheet of that size takes some 30 KB.
    assert min(sizes) > 100_000
