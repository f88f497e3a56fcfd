"""The report of prove(): what was tried of each migration of a catalog, and what failed.

The start of an application needs none of it: the package imports this module on first use.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from functools import cached_property

from attrs import frozen

from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Cell, Table, listed
from kimbledb.model.text import counted, few, one_line


class Proof(enum.StrEnum):
    """A property of a migration that ``prove()`` tries."""

    #: It is applied to an empty database after all migrations before it, and its checks pass.
    APPLY = "apply"
    #: A rollback leaves the schema as it was before the migration.
    ROLLBACK = "rollback"
    #: Applied again after its rollback, it ends where it ended before.
    AGAIN = "again"
    #: Interrupted between two of its statements, with those before kept, it is completed to the same end.
    COMPLETE = "complete"
    #: Beside rows in the tables that are there before it, it ends in the same schema and keeps the rows, and so does its rollback.
    ROWS = "rows"
    #: Beside large tables, for which it takes another way, it ends where its script ends.
    ONLINE = "online"
    #: Applied after nothing but what it requires, or in another order that ``requires`` allows, it ends in the same schema.
    ORDER = "order"
    #: Its checks can fail.
    CHECKS = "checks"
    #: Its declarations say what it does.
    DECLARED = "declared"


@frozen(kw_only=True)
class CatalogCase:
    """One thing that was tried of one migration on one platform."""

    #: The name of the migration.
    migration: str
    #: The trial.
    kind: Proof
    #: The platform: ``bare`` or ``hosted``.
    platform: str
    #: The case, if one kind has several, such as the place of an interruption; else empty.
    detail: str = ""
    #: The failure with its reason, or None if the trial held.
    message: str | None = None
    #: The reason why it was not tried, or None.
    skipped: str | None = None
    #: Seconds that it took.
    seconds: float = 0.0

    @property
    def what(self) -> str:
        """The trial, in words."""
        return f"{self.kind} {one_line(self.detail)}" if self.detail else str(self.kind)

    def __str__(self) -> str:
        end = f": {self.message or self.skipped}" if self.message or self.skipped else ""
        return f"{one_line(self.migration)}: {self.what}, on a {self.platform} server{end}"


@frozen(eq=False, slots=False)
class CatalogReport(Report):
    """The result of prove()."""

    #: Everything that was tried, in the order of the migrations.
    cases: tuple[CatalogCase, ...]
    #: The version of the server, such as ``18.1``.
    server: str
    #: Seconds of the whole call.
    seconds: float
    #: The trials that could not be made, a line each.
    notes: tuple[str, ...] = ()

    @cached_property
    def failures(self) -> tuple[CatalogCase, ...]:
        """The failures. Each has ``.migration``, ``.kind`` and ``.message``."""
        return tuple(case for case in self.cases if case.message is not None)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @cached_property
    def migrations(self) -> tuple[str, ...]:
        """The names of the migrations, in order."""
        return tuple(dict.fromkeys(case.migration for case in self.cases))

    @property
    def summary(self) -> str:
        """The number of trials, their servers, and the number of failures, in one line."""
        tried = [case for case in self.cases if case.skipped is None]
        platforms = " and ".join(dict.fromkeys(case.platform for case in self.cases))
        verdict = "all held" if self.ok else f"{len(self.failures)} FAILED"
        return (
            f"{counted(tried, 'proof')} of {counted(self.migrations, 'migration')} on PostgreSQL {self.server}"
            f"{f' ({platforms})' if platforms else ''}: {verdict}"
        )

    def as_tables(self) -> tuple[Table, ...]:
        """Return the failures, and how many cases of each kind held for each migration."""
        kinds = [kind for kind in Proof if any(kind is tried for _, tried in self._tried)]
        rows = tuple((name, *(self._cell(name, kind) for kind in kinds)) for name in self.migrations)
        skipped = tuple(f"not tried: {why}: {few(names)}" for why, names in self._skipped())
        return (
            Table(self.summary, rows, ("migration", *kinds), (*skipped, *self.notes), is_long=True),
            *listed("what failed", self._failed()),
        )

    def _cell(self, migration: str, kind: Proof) -> Cell:
        cases = self._tried.get((migration, kind), [])
        failed = sum(case.message is not None for case in cases)
        if not failed:
            return "ok" if cases else "-"
        return "FAILED" if len(cases) == 1 else f"{failed} of {len(cases)} FAILED"

    @cached_property
    def _tried(self) -> dict[tuple[str, Proof], list[CatalogCase]]:
        found: dict[tuple[str, Proof], list[CatalogCase]] = {}
        for case in self.cases:
            if case.skipped is None:
                found.setdefault((case.migration, case.kind), []).append(case)
        return found

    def _skipped(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each reason why something was not tried, with the migrations that it concerns."""
        found: dict[str, list[str]] = {}
        for case in self.cases:
            if case.skipped is not None and case.migration not in (
                names := found.setdefault(f"{case.kind}: {case.skipped}", [])
            ):
                names.append(case.migration)
        yield from found.items()

    def _failed(self) -> Iterator[str]:
        """Yield the failures. What failed alike in several cases is told once."""
        alike: dict[tuple[str, str | None], list[CatalogCase]] = {}
        for case in self.failures:
            alike.setdefault((case.migration, case.message), []).append(case)
        platforms = {case.platform for case in self.cases if case.kind is not Proof.DECLARED}
        for (migration, message), cases in alike.items():
            tried = dict.fromkeys(case.what for case in cases)
            where = {case.platform for case in cases}
            only = f" on a {cases[0].platform} server" if len(where) == 1 < len(platforms) else ""
            yield f"{migration}: {few(list(tried))}{only}: {message}"

    def to_markdown(self) -> str:
        """Return the report in GitHub's Markdown."""
        from kimbledb.model.outputs import markdown  # only where it is asked for

        return markdown.write(self.as_tables())

    def to_junit(self) -> str:
        """Return the cases as JUnit XML, which CI servers read: each migration is a suite."""
        from kimbledb.model.outputs import junit  # only where it is asked for

        return junit.write(
            junit.JUnitCase(case.migration, f"{case.what} ({case.platform})", case.seconds, case.message, case.skipped)
            for case in self.cases
        )

    def as_dict(self) -> dict[str, Json]:
        """Return ``ok``, ``cases`` and ``failures``, each with the attributes of a ``CatalogCase``, and the attributes."""
        return {
            "cases": [plain(case) for case in self.cases],
            "failures": [plain(case) for case in self.failures],
            "notes": plain(self.notes),
            "ok": self.ok,
            "seconds": self.seconds,
            "server": self.server,
        }
