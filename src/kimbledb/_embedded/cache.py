"""The folder that keeps the unpacked programs.

Programs are run only from a folder that no other user could have written to. For root,
the user that runs the server must also be able to enter it.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kimbledb.errors import EmbeddedServerError

NOEXEC = getattr(os, "ST_NOEXEC", 0)


def cache_folder() -> Path:
    """Return the folder for the programs: the first suitable candidate, created if it is missing.

    Raises:
        EmbeddedServerError: No candidate is suitable; the message has the reason for each.
    """
    refusals = []
    for folder in _candidates():
        try:
            made = _made(folder)
            refusal = _refusal(made)
        except OSError as error:
            refusal = error.strerror
        else:
            if refusal is None:
                return made
        refusals.append(f"\n  {folder}: {refusal}")
    raise EmbeddedServerError(
        f"no folder is suitable for the programs of the embedded server:{''.join(refusals)}",
        hint="set XDG_CACHE_HOME to a folder that only you can write to, on a file system that may run programs",
    )


def _candidates() -> Iterator[Path]:
    """Yield the candidates, best first."""
    uid = os.geteuid()
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        yield given / "kimbledb"
    home = Path(os.environ.get("HOME") or _home_of(uid))
    if uid == 0:
        # Not root's home: the server's user may not enter it.
        yield Path("/var/cache/kimbledb")
    elif home.is_absolute():
        yield home / ".cache" / "kimbledb"
    for temporary in dict.fromkeys((*_temporary(), "/tmp", "/var/tmp")):  # noqa: S108 - see _refusal()
        yield Path(temporary, f"kimbledb-{uid}")


def _temporary() -> tuple[str, ...]:
    try:
        return (tempfile.gettempdir(),)
    except FileNotFoundError:  # none can be written, as in a container with a read-only file system
        return ()


def _home_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""


def _made(folder: Path) -> Path:
    """Create the folder if it is missing, and return its real path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    if os.geteuid() == 0 == folder.stat().st_uid and folder.stat().st_mode & 0o777 == 0o700:
        folder.chmod(0o755)
    return folder


def _refusal(folder: Path) -> str | None:
    """Return the reason why a folder is not suitable for the programs, or None if it is suitable."""
    uid = os.geteuid()
    if ":" in str(folder):
        return "its name contains a colon"  # a colon would split LD_LIBRARY_PATH
    if not os.access(folder, os.W_OK | os.X_OK):
        return "not writable"
    if os.statvfs(folder).f_flag & NOEXEC:
        return "mounted noexec: no program can be run from it"
    # The owner of / can do everything anyway; in a container that is not always 0.
    trusted = {0, uid, Path("/").stat().st_uid}
    for place in (folder, *folder.parents):
        status = place.stat()
        mode = status.st_mode
        if status.st_uid not in trusted:
            return f"{place} belongs to another user"
        # Others may write beside the folder if the sticky bit protects it. A user may give
        # a group write access to the own home.
        others = stat.S_IWOTH if place != folder and status.st_uid == uid != 0 else stat.S_IWOTH | stat.S_IWGRP
        if mode & others and (place == folder or not mode & stat.S_ISVTX):
            return f"other users may write to {place}"
        if uid == 0 and not mode & stat.S_IXOTH:
            return f"users other than root cannot enter {place}"
    return None
