"""The mark that identifies the folders that kimbledb made: a name proves nothing.

A folder is removed, and a folder of data is used, only if its mark permits it. The mark
of a temporary folder also identifies that folder, so that a copy, or a folder that was
moved to be kept, is not taken for a leftover.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: The file that holds the mark.
MARK = "kimbledb.mark"
#: The beginning of every mark, and of no other file.
_SIGNATURE = "Signature: kimbledb 0f2c7a6e9d3b4c51a8e06f7d1b92c4e3"
_KEPT = f"{_SIGNATURE}\nThe caller of kimbledb.embedded() keeps this folder.\n"


def mark_kept(folder: Path) -> None:
    """Mark a folder as kept by its caller, also if it was temporary before."""
    if _read(folder) == _KEPT:
        return
    # Atomic and synced to the disk: a folder without its mark cannot be used again.
    new = folder / f"{MARK}.new"
    new.unlink(missing_ok=True)
    _write(new, _KEPT, sync=True)
    new.rename(folder / MARK)


def mark_temporary(folder: Path) -> None:
    """Mark a folder as temporary: to be removed when its process has ended."""
    _write(folder / MARK, _temporary(folder), sync=False)


def is_marked(folder: Path) -> bool:
    """Return whether kimbledb made the content of the folder."""
    return _read(folder).startswith(f"{_SIGNATURE}\n")


def is_temporary(folder: Path) -> bool:
    """Return whether kimbledb made this very folder, for this user, as a temporary one."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and _read(folder) == _temporary(folder)


def _temporary(folder: Path) -> str:
    status = folder.lstat()
    return f"{_SIGNATURE}\nTemporary: {status.st_dev}:{status.st_ino} {folder}\n"


def _read(folder: Path) -> str:
    """Return the text of the mark, or an empty text where there is no mark."""
    try:
        descriptor = os.open(folder / MARK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read(len(_SIGNATURE) + 8192) if stat.S_ISREG(os.fstat(descriptor).st_mode) else ""


def _write(file: Path, text: str, *, sync: bool) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
        writing.write(text)
        writing.flush()
        if sync:
            os.fsync(descriptor)
