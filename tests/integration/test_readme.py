"""The README's examples, run as they stand."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.support.transcripts import Shell, blocks_of, commands_of, shows

ROOT = Path(__file__).parent.parent.parent
BLOCKS = blocks_of(ROOT / "README.md")

#: The migrations of which the shown error is about the second; its last line is the shown one.
ORDERS = {
    "migrations/01_customers/apply.sql": "CREATE TABLE customers (id bigint PRIMARY KEY);\n",
    "migrations/02_orders/apply.sql": """\
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers (id),
    total numeric(12, 2) NOT NULL
);
CREATE VIEW large_orders AS SELECT id, totl FROM orders WHERE total > 1000;
""",
}


def test_the_example_runs() -> None:
    """The example that looks, runs and looks again works when it is pasted into a file."""
    [example] = [block.text for block in BLOCKS if block.language == "python"]

    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    assert "34 to apply" in done.stdout
    assert "applied 34 migrations" in done.stdout
    assert "all passed" in done.stdout
    assert re.search(r"would roll back 1 migration\n.*\n  mcp-servers-schema.sql  by a derived rollback\n", done.stdout)


async def test_the_error_is_a_real_one(database: str, tmp_path: Path) -> None:
    """The command prints the shown error, word by word."""
    [command] = [each for block in BLOCKS if block.language == "console" for each in commands_of(block)]
    (tmp_path / "shop").mkdir()
    shell = Shell(tmp_path / "shop", {"shop": database})
    for path, text in ORDERS.items():
        shell.write(path, text)
    shell.run("export DATABASE_URL=postgresql://localhost/shop")

    found = await asyncio.to_thread(shell.run, command.line)

    assert shows(command.output, found), found


def test_the_test_line_is_what_ci_runs() -> None:
    """The line that runs the tests is the same in the README and where every change is checked."""
    [line] = [block.text.strip() for block in BLOCKS if block.text.endswith("/nox\n")]

    assert line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
