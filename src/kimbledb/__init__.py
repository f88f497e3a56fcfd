"""Bring a PostgreSQL database to the KimbleAI v4 schema, or to your own.

``await kimbledb.migrate(dsn)`` applies what is missing, proves it, records it,
and does nothing where nothing is missing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import (
    AlternativesError,
    BackupError,
    CatalogError,
    ChangedMigrationError,
    ConfigurationError,
    ConfirmationError,
    ConflictingObjectsError,
    ConnectionLostError,
    DataLossError,
    DeadlineExceededError,
    DependencyCycleError,
    DependentsError,
    EmbeddedServerError,
    ForeignHistoryError,
    HazardError,
    HistoryError,
    KimbleDBError,
    LockUnavailableError,
    MigrationError,
    OutcomeUnknownError,
    PlanningError,
    PreflightError,
    RenamedMigrationError,
    ResetRefusedError,
    RollbackError,
    RollbackRefusedError,
    UnknownMigrationError,
    UnrecordedObjectsError,
    VerificationError,
)
from kimbledb.model.migration import (
    AppliedMigration,
    AppliedStep,
    Check,
    DatabaseObject,
    Evidence,
    Extension,
    Fault,
    Finding,
    Hazard,
    Loss,
    Migration,
    ObjectState,
)
from kimbledb.model.plan import Plan, Step, StepState
from kimbledb.model.presentation import Report
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.model.tables import Table
from kimbledb.operations.api import adopt, migrate, plan, render, reset, restore, rollback, status, verify
from kimbledb.operations.executor import Executor
from kimbledb.planning.planner import Planner
from kimbledb.server.options import Options
from kimbledb.version import __version__ as __version__

if TYPE_CHECKING:
    from kimbledb import events as events
    from kimbledb import testing as testing
    from kimbledb._embedded import embedded
    from kimbledb.events import Progress
    from kimbledb.many import migrate_many, plan_many, verify_many
    from kimbledb.model.operator_reports import (
        AdoptionReport,
        Load,
        ManyReport,
        ManyResult,
        ResetReport,
        RollbackReport,
        Status,
        TableUse,
    )
    from kimbledb.operations.adopt import Adoption
    from kimbledb.operations.rollback import Rollback
    from kimbledb.operations.verify import Verifier

__all__ = [
    "Adoption",
    "AdoptionReport",
    "AlternativesError",
    "AppliedMigration",
    "AppliedStep",
    "BackupError",
    "Catalog",
    "CatalogError",
    "ChangedMigrationError",
    "Check",
    "ConfigurationError",
    "ConfirmationError",
    "ConflictingObjectsError",
    "ConnectionLostError",
    "DataLossError",
    "DatabaseObject",
    "DeadlineExceededError",
    "DependencyCycleError",
    "DependentsError",
    "EmbeddedServerError",
    "Evidence",
    "Executor",
    "Extension",
    "Fault",
    "Finding",
    "ForeignHistoryError",
    "Hazard",
    "HazardError",
    "HistoryError",
    "KimbleDBError",
    "Load",
    "LockUnavailableError",
    "Loss",
    "ManyReport",
    "ManyResult",
    "Migration",
    "MigrationError",
    "MigrationReport",
    "ObjectState",
    "Options",
    "OutcomeUnknownError",
    "Plan",
    "Planner",
    "PlanningError",
    "PreflightError",
    "Progress",
    "RenamedMigrationError",
    "Report",
    "ResetRefusedError",
    "ResetReport",
    "Rollback",
    "RollbackError",
    "RollbackRefusedError",
    "RollbackReport",
    "Status",
    "Step",
    "StepState",
    "Table",
    "TableUse",
    "UnknownMigrationError",
    "UnrecordedObjectsError",
    "VerificationError",
    "VerificationReport",
    "Verifier",
    "adopt",
    "embedded",
    "migrate",
    "migrate_many",
    "plan",
    "plan_many",
    "render",
    "reset",
    "restore",
    "rollback",
    "status",
    "verify",
    "verify_many",
]

#: What few programs need is imported when it is first asked for.
_LATE = {
    "Adoption": "kimbledb.operations.adopt",
    "embedded": "kimbledb._embedded",
    "Rollback": "kimbledb.operations.rollback",
    "migrate_many": "kimbledb.many",
    "plan_many": "kimbledb.many",
    "verify_many": "kimbledb.many",
    "AdoptionReport": "kimbledb.model.operator_reports",
    "Load": "kimbledb.model.operator_reports",
    "ManyReport": "kimbledb.model.operator_reports",
    "ManyResult": "kimbledb.model.operator_reports",
    "ResetReport": "kimbledb.model.operator_reports",
    "RollbackReport": "kimbledb.model.operator_reports",
    "Status": "kimbledb.model.operator_reports",
    "TableUse": "kimbledb.model.operator_reports",
    "Progress": "kimbledb.events",
    "Verifier": "kimbledb.operations.verify",
}


if not TYPE_CHECKING:  # who looks at types is not to think that any name is there

    def __getattr__(name: str) -> object:
        if name in ("events", "testing"):
            return import_module(f"kimbledb.{name}")
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_LATE[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
