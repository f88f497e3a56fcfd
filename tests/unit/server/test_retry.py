from __future__ import annotations

import pytest

import kimbledb
from kimbledb.server import queries
from kimbledb.server.driver import ServerError
from kimbledb.server.retry import Retry, decided, failure, meaning


@pytest.mark.parametrize("sqlstate", ["55P03", "40P01", "40001"])
def test_a_conflict_is_worth_a_bounded_number_of_tries(sqlstate: str) -> None:
    """A lock timeout, a deadlock and a serialization failure are contention, told by the server's first line."""
    meant = meaning(ServerError("held by another", sqlstate=sqlstate, hint="wait"))

    assert isinstance(meant, Retry)
    assert meant.contended == "held by another"


@pytest.mark.parametrize("sqlstate", ["55P03", "40P01", "40001", "23505"])
def test_what_a_script_raises_is_no_conflict(sqlstate: str) -> None:
    """A script that raises the SQLSTATE of a conflict would do so again."""
    error = ServerError("said by a script", sqlstate=sqlstate, source_function="exec_stmt_raise")

    assert meaning(error, making=True) is None


@pytest.mark.parametrize("sqlstate", ["23505", "42P06", "42P07", "42710", "42723"])
def test_a_thing_made_by_another_is_worth_a_try_where_things_are_made(sqlstate: str) -> None:
    """That something is there already is a race for IF NOT EXISTS alone."""
    error = ServerError("there already", sqlstate=sqlstate)

    assert isinstance(meaning(error, making=True), Retry)
    assert meaning(error) is None


def test_our_own_blocks_are_believed_by_their_signature() -> None:
    """The SQLSTATE of a block of ours means something only with the signature of this process."""
    holder = '[{"pid": 7, "application": "shop", "state": "idle", "seconds": 3}]'
    error = ServerError("busy", sqlstate="KD001", detail=holder, constraint_name=queries.SIGNATURE)
    forged = ServerError("busy", sqlstate="KD001", detail=holder, constraint_name="kimbledb_0")
    meant = meaning(error)

    assert isinstance(meant, Retry)
    assert meant.blockers == ("pid 7, shop, idle, transaction open for 3 s",)
    assert meant.contended is None
    assert meaning(forged) is None


def test_a_run_of_this_package_is_named() -> None:
    """A holder that is a run of kimbledb itself is shown as one, and not with the block that it executes."""
    query = f"BEGIN;\\n{queries.anonymous('BEGIN NULL; END')}".replace("\n", "\\n")
    holder = f'[{{"pid": 7, "application": "kimbledb", "state": "active", "seconds": 3, "query": "{query}"}}]'
    meant = meaning(ServerError("busy", sqlstate="KD001", detail=holder, constraint_name=queries.SIGNATURE))

    assert isinstance(meant, Retry)
    assert meant.blockers == ("pid 7, kimbledb, active, transaction open for 3 s: a run of kimbledb",)


def test_a_history_of_another_shape_is_no_retry() -> None:
    """A history that another hand made is told with its differences."""
    error = ServerError(
        "migration_history has another shape",
        sqlstate="KD008",
        detail='["migration_history lacks the column success"]',
        constraint_name=queries.SIGNATURE,
    )

    with pytest.raises(kimbledb.HistoryError, match="lacks the column success") as caught, decided():
        raise error

    assert caught.value.__cause__ is error


def test_what_means_nothing_for_every_call_stays_what_it_is() -> None:
    """An error that only the operation can explain passes unchanged, and is its own cause nowhere."""
    error = ServerError("no such column", sqlstate="42703")

    with pytest.raises(ServerError) as caught, decided():
        raise error

    assert caught.value is error
    assert error.__cause__ is None


def test_a_missing_privilege_is_told_with_its_cure() -> None:
    """Insufficient privilege is a gap of the role; any other error stops the run with its SQLSTATE."""
    denied = failure(ServerError("permission denied for table t", sqlstate="42501"), "looking at the schema")
    other = failure(ServerError("no such column", sqlstate="42703", hint="look"), "looking at the schema")

    assert isinstance(denied, kimbledb.PreflightError)
    assert "looking at the schema: permission denied for table t" in str(denied)
    assert isinstance(other, kimbledb.MigrationError)
    assert (other.sqlstate, other.hint) == ("42703", "look")
