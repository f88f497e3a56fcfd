"""Security checks on the server's catalogs: the privileges of roles, and guards that are ineffective.

The checks of the target schema's objects count; some of them only warn of objects of no closed catalog. The checks of
their surroundings (default privileges, extensions), which migrations do not make, are informative. People use the roles
``anon`` and ``authenticated``, and every role that connects is PUBLIC; where a server lacks both roles, the checks that
concern them are informative, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from attrs import frozen

from kimbledb.model.check import Check
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import Key, parts_of
from kimbledb.server import queries
from kimbledb.server.session import Session

#: The kinds of objects that findings are about.
_HOMES = frozenset({"function", "constraint"})
_CLOSED_HOMES = frozenset({"function", "table", "view", "sequence"})
#: The most objects that a check names in ``found``; ``rows`` holds them all.
_SHOWN = 5


@frozen
class SecurityCheck:
    """One security check."""

    name: str
    #: ``high``: people can reach rows that are not theirs; ``medium``: a guard is missing;
    #: ``low``: it costs time; ``information``: it is worth knowing.
    severity: str
    expected: str
    #: Whether it concerns people who use an API's roles.
    of_people: bool = True
    #: Whether it fails only for what migrations declare: of objects beside these it opens nothing, and informs.
    of_declared: bool = False
    #: Whether it warns, and fails only in a closed catalog: elsewhere it may be as somebody wants it, such as rows that
    #: everybody may read, or the default privileges of a platform on which policies decide.
    warns: bool = False


CHECKS = (
    SecurityCheck("tables without row level security", "high", "row level security wherever people have a privilege"),
    SecurityCheck("policies that are off", "high", "row level security on wherever there is a policy", of_people=False),
    SecurityCheck("tables without a policy", "information", "known: only owner and service read them", of_people=False),
    SecurityCheck("policies that are always true", "high", "a condition that tells rows apart", warns=True),
    SecurityCheck("write policies without a check", "medium", "a WITH CHECK wherever people may write", warns=True),
    SecurityCheck("policies that trust what people can edit", "high", "no user_metadata in a policy", of_people=False),
    SecurityCheck("identity computed for each row", "low", "(SELECT ...) around who asks", of_people=False, warns=True),
    SecurityCheck("views with their owner's rights", "high", "security_invoker on every view that people read"),
    SecurityCheck(
        "copies without row level security", "high", "no materialized view or foreign table for people", warns=True
    ),
    SecurityCheck(
        "functions without a search_path",
        "medium",
        "SET search_path on every function",
        of_people=False,
        of_declared=True,
        warns=True,
    ),
    SecurityCheck(
        "functions with their owner's rights", "high", "no SECURITY DEFINER that people may call", warns=True
    ),
    SecurityCheck(
        "functions that PUBLIC may call", "medium", "EXECUTE for those alone who need it", of_declared=True, warns=True
    ),
    SecurityCheck(
        "privileges past row level security", "high", "no TRUNCATE, REFERENCES, TRIGGER for people", warns=True
    ),
    SecurityCheck(
        "grants that nobody looks at", "medium", "grants on columns and sequences only where they are used", warns=True
    ),
    SecurityCheck("history is open", "high", "history for its owner alone", of_people=False),
    SecurityCheck("invalid indexes", "medium", "every index valid", of_people=False),
    SecurityCheck("constraints not validated", "medium", "every constraint validated", of_people=False, warns=True),
    SecurityCheck("disabled triggers", "medium", "every trigger fires", of_people=False),
    SecurityCheck(
        "foreign keys without an index",
        "low",
        "an index for every foreign key",
        of_people=False,
        of_declared=True,
        warns=True,
    ),
    SecurityCheck("default privileges", "information", "nothing for people by default"),
    SecurityCheck("CREATE on the schema", "information", "nobody else creates in the schema"),
    SecurityCheck("extensions in public", "information", "a schema of their own", of_people=False),
    SecurityCheck("outdated extensions", "information", "the server's newest versions", of_people=False),
)


async def check(
    session: Session,
    schema: str,
    declared: Collection[Key] | None = None,
    *,
    closed: Collection[Key] | None = None,
) -> list[Check]:
    """Run all security checks on a schema, in one read-only transaction, on a standby too.

    Args:
        session: The session.
        schema: The target schema.
        declared: As in ``checks_of()``.
        closed: As in ``checks_of()``.
    """
    return checks_of(await session.ask_all(questions(schema)), declared, closed=closed)


def questions(schema: str) -> list[str]:
    """Return the questions of all security checks on a schema. The search_path must be the server's own schema alone.

    Args:
        schema: The target schema.
    """
    return [
        queries.question(each, schema=quote_literal(schema))
        for each in ("security_tables", "security_routines", "security_server")
    ]


def checks_of(
    answers: Sequence[Any], declared: Collection[Key] | None, *, closed: Collection[Key] | None
) -> list[Check]:
    """Return the security checks by the answers to ``questions()``.

    Args:
        answers: The answers, in their order.
        declared: The objects that the applied migrations declare; None where none is applied.
        closed: Those of the applied migrations of a closed catalog: of other objects some checks only warn. None
            where none of them warns.
    """
    tables, routines, server = answers
    ours = None if declared is None else {parts_of(name) for kind, name in declared if kind in _HOMES}
    failing = None if closed is None else {parts_of(name) for kind, name in closed if kind in _CLOSED_HOMES}
    findings = [*tables, *routines, *server["findings"]]
    return weigh(findings, has_api_roles=server["has_api_roles"], ours=ours, failing=failing)


def weigh(
    findings: Sequence[Sequence[str]],
    *,
    has_api_roles: bool,
    ours: Collection[tuple[str, ...]] | None = None,
    failing: Collection[tuple[str, ...]] | None = None,
) -> list[Check]:
    """Return the check for each question. Pure.

    Args:
        findings: For each finding the name of its question, the object, the reason and the cure.
        has_api_roles: Whether the server has the roles ``anon`` and ``authenticated``.
        ours: The identifiers of the functions and constraints that migrations declare; None for all.
        failing: The identifiers of the functions and relations of which no check warns; None for all.
    """
    return [
        _check(
            each,
            [finding[1:] for finding in findings if finding[0] == each.name],
            has_api_roles=has_api_roles,
            ours=ours,
            failing=failing,
        )
        for each in CHECKS
    ]


def _is_of(thing: str, ours: Collection[tuple[str, ...]]) -> bool:
    """Whether the object of a finding, such as ``key on public.notes``, is one of some functions and constraints."""
    own, _, home = thing.rpartition(" on ")
    return (parts_of(home)[1:] + (parts_of(own) if own else ())) in ours


def _is_on(thing: str, some: Collection[tuple[str, ...]]) -> bool:
    """Whether a finding is on one of some functions and relations, or on a part of it."""
    home = parts_of(thing.rpartition(" on ")[2])[1:]
    return home in some or home[:1] in some


def _check(
    question: SecurityCheck,
    findings: Sequence[Sequence[str]],
    *,
    has_api_roles: bool,
    ours: Collection[tuple[str, ...]] | None,
    failing: Collection[tuple[str, ...]] | None,
) -> Check:
    informs = question.severity == "information"
    if question.of_declared and ours is not None and not any(_is_of(thing, ours) for thing, _, _ in findings):
        informs = True
    applies = has_api_roles or not question.of_people
    warns = question.warns and failing is not None and not any(_is_on(thing, failing) for thing, _, _ in findings)
    found = "; ".join(f"{thing}: {reason}" for thing, reason, _ in findings[:_SHOWN])
    if len(findings) > _SHOWN:
        found += f"; and {len(findings) - _SHOWN} more"
    if not applies:
        found = "not applicable: no roles anon and authenticated" + (f" ({found})" if found else "")
    return Check(
        migration=None,
        name=question.name,
        passed=informs or not applies or not findings,
        expected=question.expected,
        found=found or "none",
        rows=tuple({"object": thing, "reason": reason, "cure": cure} for thing, reason, cure in findings),
        hint="; ".join(cure for _, _, cure in findings[:_SHOWN]) or None,
        informative=informs or not applies or (warns and bool(findings)),
        severity=question.severity,
    )
