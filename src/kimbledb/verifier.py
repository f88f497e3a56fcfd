"""Verification: a migration's own checks, and the questions about the whole database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kimbledb import history, queries
from kimbledb.catalog import Catalog
from kimbledb.errors import HistoryError, PlanningError, PreflightError
from kimbledb.model import Check, Migration, VerificationQuery, schemas_reached
from kimbledb.names import check_schema_name, few, quote_array, quote_identifier, quote_literal
from kimbledb.options import Options
from kimbledb.plan import StepState
from kimbledb.reports import VerificationReport
from kimbledb.runner import Runner
from kimbledb.session import Session, gaps_of, path_of, setting, strangers_in
from kimbledb.snapshots import Snapshot
from kimbledb.state import DatabaseState
from kimbledb.targets import Target, target_of

#: What helps where a check uses a value that its own migration adds: it runs before the COMMIT.
_NEW_VALUE = (
    "a value that ALTER TYPE ... ADD VALUE adds can be used only after the COMMIT; ask whether it is there: "
    "SELECT EXISTS (SELECT FROM pg_enum WHERE enumtypid = '<type>'::regtype AND enumlabel = '<value>') AS passed"
)
#: How many of the things that it finds a check names; ``rows`` holds them all.
_SHOWN = 5
#: Migrations whose checks run in one transaction, which holds a lock on all that they read.
_AT_ONCE = 200
#: How many rows run_checks.sql counts of a query that need only run.
_COUNTED = 20


class Verifier:
    """Asks a database whether what is applied is really there. It never writes."""

    def __init__(
        self,
        target: object = None,
        *,
        catalog: Catalog | None = None,
        schema: str | None = None,
        options: Options | None = None,
    ) -> None:
        self.options = options or Options()
        self.target: Target = target_of(target)
        self.catalog = catalog if catalog is not None else Catalog.builtin()
        self.schema = check_schema_name(schema or "public")

    async def verify(self, only: str | int | Iterable[str | int] | None = None) -> VerificationReport:
        """Run the checks of the applied migrations, and those of the whole database.

        Args:
            only: A migration's name or number, or several: run theirs alone,
                applied or not.
        """
        runner = Runner(self.target, self.options)

        async def work(session: Session) -> VerificationReport:
            runner.doing = "verifying"
            from kimbledb import security, snapshot

            try:
                state = await history.look(session, self.schema)
            except (HistoryError, PreflightError) as error:
                # It exists to report such things.
                unread = Check(
                    None,
                    "history",
                    passed=False,
                    expected="a history that can be read",
                    found=error.message,
                    hint=error.hint,
                )
                return VerificationReport((unread, *await security.check(session, self.schema)))
            path = state.search_path(self.schema, (each.name for m in self.catalog for each in m.extensions))
            reached = schemas_reached(self.catalog)
            if only is not None:
                keys = [only] if isinstance(only, str | int) else list(only)
                chosen = [self.catalog[key] for key in keys]
                return VerificationReport(tuple(await verify_migrations(session, chosen, path, reached)))
            found = await snapshot.take(session, self.schema, path)
            applied, pending = self._standing(state, found)
            checks = await verify_migrations(session, applied, path, reached)
            if applied:
                checks += await self._drift(session, state, found, applied, pending)
            checks += await self._whole_database(session, path)
            checks += await _trust(session, self.schema, path, reached)
            checks += await security.check(session, self.schema)
            return VerificationReport(tuple(checks))

        return await runner.run(work)

    def _standing(self, state: DatabaseState, found: Snapshot) -> tuple[list[Migration], list[Migration]]:
        """Return the migrations that history says are applied, in order, and those that are still to be."""
        from kimbledb import evidence  # late: only a verification of the whole looks at everything
        from kimbledb.planner import Planner

        shown = evidence.weigh(self.catalog, found, hosted=state.hosted)
        try:
            plan = Planner(self.catalog).standing(state.history, shown)
        except PlanningError:  # migrate() says why there is none; what is recorded is verified all the same
            names = {row.name for row in state.history or () if row.success is True}
            return [each for each in self.catalog if each.name in names], []
        steps = [step for step in plan.steps if step.state not in (StepState.REPLACED, StepState.UNKNOWN)]
        recorded = [step.migration for step in steps if step.recorded is not None and step.recorded.success is True]
        names = {migration.name for migration in recorded}
        return recorded, [step.migration for step in steps if step.name not in names]

    async def _drift(
        self,
        session: Session,
        state: DatabaseState,
        found: Snapshot,
        applied: Sequence[Migration],
        pending: Sequence[Migration],
    ) -> list[Check]:
        from kimbledb import drift

        kept = {}
        if state.head is not None:
            kept = await session.ask(queries.question("kept_forms", schema=quote_identifier(self.schema)))
        # What a newer version applied may have changed what this one declares.
        newer = any(row.version and row.success is True and row.name not in self.catalog for row in state.history or ())
        return drift.checks(applied, pending, found, kept=kept, hosted=state.hosted, informative=newer)

    async def _whole_database(self, session: Session, path: Sequence[str]) -> list[Check]:
        wanted = sorted({each.name for migration in self.catalog for each in migration.extensions})
        rows = await session.ask(
            queries.printed(
                "whole_database",
                quote_literal(path_of(path)),
                schema=quote_literal(self.schema),
                extensions=quote_array(wanted),
            )
        )
        return [
            Check(
                migration=None,
                name=row["name"],
                passed=row["passed"],
                expected=row.get("expected"),
                found=row.get("found"),
                rows=tuple(row.get("rows") or ()),
                hint=row.get("hint"),
                informative=row.get("informative", False),
            )
            for row in rows
        ]


async def _trust(session: Session, schema: str, path: Sequence[str], reached: Sequence[str]) -> list[Check]:
    """Ask whether strangers own or may make what would be called, and what of one's own is worth knowing."""
    dangers = gaps_of(await session.ask(queries.answering(strangers_in(path, reached))))
    strangers = Check(
        migration=None,
        name="strangers",
        passed=not dangers,
        expected="nothing in the schemas that is not of roles whom this one trusts",
        found=few([gap for gap, _ in dangers], _SHOWN, "; "),
        rows=tuple({"found": gap, "cure": cure} for gap, cure in dangers),
        hint="; ".join(cure for _, cure in dangers[:_SHOWN]) or None,
    )
    told = [strangers]
    for name, expected, question in (
        (
            "functions beside the server's",
            "known: scripts and checks call them where their arguments fit better",
            queries.question("overloads", schemas=quote_array(path)),
        ),
        (
            "triggers on history",
            "known: they fire where history is written",
            queries.question("beside_history", schema=quote_literal(schema)),
        ),
    ):
        if found := await session.ask(question):
            told.append(
                Check(
                    migration=None,
                    name=name,
                    passed=True,
                    expected=expected,
                    found=few(found, _SHOWN, "; "),
                    rows=tuple({"object": each} for each in found),
                    informative=True,
                )
            )
    return told


async def verify_migrations(
    session: Session, migrations: Iterable[Migration], path: Sequence[str], reached: Sequence[str]
) -> list[Check]:
    """Run the checks of migrations, in read-only transactions of so many that none takes too many locks.

    Where they could call what is a stranger's they are not run, and fail with the cause.
    """
    migrations = list(migrations)
    checks: list[Check] = []
    for start in range(0, len(migrations), _AT_ONCE):
        some = migrations[start : start + _AT_ONCE]
        try:
            answers = await session.send(
                "BEGIN READ ONLY;\n"
                + session.settings()
                + checks_setting(some)
                + session.guarded(path, reached)
                + checks_block(session, path, judging=False)
                + "COMMIT;\n"
            )
        except PreflightError as error:
            checks += [
                _not_run(migration, query, error) for migration in some for query in migration.verification_queries
            ]
        else:
            checks += results_of(answers[-1].value, some)
    return checks


def _not_run(migration: Migration, query: VerificationQuery, error: PreflightError) -> Check:
    (gap, cure), *more = error.gaps
    others = f" (and {len(more)} more)" if more else ""
    return Check(
        migration.name,
        query.name,
        passed=False,
        found=f"not run, since it could call what is a stranger's: {gap}{others}",
        hint=cure,
        file=migration.file("verify"),
        line=query.line,
    )


def checks_setting(migrations: Iterable[Migration]) -> str:
    """Return the statement that hands the checks of migrations to the server."""
    return setting(
        "kimbledb.checks",
        [
            {"migration": migration.name, "name": query.name, "sql": query.sql, "runs": query.runs}
            for migration in migrations
            for query in migration.verification_queries
        ],
    )


def checks_block(session: Session, path: Sequence[str], *, judging: bool) -> str:
    """Return the statements that run those checks.

    Args:
        session: For its settings.
        path: The schemas in which the checks look names up.
        judging: Whether a failed one is an error that stops the transaction.
    """
    block = queries.block("run_checks", judging=str(judging).lower(), path=quote_literal(path_of(path)))
    return session.path() + block


def results_of(value: Sequence[dict[str, Any]], migrations: Iterable[Migration]) -> list[Check]:
    """Make checks of what the server answered.

    Args:
        value: The answer.
        migrations: Those whose checks were run.
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
        from kimbledb.diagnosis import condition  # only for a query that fails

        return (
            result.get("error") or f"{condition(result['sqlstate'])}; run the query by hand to see the server's words"
        )
    return _joined(result, "found") or (None if result["passed"] or result["rows"] else "no rows")


def _joined(result: dict[str, Any], key: str) -> str | None:
    return "; ".join(row[key] for row in result.get("rows", ()) if row[key] is not None) or None
