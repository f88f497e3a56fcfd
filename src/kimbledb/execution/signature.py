"""A plan that was signed: a run carries it out only where it is still what would be done.

The plan is compared at the first look, and again under the lock of the first migration: its transaction fails where the
objects of the schema, or the rows of the tables that the plan names, are not those of that look. Then the run looks again.

The first migration of a signed plan notes the basis of the plan in the log. A later replica, which has the fingerprint
alone, compares with that.
"""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from kimbledb.errors import ConfigurationError, PlanChangedError
from kimbledb.inspection import snapshot
from kimbledb.model.basis import EMPTY, FILLED, Basis, is_fingerprint, kinds_that_differ
from kimbledb.model.migration import AppliedStep
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.objects import OBJECT_KINDS
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Json
from kimbledb.model.state import DatabaseState
from kimbledb.model.text import one_line
from kimbledb.planning.signed_plans import Comparison, differing, same_where_known, variants
from kimbledb.server import queries
from kimbledb.server.session import Session

#: The kinds of objects whose change is noticed under the lock. The schema itself may be made by the run.
_KINDS = tuple(kind for kind in OBJECT_KINDS if kind not in ("schema", "default privilege"))
#: The kinds of texts that a plan without a look at the schema has.
_KNOWN_BY_HISTORY = ("files", "history", "target", "wishes")
#: The most tables of which any two may have got or lost rows, where a fingerprint alone is compared.
_FEW_TABLES = 20
_EVENTS = {"apply": "applied", "adopt": "adopted", "rollback": "rolled back"}


def _with_other_rows(now: Basis) -> Iterator[Basis]:
    """Yield what a plan would rest on if one or two of the tables that it names had no rows, or had some."""
    rows = now.of("rows")
    for count in (1, 2) if len(rows) <= _FEW_TABLES else (1,):
        for names in itertools.combinations(rows, count):
            yield now.replacing("rows", {**rows, **{name: EMPTY if rows[name] == FILLED else FILLED for name in names}})


class Signature:
    """The plan that a call was given, in one of three forms, and what the call has found out about it."""

    def __init__(self, given: Plan | Mapping[str, Json] | str, schema: str) -> None:
        """Take what the call was given.

        Args:
            given: A plan, what its ``as_dict()`` gave, or its fingerprint.
            schema: The target schema.

        Raises:
            ConfigurationError: It is none of these, or was edited.
        """
        self.schema = schema
        #: The least and the most seconds that a rehearsal foresaw, by the names of migrations. No fingerprint covers them.
        self._forecasts: dict[str, list[float | None]] = {}
        #: The basis of the signed plan; None until it is known, where the call has the fingerprint alone.
        self.basis: Basis | None = None
        if isinstance(given, Plan):
            self.basis = given.basis
            self.fingerprint = given.fingerprint
            self._forecasts = _forecasts_of(given.as_dict())
        elif isinstance(given, Mapping):
            self.basis = Basis.of_dict(given.get("basis"))
            self.fingerprint = str(given.get("fingerprint"))
            if self.basis is None or self.basis.fingerprint != self.fingerprint:
                raise ConfigurationError(
                    "these values are not those of a plan: `basis` and `fingerprint` do not belong together",
                    hint="pass what `kimbledb plan --json` printed, or plan.as_dict(), as it is",
                )
            self._forecasts = _forecasts_of(given)
        else:
            self.fingerprint = given
            if not is_fingerprint(str(given)):
                raise ConfigurationError(
                    f"{one_line(str(given))!r} is no fingerprint of a plan",
                    hint="`kimbledb plan --fingerprint` prints it: kp1-, 32 digits, and 14 more",
                )
        self._objects = ""
        self._state: DatabaseState | None = None
        self._tables: dict[str, bool] = {}

    async def look(self, session: Session, state: DatabaseState) -> None:
        """Note the objects of the schema, before the plan of now is made by them.

        Args:
            session: The session.
            state: The state of the database.
        """
        self._state = state
        self._objects = await session.ask(queries.answering(f"SELECT to_jsonb(({self._question()}))"))

    def _question(self) -> str:
        return queries.filled("signed_objects", objects=snapshot.query(self.schema, _KINDS))

    @property
    def guard(self) -> str:
        """The block that stops the transaction of the first migration where the last look does not hold any more."""
        return queries.block(
            "guard_signed",
            tables=f"{quote_literal(json.dumps(self._tables))}::jsonb",
            schema=quote_literal(self.schema),
            objects=self._question(),
            expected=quote_literal(self._objects),
        )

    def noted(self, name: str, *, first: bool) -> dict[str, object]:
        """Return the facts that the log keeps of the signed plan, with the forecast of a migration.

        Args:
            name: The name of the migration.
            first: Whether it is the first migration that the run applies.
        """
        assert self.basis is not None
        noted: dict[str, object] = {"fingerprint": self.fingerprint}
        if first:
            packed = zlib.compress(json.dumps(self.basis.as_dict()).encode())
            noted["basis"] = base64.b64encode(packed).decode()
        return {"plan": noted} | ({"forecast": self._forecasts[name]} if name in self._forecasts else {})

    async def check(
        self, session: Session, state: DatabaseState, plan: Plan, *, applied: Sequence[AppliedStep] = (), looked: bool
    ) -> None:
        """Compare the signed plan with the plan of now.

        Args:
            session: The session, in which the log is asked where they differ.
            state: The state of the database.
            plan: The plan of now.
            applied: The migrations that this call has applied.
            looked: Whether the plan of now rests on a look at the schema of now, or on history alone.

        Raises:
            PlanChangedError: They differ, other than by what runs of the signed plan did.
        """
        now = plan.basis
        if self.basis is None:
            self.basis = await self._basis_of_fingerprint(session, state, now)
        if self.basis is None:
            if not plan.pending and not plan.refused and state.log_position is None and state.history_owner:
                return  # nothing is left to do, and a role that only reads history may not read the log
            raise PlanChangedError(self._what_differs(now, plan), signed=self.fingerprint, found=now.fingerprint)
        now = same_where_known(self.basis, now)
        comparison = Comparison(self.basis, now, plan, looked)
        if comparison.is_done:
            return
        if comparison.done:
            log = await self._log(session, state)
            comparison = evolve(comparison, own=() if log is None else log["applied"])
        if comparison.changes:
            events = await self._events(session, state, comparison.moved_in_history)
            changes = evolve(comparison, events=events).changes
            raise PlanChangedError(changes, signed=self.fingerprint, found=plan.fingerprint, applied=applied)
        there = now.of("rows")
        self._tables = {name: each == FILLED for name, each in self.basis.of("rows").items() if name in there}

    async def _basis_of_fingerprint(self, session: Session, state: DatabaseState, now: Basis) -> Basis | None:
        """Return the basis that the fingerprint stands for: that of now, or that which the log holds; else None."""
        for each in variants(now):
            if each.fingerprint == self.fingerprint:
                return each
        log = await self._log(session, state)
        if log is None:
            return None
        try:
            found = Basis.of_dict(json.loads(zlib.decompress(base64.b64decode(log["basis"] or ""))))
        except (ValueError, zlib.error):
            return None
        # A writer of the log cannot forge an entry.
        return found if found is not None and found.fingerprint == self.fingerprint else None

    async def _log(self, session: Session, state: DatabaseState) -> dict[str, Any] | None:
        """Return the log's facts about runs of the plan: its basis, and the migrations applied; None where it cannot be read."""
        if state.log_position is None:
            return None
        schema, fingerprint = quote_identifier(self.schema), quote_literal(self.fingerprint)
        found: dict[str, Any] = await session.ask(
            queries.question("signed_runs", schema=schema, fingerprint=fingerprint)
        )
        return found

    def _what_differs(self, now: Basis, plan: Plan) -> list[str]:
        """Return the changes, a line each, as far as two fingerprints show them.

        Args:
            now: The basis of the plan of now.
            plan: The plan of now.
        """
        for then in _with_other_rows(now):
            if then.fingerprint == self.fingerprint:
                return Comparison(then, now, plan).changes
        nearest = min(variants(now), key=lambda each: len(kinds_that_differ(self.fingerprint, each.fingerprint)))
        kinds = kinds_that_differ(self.fingerprint, nearest.fingerprint)
        if plan.pending:
            lines = [differing(kind, now) for kind in kinds]
        else:  # nobody looked at the schema
            lines = [differing(kind, now) for kind in kinds if kind in _KNOWN_BY_HISTORY]
            lines.append("nothing is left to do here, and no run of the signed plan did it")
        return [*lines, "the file of `kimbledb plan --json`, given in place of the fingerprint, has each change named"]

    async def _events(self, session: Session, state: DatabaseState, names: Sequence[str]) -> dict[str, str]:
        """Return the last event of each of some migrations in words, as far as the log may be read."""
        if not names or state.log_position is None:
            return {}
        block = queries.question("last_events", schema=quote_identifier(self.schema), names=quote_array(names))
        return {
            name: f"{_EVENTS[event]} by {role}, {application or 'no application named'}, at {time[:19].replace('T', ' ')} UTC"
            for name, (event, time, role, application) in (await session.ask(block)).items()
        }


def _forecasts_of(plan: Mapping[str, Json]) -> dict[str, list[float | None]]:
    """Return the forecasts of a plan's steps, as far as they are some, by the names of the migrations."""
    found: dict[str, list[float | None]] = {}
    steps = plan.get("steps")
    for step in steps if isinstance(steps, list) else ():
        match step:
            case {
                "migration": str(name),
                "forecast": {"low": int() | float() as low, "high": int() | float() | None as high},
            }:
                found[name] = [low, high]
    return found
