from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from kimbledb import errors
from kimbledb.errors import (
    AlternativesError,
    CatalogError,
    ChangedMigrationError,
    ConfigurationError,
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
from kimbledb.model.check import Check
from kimbledb.model.fault import Fault
from kimbledb.model.loss import Loss
from kimbledb.model.migration import AppliedStep, Migration
from kimbledb.server.session import TemporarilyUnavailable

MIGRATION = Migration(name="a.sql", number=1)
STEP = AppliedStep(MIGRATION, 0.5)
CHECK = Check("a.sql", "rows", passed=False, expected="1", found="2")
LOSS = Loss("table", "users", 3)
FAULT = Fault("m/01_a/apply.sql", "COMMIT would end or begin a transaction", "take it out", 4)

#: Errors as they are raised, each with the parts that its text must have, in their order.
SAMPLES: dict[str, tuple[Callable[[], KimbleDBError], list[str]]] = {
    "KimbleDBError": (lambda: KimbleDBError("it is so", hint="do this"), ["it is so\n  hint: do this"]),
    "ConfigurationError": (lambda: ConfigurationError("no DSN"), ["no DSN"]),
    "CatalogError": (
        lambda: CatalogError([FAULT]),
        ["1 fault ", "\n  m/01_a/apply.sql:4: COMMIT would end or begin a transaction; take it out"],
    ),
    "PlanningError": (lambda: PlanningError("no plan"), ["no plan"]),
    "UnknownMigrationError": (
        lambda: UnknownMigrationError("b.sql", ["a.sql", "c.sql"]),
        ["no migration named b.sql; did you mean a.sql or c.sql?"],
    ),
    "DependencyCycleError": (
        lambda: DependencyCycleError(["a.sql", "b.sql", "a.sql"]),
        ["a.sql -> b.sql -> a.sql", "\n  hint: ", "`requires`"],
    ),
    "AlternativesError": (
        lambda: AlternativesError("both", ["a.sql", "b.sql"], hint="choose"),
        ["both\n  hint: choose"],
    ),
    "ChangedMigrationError": (
        lambda: ChangedMigrationError([("a.sql", "abc", "def"), ("b.sql", "123", "456")]),
        ["\n  a.sql: ", "abc", "def", "\n  b.sql: ", "123", "456", "\n  hint: ", "`supersedes`"],
    ),
    "PreflightError": (
        lambda: PreflightError([("no vector", "install it"), ("no CREATE", "GRANT it")]),
        ["\n  no vector\n    cure: install it\n  no CREATE\n    cure: GRANT it"],
    ),
    "HistoryError": (lambda: HistoryError("a view"), ["a view"]),
    "UnrecordedObjectsError": (
        lambda: UnrecordedObjectsError("s", [f"table t{number}" for number in range(7)]),
        ['schema "s"', "table t0, table t1, table t2, table t3, table t4 and 2 more", "\n  hint: ", "`kimbledb adopt`"],
    ),
    "MigrationError": (lambda: MigrationError("it broke", failed=MIGRATION, hint="mend"), ["it broke\n  hint: mend"]),
    "VerificationError": (lambda: VerificationError("it did not work", checks=[CHECK]), ["it did not work"]),
    "RollbackError": (lambda: RollbackError("it broke"), ["it broke"]),
    "RollbackRefusedError": (lambda: RollbackRefusedError("no"), ["no"]),
    "DependentsError": (
        lambda: DependentsError("a.sql", ["c.sql", "b.sql"]),
        ["a.sql is needed by c.sql, b.sql", "\n  hint: ", "cascade=True"],
    ),
    "DataLossError": (
        lambda: DataLossError([LOSS]),
        ["\n  table users: 3 rows", "\n  hint: ", "allow_data_loss=True"],
    ),
    "LockUnavailableError": (
        lambda: LockUnavailableError("no lock", blockers=["42 psql"], hint="wait"),
        ["no lock\n  held by 42 psql\n  hint: wait"],
    ),
    "DeadlineExceededError": (
        lambda: DeadlineExceededError(2.5, doing="waiting", blockers=["42 psql"]),
        ["2.5 s passed while waiting", "\n  held by 42 psql", "\n  hint: "],
    ),
    "ConnectionLostError": (lambda: ConnectionLostError("gone"), ["gone"]),
    "OutcomeUnknownError": (
        lambda: OutcomeUnknownError("a.sql"),
        ["COMMIT of a.sql", "\n  hint: ", "migration_history"],
    ),
    "EmbeddedServerError": (lambda: EmbeddedServerError("no port"), ["no port"]),
}


def classes() -> dict[str, type[Exception]]:
    """The errors of the module, by name."""
    return {
        name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }


def test_the_tree_is_as_it_is_drawn() -> None:
    """The drawing at the top of the module shows every error under its parent, and no other."""
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*)((?:[├└]── )?)([A-Z]\w+Error)\b", line)
        if match is not None:
            depth = len(match[1]) // 4 + bool(match[2])
            drawn[match[3]] = path[depth - 1] if depth else None
            path[depth:] = [match[3]]

    assert drawn == {
        name: None if each is KimbleDBError else each.__bases__[0].__name__ for name, each in classes().items()
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_an_error_reads_as_a_person_wants_it(name: str) -> None:
    """An error's text says what is wrong with the things it is about, and after that what to do."""
    make, parts = SAMPLES[name]
    text = str(make())

    assert re.search(".*".join(map(re.escape, parts)), text, re.DOTALL), text


@pytest.mark.parametrize("name", SAMPLES)
def test_an_error_is_caught_by_its_parents(name: str) -> None:
    """One name catches them all, and so does every name on the way."""
    error = SAMPLES[name][0]()

    assert name == type(error).__name__
    for parent in type(error).__mro__[: type(error).__mro__.index(KimbleDBError) + 1]:
        with pytest.raises(parent):
            raise error


@pytest.mark.parametrize("name", SAMPLES)
def test_an_error_keeps_its_message_and_its_hint_apart(name: str) -> None:
    """Programs find the two parts of the text as attributes."""
    error = SAMPLES[name][0]()

    assert error.text == (error.message if error.hint is None else f"{error.message}\n  hint: {error.hint}")
    assert str(error) == f"{error.text}\n  see: {error.url}"
    assert error.hint != ""
    assert not error.message.endswith((".", "\n"))


def test_an_error_that_is_not_public_is_explained_as_its_parent() -> None:
    """The address of an error of a private class is that of the public class it is derived from."""

    class OfTheCallerError(TemporarilyUnavailable):
        pass

    assert [each("gone").url.partition("#")[2] for each in (TemporarilyUnavailable, OfTheCallerError)] == [
        "connectionlosterror",
        "connectionlosterror",
    ]


BROKEN = MigrationError(
    "it broke",
    applied=[STEP],
    failed=MIGRATION,
    file="m/01_a/apply.sql",
    line=3,
    column=7,
    statement="SELECT 1",
    sqlstate="42P01",
    hint="mend",
)


@pytest.mark.parametrize(
    ("error", "attribute", "expected"),
    [
        (CatalogError([FAULT]), "faults", (FAULT,)),
        (UnknownMigrationError("b", ["a"]), "name", "b"),
        (UnknownMigrationError("b", ["a"]), "near", ("a",)),
        (DependencyCycleError(["a", "b", "a"]), "cycle", ("a", "b", "a")),
        (AlternativesError("both", ["a", "b"]), "alternatives", ("a", "b")),
        (ChangedMigrationError([("a.sql", "abc", "def")]), "changed", (("a.sql", "abc", "def"),)),
        (PreflightError([("no vector", "install it")]), "gaps", (("no vector", "install it"),)),
        (UnrecordedObjectsError("s", ["table t"]), "schema", "s"),
        (UnrecordedObjectsError("s", ["table t"]), "objects", ("table t",)),
        (BROKEN, "applied", (STEP,)),
        (BROKEN, "failed", MIGRATION),
        (BROKEN, "file", "m/01_a/apply.sql"),
        (BROKEN, "line", 3),
        (BROKEN, "column", 7),
        (BROKEN, "statement", "SELECT 1"),
        (BROKEN, "sqlstate", "42P01"),
        (BROKEN, "hint", "mend"),
        (VerificationError("no", checks=iter([CHECK])), "checks", (CHECK,)),
        (DependentsError("a", ["b"]), "name", "a"),
        (DependentsError("a", ["b"]), "dependents", ("b",)),
        (DataLossError([LOSS]), "losses", (LOSS,)),
        (LockUnavailableError("no", blockers=["42"]), "blockers", ("42",)),
        (DeadlineExceededError(2.5, doing="x", blockers=["42"]), "seconds", 2.5),
        (DeadlineExceededError(2.5, doing="x", blockers=["42"]), "blockers", ("42",)),
        (OutcomeUnknownError("a.sql"), "migration", "a.sql"),
    ],
)
def test_an_error_carries_what_it_is_about(error: KimbleDBError, attribute: str, expected: object) -> None:
    """What an error speaks of stands in its attributes, in tuples that nobody changes afterwards."""
    assert expected == getattr(error, attribute)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnknownMigrationError(7), "no migration 7"),
        (UnknownMigrationError("b"), "no migration named b"),
        (UnknownMigrationError("b", ["a"]), "no migration named b; did you mean a?"),
        (UnknownMigrationError(99, what="phase"), "no phase 99"),
    ],
)
def test_what_is_unknown_is_named(error: UnknownMigrationError, expected: str) -> None:
    """A number, a phase and a name are each called what they are."""
    assert expected == error.text


def test_all_faults_stand_in_one_error() -> None:
    """The faults of a folder come together, each on its line, and are counted."""
    error = CatalogError([FAULT, Fault("m/02_b", "it is a symbolic link", "put the folder itself there")])

    assert error.text.splitlines() == [
        "2 faults in the migrations; nothing was run:",
        "  m/01_a/apply.sql:4: COMMIT would end or begin a transaction; take it out",
        "  m/02_b: it is a symbolic link; put the folder itself there",
    ]


def test_few_unrecorded_objects_are_all_shown() -> None:
    """Only where there are more than five of them is the rest counted."""
    assert "table a, table b" in UnrecordedObjectsError("s", ["table a", "table b"]).message
    assert " more" not in UnrecordedObjectsError("s", ["table a"] * 5).message
