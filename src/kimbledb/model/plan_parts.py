"""The protocol of a plan, for the modules that print a plan and that the plan itself imports late."""

# ruff: noqa: D102 - they are described where they are: kimbledb.Plan

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kimbledb.model.evidence import Evidence
from kimbledb.model.origin import Place, TableState, Wishes
from kimbledb.model.step import Step
from kimbledb.model.tables import Table


class PlanParts(Protocol):
    """A ``kimbledb.Plan``, by the attributes that are read of it."""

    @property
    def steps(self) -> tuple[Step, ...]: ...
    @property
    def pending(self) -> tuple[Step, ...]: ...
    @property
    def schema(self) -> str | None: ...
    @property
    def place(self) -> Place | None: ...
    @property
    def wishes(self) -> Wishes: ...
    @property
    def evidence(self) -> Evidence | None: ...
    @property
    def tables(self) -> Mapping[str, TableState]: ...
    @property
    def summary(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def due_as_table(self) -> Table: ...
