"""A set of migrations: ``Catalog``, and the checks of the relations among its migrations.

``kimbledb.catalog.directories`` reads folders, ``kimbledb.catalog.shipped`` the built-in migrations.
``kimbledb.planning.planner`` puts the migrations in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from kimbledb.catalog import shipped
from kimbledb.errors import MOST_LISTED, CatalogError, ConfigurationError, UnknownMigrationError
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.names import folded, near
from kimbledb.model.tables import Table


class Catalog:
    """A set of migrations, each once, in the order of their numbers.

    ``catalog["api-cost-tracking.sql"]`` and ``catalog[19]`` return one migration by its name or number. Iteration
    yields all migrations in number order; ``len()`` returns their count.
    """

    def __init__(self, migrations: Iterable[Migration], *, source: str = "", faults: Iterable[Fault] = ()) -> None:
        """Make a catalog of existing ``Migration`` objects.

        Args:
            migrations: The migrations, in any order. Their names and numbers must be unique.
            source: The origin of the migrations, for messages: a path, or ``built-in``.
            faults: The faults that a reader found in the files. They are raised together with those found here.

        Raises:
            CatalogError: Two migrations share a name or a number, a `requires` names no migration of the catalog,
                two alternatives are both the default, or ``faults`` is not empty.
        """
        ordered = sorted(migrations, key=lambda migration: (migration.number, migration.name))
        found = [*faults, *_faults_among(ordered)]
        if found:
            raise CatalogError(sorted(found, key=lambda fault: (fault.path, fault.line or 0)))
        self.source = source
        self._migrations = tuple(_with_alternatives(ordered))
        self._by_name = {migration.name: migration for migration in self._migrations}
        self._by_number = {migration.number: migration for migration in self._migrations}
        self._providers = {thing: tuple(among) for thing, among in _providers_in(self._migrations).items()}

    @classmethod
    def builtin(cls) -> Catalog:
        """Return the 35 migrations of the KimbleAI v4 schema, which ship with the package.

        The migrations are read once in a process.

        Raises:
            CatalogError: A migration.toml has a fault: the installation is damaged.
        """
        global _builtin
        if _builtin is None:
            _builtin = cls(shipped.read_migrations(), source="built-in")
        return _builtin

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str], *, declared: str | os.PathLike[str] | None = None) -> Catalog:
        """Read a folder of migrations.

        Args:
            path: The folder. It holds either one folder for each migration, or one file for each migration. Files are
                named by number (``007_ADD_INVOICES.sql``) or by date (``add-invoices-2025-10-27.sql``); each file
                requires the file before it and has neither a rollback nor checks. A symbolic link that leads out of
                the folder is refused, so that nobody without access to the folder can change a migration.
            declared: The file that ``kimbledb declare --output`` wrote, for a folder that cannot hold it. None for the
                ``declared.toml`` of each migration's folder, or of a folder of files.

        Returns:
            The catalog of the migrations in the folder.

        Raises:
            CatalogError: A file has a fault, or the folder holds no migrations, or it holds those of another tool. The
                error has every fault of every file, each with its cure.
            ConfigurationError: The path is not a folder, or ``declared`` is not a file.
        """
        # Late: 25 ms, most of them for the patterns of the checks, and the built-in catalog reads no folder.
        from kimbledb.catalog import directories

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
        migrations, faults = directories.read(root, declared=elsewhere)
        return cls(migrations, source=str(root), faults=faults)

    def __reduce__(self) -> tuple[Callable[..., Catalog], tuple[str, list[dict[str, Any]]]]:
        return _catalog_of, (self.source, [migration.parts() for migration in self._migrations])

    def __iter__(self) -> Iterator[Migration]:
        return iter(self._migrations)

    def __len__(self) -> int:
        return len(self._migrations)

    def __contains__(self, key: object) -> bool:
        return key in self._by_name or key in self._by_number

    def __getitem__(self, key: str | int) -> Migration:
        """Return a migration by its name or its number.

        Raises:
            UnknownMigrationError: The catalog has no such migration. The error suggests similar names. It is also a
                ``KeyError``, as for any mapping.
        """
        found = self._by_number.get(key) if isinstance(key, int) else self._by_name.get(key)
        if found is None:
            raise UnknownMigrationError(key, near(key, self._by_name) if isinstance(key, str) else ())
        return found

    def get(self, key: str | int) -> Migration | None:
        """Return a migration by its name or its number, or None if the catalog has no such migration."""
        return self._by_number.get(key) if isinstance(key, int) else self._by_name.get(key)

    def providers(self, name: str) -> tuple[Migration, ...]:
        """Return the migrations that provide a thing, in number order. Several are alternatives.

        Args:
            name: A thing, as ``provides`` in migration.toml names it.
        """
        return self._providers.get(name, ())

    @property
    def provided(self) -> tuple[str, ...]:
        """The things that the migrations provide, in the number order of the first provider of each."""
        return tuple(self._providers)

    @property
    def extensions(self) -> list[str]:
        """The names of the PostgreSQL extensions that the migrations require, sorted."""
        return sorted({each.name for migration in self for each in migration.extensions})

    @property
    def closed(self) -> bool:
        """Whether what its migrations make starts closed: ``closed = true`` in catalog.toml."""
        return any(migration.closed for migration in self)

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


_builtin: Catalog | None = None


def _catalog_of(source: str, parts: list[dict[str, Any]]) -> Catalog:
    return Catalog([Migration(**each) for each in parts], source=source)


def _spans(numbers: Sequence[int]) -> str:
    if not numbers:
        return "no phases"
    if numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


# The checks of the relations among the migrations of one catalog.


def _providers_in(migrations: Iterable[Migration]) -> dict[str, list[Migration]]:
    """Return the migrations that provide each thing."""
    providers: dict[str, list[Migration]] = {}
    for migration in migrations:
        for thing in dict.fromkeys(migration.provides):
            providers.setdefault(thing, []).append(migration)
    return providers


def _faults_among(migrations: Sequence[Migration]) -> list[Fault]:
    providers = _providers_in(migrations)
    faults = list(_shared_names_and_numbers(migrations))
    faults += _unmet_requirements(migrations, providers, room=MOST_LISTED - len(faults))
    faults += _second_defaults(providers)
    return faults


def _shared_names_and_numbers(migrations: Sequence[Migration]) -> Iterator[Fault]:
    by_name: dict[str, Migration] = {}
    by_number: dict[int, Migration] = {}
    for migration in migrations:
        where = migration.location or migration.name
        twin = by_name.setdefault(folded(migration.name), migration)
        if twin is not migration:
            message = f"it has the same name as {twin.location or twin.name}"
            yield Fault(where, message, "choose a name that differs by more than case")
        same = by_number.setdefault(migration.number, migration)
        if same is not migration:
            message = f"it has the same number, {migration.number}, as {same.location or same.name}"
            yield Fault(where, message, "choose a free number")


def _unmet_requirements(
    migrations: Sequence[Migration], providers: Mapping[str, Sequence[Migration]], *, room: int
) -> Iterator[Fault]:
    """Yield a fault for each requirement that no migration of the catalog meets.

    Args:
        migrations: The migrations of the catalog.
        providers: The migrations that provide each thing.
        room: The number of faults that will be shown. Beyond it no similar names are looked for.
    """
    names = {migration.name for migration in migrations}
    for migration in migrations:
        for wanted in migration.requires:
            if wanted not in names and wanted not in providers:
                # Each search compares all names, which takes time.
                close = near(wanted, (*sorted(names), *sorted(providers))) if room > 0 else ()
                cure = (
                    f"is it {' or '.join(close)}?"
                    if close
                    else "require a migration of this folder, or a thing that one of them provides"
                )
                where = migration.location or migration.name
                if migration.location and not migration.is_flat:
                    where += "/migration.toml"
                yield Fault(where, f"it requires {wanted}, which this folder does not have", cure)
                room -= 1


def _second_defaults(providers: Mapping[str, Sequence[Migration]]) -> Iterator[Fault]:
    for thing, among in sorted(providers.items()):
        for mark, chosen in (
            ("default = true", [migration for migration in among if migration.default]),
            ('default_when = "hosted"', [migration for migration in among if migration.default_when == "hosted"]),
        ):
            if len(chosen) > 1:
                shown = " and ".join(migration.name for migration in chosen)
                where = chosen[-1].location or chosen[-1].name
                yield Fault(where, f"{shown} both have `{mark}` for {thing}", "keep it in one of them")


def _with_alternatives(migrations: Sequence[Migration]) -> Iterator[Migration]:
    providers = _providers_in(migrations)
    for migration in migrations:
        others = sorted({each.name for thing in migration.provides for each in providers[thing]} - {migration.name})
        yield evolve(migration, alternatives=tuple(others)) if others else migration
