"""The content of a catalog: its migrations, checked against each other, and the ways to find one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kimbledb.catalog import relations
from kimbledb.errors import MOST_LISTED, CatalogError
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration


class Content:
    """The migrations of a catalog."""

    def __init__(
        self, migrations: Iterable[Migration], faults: Iterable[Fault], is_builtin: Callable[[str], bool]
    ) -> None:
        """Check migrations against each other.

        Args:
            migrations: The migrations, in any order.
            faults: The faults that a reader found in the files.
            is_builtin: Tells whether a name is one of the built-in catalog.

        Raises:
            CatalogError: Of ``faults`` or of the relations among the migrations.
        """
        ordered = sorted(migrations, key=lambda migration: (migration.number, migration.name))
        among = relations.faults_among(ordered)
        unmet = relations.unmet_among(ordered)
        #: The requirements that only the built-in catalog meets.
        self.waiting = tuple(each for each in unmet if is_builtin(each.name))
        if len(self.waiting) < len(unmet):
            rest = [each for each in unmet if each not in self.waiting]
            among += relations.unmet_faults(rest, ordered, room=MOST_LISTED - len(among))
        found = [*faults, *among]
        if found:
            raise CatalogError(sorted(found, key=lambda fault: (fault.path, fault.line or 0)))
        #: All of them, in the order of their numbers.
        self.migrations = tuple(relations.with_alternatives(ordered))
        self.by_name = {migration.name: migration for migration in self.migrations}
        self.by_number = {migration.number: migration for migration in self.migrations}
        #: Those that provide each thing.
        self.providers = {thing: tuple(among) for thing, among in relations.providers_in(self.migrations).items()}

    def check_whole(self, source: str) -> None:
        """Check that all is there that the migrations require.

        Args:
            source: The origin of the catalog, for the cure.

        Raises:
            CatalogError: A migration requires a built-in one that is not among them.
        """
        if self.waiting:
            folder = repr(source) if source else "..."
            cure = f"join it with the built-in catalog: Catalog.builtin() + Catalog.from_directory({folder})"
            raise CatalogError([each.fault(cure) for each in self.waiting])
