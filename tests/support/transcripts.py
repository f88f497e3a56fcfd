"""Pages that show files, commands and outputs: each is carried out in its order, and compared."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from kimbledb._embedded import programs

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```', re.DOTALL | re.MULTILINE)
#: What puts a file into a page.
_SNIPPET = re.compile(r'^--8<--(?:\n(?P<file>\S+)\n--8<--| "(?P<one>[^"]+)")\n', re.MULTILINE)
#: What differs from run to run, and what stands in its place.
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+(?:Z|\+00:00)?)?"), "<time>"),
    # History shows the version of this package.
    (re.compile(r"\b\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?\b"), "<release>"),
    (re.compile(r'(seconds(?:=|": ))\d+\.\d+'), r"\1<seconds>"),
    (re.compile(r"0x[0-9a-f]{16,32}"), "<id>"),
    (re.compile(r"(?:< |up to |at least |\d[\d.]* to )\d[\d.]* s\b"), "<forecast>"),
    # Autovacuum gives a table further files whenever it comes by.
    (re.compile(r"\b\d+ kB\b"), "<size>"),
    (re.compile(r"\b\d+\.\d+ s\b"), "<seconds>"),
    (re.compile(r"\b\d+\.\d\d\d?\b"), "<seconds>"),
    (re.compile(r'(PostgreSQL |server = ")\d+\.\d+'), r"\1<version>"),
    (re.compile(r"\bkp1-[0-9a-f]{12}(?:…|[0-9a-f]{20}-[0-9a-f]{14}\b)"), "<fingerprint>"),
    # Columns are as wide as their longest cell.
    (re.compile(r"(?<=\S) {2,}"), " "),
    # The notes of a plan stand below its last column.
    (re.compile(r"^ {9,}", re.MULTILINE), " " * 8),
    # Whoever changes a migration need not count its lines on a page.
    (re.compile(r"apply\.sql:\d+"), "apply.sql:LINE"),
)
#: The line that names the server, which pages leave out: it has another port each time.
_PLACE = re.compile(r"^kimbledb: on .*, schema .*\n", re.MULTILINE)
#: The line of an error that names the section of its class, which pages leave out unless they show it.
_SEE = re.compile(r"^  see: https://\S+\n", re.MULTILINE)
#: A line of a shown output that stands for lines which are left out, and the end of a line that is.
_LEFT_OUT = "..."


@frozen
class Block:
    """A block of a page."""

    #: Its language: ``console`` for commands with their outputs.
    language: str
    #: The path of the file that it shows, or None.
    title: str | None
    text: str


@frozen
class Command:
    """A command with the output that a page shows."""

    line: str
    output: str


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in their order. A file that a mark puts into one is in its text."""
    text = _SNIPPET.sub(_file_shown, page.read_text(encoding="utf-8"))
    return [Block(found["language"], found["title"], found["text"]) for found in _BLOCK.finditer(text)]


def _file_shown(mark: re.Match[str]) -> str:
    return (ROOT / (mark["file"] or mark["one"])).read_text(encoding="utf-8")


def commands_of(block: Block) -> Iterator[Command]:
    """Yield the commands of a block, each with its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def settled(text: str) -> str:
    """Return a text with marks in place of times, durations and versions."""
    for varying, mark in _VARYING:
        text = varying.sub(mark, text)
    return text


def shows(shown: str, found: str) -> bool:
    """Return whether an output is as a page shows it, with lines left out where the page has ``...``."""
    if not _SEE.search(shown):
        found = _SEE.sub("", found)
    pattern = ""
    for line in settled(shown).splitlines():
        if line == _LEFT_OUT:
            pattern += r"(?:.*\n)*?"
        elif line.endswith(_LEFT_OUT):
            pattern += re.escape(line.removesuffix(_LEFT_OUT)) + r".*\n"
        else:
            pattern += re.escape(line) + r"\n"
    return re.fullmatch(pattern, settled(found)) is not None


class Shell:
    """A shell in a folder, in which ``kimbledb`` is this package, ``psql`` and ``pg_dump`` the embedded server's."""

    def __init__(self, folder: Path, databases: Mapping[str, str]) -> None:
        """Take a folder.

        Args:
            folder: The folder in which the commands run.
            databases: The DSN of each database that the commands name ``postgresql://localhost/NAME``.
        """
        self.folder = folder
        self._databases = databases
        #: The address of a database by its real parts, with what a page shows in their place.
        self._shown: list[tuple[re.Pattern[str], str]] = []
        binaries = folder.parent / f"{folder.name}-programs"
        binaries.mkdir()
        _script(binaries / "python", f'exec "{sys.executable}" "$@"')
        _script(binaries / "kimbledb", f'exec "{sys.executable}" -m kimbledb "$@"')
        library = programs().parent / "lib"
        _script(binaries / "psql", f'LD_LIBRARY_PATH="{library}" exec "{programs() / "psql"}" -X "$@"')
        _script(binaries / "pg_dump", f'LD_LIBRARY_PATH="{library}" exec "{programs() / "pg_dump"}" "$@"')
        self.environment = {
            # The output goes to a pipe, whatever the width of the terminal of the tests.
            **{name: value for name, value in os.environ.items() if not name.startswith("PG") and name != "COLUMNS"},
            "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def write(self, path: str, text: str) -> None:
        """Write a file, and the folders above it that are missing."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def texts(self, pattern: str) -> str:
        """Return the texts of all files with paths of a pattern, one after the other."""
        return "\n".join(file.read_text(encoding="utf-8") for file in sorted(self.folder.glob(pattern)))

    def run(self, line: str) -> str:
        """Run a command, and return its output and its errors."""
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.environment[name] = self._databases[value.rpartition("/")[2]]
            if urlsplit(value).port is not None:
                self._show(self.environment[name], value)
            return ""
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        found = _PLACE.sub("", done.stdout)
        for real, shown in self._shown:
            found = real.sub(shown, found)
        return found

    def _show(self, dsn: str, shown: str) -> None:
        """Have host, port and name of a database appear in outputs as a page shows them."""
        real, page = urlsplit(dsn), urlsplit(shown)
        parts = (
            (real.hostname, page.hostname),
            (real.port, page.port),
            (real.path.strip("/"), page.path.strip("/")),
        )
        self._shown = [(re.compile(rf"\b{re.escape(str(each))}\b"), str(instead)) for each, instead in parts]


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
