"""The evidence for migrations in a database: the rows of history, and the state of their objects."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import field, frozen

from kimbledb.model.objects import Facts, Key


@frozen
class AppliedMigration:
    """A row of ``migration_history``."""

    #: The name of the migration.
    name: str
    #: True if the migration is applied, False if its last attempt failed, None if an old table did not record it.
    success: bool | None = True
    #: SHA-256 of the applied text in hexadecimal, or None if no checksum was recorded.
    checksum: str | None = None
    #: The time of the row by the server's clock, in ISO 8601, or None.
    applied_at: str | None = None
    #: The version of kimbledb that wrote the row, or None if another program wrote it.
    version: str | None = None
    #: Whether the migration was recorded by evidence and not run.
    adopted: bool = False
    #: The error of the last attempt, or None.
    error: str | None = None
    #: Whether another program wrote the row: kimbledb then compares it with the schema.
    legacy: bool = False

    @property
    def is_applied(self) -> bool:
        """Whether the row records success. A failed attempt and an old row without a result are not applied."""
        return self.success is True


class ObjectState(enum.StrEnum):
    """The state of the objects that one migration declares, by the system catalogs."""

    #: All objects exist as declared.
    APPLIED = "applied"
    #: No object exists.
    MISSING = "missing"
    #: Some objects exist, as declared.
    PARTIAL = "partial"
    #: Some objects exist in another shape.
    CONFLICTING = "conflicting"


@frozen
class Finding:
    """The evidence on one migration: the verdict and its basis."""

    #: The verdict.
    state: ObjectState
    #: The declared objects that exist, each as text.
    present: tuple[str, ...] = ()
    #: The declared objects that do not exist, each as text.
    missing: tuple[str, ...] = ()
    #: The objects of another shape, each as text with the expected and the existing shape.
    conflicts: tuple[str, ...] = ()
    #: Those among ``present`` whose expressions cannot be compared here, each as text.
    doubtful: tuple[str, ...] = ()
    #: Whether an object that it makes or changes is there: its script cannot run as it is.
    begun: bool = False
    #: Whether another hand's function has the name of one that it makes, in a closed catalog, and has to go before.
    in_the_way: bool = False
    #: Whether none of its objects is left to look for, and the migrations that replaced or dropped them, or that made
    #: what it drops, are applied.
    is_superseded: bool = False

    @property
    def has_signs(self) -> bool:
        """Whether anything of the migration is there, is missing, or has another shape."""
        return bool(self.present or self.missing or self.conflicts)


@frozen
class KeptObject:
    """A column or a constraint that existed before kimbledb in a form of its own, and that keeps it."""

    #: Its facts, as the server shows them.
    facts: Facts
    #: The names of the migrations that declare it in another form.
    migrations: tuple[str, ...]


@frozen
class Evidence:
    """The evidence in a database: its platform, and the state of the objects of each migration."""

    #: Whether it has the roles and the schema ``auth`` of a hosted platform.
    hosted: bool = False
    #: The finding on each migration, by its name.
    findings: Mapping[str, Finding] = field(factory=dict)
    #: Whether the schema was inspected. A migration without a finding then declares no objects.
    gathered: bool = False
    #: The columns and constraints that differ from every declared form.
    kept: Mapping[Key, KeptObject] = field(factory=dict)
