"""The relations among the migrations of one catalog: names, numbers, requirements and alternatives, and their faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.names import folded, near


def raised(migrations: Iterable[Migration], above: int) -> list[Migration]:
    """Return migrations with numbers above a number: as they are if all are above it already, else raised by it.

    Args:
        migrations: The migrations.
        above: The number.
    """
    found = list(migrations)
    if all(each.number > above for each in found):
        return found
    return [evolve(each, number=each.number + above) for each in found]


def providers_in(migrations: Iterable[Migration]) -> dict[str, list[Migration]]:
    """Return the migrations that provide each thing."""
    providers: dict[str, list[Migration]] = {}
    for migration in migrations:
        for thing in dict.fromkeys(migration.provides):
            providers.setdefault(thing, []).append(migration)
    return providers


def faults_among(migrations: Sequence[Migration]) -> list[Fault]:
    """Return the faults of names, numbers and defaults.

    Args:
        migrations: The migrations of a catalog.
    """
    return [*_shared_names_and_numbers(migrations), *_second_defaults(providers_in(migrations))]


@frozen
class Unmet:
    """A requirement that no migration of a catalog meets."""

    migration: Migration
    #: The name of the missing migration, or of the missing thing.
    name: str

    def fault(self, cure: str) -> Fault:
        """Return the fault.

        Args:
            cure: What to do.
        """
        where = self.migration.location or self.migration.name
        if self.migration.location and not self.migration.is_flat:
            where += "/migration.toml"
        return Fault(where, f"it requires {self.name}, which this folder does not have", cure)


def unmet_among(migrations: Sequence[Migration]) -> list[Unmet]:
    """Return the requirements that no migration meets.

    Args:
        migrations: The migrations of a catalog.
    """
    known = {*_names_in(migrations)}
    return [Unmet(each, wanted) for each in migrations for wanted in each.requires if wanted not in known]


def unmet_faults(unmet: Sequence[Unmet], migrations: Sequence[Migration], *, room: int) -> Iterator[Fault]:
    """Yield the faults of unmet requirements, with the names that may be meant.

    Args:
        unmet: The requirements.
        migrations: The migrations of the catalog.
        room: The number of faults that will be shown. Beyond it no similar names are looked for, which takes time.
    """
    known = _names_in(migrations)
    for place, each in enumerate(unmet):
        close = near(each.name, known) if place < room else ()
        yield each.fault(
            f"is it {' or '.join(close)}?"
            if close
            else "require a migration of this folder, or a thing that one of them provides"
        )


def _names_in(migrations: Sequence[Migration]) -> list[str]:
    """Return what may be required: the names of migrations, and those of the things that they provide."""
    return [*sorted(migration.name for migration in migrations), *sorted(providers_in(migrations))]


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


def with_alternatives(migrations: Sequence[Migration]) -> Iterator[Migration]:
    """Yield the migrations, each with the names of its alternatives."""
    providers = providers_in(migrations)
    for migration in migrations:
        if not migration.provides:
            yield migration
            continue
        others = sorted({each.name for thing in migration.provides for each in providers[thing]} - {migration.name})
        yield evolve(migration, alternatives=tuple(others)) if others else migration
