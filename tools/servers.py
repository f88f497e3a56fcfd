"""Run the integration tests on each version of PostgreSQL: ``python -m tools.servers [15 16 17 18] [arguments of pytest]``.

Each version gets two servers, a bare one and one with a hosted platform's roles. The
results are printed as a table. No package has vector for version 15; tests that need it
are counted as skipped there. ``python -m tools.servers --renew`` writes the checksums
that the archive has now for Debian 13's packages.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree as ET

from attrs import frozen

from tests.servers.conftest import SETTINGS
from tests.servers.installations import VERSIONS, Unavailable, binaries, renew
from tests.support.programs import running

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests" / "integration"
#: Tests with a server of their own or none: they would be the same on each version.
LEFT_OUT = ("databases", "display", "embedded", "notebook", "pages", "pictures", "plugin", "readme", "schema_page")
#: Versions without a package of vector, and the message of a test that needs it.
WITHOUT_VECTOR = {15}
NO_VECTOR = re.compile(r'the server has no extension vector|extension "vector" is not available')


@frozen
class Outcome:
    """The result of the tests on one version."""

    version: int
    passed: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()
    seconds: float = 0.0
    #: Why the tests did not run.
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.version:>7}  {self.reason}"
        return f"{self.version:>7} {self.passed:>7} {self.skipped:>8} {len(self.failed):>7} {self.seconds:>8.0f}"


def run(version: int, arguments: list[str]) -> Outcome:
    """Run the tests on one version.

    Args:
        version: The major version.
        arguments: Arguments for pytest; none means all integration tests.
    """
    try:
        programs = binaries(version)
    except Unavailable as reason:
        return Outcome(version, reason=str(reason))
    with ExitStack() as stack:
        bare = stack.enter_context(running(programs, {**SETTINGS, "max_connections": "200"}))
        hosted = stack.enter_context(running(programs, {**SETTINGS, "max_connections": "200"}))
        report = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kimbledb-servers-"))) / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadgroup", f"--junit-xml={report}"),
            *(f"--ignore={TESTS / f'test_{name}.py'}" for name in LEFT_OUT),
            *(arguments or [str(TESTS)]),
        ]
        dsns = {"KIMBLEDB_TEST_DSN": bare.dsn, "KIMBLEDB_TEST_HOSTED_DSN": hosted.dsn}
        subprocess.run(command, cwd=ROOT, env={**os.environ, **dsns}, check=False)
        if not report.exists():
            return Outcome(version, failed=("pytest",), reason="pytest did not run")
        [suite] = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - our own file
    return _counted(version, suite)


def _counted(version: int, suite: ET.Element) -> Outcome:
    passed = skipped = 0
    failed = []
    for case in suite.iter("testcase"):
        text = "".join(f"{part.get('message')}{part.text}" for part in (*case.iter("failure"), *case.iter("error")))
        if case.find("skipped") is not None or (version in WITHOUT_VECTOR and NO_VECTOR.search(text)):
            skipped += 1
        elif text:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            passed += 1
    return Outcome(version, passed, skipped, tuple(dict.fromkeys(failed)), float(suite.get("time", 0)))


def main(arguments: list[str]) -> int:
    """Run the tests on the named versions, or on all, and return 1 if a test failed."""
    if arguments == ["--renew"]:
        print(renew(), end="")
        return 0
    named = [int(argument) for argument in arguments if argument.isdigit()]
    rest = [argument for argument in arguments if not argument.isdigit()]
    outcomes = [run(version, rest) for version in named or VERSIONS]
    print(f"\n{'version':>7} {'passed':>7} {'skipped':>8} {'failed':>7} {'seconds':>8}")
    for outcome in outcomes:
        print(outcome)
    failed = [f"{outcome.version}: {name}" for outcome in outcomes for name in outcome.failed]
    print("".join(f"\nfailed on {name}" for name in failed))
    return int(bool(failed))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exit stops the servers, too
    sys.exit(main(sys.argv[1:]))
