"""The report of a call for many schemas, which is a summary: thousands of results are no reading."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from heapq import nlargest
from typing import Final, Generic, TypeVar

from attrs import evolve, frozen

from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Json, Report, error_as_dict
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.model.tables import Cell, Table, listed, rows_of
from kimbledb.model.text import counted, few, printable

#: The type of the report for one schema.
Each = TypeVar("Each", bound=MigrationReport | VerificationReport | Plan)

#: So many results are shown one by one. Of more there are counts, the slowest ones, and the kinds of failures.
_FEW: Final = 20
#: Of a summary the most outcomes, slowest schemas, kinds of failures, and lines of all failures together: with the
#: captions it stays below 40 lines.
_OUTCOMES: Final = 4
_SLOWEST: Final = 5
_KINDS: Final = 5
_LINES: Final = 24
#: A word of a message; names of databases and schemas are made of such words.
_WORD: Final = re.compile(r"[^\s\"'(),;:./\[\]]+")
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
#: The times at the end of an outcome.
_SECONDS: Final = re.compile(r" (in [0-9.]+ s|\([0-9.]+ s\))$")


@frozen(eq=False)
class ManyResult(Report, Generic[Each]):
    """The result for one schema of a call for many."""

    #: The database: host, port and name, never a password.
    target: str
    #: The name of the schema.
    schema: str
    #: The report of this schema, or None if the call failed for it.
    report: Each | None = None
    #: The error of this schema, or None.
    error: Exception | None = None
    #: The duration of the work for this schema in seconds, without the time before it started.
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is no error, and every check of a verification passed."""
        return self.error is None and getattr(self.report, "ok", True) is True

    @property
    def summary(self) -> str:
        """The database, the schema and the outcome, in one line."""
        outcome, _, _ = _outcome(self).partition("\n")
        return f"{self.target} {self.schema}: {outcome}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the tables of the report, or the error, under the name of the database and the schema."""
        if self.report is not None:
            first, *others = self.report.as_tables()
            return (evolve(first, caption=self.summary), *others)
        return (Table(self.summary, rows_of(_outcome(self).split("\n")[1:])),)

    def as_dict(self) -> dict[str, Json]:
        """Return the result as values.

        ``target``, ``schema``, ``ok``, ``seconds``: as the attributes. ``report``: null, or as its ``as_dict()``.
        ``error``: null, or its class, ``message``, ``hint`` and ``url``.
        """
        return {
            "target": self.target,
            "schema": self.schema,
            "ok": self.ok,
            "seconds": self.seconds,
            "report": None if self.report is None else self.report.as_dict(),
            "error": None if self.error is None else error_as_dict(self.error),
        }


def _outcome(result: ManyResult[Each]) -> str:
    """Return the outcome of one schema: one line if it succeeded, else the whole error or report."""
    if result.error is not None:
        # Without the address of each error's section: the same one would stand below schema after schema.
        text = getattr(result.error, "text", None) or str(result.error)
        return f"{type(result.error).__name__}: {printable(text)}"
    if result.report is None:
        return "nothing"
    return result.report.summary if result.ok else str(result.report)


@frozen(eq=False)
class ManyReport(Report, Generic[Each]):
    """The result of a call for many schemas.

    ``print(report)`` is a summary: for more than 20 schemas the counts of each outcome, the slowest schemas, and the
    failures by kind. ``results`` and ``as_dict()`` have all.
    """

    #: One result for each target and schema that was started, in the order of the arguments.
    results: tuple[ManyResult[Each], ...]
    #: The duration of the whole call in seconds.
    seconds: float
    #: The reason why the other schemas were not started (``halt_after``), or None.
    halted: str | None = None
    #: The number of schemas that were not started; None if the targets come from an iterable without a length, and
    #: were not all drawn.
    not_started: int | None = 0

    @cached_property
    def failures(self) -> tuple[ManyResult[Each], ...]:
        """The results that are not ``ManyResult.ok``."""
        return tuple(result for result in self.results if not result.ok)

    @property
    def ok(self) -> bool:
        """Whether all succeeded, and the call did not halt."""
        return not self.failures and self.halted is None

    @property
    def summary(self) -> str:
        """The number of schemas, the seconds, the number of failures, and the reason of a halt, in one line."""
        verdict = f"{len(self.failures)} FAILED" if self.failures else "all succeeded"
        if self.halted is not None:
            left = "further ones" if self.not_started is None else str(self.not_started)
            verdict += f"; HALTED with {left} not started: {self.halted}"
        return f"{counted(self.results, 'schema')} in {self.seconds:.3f} s: {verdict}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return the failures by kind; of few schemas in detail also each outcome, of many the counts and the slowest."""
        tables = (Table(self.summary, tuple((cell,) for cell in self._failures_by_kind())),)
        if len(self.results) > _FEW:
            return tables + self._counts()
        each = tuple(
            (result.target, result.schema, "passed" if result.ok else "FAILED", result.summary.partition(": ")[2])
            for result in self.results
        )
        headers = ("database", "schema", "result", "details")
        return (*tables, *([Table("schemas", each, headers, detail=True)] if each else []))

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``ok``, ``seconds``, ``halted``, ``not_started``: as the attributes. ``results``: each as of
        ``ManyResult.as_dict()``.
        """
        return {
            "ok": self.ok,
            "seconds": self.seconds,
            "halted": self.halted,
            "not_started": self.not_started,
            "results": [result.as_dict() for result in self.results],
        }

    def _failures_by_kind(self) -> Iterator[Cell]:
        """Yield the text of each kind of failure, those of the most schemas first."""
        kinds: dict[str, list[ManyResult[Each]]] = {}
        for result in self.failures:
            kinds.setdefault(_kind(result), []).append(result)
        by_size = sorted(kinds.values(), key=len, reverse=True)
        is_short = len(self.results) <= _FEW
        shown = by_size if is_short else by_size[:_KINDS]
        for alike in shown:
            lines = _told(alike).split("\n")
            most = len(lines) if is_short else max(_LINES // len(shown), 2)
            yield tuple(lines if len(lines) <= most else [*lines[: most - 1], "..."])
        if left := by_size[len(shown) :]:
            yield f"and {sum(map(len, left))} more, of {counted(left, 'other kind')}"

    def _counts(self) -> tuple[Table, ...]:
        reports = (result.report for result in self.results if result.ok and result.report is not None)
        outcomes = Counter(_SECONDS.sub("", report.summary) for report in reports).most_common()
        left = outcomes[_OUTCOMES:]
        rows = [f"{count} schema{'' if count == 1 else 's'}: {outcome}" for outcome, count in outcomes[:_OUTCOMES]]
        if left:
            rows.append(f"{sum(count for _, count in left)} schemas: {counted(left, 'other outcome')}")
        slowest = nlargest(_SLOWEST, self.results, key=lambda result: result.seconds)
        return (
            *listed("outcomes", rows),
            *listed("slowest", (f"{each.seconds:.3f} s  {each.target} {each.schema}" for each in slowest)),
        )


def _kind(result: ManyResult[Each]) -> str:
    """Return what failures of one kind have in common: their text without names of their own, and without numbers.

    Of an error that is the first line: further ones name, for instance, the sessions that are in the way.
    """
    text = _outcome(result)
    text = text.partition("\n")[0] if result.error is not None else text
    own = set(_WORD.findall(f"{result.target} {result.schema}"))
    text = _WORD.sub(lambda word: "<own>" if word[0] in own else word[0], text)
    return _NUMBER.sub("<number>", text)


def _told(alike: Sequence[ManyResult[Each]]) -> str:
    """Return the text of the first of several failures of one kind, with the first names."""
    first, *others = alike
    if not others:
        return f"{first.target} {first.schema}: {_outcome(first)}"
    return f"{len(alike)} schemas ({_names(alike)}): {_outcome(first)}"


def _names(results: Sequence[ManyResult[Each]]) -> str:
    """Return the first names: only of the schemas where the database is the same for all, or of the databases."""
    targets, schemas = {each.target for each in results}, {each.schema for each in results}
    if len(targets) == 1:
        return f"{results[0].target} {few([each.schema for each in results])}"
    return few([each.target if len(schemas) == 1 else f"{each.target} {each.schema}" for each in results])
