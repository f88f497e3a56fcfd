"""Where the unpacked programs are kept.

Programs are run only out of a folder that nobody else could have written to; and
root's must be open to the user that the server runs as.
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
    """Find or make the folder for the programs: the first that will do.

    Raises:
        EmbeddedServerError: None will do; the message says why for each.
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
        f"no folder will do for the programs of the embedded server:{''.join(refusals)}",
        hint="set XDG_CACHE_HOME to a folder of yours from which programs may run",
    )


def _candidates() -> Iterator[Path]:
    """What could be the folder, best first."""
    uid = os.geteuid()
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        yield given / "kimbledb"
    home = Path(os.environ.get("HOME") or _home_of(uid))
    if uid == 0:
        # Not root's home: the server's user may not enter that.
        yield Path("/var/cache/kimbledb")
    elif home.is_absolute():
        yield home / ".cache" / "kimbledb"
    for temporary in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - see _refusal()
        yield Path(temporary, f"kimbledb-{uid}")


def _home_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""


def _made(folder: Path) -> Path:
    """Make the folder where it is missing, and give its real path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    if os.geteuid() == 0 == folder.stat().st_uid and folder.stat().st_mode & 0o777 == 0o700:
        folder.chmod(0o755)
    return folder


def _refusal(folder: Path) -> str | None:
    """Say why programs may not be kept in the folder and run from it; None where they may."""
    uid = os.geteuid()
    if ":" in str(folder):
        return "a colon is in its name"  # which would split LD_LIBRARY_PATH
    if not os.access(folder, os.W_OK | os.X_OK):
        return "not writable"
    if os.statvfs(folder).f_flag & NOEXEC:
        return "programs may not be run from there (it is mounted noexec)"
    # Whoever owns / can do everything anyway; in a container that is not always 0.
    trusted = {0, uid, Path("/").stat().st_uid}
    for place in (folder, *folder.parents):
        status = place.stat()
        mode = status.st_mode
        if status.st_uid not in trusted:
            return f"{place} belongs to another user"
        # Others may write next to the folder where the sticky bit protects it. Whom a
        # user lets into the own home by its group is for that user to decide.
        others = stat.S_IWOTH if place != folder and status.st_uid == uid != 0 else stat.S_IWOTH | stat.S_IWGRP
        if mode & others and (place == folder or not mode & stat.S_ISVTX):
            return f"others may write to {place}"
        if uid == 0 and not mode & stat.S_IXOTH:
            return f"users other than root cannot enter {place}"
    return None
