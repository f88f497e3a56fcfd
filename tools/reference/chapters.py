"""The chapters of the API reference, in the order of a user's need, and the names of each."""

from __future__ import annotations

from attrs import frozen


@frozen
class Chapter:
    """A page of docs/reference/api."""

    #: The title of the page.
    title: str
    #: The sentence at its head: for whom, and for what.
    purpose: str
    #: The public names, as they are imported. A module stands for all its public names, the pytest plugin for its fixtures.
    names: tuple[str, ...]
    #: The module whose docstring stands at the head of the page, without its first sentence.
    module: str | None = None


#: The chapters by the name of their file.
CHAPTERS = {
    "functions": Chapter(
        "Functions",
        "For programs that call kimbledb: each function works on one schema of one database, or on a folder of migrations.",
        (
            *("kimbledb.migrate", "kimbledb.plan", "kimbledb.rehearse", "kimbledb.wait", "kimbledb.status"),
            *("kimbledb.verify", "kimbledb.rollback", "kimbledb.adopt", "kimbledb.stamp", "kimbledb.reset"),
            *("kimbledb.restore", "kimbledb.render", "kimbledb.declare", "kimbledb.prove"),
        ),
    ),
    "options": Chapter(
        "Options and targets",
        "For callers of these functions: the arguments `target` and `options`.",
        ("kimbledb.Options", "kimbledb.TargetLike"),
    ),
    "catalog": Chapter(
        "Catalog",
        "For programs that read migrations: a catalog is a set of migrations, built-in or from a folder.",
        (
            *("kimbledb.Catalog", "kimbledb.CatalogLike", "kimbledb.Migration", "kimbledb.Extension"),
            *("kimbledb.DatabaseObject", "kimbledb.Fault"),
        ),
    ),
    "planning": Chapter(
        "Planning",
        "For programs that look before a run: the plan, the state of each migration in it, and the hazards.",
        (
            *("kimbledb.Plan", "kimbledb.Step", "kimbledb.StepState", "kimbledb.Hazard", "kimbledb.Completion"),
            *("kimbledb.Conversion", "kimbledb.Planner", "kimbledb.AppliedMigration", "kimbledb.Evidence"),
            *("kimbledb.Finding", "kimbledb.ObjectState"),
        ),
    ),
    "reports": Chapter(
        "Reports",
        "For programs that read the result of a call: each function returns one of these reports, or a plan.",
        (
            *("kimbledb.Report", "kimbledb.Table", "kimbledb.MigrationReport", "kimbledb.AppliedStep"),
            *("kimbledb.VerificationReport", "kimbledb.Check", "kimbledb.RollbackReport", "kimbledb.AdoptionReport"),
            *("kimbledb.ResetReport", "kimbledb.Loss", "kimbledb.SetAside", "kimbledb.Status", "kimbledb.TableUse"),
            "kimbledb.Load",
        ),
    ),
    "rehearsal": Chapter(
        "Rehearsals and proofs",
        "For programs that check migrations before a run: the reports of `rehearse()`, `declare()` and `prove()`.",
        (
            *("kimbledb.Rehearsal", "kimbledb.RehearsedStatement", "kimbledb.RehearsedTable", "kimbledb.LockedTable"),
            *("kimbledb.BrokenQuery", "kimbledb.Forecast", "kimbledb.PastForecasts", "kimbledb.DeclareReport"),
            *("kimbledb.DeclaredMigration", "kimbledb.DeclaredState", "kimbledb.CatalogReport"),
            *("kimbledb.CatalogCase", "kimbledb.Proof"),
        ),
    ),
    "many": Chapter(
        "Many schemas and databases",
        "For services with a schema or a database for each tenant: one call for all of them.",
        (
            *("kimbledb.migrate_many", "kimbledb.verify_many", "kimbledb.plan_many", "kimbledb.ManyReport"),
            *("kimbledb.ManyResult", "kimbledb.provision"),
        ),
    ),
    "helpers": Chapter(
        "Helper classes",
        "For programs that make several calls with the same target and catalog: the classes under the functions.",
        ("kimbledb.Executor", "kimbledb.Verifier", "kimbledb.Rollback", "kimbledb.Adoption"),
    ),
    "events": Chapter(
        "Event classes",
        "For programs that follow a call while it runs: the classes of the values that `progress` takes.",
        ("kimbledb.events",),
    ),
    "errors": Chapter(
        "Error classes",
        "For programs that catch errors: the classes of the tree under `KimbleDBError`, and their attributes.",
        ("kimbledb.errors",),
    ),
    "testing": Chapter(
        "Tests",
        "For test suites: fresh migrated databases, proofs of policies and of a catalog, and the fixtures of the pytest plugin.",
        (
            *("kimbledb.testing.Databases", "kimbledb.testing.check_isolation", "kimbledb.testing.IsolationReport"),
            *("kimbledb.testing.Breach", "kimbledb.testing.prove_catalog", "_kimbledb_pytest"),
        ),
        module="kimbledb.testing",
    ),
    "embedded": Chapter(
        "Embedded server",
        "For tests, notebooks and tools on a machine without PostgreSQL: a private server from Python packages.",
        ("kimbledb.embedded",),
    ),
    "otel": Chapter(
        "OpenTelemetry",
        "For services that send traces and metrics: spans and metrics for each call, and for each migration in it.",
        ("kimbledb.otel.instrument", "kimbledb.otel.uninstrument", "kimbledb.otel.Instrumentor"),
        module="kimbledb.otel",
    ),
    "types": Chapter(
        "Other types",
        "For readers of the signatures: the types in them that are no public names. Import none of them: they may change.",
        (),
    ),
}
