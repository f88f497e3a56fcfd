"""Bring a PostgreSQL database to the KimbleAI v4 schema, or to your own.

``await kimbledb.migrate(dsn)`` applies what is missing, proves it, records it,
and does nothing where nothing is missing.
"""

from kimbledb._adoption import Adoption
from kimbledb._embedded import embedded
from kimbledb._rollback import Rollback
from kimbledb.api import adopt, migrate, plan, rollback, status, verify
from kimbledb.catalog import Catalog
from kimbledb.errors import (
    AlternativesError,
    CatalogError,
    ChangedMigrationError,
    ConfigurationError,
    ConflictingObjectsError,
    ConnectionLostError,
    DataLossError,
    DeadlineExceededError,
    DependencyCycleError,
    DependentsError,
    EmbeddedServerError,
    HistoryError,
    KimbleDBError,
    LockUnavailableError,
    MigrationError,
    OutcomeUnknownError,
    PlanningError,
    PreflightError,
    RollbackError,
    RollbackRefusedError,
    UnknownMigrationError,
    UnrecordedObjectsError,
    VerificationError,
)
from kimbledb.executor import Executor
from kimbledb.many import ManyReport, ManyResult, migrate_many, plan_many, verify_many
from kimbledb.model import (
    AppliedMigration,
    AppliedStep,
    Check,
    DatabaseObject,
    Evidence,
    Extension,
    Fault,
    Finding,
    Loss,
    Migration,
    ObjectState,
)
from kimbledb.options import Options
from kimbledb.plan import Plan, Step, StepState
from kimbledb.planner import Planner
from kimbledb.progress import Progress
from kimbledb.reports import AdoptionReport, MigrationReport, RollbackReport, Status, VerificationReport
from kimbledb.verifier import Verifier

__all__ = [
    "Adoption",
    "AdoptionReport",
    "AlternativesError",
    "AppliedMigration",
    "AppliedStep",
    "Catalog",
    "CatalogError",
    "ChangedMigrationError",
    "Check",
    "ConfigurationError",
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
    "HistoryError",
    "KimbleDBError",
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
    "Rollback",
    "RollbackError",
    "RollbackRefusedError",
    "RollbackReport",
    "Status",
    "Step",
    "StepState",
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
    "rollback",
    "status",
    "verify",
    "verify_many",
]
