"""Run the property tests from new seeds, with many examples, until the time is over: ``nox -s explore``.

The usual test run starts them from fixed seeds, so that it never fails by luck. This tool looks for
failures that those seeds do not reach. A test that fails is left out of later rounds, and its seed is printed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: The tests that failed, in the short summary of pytest.
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)


def explore(minutes: float, workers: str, arguments: Sequence[str]) -> dict[str, int]:
    """Run rounds until the time is over, and return the tests that failed, each with its seed.

    Args:
        minutes: The time after which no new round begins.
        workers: The number of processes, as for pytest-xdist's ``-n``.
        arguments: Files, tests and other arguments for pytest.
    """
    end = time.monotonic() + minutes * 60
    failed: dict[str, int] = {}
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        seed = random.SystemRandom().getrandbits(32)
        print(f"round {rounds}: seed {seed}, {max(0.0, end - time.monotonic()) / 60:.0f} minutes are left", flush=True)
        left_out = [word for each in failed for word in ("--deselect", each)]
        command = ["-m", "hypothesis", "-q", "-rfE", "-n", workers, f"--hypothesis-seed={seed}", *left_out, *arguments]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *command],
            cwd=ROOT,
            env={**os.environ, "KIMBLEDB_TEST_PROFILE": "explore"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if run.returncode:
            print(run.stdout, flush=True)
            found = FAILED.findall(run.stdout)
            if run.returncode != 1 or not found:
                sys.exit(f"pytest ended with {run.returncode}")
            failed.update(dict.fromkeys(found, seed))
        else:
            print(run.stdout.strip().splitlines()[-1], flush=True)
    print(f"{rounds} rounds, {len(failed)} tests failed")
    return failed


def main() -> None:
    """Explore, and exit with 1 if a test failed."""
    parser = argparse.ArgumentParser(prog="nox -s explore --", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="time after which no new round begins (60)")
    parser.add_argument("--workers", default="auto", help="number of processes, as for pytest-xdist's -n (auto)")
    parser.add_argument("tests", nargs="*", help="files or tests (all property tests)")
    given = parser.parse_args()
    failed = explore(given.minutes, given.workers, given.tests)
    for test, seed in failed.items():
        print(f"again: KIMBLEDB_TEST_PROFILE=explore pytest '{test}' --hypothesis-seed={seed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
