"""A client program as a child process: its start, its end, and the error that its complaints become."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from attrs import field, frozen

from kimbledb.errors import BackupError
from kimbledb.execution.backup.access import Access

#: The beginning of a complaint, or of its hint, and of the lines that belong to it.
_COMPLAINT = re.compile(r"(?:pg_dump|pg_restore|psql)\b|HINT:  |(?!DETAIL|CONTEXT|STATEMENT|QUERY)[^\W\d_a-z]+:  ")
_BESIDE = re.compile(r"(?:DETAIL|CONTEXT|STATEMENT|QUERY|LINE \d+|Command was):")
#: A text in quotes: a name where the kind of object stands before it, else perhaps a value.
_QUOTED = re.compile(
    r"(\b(?:table|relation|constraint|database|role|user|schema|extension|column|index|type|function|sequence|view|server"
    r"|socket|file|directory|parameter|tablespace|policy|trigger|language|at)\s+)?\"[^\"]*\""
)
#: The number of lines of a program's complaints an error shows.
_SHOWN = 10


@frozen
class Client:
    """The client programs of one version."""

    folder: Path
    major: int
    #: The variables that they need beside those of the connection.
    environment: Mapping[str, str] = field(factory=dict)

    async def run(self, program: str, arguments: Sequence[str], access: Access, *, output: Path | None = None) -> str:
        """Run a program to its end, and kill it if the call is cancelled.

        Args:
            program: Its name.
            arguments: Its arguments.
            access: The database.
            output: The file that takes its output; None to return the output.

        Returns:
            The output, or nothing where it went to a file.

        Raises:
            BackupError: The program cannot be started, or it failed.
        """
        with nullcontext() if output is None else output.open("r+b") as file:
            process = await self.start(program, arguments, access, output=file)
            written, complaints = await to_its_end(process)
        if process.returncode != 0:
            raise self.failure(program, complaints, access)
        return (written or b"").decode(errors="surrogateescape")

    async def start(
        self,
        program: str,
        arguments: Sequence[str],
        access: Access,
        *,
        stdin: bool = False,
        output: BinaryIO | None = None,
    ) -> asyncio.subprocess.Process:
        """Start a program.

        Args:
            program: Its name.
            arguments: Its arguments.
            access: The database.
            stdin: Whether its input is a pipe; else it has none.
            output: The file that takes its output; None for a pipe.

        Raises:
            BackupError: It cannot be started.
        """
        try:
            return await asyncio.create_subprocess_exec(
                str(self.folder / program),
                *arguments,
                env=dict(access.environment) | dict(self.environment),
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if output is None else output,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise BackupError(f"{self.folder / program} cannot be started: {error.strerror}") from error

    def failure(self, program: str, complaints: bytes, access: Access) -> BackupError:
        """Return the error for a program that failed.

        Args:
            program: Its name.
            complaints: Its standard error.
            access: The database.
        """
        return BackupError(
            f"{program} {self.major} failed for {access.label}:\n{_shown(complaints, access)}",
            hint=_hint(complaints, access),
        )


async def to_its_end(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """Wait until a program ends, and return its output and its complaints. A cancelled call kills it."""
    try:
        return await process.communicate()
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a program if it still runs, as after a cancelled call."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdout is not None:
            # asyncio reports neither the end of a pipe that nobody reads, nor that of its program.
            with suppress(RuntimeError):  # somebody reads it
                await process.stdout.read()
        await process.wait()


def _shown(complaints: bytes, access: Access) -> str:
    """Return the last lines of a program's complaints, without the password and without values of rows."""
    text = complaints.decode(errors="replace").strip()
    if access.password:
        text = text.replace(access.password, "***")
    lines, shows = [], True
    for line in text.splitlines():
        # The lines that belong to a complaint can hold rows, each over several lines.
        shows = _COMPLAINT.match(line) is not None or (shows and _BESIDE.match(line) is None)
        if shows:
            lines.append(line)
    masked = [_QUOTED.sub(lambda quoted: quoted[0] if quoted[1] else '"***"', line) for line in lines]
    return "\n".join(f"  {line}" for line in masked[-_SHOWN:])


def _hint(complaints: bytes, access: Access) -> str | None:
    if b"password" in complaints and access.password is None:
        return "the password of this target is not known: pass a DSN that holds it, or name a passfile (PGPASSFILE)"
    if b"certificate" in complaints:
        return "name the certificate in the DSN (sslrootcert=...) or in PGSSLROOTCERT"
    if b"permission denied" in complaints or b"must be owner" in complaints:
        return "connect as a role that may read, or create, all objects of the database"
    if b"role " in complaints and b"does not exist" in complaints:
        return "roles belong to the server and are in no backup: make the missing roles first"
    return None
