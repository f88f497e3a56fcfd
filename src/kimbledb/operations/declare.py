"""Declare: record from a server what each migration of a folder makes, changes, renames and drops."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from kimbledb.catalog import declared
from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import CatalogError, ConfigurationError
from kimbledb.execution.command import ExitCode
from kimbledb.execution.recording import Recorded
from kimbledb.execution.recording_servers import Learned, known_of, learn
from kimbledb.model.clock import stopwatch
from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.declare_report import DeclaredMigration, DeclaredState, DeclareReport
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.state import PLATFORMS
from kimbledb.planning.effects import Effect, merged

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ()
EXAMPLE = "kimbledb declare migrations"


async def declare(
    directory: str | os.PathLike[str],
    *,
    base: Catalog | None = None,
    server: str | None = None,
    output: str | os.PathLike[str] | None = None,
    check: bool = False,
) -> DeclareReport:
    """Record from a server what each migration of a folder makes, changes, renames and drops.

    The migrations are applied one after the other to empty databases, statement by statement, on a bare and on a
    hosted server, with each alternative in a database of its own. ``declared.toml`` in each migration's folder, or
    beside the files of a flat folder, receives the objects, the statement that makes each, and the checksum of the text.
    A plan, an adoption and the search for drift then know what each migration does.

    Args:
        directory: The folder of migrations.
        base: The catalog on which they build. It is applied first, and nothing of it is recorded. None for the built-in
            one where they require something of it, else for none.
        server: The DSN of a server, on which databases are made and dropped again: only its own platform is recorded.
            None for private embedded servers of both platforms.
        output: A file for the declarations of all migrations, for a folder that cannot be written; read it with
            ``Catalog.from_directory(directory, declared=output)``. None for files in the folder.
        check: Whether only to compare the declarations with what the migrations do, and to write nothing.

    Returns:
        For each migration whether its declarations were written, are in step, or (with ``check``) are not.

    Raises:
        ConfigurationError: The folder, the server or the output cannot be used.
        CatalogError: A file of the folder has a fault, or ``renames`` names what is not renamed.
        PreflightError: The server lacks what a migration needs; nothing was written.
        MigrationError: A migration failed on an empty database, with its place; nothing was written.
        ConnectionLostError: The server cannot be reached.
        EmbeddedServerError: No embedded server can be started.
    """
    clock = stopwatch()
    elsewhere = None if output is None else Path(output)
    exists = elsewhere is not None and elsewhere.is_file()
    known = elsewhere if exists else None
    catalog = Catalog.from_directory(directory, base=base, declared=known)
    if base is None and catalog.builds_on_builtin:
        base = Catalog.builtin()
        catalog = Catalog.from_directory(directory, base=base, declared=known)
    own = [migration for migration in catalog if base is None or migration.name not in base]
    learned = await learn(catalog, own, server, attribute=not check)
    files = list(_files(own, Path(directory), elsewhere, learned, given=server is not None))
    rows = [row for file in files for row in file.rows(check=check)]
    if not check:
        _write({file.path: file.text for file in files if file.text != file.old})
    return DeclareReport(
        migrations=tuple(rows),
        server=" and ".join(sorted({each.server for each in learned})),
        platforms=tuple(PLATFORMS[each.hosted] for each in learned),
        seconds=clock(),
        check=check,
        notes=(*_notes(learned, given=server is not None), *_cure(rows, directory)),
    )


def _cure(rows: Sequence[DeclaredMigration], directory: str | os.PathLike[str]) -> Iterator[str]:
    if any(each.state is DeclaredState.OUT_OF_STEP for each in rows):
        yield f"`kimbledb declare {os.fspath(directory)}` records what they do; read the difference, and commit it"


def _notes(learned: Sequence[Learned], *, given: bool) -> Iterator[str]:
    for each in learned:
        yield from each.notes
    if given:
        platform = PLATFORMS[learned[0].hosted]
        yield f"the server is a {platform} one, and the other platform was not recorded: for both leave out --server"


class _Found:
    """The recorded declarations of one migration on all platforms."""

    def __init__(self, migration: Migration, learned: Sequence[Learned], *, given: bool) -> None:
        """Take what was learned.

        Args:
            migration: The migration.
            learned: The declarations of all migrations on each platform.
            given: Whether the caller gave the server, which is of one platform.
        """
        self.migration = migration
        self.scripts = migration.applied_scripts()
        self._server = learned[0].server
        self._platforms = {
            each.hosted: each.recorded[migration.name] for each in learned if migration.name in each.recorded
        }
        #: The platform on which the catalog does not run, or None.
        self._lost = None if given or len(learned) > 1 else PLATFORMS[not learned[0].hosted]

    @property
    def was_recorded(self) -> bool:
        """Whether it was recorded on any platform: the server may be of another one than it is for."""
        return bool(self._platforms)

    @property
    def in_step(self) -> bool:
        """Whether its declarations say what it does, on each platform that was recorded, and whether it can be undone."""
        if not (self._platforms and self._says_effect):
            return self._says_effect
        return self.no_rollback == self.migration.recorded_declarations.no_rollback

    @property
    def _says_effect(self) -> bool:
        return all(each.in_step for each in self._platforms.values()) and not self._is_lost

    @property
    def _is_lost(self) -> bool:
        """Whether its declarations hold for a platform on which the catalog does not run any more."""
        if self._lost is None or all(each.known is None for each in self._platforms.values()):
            return False
        return self.migration.recorded_declarations.recorded_on in (None, self._lost)

    @property
    def no_rollback(self) -> str | None:
        """The reason why no rollback can be derived, or None if one was proved, or if none is wanted."""
        found = [each.no_rollback for each in self._platforms.values() if each.no_rollback is not None]
        if not found and self._says_effect and not self._is_proven:
            return self.migration.recorded_declarations.no_rollback
        return found[0] if found else None

    @property
    def _is_proven(self) -> bool:
        """Whether a rollback was derived and proven on each platform of its declarations, or none is wanted."""
        if not self.migration.wants_derived_rollback:
            return True
        only = self.migration.recorded_declarations.recorded_on
        wanted = [hosted for hosted, platform in PLATFORMS.items() if only in (None, platform)]
        return all(hosted in self._platforms and self._platforms[hosted].is_tried for hosted in wanted)

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self._platforms.values())

    def count(self, what: str) -> int:
        """Return the number of objects that it creates, changes, drops or renames, on all platforms together."""
        return len({key for each in self._platforms.values() for key in getattr(each.effect, what)})

    @property
    def declarations(self) -> Declarations:
        """The declarations that are in step, or those that were recorded."""
        if self.in_step:
            return self.migration.recorded_declarations
        if self._says_effect:
            return evolve(self.migration.recorded_declarations, no_rollback=self.no_rollback)
        found = {hosted: statements for hosted in PLATFORMS if (statements := self._statements(hosted)) is not None}
        if len(found) == 1:
            [(hosted, only)] = found.items()
            both, recorded_on = merged(only, only), PLATFORMS[hosted]
        else:
            both, recorded_on = merged(found[False], found[True]), None
        return Declarations(both, self.migration.checksum, self._server, self.no_rollback, recorded_on)

    def _statements(self, hosted: bool) -> tuple[DeclaredStatement, ...] | None:
        """Return the statements on a platform: those that were recorded now, or before from the same text."""
        found = self._platforms.get(hosted)
        if found is not None and not found.in_step:
            return found.statements
        known = known_of(self.migration, hosted=hosted)
        if known is None or self._lost == PLATFORMS[hosted]:
            return None
        if self.migration.recorded_declarations.recorded_on == PLATFORMS[not hosted]:
            return None
        return known.statements

    def differences(self) -> Iterator[str]:
        """Yield the reasons why its declarations are out of step."""
        if self.in_step:
            return
        if self._says_effect:
            yield (
                "a rollback can be derived, and they say that none can"
                if self.no_rollback is None
                else f"no rollback can be derived, and they do not say so: {self.no_rollback}"
            )
            return
        if all(each.known is None for each in self._platforms.values()):
            yield self._reason_of_unknown()
            return
        if self._is_lost:
            yield f"they hold for a {self._lost} server, and the catalog does not run on one"
        platforms: dict[str, list[str]] = {}
        for hosted, each in self._platforms.items():
            for line in _differences(each):
                platforms.setdefault(line, []).append(PLATFORMS[hosted])
        for line, those in platforms.items():
            yield line if len(those) == len(self._platforms) else f"{line} (on a {those[0]} server)"

    def _reason_of_unknown(self) -> str:
        if self.migration.declared_checksum is None:
            return "none were recorded"
        try:
            _ = self.migration.recorded_declarations
        except CatalogError as error:
            own = [fault for fault in error.faults if fault.path.startswith(self.migration.location)]
            return f"their file has a fault: {(own or error.faults)[0].message}"
        if self.migration.is_outdated:
            return f"{' or '.join(script.file_name for script in self.scripts.values())} was edited after they were recorded"
        return "a statement does not begin where they say"


def _differences(found: Recorded) -> Iterator[str]:
    """Yield the differences between what a migration does and what its declarations say."""
    now, before = found.effect, Effect() if found.known is None else found.known.effect
    for what in ("creates", "changes", "drops", "renames"):
        here, there = _facts(now, what), _facts(before, what)
        for key in sorted(here.keys() - there.keys()):
            yield f"it {what} {DatabaseObject(*key)}, and they do not say so"
        for key in sorted(there.keys() - here.keys()):
            yield f"they say that it {what} {DatabaseObject(*key)}, and it does not"
        for key in sorted(here.keys() & there.keys()):
            one, other = here[key], there[key]
            names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
            if names:
                yield f"{DatabaseObject(*key)} has another {', '.join(names)}"
    for key in found.other_sources:
        yield f"{DatabaseObject(*key)} has another source"


def _facts(effect: Effect, what: str) -> dict[tuple[str, str], dict[str, object]]:
    if what == "drops":
        return {key: {} for key in effect.drops}
    if what == "renames":
        return {key: {"new name": name} for key, name in effect.renames.items()}
    return {key: dict(facts) for key, facts in getattr(effect, what).items()}


def out_of_step(migration: Migration, learned: Sequence[Learned], *, given: bool) -> list[str] | None:
    """Return the reasons why the declarations of a migration do not say what it does, or None if it was not recorded.

    Args:
        migration: The migration.
        learned: The declarations of all migrations on each platform.
        given: Whether the caller gave the server, which is of one platform.
    """
    found = _Found(migration, learned, given=given)
    return list(found.differences()) if found.was_recorded else None


# Files.


@frozen
class _File:
    """A file with declarations: as it is, and as it should be."""

    path: Path
    #: The recorded declarations of its migrations.
    found: Sequence[_Found]
    #: Whether it is a file for several migrations.
    is_shared: bool
    #: Its content, or None if it does not exist or cannot be read.
    old: str | None
    #: The names of migrations in it that the folder does not hold.
    stale: Sequence[str] = ()

    @property
    def text(self) -> str:
        """Its content as it should be."""
        if self.is_shared:
            return declared.written_together(
                {each.migration.name: (each.declarations, each.scripts) for each in self.found}
            )
        [only] = self.found
        return declared.written(only.declarations, only.scripts)

    def rows(self, *, check: bool) -> Iterator[DeclaredMigration]:
        """Yield the state of each migration that it holds."""
        otherwise = DeclaredState.OUT_OF_STEP if check else DeclaredState.WRITTEN
        all_in_step = all(each.in_step for each in self.found) and not self.stale
        is_written_so = not all_in_step or self.text == self.old
        for each in (each for each in self.found if each.was_recorded):
            reasons = tuple(each.differences()) if is_written_so else ("the file is not as kimbledb writes it",)
            yield DeclaredMigration(
                migration=each.migration.name,
                state=otherwise if reasons else DeclaredState.IN_STEP,
                differences=reasons,
                creates=each.count("creates"),
                changes=each.count("changes"),
                drops=each.count("drops"),
                renames=each.count("renames"),
                seconds=each.seconds,
                size=0 if check and not each.in_step else self._size(each),
                file=str(self.path),
                no_rollback=each.no_rollback,
            )
        for name in self.stale:
            yield DeclaredMigration(
                migration=name, state=otherwise, differences=("the folder does not hold it",), file=str(self.path)
            )

    def _size(self, each: _Found) -> int:
        parts = (each.declarations, each.scripts)
        text = declared.section(each.migration.name, *parts) if self.is_shared else declared.written(*parts)
        return len(text.encode())


def _files(
    migrations: Sequence[Migration], root: Path, output: Path | None, learned: Sequence[Learned], *, given: bool
) -> Iterator[_File]:
    """Yield the files that hold the declarations of a catalog: one, or one for each migration."""
    found = [_Found(migration, learned, given=given) for migration in migrations]
    found = [each for each in found if each.was_recorded or each.migration.is_declared]
    shared = output
    if shared is None and any(each.migration.is_flat for each in found):
        shared = root / declared.FILE
    if shared is None:
        for each in (each for each in found if each.was_recorded):
            path = Path(each.migration.location, declared.FILE)
            yield _File(path, [each], is_shared=False, old=_read(path))
        return
    old = _read(shared)
    source = declared.Source(str(shared), lambda _: old)
    names = {migration.name for migration in migrations}
    stale = [name for name in declared.names_in(source) if name not in names] if old else []
    yield _File(shared, found, is_shared=True, old=old, stale=stale)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _write(texts: dict[Path, str]) -> None:
    """Write files, each whole or not at all."""
    for path, text in texts.items():
        try:
            descriptor, name = tempfile.mkstemp(prefix=".declared-", suffix=".toml", dir=path.parent)
            new = Path(name)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                    file.write(text)
                new.chmod(0o666 & ~_umask())
                new.replace(path)
            except BaseException:
                # On a cancellation, too: no half-written file stays beside the old one.
                with suppress(OSError):
                    new.unlink()
                raise
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be written: {error.strerror or error}",
                hint="name a file in a folder that exists and can be written: output=...",
            ) from error


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="the folder of migrations (that of pyproject.toml, else migrations)"
    )
    parser.add_argument("--catalog", metavar="DIR", help="the same as DIR")
    parser.add_argument(
        "--base", metavar="DIR", help="the folder of migrations on which they build (the built-in ones, if required)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a declaration is out of step"
    )
    parser.add_argument("--output", metavar="FILE", help="one file for all, for a folder that cannot be written")
    parser.add_argument("--server", metavar="DSN", help="record on this server (embedded ones, bare and hosted)")
    parser.add_argument("--json", action="store_true", help="print one JSON value on standard output")


async def command(invocation: Invocation) -> int:
    """Record from a server what each migration of a folder makes, changes and drops.

    Writes declared.toml beside each apply.sql. With --check the exit code is 1 if one is out of step.
    """
    given = invocation.given
    directory = given.directory or given.catalog or invocation.folder
    base = None if given.base is None else Catalog.from_directory(given.base)
    report = await declare(directory, base=base, server=given.server, output=given.output, check=given.check)
    invocation.show(report)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED
