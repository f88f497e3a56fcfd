"""A set of migrations: ``Catalog``.

``kimbledb.catalog.directories`` reads folders, ``kimbledb.catalog.shipped`` the built-in migrations,
``kimbledb.catalog.relations`` checks what migrations say of each other. ``kimbledb.planning.planner`` puts the migrations in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kimbledb.catalog import checksums
from kimbledb.catalog.checksums import Checksums, Seen
from kimbledb.errors import ConfigurationError, UnknownMigrationError
from kimbledb.model.garbage import uncollected
from kimbledb.model.names import near

if TYPE_CHECKING:  # a start with nothing to do hashes the files, and makes no migration of them
    from kimbledb.catalog.content import Content
    from kimbledb.model.evidence import AppliedMigration
    from kimbledb.model.fault import Fault
    from kimbledb.model.migration import Migration


class Catalog:
    """A set of migrations, each once, in the order of their numbers.

    ``catalog["api-cost-tracking.sql"]`` and ``catalog[19]`` return one migration by its name or number. Iteration
    yields all migrations in number order; ``len()`` returns their count. ``one + other`` joins two catalogs.
    """

    def __init__(self, migrations: Iterable[Migration], *, source: str = "", faults: Iterable[Fault] = ()) -> None:
        """Make a catalog of existing ``Migration`` objects.

        Args:
            migrations: The migrations, in any order. Their names and numbers must be unique.
            source: The origin of the migrations, for messages: a path, or ``built-in``.
            faults: The faults that a reader found in the files. They are raised together with those found here.

        Raises:
            CatalogError: Two migrations share a name or a number, a `requires` names no migration of the catalog,
                two alternatives are both the default, or ``faults`` is not empty. What only the built-in catalog has
                may be required: ``Catalog.builtin() + catalog`` has both.
        """
        #: The origin of the migrations, for messages: a path, or ``built-in``.
        self.source: str = source
        self._content = _checked(migrations, faults)

    @property
    def checksums(self) -> Checksums:
        """The checksums of the migrations.

        Raises:
            CatalogError: ``check_whole()`` raises it.
        """
        self.check_whole()
        providers = {thing: frozenset(each.name for each in among) for thing, among in self._content.providers.items()}
        return Checksums({each.name: each.checksum for each in self}, providers)

    @classmethod
    def builtin(cls) -> Catalog:
        """Return the 35 migrations of the KimbleAI v4 schema, which ship with the package.

        The migrations are read once in a process, when one of them is asked for.
        """
        global _builtin
        if _builtin is None:
            _builtin = _Late("built-in", _read_shipped, lambda _: checksums.of_shipped(), by_history=False)
        return _builtin

    @classmethod
    def from_directory(
        cls,
        path: str | os.PathLike[str],
        *,
        base: Catalog | None = None,
        declared: str | os.PathLike[str] | None = None,
    ) -> Catalog:
        """Read a folder of migrations.

        Args:
            path: The folder. It holds either one folder for each migration, or one file for each migration. Files are
                named by number (``007_ADD_INVOICES.sql``) or by date (``add-invoices-2025-10-27.sql``); each file
                requires the file before it and has neither a rollback nor checks. Or it is the folder of another tool,
                such as goose, Flyway, Prisma or Sqitch, which is read as it is. A symbolic link that leads out of the
                folder is refused, so that nobody without access to the folder can change a migration.
            base: The catalog on which these migrations build: they come after its own, and may require them. None for
                a folder that stands for itself.
            declared: The file that ``kimbledb declare --output`` wrote, for a folder that cannot hold it. None for the
                ``declared.toml`` of each migration's folder, or of a folder of files.

        Returns:
            The catalog of the migrations in the folder, after those of ``base``.

        Raises:
            CatalogError: A file has a fault, or the folder holds no migrations, or it holds those of another tool. The
                error has every fault of every file, each with its cure.
            ConfigurationError: The path is not a folder, or ``declared`` is not a file.
        """
        root, elsewhere = _paths(path, declared)
        migrations, faults = _read(root, elsewhere)
        if base is None:
            return cls(migrations, source=str(root), faults=faults)
        return cls([*base, *_raised(migrations, base)], source=f"{base.source} + {root}", faults=faults)

    def __add__(self, other: Catalog) -> Catalog:
        """Return both catalogs as one. The migrations of ``other`` come after those of this one, and may require them.

        Where a number of ``other`` is not above all numbers of this catalog, its numbers are raised by the highest of
        these: after the 35 built-in migrations, the first of a folder is number 36.

        Args:
            other: The catalog whose migrations come after those of this one.

        Raises:
            CatalogError: Two migrations have the same name, or the catalogs do not fit together in another way.
        """
        if not isinstance(other, Catalog):
            return NotImplemented
        return Catalog([*self, *_raised(other, self)], source=f"{self.source} + {other.source}")

    def __reduce__(self) -> tuple[Callable[..., Catalog], tuple[str, list[dict[str, Any]]]]:
        return _catalog_of, (self.source, [migration.parts() for migration in self._content.migrations])

    def __iter__(self) -> Iterator[Migration]:
        return iter(self._content.migrations)

    def __len__(self) -> int:
        return len(self._content.migrations)

    def __contains__(self, key: object) -> bool:
        return key in self._content.by_name or key in self._content.by_number

    def __getitem__(self, key: str | int) -> Migration:
        """Return a migration by its name or its number.

        Args:
            key: The name, such as ``api-cost-tracking.sql``, or the number.

        Raises:
            UnknownMigrationError: The catalog has no such migration. The error suggests similar names. It is also a
                ``KeyError``, as for any mapping.
        """
        found = self.get(key)
        if found is None:
            raise UnknownMigrationError(key, near(key, self._content.by_name) if isinstance(key, str) else ())
        return found

    def get(self, key: str | int) -> Migration | None:
        """Return a migration by its name or its number, or None if the catalog has no such migration.

        Args:
            key: The name, such as ``api-cost-tracking.sql``, or the number.
        """
        return self._content.by_number.get(key) if isinstance(key, int) else self._content.by_name.get(key)

    def providers(self, name: str) -> tuple[Migration, ...]:
        """Return the migrations that provide a thing, in number order. Several are alternatives.

        Args:
            name: A thing, as ``provides`` in migration.toml names it.
        """
        return self._content.providers.get(name, ())

    def has(self, name: str) -> bool:
        """Return whether a name is that of a migration, or of a thing that a migration provides.

        Args:
            name: The name of a migration, or a thing as ``provides`` in migration.toml names it.
        """
        return name in self or name in self._content.providers

    @property
    def provided(self) -> tuple[str, ...]:
        """The things that the migrations provide, in the number order of the first provider of each."""
        return tuple(self._content.providers)

    @property
    def last_number(self) -> int:
        """The highest number of a migration, or 0 without any."""
        return self._content.migrations[-1].number if self._content.migrations else 0

    @property
    def builds_on_builtin(self) -> bool:
        """Whether a migration requires a built-in one that this catalog does not hold."""
        return bool(self._content.waiting)

    def check_whole(self) -> None:
        """Check that the catalog holds all that its migrations require.

        Raises:
            CatalogError: A migration requires a built-in one, and the built-in catalog is not part of this one.
        """
        self._content.check_whole(self.source)

    @property
    def extensions(self) -> list[str]:
        """The names of the PostgreSQL extensions that the migrations require, sorted."""
        return sorted({each.name for migration in self for each in migration.extensions})

    @property
    def closed(self) -> bool:
        """Whether what its migrations make starts closed: ``closed = true`` in catalog.toml."""
        return any(migration.closed for migration in self)

    def begin(self) -> None:
        """Read what does not depend on history, for a catalog that is read late: a call does it while a server answers.

        Raises:
            CatalogError: A file has a fault.
        """

    def expect(self, history: Iterable[AppliedMigration]) -> None:
        """Note what history holds, for a catalog that is read late: what it holds was checked when it was applied.

        Args:
            history: The rows of history.
        """

    def check_phase(self, phase: int) -> None:
        """Check that a migration of a phase exists.

        Args:
            phase: The number of the phase.

        Raises:
            UnknownMigrationError: No migration belongs to the phase.
        """
        if phase not in self.phases:
            error = UnknownMigrationError(phase, what="phase")
            error.hint = f"there are {_spans(self.phases)}"
            raise error

    @property
    def phases(self) -> tuple[int, ...]:
        """The numbers of the phases of the migrations, ascending."""
        return tuple(sorted({migration.phase for migration in self if migration.phase is not None}))

    def __repr__(self) -> str:
        return f"<Catalog of {len(self)} migrations from {self.source or 'memory'}>"

    def __str__(self) -> str:
        width = max((len(migration.name) for migration in self), default=0)
        digits = max([4, *(len(str(migration.number)) for migration in self)])
        return "\n".join(
            f"{migration.number:>{digits}}  {migration.name:<{width}}  {migration.title}".rstrip() for migration in self
        )

    def _repr_html_(self) -> str:
        from kimbledb.model.outputs import html
        from kimbledb.model.pictures import Graph, Node, to_svg
        from kimbledb.model.tables import Table

        rows = tuple(
            (str(each.number), str(each.phase or ""), each.name, each.title, ", ".join(each.requires)) for each in self
        )
        nodes = tuple(
            Node(
                each.name,
                f"{each.number}. {each.name}",
                each.phase,
                "",
                f"{each.title or each.name}\n{each.purpose}".strip(),
            )
            for each in self
        )
        edges = tuple(
            (needed.name, each.name)
            for each in self
            for name in each.requires
            for needed in ((self[name],) if name in self else self.providers(name))
        )
        table = Table(repr(self).strip("<>"), rows, ("#", "phase", "migration", "title", "needs"))
        return html.write([table]) + to_svg(Graph(nodes, edges))


class _Late(Catalog):
    """A catalog that is read when more is asked for than the checksums of its files."""

    def __init__(
        self,
        source: str,
        read: Callable[[Mapping[str, Seen], Mapping[str, str]], Content],
        hashed: Callable[[dict[str, Seen]], Checksums | None],
        *,
        by_history: bool,
    ) -> None:
        """Read nothing yet.

        Args:
            source: As for any catalog.
            read: Reads the files, by what hashing has seen of them and the checksums that history holds, and raises
                CatalogError where they have faults.
            hashed: Returns their checksums, or None where they must be read, and notes what it has seen.
            by_history: Whether history says what is to be read.
        """
        self.source = source
        self._read = read
        self._hashed = hashed
        self._by_history = by_history
        self._seen: dict[str, Seen] = {}
        self._held: Mapping[str, str] = {}
        self._must_be_whole = False

    @property
    def _is_read(self) -> bool:
        return "_content" in vars(self)

    @cached_property
    def _content(self) -> Content:  # type: ignore[override]  # mypy takes it for one that cannot be set
        content = self._read(self._seen, self._held)
        self._seen.clear()
        if self._must_be_whole:
            content.check_whole(self.source)
        return content

    @property
    def checksums(self) -> Checksums:
        """The checksums of the migrations, by hashing their files alone where that shows them."""
        hashed = None if self._is_read else self._hashes
        return super().checksums if hashed is None else hashed

    @cached_property
    def _hashes(self) -> Checksums | None:
        return self._hashed(self._seen)

    def check_whole(self) -> None:
        """Check it now, or when it is read."""
        self._must_be_whole = True
        if self._is_read:
            super().check_whole()

    def begin(self) -> None:
        """Hash the files, or read them where history does not matter."""
        if not self._by_history:
            self._content  # noqa: B018 - it is kept
        elif not self._is_read:
            self._hashes  # noqa: B018 - they are kept

    def expect(self, history: Iterable[AppliedMigration]) -> None:
        """Note what history holds, if the catalog is not read yet."""
        self._held = {row.name: row.checksum for row in history if row.is_applied and row.version and row.checksum}


_builtin: Catalog | None = None


#: A catalog as callers pass it: a ``Catalog``, the path of its folder, or None for the built-in one.
#:
#: ``Catalog.from_directory()`` reads every file, and reports all faults at once. By a path, as by ``--catalog``, the files
#: are only hashed at first. A migration that history holds with the same checksum was checked when it was applied, and is
#: not parsed again, unless the call rolls it back or verifies it.
CatalogLike: TypeAlias = Catalog | str | os.PathLike[str] | None


def at(path: str | os.PathLike[str]) -> Catalog:
    """Return the catalog of a folder, whose files are read when more is asked for than their checksums.

    Args:
        path: As for ``Catalog.from_directory()``.

    Raises:
        ConfigurationError: The path is not a folder.
    """
    root, _ = _paths(path, None)
    return _Late(
        str(root),
        lambda seen, held: _checked(*_read(root, None, seen, held)),
        lambda seen: checksums.of_directory(str(root), seen),
        by_history=True,
    )


# These need what makes migrations, which a start with nothing to do does not import: 10 ms, and the patterns of the
# checks 25 ms more.


def _checked(migrations: Iterable[Migration], faults: Iterable[Fault]) -> Content:
    from kimbledb.catalog.content import Content

    return Content(migrations, faults, lambda name: Catalog.builtin().has(name))


def _read_shipped(_seen: Mapping[str, Seen], _held: Mapping[str, str]) -> Content:
    from kimbledb.catalog import shipped

    return _checked(shipped.read_migrations(), ())


def _read(
    root: Path,
    declared: Path | None,
    seen: Mapping[str, Seen] | None = None,
    held: Mapping[str, str] | None = None,
) -> tuple[list[Migration], list[Fault]]:
    from kimbledb.catalog import directories

    # The values stay alive: a garbage collection would take a quarter of the time of a large folder.
    with uncollected():
        return directories.read(root, declared=declared, seen=seen, held=held)


def _raised(migrations: Iterable[Migration], base: Catalog) -> list[Migration]:
    from kimbledb.catalog import relations

    return relations.raised(migrations, base.last_number)


def _paths(path: str | os.PathLike[str], declared: str | os.PathLike[str] | None) -> tuple[Path, Path | None]:
    """Return the paths of a folder and of its declarations, which must exist."""
    root = Path(path)
    if not root.is_dir():
        raise ConfigurationError(
            f"{root} {'is not a folder' if root.exists() else 'does not exist'}",
            hint="give the folder that holds one folder for each migration, such as 01_base-tables",
        )
    elsewhere = None if declared is None else Path(declared)
    if elsewhere is not None and not elsewhere.is_file():
        raise ConfigurationError(
            f"{elsewhere} {'is not a file' if elsewhere.exists() else 'does not exist'}",
            hint=f"`kimbledb declare {root} --output {elsewhere}` writes it",
        )
    return root, elsewhere


def _catalog_of(source: str, parts: list[dict[str, Any]]) -> Catalog:
    from kimbledb.model.migration import Migration

    return Catalog([Migration(**each) for each in parts], source=source)


def _spans(numbers: Sequence[int]) -> str:
    if not numbers:
        return "no phases"
    if numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
