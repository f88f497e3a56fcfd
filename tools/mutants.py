"""Make each change of tests/mutants/mutants.toml on a copy of the project, and run the tests that must fail then.

A change that fails no test is reported as a failure, and so are tests that fail without any change.
"""

from __future__ import annotations

import argparse
import itertools
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.explore import FAILED

ROOT = Path(__file__).parent.parent
LIST = ROOT / "tests" / "mutants" / "mutants.toml"
#: The files and folders of the project that the tests need.
_COPIED = (
    "src",
    "tests",
    "tools",
    "docs",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "noxfile.py",
)
#: Seconds that the tests of one change may take.
_TIMEOUT = 300

Mutant = dict[str, Any]


def mutants(wanted: Sequence[str] = ()) -> list[Mutant]:
    """Return the changes of the list whose name or file contains one of the texts; without texts, all of them."""
    listed: list[Mutant] = tomllib.loads(LIST.read_text("utf-8"))["mutant"]
    return [each for each in listed if not wanted or any(text in each["name"] + each["file"] for text in wanted)]


class Copy:
    """A copy of the project in which one change at a time is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for each in _COPIED:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / each, folder / each)

    def run(self, tests: Iterable[str], *options: str) -> tuple[int | None, str]:
        """Run tests.

        Returns:
            The exit code of pytest, or None if the tests took too long; and the output.
        """
        # No bytecode: two changes of a file within one second can have the same size.
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider", *options]
        try:
            run = subprocess.run(
                [*command, *tests],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_TIMEOUT * (1 if "-x" in options else 10),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, ""
        return run.returncode, run.stdout

    def judge(self, mutant: Mutant) -> str:
        """Make a change, run its tests, and undo the change.

        Returns:
            The test that failed, or an empty text if all passed.

        Raises:
            ValueError: The change cannot be made, or the tests cannot be run with it.
        """
        path = self.folder / mutant["file"]
        text = path.read_text("utf-8")
        if text.count(mutant["old"]) != 1:
            raise ValueError(f"{mutant['file']} contains {mutant['old']!r} {text.count(mutant['old'])} times")
        path.write_text(text.replace(mutant["old"], mutant["new"]), "utf-8")
        try:
            code, said = self.run(mutant["tests"], "-x")
        finally:
            path.write_text(text, "utf-8")
        if code is None:
            raise ValueError(f"the tests took more than {_TIMEOUT} seconds")
        failed = FAILED.findall(said)
        if code == 1 and failed:
            return str(failed[0])
        if code == 0:
            return ""
        raise ValueError(f"pytest ended with {code}:\n{said}")


def main() -> None:
    """Judge all changes, print the table, and exit with 1 if a change was not noticed."""
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__)
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="number of changes at once (one per processor)"
    )
    parser.add_argument("wanted", nargs="*", help="only changes whose name or file contains this")
    given = parser.parse_args()
    listed = mutants(given.wanted)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kimbledb-mutants-") as place:
        Path(place).chmod(0o755)  # for root, servers run as another user
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(given.workers):
            copies.put(Copy(Path(place) / f"copy-{number}"))
        first = copies.get()
        tests = dict.fromkeys(itertools.chain.from_iterable(each["tests"] for each in listed))
        code, said = first.run(tests, "-n", str(given.workers))
        copies.put(first)
        if code != 0:
            sys.exit(f"{said}\nthese tests fail without any change")

        def judge(mutant: Mutant) -> tuple[Mutant, str, bool]:
            copy = copies.get()
            try:
                noticed = copy.judge(mutant)
                result = noticed or "NOT NOTICED"
            except ValueError as error:
                noticed, result = "", f"NOT JUDGED: {error}"
            finally:
                copies.put(copy)
            print(f"{'+' if noticed else '-'} {mutant['name']}: {result}", flush=True)
            return mutant, result, bool(noticed)

        with ThreadPoolExecutor(given.workers) as pool:
            results = list(pool.map(judge, listed))
    print("\n| change | file | tests | noticed by |\n| --- | --- | --- | --- |")
    for mutant, result, _ in results:
        shown = [mutant["name"], mutant["file"], ", ".join(mutant["tests"]), result.splitlines()[0]]
        print("| " + " | ".join(each.replace("|", "\\|") for each in shown) + " |")
    missed = sum(not noticed for _, _, noticed in results)
    print(f"\n{len(results)} changes, {missed} not noticed, in {time.monotonic() - began:.0f} s")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
