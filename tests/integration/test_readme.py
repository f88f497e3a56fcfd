"""The README's examples, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    """The example that looks, runs and looks again works when it is pasted into a file."""
    [example] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "asyncio.run" in block]

    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    assert "34 to apply" in done.stdout
    assert "applied 34 migrations" in done.stdout
    assert re.search(r"would roll back 1 migration\n.*\n  mcp-servers-schema.sql  by a derived rollback\n", done.stdout)


def test_the_test_line_is_what_ci_runs() -> None:
    """The line that runs the tests is the same in the README and where every change is checked."""
    [line] = [line for line in README.splitlines() if line.endswith("/nox")]

    assert line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_commands_exist() -> None:
    """Each command that the README shows is one that the program knows."""
    commands = set(re.findall(r"^kimbledb (\w+)", README, re.MULTILINE))
    assert {"migrate", "rollback", "reset"} <= commands
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "kimbledb", command, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
