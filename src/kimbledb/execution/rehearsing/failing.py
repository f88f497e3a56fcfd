"""Asks the target whether its rows break what statements add to tables: one read-only query each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from kimbledb.errors import PreflightError
from kimbledb.execution.rehearsing.scripts import ON_ROWS
from kimbledb.inspection import rows
from kimbledb.model.names import quote_literal
from kimbledb.model.rehearsal import RehearsedStatement
from kimbledb.planning.rehearsed_rows import Asked
from kimbledb.server.codes import QUERY_CANCELLED
from kimbledb.server.driver import ServerError
from kimbledb.server.search_path import guard_of
from kimbledb.server.session import Session

#: The class of SQLSTATEs of values that a type, or a function, does not take.
_OF_VALUES = "22"
_STRANGERS = "strangers own objects in the schema, which a query could call"
_TOO_LONG = "to look at the rows takes longer than Options.statement_timeout"


async def asked(
    session: Session,
    found: Sequence[RehearsedStatement],
    questions: Mapping[int, Mapping[str, Asked]],
    path: Sequence[str],
    reached: Sequence[str],
) -> list[RehearsedStatement]:
    """Return the statements of a rehearsal with what the rows of the target say to them.

    Args:
        session: A session of the target.
        found: The statements.
        questions: The questions, by the number of the statement and by the name of the violated constraint.
        path: The target schema and those of extensions.
        reached: The schemas that migrations declare to reach.
    """
    statements = list(found)
    guard = f"DO {quote_literal(guard_of(path, reached))};\n"
    for number, those in questions.items():
        for name, each in those.items():
            statement = statements[number]
            why, unknown = await _one(session, guard, path, name, each)
            # The number of rows says more than a row of the sample.
            before = None if why and str(statement.will_fail).startswith(ON_ROWS) else statement.will_fail
            statements[number] = evolve(
                statement,
                will_fail=_joined(before, why),
                unknown=_joined(statement.unknown, unknown),
            )
    return statements


async def _one(
    session: Session, guard: str, path: Sequence[str], name: str, each: Asked
) -> tuple[str | None, str | None]:
    """Return the reason why a statement will fail, and the reason why that is not known."""
    try:
        answer = await session.ask(guard + rows.question_of_breaking(path, {name: each.breaking}))
    except PreflightError:
        return None, f"whether rows break {name}: {_STRANGERS}"
    except ServerError as error:
        if error.sqlstate != QUERY_CANCELLED:
            raise
        return None, f"whether rows break {name}: {_TOO_LONG}"
    for _, kind, value in answer:
        if kind == "breaking":
            return (each.breaking.conflict(value) if value else None), None
        if each.converts and str(value).startswith(_OF_VALUES):
            return f"a value of {each.converts} does not convert (SQLSTATE {value})", None
        return None, f"whether rows break {name}: {rows.reason(str(value))}"
    return None, None


def _joined(one: str | None, other: str | None) -> str | None:
    return "; ".join(each for each in (one, other) if each is not None) or None
