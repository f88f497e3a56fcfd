from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import kimbledb
from kimbledb import errors

#: Names that users of the library rely on: one may be added here, and none taken away.
HELD = {
    *("AlternativesError", "AppliedMigration", "AppliedStep", "Catalog", "CatalogError", "ChangedMigrationError"),
    *("Check", "ConfigurationError", "ConnectionLostError", "DataLossError", "DatabaseObject"),
    *("DeadlineExceededError", "DependencyCycleError", "DependentsError", "EmbeddedServerError", "Evidence"),
    *("Executor", "Extension", "Fault", "Finding", "HistoryError", "KimbleDBError", "LockUnavailableError", "Loss"),
    *("Migration", "MigrationError", "MigrationReport", "ObjectState", "Options", "OutcomeUnknownError", "Plan"),
    *("Planner", "PlanningError", "PreflightError", "Rollback", "RollbackError", "RollbackRefusedError"),
    *("RollbackReport", "Status", "Step", "StepState", "UnknownMigrationError", "UnrecordedObjectsError"),
    *("VerificationError", "VerificationReport", "Verifier", "embedded", "migrate", "plan", "rollback", "status"),
    *("ManyReport", "ManyResult", "Progress", "migrate_many", "plan_many", "verify_many"),
    "verify",
}


def test_the_table_of_contents_is_sorted() -> None:
    """`__all__` holds each name once, sorted."""
    assert sorted(set(kimbledb.__all__)) == list(kimbledb.__all__)


def test_every_exported_name_is_there() -> None:
    """`from kimbledb import *` gives every name of `__all__`, and each of them is public."""
    names: dict[str, object] = {}
    exec("from kimbledb import *", names)  # noqa: S102 - the statement that is tested

    assert set(kimbledb.__all__) == set(names) - {"__builtins__"}
    assert not [name for name in kimbledb.__all__ if name.startswith("_")]


def test_no_exported_name_is_lost() -> None:
    """What was once exported stays exported."""
    assert not HELD - set(kimbledb.__all__)


def test_every_error_is_exported() -> None:
    """The whole tree of errors can be caught by names of the package."""
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert not tree - set(kimbledb.__all__)
    assert all(getattr(kimbledb, name) is getattr(errors, name) for name in tree)


def test_functions_hide_no_module() -> None:
    """A function of the package is what its name gives, also after the modules have been imported."""
    for module in pkgutil.iter_modules(kimbledb.__path__):
        if module.name != "__main__":
            importlib.import_module(f"kimbledb.{module.name}")
    functions = (
        *("migrate", "migrate_many", "plan", "plan_many", "reset", "restore"),
        *("rollback", "status", "verify", "verify_many"),
    )

    assert not [name for name in functions if not callable(getattr(kimbledb, name))]


def test_a_name_is_imported_when_it_is_asked_for() -> None:
    """Each name of the table is in its module, and a wrong one is an AttributeError."""
    homes = {name: module for module, names in kimbledb.PUBLIC.items() for name in names}

    assert {name for name, module in homes.items() if module != "kimbledb"} == {*kimbledb.__all__, "__version__"}
    assert {getattr(kimbledb, name) is getattr(importlib.import_module(homes[name]), name) for name in homes} == {True}
    assert set(homes) <= set(dir(kimbledb))
    assert callable(kimbledb.testing.check_isolation)
    with pytest.raises(AttributeError, match="module 'kimbledb' has no attribute 'migrat'"):
        kimbledb.migrat  # type: ignore[attr-defined]  # noqa: B018


def test_an_import_of_the_package_imports_nothing_else() -> None:
    """A module of the package is imported when one of its names is first asked for."""
    program = (
        "import sys, kimbledb; print([each for each in sys.modules if each.startswith('kimbledb.')], kimbledb.Loss)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[] <class 'kimbledb.model.loss.Loss'>"
