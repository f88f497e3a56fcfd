"""Which client programs are installed, and which of them fit a server.

pg_dump refuses a server that is newer than itself, and an older pg_restore cannot read the file of
a newer pg_dump.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from kimbledb._embedded import programs
from kimbledb.errors import BackupError, EmbeddedServerError
from kimbledb.execution.backup.client import Client, to_its_end

#: Where Debian and Ubuntu keep the programs of each version.
_DEBIAN = "/usr/lib/postgresql/*/bin"


def in_order_of_fit(clients: Iterable[Client], major: int) -> list[Client]:
    """Return the clients that fit a server, best first: its own version, then newer ones, never an older one."""
    fitting = [client for client in clients if client.major >= major]
    return sorted(fitting, key=lambda client: client.major)


async def fitting(major: int) -> list[Client]:
    """Return the clients that fit a server, best first. The embedded server's are used only where no others fit.

    Args:
        major: The server's major version.

    Raises:
        BackupError: None fits.
    """
    found = await installed()
    if fit := in_order_of_fit(found, major):
        return fit
    try:
        folder = await asyncio.to_thread(programs)
    except EmbeddedServerError as error:
        missing: EmbeddedServerError | None = error
    else:
        missing = None
        version = await _version(folder, libraries := {"LD_LIBRARY_PATH": str(folder.parent / "lib")})
        if version is not None:
            found.append(Client(folder, version, libraries))
    if fit := in_order_of_fit(found, major):
        return fit
    seen = ", ".join(f"{client.folder} ({client.major})" for client in found)
    raise BackupError(
        f"the server is PostgreSQL {major}, and "
        + (f"every pg_dump here is older: {seen}" if seen else "there is no pg_dump here"),
        hint=f"install the client programs of PostgreSQL {major} (Debian: postgresql-client-{major}), "
        "or kimbledb[embedded]",
    ) from missing


async def installed() -> list[Client]:
    """Return the clients of the system, the embedded server's aside."""
    clients = []
    for folder in await asyncio.to_thread(_folders):
        version = await _version(folder, {})
        if version is not None:
            clients.append(Client(folder, version))
    return clients


def _folders() -> list[Path]:
    """Return the folders of PostgreSQL's programs, each once. Debian's come first: on its PATH there is only a script."""
    folders = sorted(Path("/").glob(_DEBIAN[1:]))
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        folders.append(Path(on_path).absolute().parent)
    return list(dict.fromkeys(folders))


async def _version(folder: Path, environment: Mapping[str, str]) -> int | None:
    """Return the common version of the programs in a folder, or None where they do not run or differ."""
    versions = set()
    for program in ("pg_dump", "pg_restore"):
        try:
            process = await asyncio.create_subprocess_exec(
                str(folder / program),
                "--version",
                env=dict(os.environ) | dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            return None
        output = (await to_its_end(process))[0].decode(errors="replace")
        number = re.search(r"\(PostgreSQL\) (\d+)", output)
        versions.add(None if number is None or process.returncode else int(number[1]))
    return versions.pop() if len(versions) == 1 else None
