"""Bring a PostgreSQL database to the KimbleAI v4 schema, or to your own.

``await kimbledb.migrate(dsn)`` applies what is missing, proves it, records it,
and does nothing where nothing is missing.
"""

from importlib import import_module

#: The public names, by the module that holds them. ``__all__``, the import of a name when it is first asked for,
#: and ``__init__.pyi``, which type checkers read, are made from this table; ``nox -s order`` writes the last.
PUBLIC = {
    "kimbledb": ("events", "otel", "testing"),
    "kimbledb._embedded": ("embedded",),
    "kimbledb.catalog.catalog": ("Catalog", "CatalogLike"),
    "kimbledb.errors": (
        "AlternativesError",
        "BackupError",
        "CatalogError",
        "ChangedMigrationError",
        "ConfigurationError",
        "ConfirmationError",
        "ConflictingObjectsError",
        "ConnectionLostError",
        "DataLossError",
        "DeadlineExceededError",
        "DependencyCycleError",
        "DependentsError",
        "EmbeddedServerError",
        "ForeignHistoryError",
        "HazardError",
        "HistoryError",
        "KimbleDBError",
        "LockUnavailableError",
        "MigrationError",
        "OutcomeUnknownError",
        "PlanChangedError",
        "PlanningError",
        "PreflightError",
        "RehearsalError",
        "RenamedMigrationError",
        "ResetRefusedError",
        "RollbackError",
        "RollbackRefusedError",
        "TargetsError",
        "UnknownMigrationError",
        "UnrecordedObjectsError",
        "VerificationError",
    ),
    "kimbledb.many": ("migrate_many", "plan_many", "verify_many"),
    "kimbledb.model.catalog_report": ("CatalogCase", "CatalogReport", "Proof"),
    "kimbledb.model.check": ("Check",),
    "kimbledb.model.completion": ("Completion", "Conversion"),
    "kimbledb.model.declare_report": ("DeclaredMigration", "DeclaredState", "DeclareReport"),
    "kimbledb.model.evidence": ("AppliedMigration", "Evidence", "Finding", "ObjectState"),
    "kimbledb.model.fault": ("Fault",),
    "kimbledb.model.forecast": ("Forecast", "PastForecasts"),
    "kimbledb.model.hazard": ("Hazard",),
    "kimbledb.model.loss": ("Loss",),
    "kimbledb.model.many_report": ("ManyReport", "ManyResult"),
    "kimbledb.model.migration": ("AppliedStep", "Extension", "Migration"),
    "kimbledb.model.objects": ("DatabaseObject",),
    "kimbledb.model.operator_reports": (
        "AdoptionReport",
        "Load",
        "ResetReport",
        "RollbackReport",
        "Status",
        "TableUse",
    ),
    "kimbledb.model.plan": ("Plan",),
    "kimbledb.model.presentation": ("Report",),
    "kimbledb.model.rehearsal": ("BrokenQuery", "LockedTable", "Rehearsal", "RehearsedStatement", "RehearsedTable"),
    "kimbledb.model.reports": ("MigrationReport", "VerificationReport"),
    "kimbledb.model.set_aside": ("SetAside",),
    "kimbledb.model.step": ("Step", "StepState"),
    "kimbledb.model.tables": ("Table",),
    "kimbledb.operations.adopt": ("Adoption", "adopt"),
    "kimbledb.operations.declare": ("declare",),
    "kimbledb.operations.migrate": ("Executor", "migrate"),
    "kimbledb.operations.plan": ("plan",),
    "kimbledb.operations.prove": ("prove",),
    "kimbledb.operations.provision": ("provision",),
    "kimbledb.operations.rehearse": ("rehearse",),
    "kimbledb.operations.render": ("render",),
    "kimbledb.operations.reset": ("reset",),
    "kimbledb.operations.restore": ("restore",),
    "kimbledb.operations.rollback": ("Rollback", "rollback"),
    "kimbledb.operations.stamp": ("stamp",),
    "kimbledb.operations.status": ("status",),
    "kimbledb.operations.verify": ("Verifier", "verify"),
    "kimbledb.operations.wait": ("wait",),
    "kimbledb.planning.planner": ("Planner",),
    "kimbledb.events": ("Progress",),
    "kimbledb.server.options": ("Options",),
    "kimbledb.server.targets": ("TargetLike",),
    "kimbledb.version": ("__version__",),
}
_HOMES = {name: module for module, names in PUBLIC.items() for name in names}

__all__ = sorted(name for name in _HOMES if name not in ("__version__", *PUBLIC[__name__]))  # noqa: PLE0605 - made


def __getattr__(name: str) -> object:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = import_module(f"{module}.{name}") if module == __name__ else getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
