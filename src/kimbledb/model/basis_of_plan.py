"""The basis of a plan, made from the plan. Only a plan that is asked for its fingerprint imports this."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from kimbledb.model.basis import APPLY, DIGITS, EMPTY, FILLED, LOCKED, MISSING, THERE, Basis, digest
from kimbledb.model.evidence import AppliedMigration, Evidence
from kimbledb.model.names import words_of
from kimbledb.model.objects import quoted
from kimbledb.model.plan_parts import PlanParts
from kimbledb.model.step import TO_APPLY, Step, StepState


def basis_of(plan: PlanParts) -> Basis:
    """Return the basis of a plan.

    Args:
        plan: The plan. Its migrations hold their SQL.
    """
    rows, shapes = _tables_of(plan)
    return Basis(
        {
            "files": {
                f"{part} {step.name}": sha256[:DIGITS]
                for step in plan.steps
                if step.state is not StepState.UNKNOWN
                for part, sha256 in step.migration.digests.items()
            },
            "history": {
                step.recorded.name: value
                for step in plan.steps
                if step.recorded is not None and (value := _recorded(step.recorded)) is not None
            },
            "schema": _objects_of(plan.evidence) | shapes,
            "rows": rows,
            "target": _target_of(plan),
            "wishes": plan.wishes.as_texts(),
            "steps": {step.name: _step(step) for step in plan.steps},
        }
    )


def _recorded(row: AppliedMigration) -> str | None:
    """Return the text of a row of history. A failed attempt left nothing, and is not counted."""
    if row.success is False:
        return None
    state = "adopted" if row.adopted else "applied" if row.success else "recorded"
    return f"{state} {(row.checksum or '-')[:DIGITS]} {_utc(row.applied_at or '-')}"


def _utc(time: str) -> str:
    """Return a time of the server in UTC, whatever the time zone of the session that read it."""
    try:
        read = datetime.fromisoformat(time)
    except ValueError:
        return time
    return time if read.tzinfo is None else read.astimezone(UTC).isoformat()


def _objects_of(evidence: Evidence | None) -> dict[str, str]:
    """Return the declared objects that exist, and those that are missing where a part of a migration exists."""
    found: dict[str, str] = {}
    for finding in evidence.findings.values() if evidence is not None else ():
        begun = finding.present or finding.conflicts
        found |= {each: MISSING for each in finding.missing if begun and each not in found}
        found |= dict.fromkeys(finding.present, THERE) | dict.fromkeys(finding.conflicts, "in conflict")
    return found


def _tables_of(plan: PlanParts) -> tuple[dict[str, str], dict[str, str]]:
    """Return, for each table that pending steps name, whether it holds rows, and the form of its columns."""
    named = {word for step in plan.pending for word in names_in(step)} if plan.tables else set()
    there = {name: state for name, state in plan.tables.items() if name in named}
    return (
        {name: LOCKED if state.filled is None else FILLED if state.filled else EMPTY for name, state in there.items()},
        {f"the form of table {quoted(name)}": state.form for name, state in there.items()},
    )


def names_in(step: Step) -> Iterator[str]:
    """Yield the words in the SQL of a step that can be names. What is put together while it runs is not seen.

    Args:
        step: The step.
    """
    completion = step.completion
    if completion is not None:
        yield from words_of("\n".join(completion.sql_lines))
    if completion is None or completion.runs_script:
        migration = step.migration
        for text in (migration.apply_sql, migration.hosted_sql, migration.online_sql):
            yield from words_of(text)


def _target_of(plan: PlanParts) -> dict[str, str]:
    place = plan.place
    hosted = plan.evidence is not None and plan.evidence.hosted
    found = {
        "schema": plan.schema or "public",
        "platform": "hosted" if hosted else "bare",
        "contents": "objects" if place is not None and place.occupied else "nothing",
    }
    if place is None:
        return found
    database = f"{place.database} (oid {place.oid})" if place.oid else place.database
    return found | {"server": str(place.system or "unknown"), "database": database}


def _step(step: Step) -> str:
    if not step.to_apply:
        return f"{step.state}, not asked for" if step.state in TO_APPLY else str(step.state)
    # The state of one that has failed tells of the attempt, and not of what is to be done.
    state = "pending" if step.state is StepState.FAILED else step.state
    way = ["online.sql first"] if step.online else []
    if (completion := step.completion) is not None:
        copies = [
            [each.table, each.source, sorted(each.values.items()), sorted(each.fits.items())]
            for each in completion.set_aside
        ]
        way.append(f"written {digest([list(completion.sql_lines), copies])}")
    return f"{APPLY}{step.migration.checksum[:DIGITS]} {', '.join([state, *way])}"
