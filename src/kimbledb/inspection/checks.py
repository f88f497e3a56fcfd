"""The checks of migrations (verify.sql): the statements that run them, and the results in the server's answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kimbledb.errors import PreflightError
from kimbledb.model.check import Check, VerificationQuery
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_literal
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.drivers.asyncpg import condition
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session
from kimbledb.server.settings import handed

#: The cure where a check uses a value that its own migration adds: the check runs before the COMMIT.
_NEW_VALUE = (
    "a value that ALTER TYPE ... ADD VALUE adds can be used only after the COMMIT; check that the value exists: "
    "SELECT EXISTS (SELECT FROM pg_enum WHERE enumtypid = '<type>'::regtype AND enumlabel = '<value>') AS passed"
)
#: The most migrations whose checks run in one transaction, which locks every table that the checks read.
_AT_ONCE = 200
#: The most rows that run_checks.sql counts of a query that need only run.
_COUNTED = 20


async def verify_migrations(
    session: Session,
    migrations: Iterable[Migration],
    path: Sequence[str],
    reached: Sequence[str],
    *,
    owner: str | None = None,
) -> tuple[list[Check], Sequence[tuple[str, str]]]:
    """Run the checks of migrations, in read-only transactions that are small enough not to run out of locks.

    Where strangers own, or may create, objects on the search_path, the checks are not run, and fail with that cause; for
    a role that may only read history they only inform, since the owner of history may be such a stranger.

    Args:
        session: The session.
        migrations: The migrations.
        path: The schemas of the search_path.
        reached: The schemas that migrations declare to reach: the owners of these are trusted as well.
        owner: The role that owns history, where this role may only read it; else None. A check for which this role
            lacks a privilege then only informs.

    Returns:
        The checks; and what strangers own or may create on the search_path, each with its cure.
    """
    migrations = list(migrations)
    checks: list[Check] = []
    gaps: Sequence[tuple[str, str]] = ()
    for start in range(0, len(migrations), _AT_ONCE):
        some = migrations[start : start + _AT_ONCE]
        try:
            answers = await session.send(
                "BEGIN READ ONLY;\n"
                + session.settings()
                + handed(checks_handed(some))
                + session.guarded(path, reached)
                + checks_block(session, path, judging=False)
                + "COMMIT;\n"
            )
        except PreflightError as error:
            gaps = error.gaps
            checks += [
                _not_run(migration, query, error, owner)
                for migration in some
                for query in migration.verification_queries
            ]
        else:
            checks += results_of(answers[-1].value, some, lesser=owner is not None)
    return checks, gaps


def _not_run(migration: Migration, query: VerificationQuery, error: PreflightError, owner: str | None) -> Check:
    (gap, cure), *more = error.gaps
    others = f" (and {len(more)} more)" if more else ""
    return Check(
        migration.name,
        query.name,
        passed=False,
        found=f"not run, since it could call a stranger's object: {gap}{others}",
        hint=cure if owner is None else f"verify as {owner}, to whom history belongs, or as a member of that role",
        file=migration.file("verify"),
        line=query.line,
        informative=owner is not None,
    )


def checks_handed(migrations: Iterable[Migration]) -> dict[str, object]:
    """Return the values that are handed to ``run_checks.sql``, by their names."""
    checks = [
        {"migration": migration.name, "name": query.name, "sql": query.sql, "runs": query.runs}
        for migration in migrations
        for query in migration.verification_queries
    ]
    return {"kimbledb.checks": checks}


def checks_block(session: Session, path: Sequence[str], *, judging: bool) -> str:
    """Return the statements that run those checks.

    Args:
        session: The session, for its settings.
        path: The schemas of the checks' search_path.
        judging: Whether a failed check is an error that stops the transaction.
    """
    block = queries.block("run_checks", judging=str(judging).lower(), path=quote_literal(path_of(path)))
    return session.path() + block


def results_of(
    value: Sequence[dict[str, Any]], migrations: Iterable[Migration], *, lesser: bool = False
) -> list[Check]:
    """Return the checks with their results.

    Args:
        value: The server's answer.
        migrations: The migrations whose checks were run.
        lesser: Whether the role may only read history. A check for which it lacks a privilege then only informs.
    """
    if not value:
        return []
    places = {
        (migration.name, query.name): (migration.file("verify"), query.line)
        for migration in migrations
        for query in migration.verification_queries
    }
    checks = []
    for result in value:
        file, line = places[result["migration"], result["name"]]
        checks.append(
            Check(
                migration=result["migration"],
                name=result["name"],
                passed=result["passed"],
                expected=_joined(result, "expected"),
                found=_found(result),
                hint=_hint(result),
                file=file,
                line=line,
                informative=lesser and result.get("sqlstate") == INSUFFICIENT_PRIVILEGE,
            )
        )
    return checks


def _hint(result: dict[str, Any]) -> str | None:
    if "sqlstate" not in result:
        return None
    words = f"the query failed with SQLSTATE {result['sqlstate']}"
    return f"{words}: {_NEW_VALUE}" if result["sqlstate"] == "55P04" else words


def _found(result: dict[str, Any]) -> str | None:
    if "count" in result:
        return f"{result['count']} rows" if result["count"] < _COUNTED else f"at least {_COUNTED} rows"
    if "sqlstate" in result:
        return (
            result.get("error") or f"{condition(result['sqlstate'])}; run the query by hand to see the server's message"
        )
    return _joined(result, "found") or (None if result["passed"] or result["rows"] else "no rows")


def _joined(result: dict[str, Any], key: str) -> str | None:
    return "; ".join(row[key] for row in result.get("rows", ()) if row[key] is not None) or None
