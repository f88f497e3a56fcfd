"""The report of rehearse(): what each statement of a plan locks, writes anew and scans, and what will fail.

The start of an application needs none of it: the package imports this module on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from attrs import field, frozen

from kimbledb.model.forecast import Forecast, longest, total
from kimbledb.model.hazard import size_shown
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Cell, Table, listed
from kimbledb.model.text import counted, few

#: The modes of locks on tables, from the weakest to the strongest (manual, 13.3.1).
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
#: Those that keep others from writing, and the one that keeps them from reading, too.
_AGAINST_WRITES = frozenset(MODES[4:])
_AGAINST_READS = MODES[-1]


@frozen
class RehearsedTable:
    """A table or a view of the target, with its size there."""

    #: Its name, without that of the target schema.
    name: str
    #: The number of rows by the server's estimate, or None if the server has never counted them.
    rows: int | None
    #: Its size with its indexes, in bytes, or None of a partitioned table and of a view.
    bytes: int | None
    #: Whether it holds rows, as far as its size shows. A partitioned table and a view may.
    is_filled: bool = True


@frozen(kw_only=True)
class RehearsedStatement:
    """One statement of the plan, as it ran on the clone."""

    #: The name of the migration.
    migration: str
    #: The path of its script. A statement that is written from declarations stands in no file.
    file: str
    #: The line of the statement in the script, counted from 1; None where it stands in no file.
    line: int | None = None
    #: The statement in one line, without the contents of its strings, and cut.
    sql: str = ""
    #: The locks that it takes on tables and views that were there before its migration: the strongest mode of each.
    #: Tables that an earlier statement of the transaction has locked as strongly are left out.
    locks: Mapping[str, str] = field(factory=dict)
    #: The tables that it writes anew.
    rewrites: tuple[str, ...] = ()
    #: The tables that it reads from end to end.
    scans: tuple[str, ...] = ()
    #: Seconds that it took on the clone.
    seconds: float = 0.0
    #: Seconds that it will take in the target, without waiting for locks, once nothing stops it; None of a statement that
    #: fails on the clone, and where the target could not be measured.
    forecast: Forecast | None = None
    #: The number of its transaction, counted from 1; None where it runs outside of transactions.
    transaction: int | None = None
    #: The reason why it will fail, or None.
    will_fail: str | None = None
    #: The reason why it is not known what it does, or whether it will fail; None where it is known.
    unknown: str | None = None

    @property
    def place(self) -> str:
        """The migration with the line."""
        return self.migration if self.line is None else f"{self.migration}, line {self.line}"

    @property
    def notes(self) -> Iterator[str]:
        """Its effects on existing tables, a line each."""
        for table, mode in self.locks.items():
            if against := blocks(mode):
                yield f"locks {table} against {against} ({mode})"
        if self.rewrites:
            yield f"writes {', '.join(self.rewrites)} anew"
        if scanned := [each for each in self.scans if each not in self.rewrites]:
            yield f"reads all of {', '.join(scanned)}"
        if self.will_fail is not None:
            yield "will fail"
        if self.unknown is not None:
            yield f"not known: {self.unknown}"


@frozen(kw_only=True)
class BrokenQuery:
    """A query of the application that the plan breaks."""

    #: The query.
    query: str
    #: The name of the migration after which it no longer works as before.
    migration: str
    #: The error or difference that it meets then.
    reason: str
    #: The role as which it breaks; None where it breaks as the role that migrates.
    role: str | None = None
    #: The place of a query that is a literal of a program, as ``file:line``; None of others.
    place: str | None = None

    @property
    def as_line(self) -> str:
        """The migration, the role, the reason, the place and the query."""
        who = "" if self.role is None else f"as {self.role}: "
        where = "" if self.place is None else f"{self.place}: "
        return f"{self.migration}: {who}{self.reason}: {where}{self.query}"


@frozen(kw_only=True)
class LockedTable:
    """A table of the target that a plan keeps from others for a time, writes anew or reads from end to end."""

    #: The table with its size.
    table: RehearsedTable
    #: The strongest mode in which it is locked.
    mode: str
    #: The longest time in seconds for which a transaction on the clone kept it from readers or writers.
    seconds: float
    #: The forecast of that time in the target.
    forecast: Forecast
    #: Whether it is written anew.
    is_rewritten: bool
    #: Whether it is read from end to end.
    is_scanned: bool
    #: The names of the migrations that do this.
    migrations: tuple[str, ...]

    @property
    def lasts(self) -> bool:
        """Whether that takes the longer, the more rows it holds."""
        return self.is_rewritten or self.is_scanned


def blocks(mode: str) -> str:
    """Return what a lock keeps others from: ``reads and writes``, ``writes``, or nothing.

    Args:
        mode: The mode of the lock, as in ``RehearsedStatement.locks``.
    """
    if mode == _AGAINST_READS:
        return "reads and writes"
    return "writes" if mode in _AGAINST_WRITES else ""


@frozen(eq=False, kw_only=True, slots=False)
class Rehearsal(Report):
    """The result of rehearse()."""

    #: The plan that was rehearsed. Its steps have forecasts, and ``migrate(plan=...)`` notes them in the log beside the facts.
    plan: Plan
    #: The statements that the plan would run, in order.
    statements: tuple[RehearsedStatement, ...]
    #: The queries of the application that the plan breaks.
    breaks: tuple[BrokenQuery, ...] = ()
    #: The number of the application's queries that were tried.
    queries: int = 0
    #: The tables that statements lock, write or scan, by name, with their sizes in the target.
    tables: Mapping[str, RehearsedTable] = field(factory=dict)
    #: The number of migrations the plan would apply.
    migrations: int = 0
    #: The version of the server of the clone, such as ``18.1``.
    server: str
    #: The version of the target's server.
    target_server: str
    #: The number of rows the clone held.
    sampled: int = 0
    #: The objects that the clone lacks, and other limits of the rehearsal, a line each.
    notes: tuple[str, ...] = ()
    #: Seconds of the whole call.
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing will fail, and no query breaks, as far as is known."""
        return not self.failing and not self.breaks

    @property
    def failing(self) -> tuple[RehearsedStatement, ...]:
        """The statements that will fail."""
        return tuple(each for each in self.statements if each.will_fail is not None)

    @cached_property
    def locked(self) -> tuple[LockedTable, ...]:
        """The tables that the plan keeps from readers or writers, writes anew or scans; those of most rows first."""
        found = [self._locked(each) for each in self.tables.values()]
        there = [each for each in found if each is not None]
        return tuple(sorted(there, key=lambda each: (-(each.table.bytes or 0), each.table.name)))

    def _locked(self, table: RehearsedTable) -> LockedTable | None:
        name = table.name
        those = [each for each in self.statements if _touches(each, name)]
        if not those:
            return None
        held = [self._held(each) for each in those if blocks(each.locks.get(name, ""))]
        modes = [each.locks[name] for each in those if name in each.locks]
        return LockedTable(
            table=table,
            mode=max(modes, key=MODES.index, default=MODES[0]),
            seconds=max((sum(each.seconds for each in kept) for kept in held), default=0.0),
            forecast=longest(total(each.forecast for each in kept) for kept in held or [those]),
            is_rewritten=any(name in each.rewrites for each in those),
            is_scanned=any(name in each.scans for each in those),
            migrations=tuple(dict.fromkeys(each.migration for each in those)),
        )

    def _held(self, first: RehearsedStatement) -> list[RehearsedStatement]:
        """Return the statements from one to the end of its transaction."""
        if first.transaction is None:
            return [first]
        later = self.statements[self.statements.index(first) :]
        return [each for each in later if each.transaction == first.transaction]

    @property
    def forecast(self) -> Forecast:
        """The seconds of all statements in the target."""
        return total(each.forecast for each in self.statements)

    @property
    def summary(self) -> str:
        """The tables that will be locked and rewritten, and the number of failures, in one line."""
        filled = [each for each in self.locked if each.table.is_filled]
        migrations = counted(range(self.migrations), "migration")
        parts = [f"{counted(self.statements, 'statement')} of {migrations} rehearsed"]
        for what in ("reads and writes", "writes"):
            if those := [each for each in filled if blocks(each.mode) == what]:
                parts.append(f"{counted(those, 'table')} locked against {what}{_how_long(those)}")
        if rewritten := [each for each in filled if each.is_rewritten]:
            parts.append(f"{len(rewritten)} written anew")
        parts.append(f"{counted(self.failing, 'statement')} will fail" if self.failing else "nothing known to fail")
        if self.queries:
            parts.append(f"{len(self.breaks)} of {self.queries} queries break")
        return "; ".join(parts)

    def as_tables(self) -> tuple[Table, ...]:
        """Return what is locked, what will fail, which queries break, and the statements that touch what is there."""
        touching = [each for each in self.statements if self._matters(each)]
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                each.migration,
                "" if each.line is None else str(each.line),
                "unknown" if each.forecast is None else str(each.forecast),
                (each.sql, *each.notes),
            )
            for each in touching
        )
        statements = Table(
            f"{len(touching)} of {counted(self.statements, 'statement')} touch what holds rows", rows, _STATEMENTS
        )
        return (
            Table(self.summary, tuple(self._rows_of_locked()), _LOCKED, tuple(self._notes)),
            *listed("will fail:", (f"{each.place}: {each.will_fail}" for each in self.failing)),
            *listed("break:", (each.as_line for each in self.breaks)),
            *([statements] if rows else []),
        )

    def _matters(self, statement: RehearsedStatement) -> bool:
        """Return whether a statement keeps somebody from rows, reads or writes all of them, fails, or may."""
        if statement.will_fail is not None or statement.unknown is not None:
            return True
        locked = [name for name, mode in statement.locks.items() if blocks(mode)]
        touched = (*locked, *statement.rewrites, *statement.scans)
        return any(name in self.tables and self.tables[name].is_filled for name in touched)

    def _rows_of_locked(self) -> Iterator[tuple[Cell, ...]]:
        for each in self.locked:
            if not each.table.is_filled:
                continue
            how = "written anew" if each.is_rewritten else "read to its end" if each.lasts else "for a moment"
            yield (
                each.table.name,
                "" if each.table.rows is None else str(each.table.rows),
                "" if each.table.bytes is None else size_shown(each.table.bytes),
                blocks(each.mode) or "nobody",
                how,
                str(each.forecast),
                few(each.migrations),
            )

    @property
    def _notes(self) -> Iterator[str]:
        if empty := [each for each in self.locked if not each.table.is_filled]:
            yield f"{counted(empty, 'table')} without rows locked, too"
        if self.statements:
            yield f"the clone was on PostgreSQL {self.server}, the target on PostgreSQL {self.target_server}"
        yield from self.notes

    def to_markdown(self) -> str:
        """Return the report in GitHub's Markdown, for a comment on a pull request."""
        from kimbledb.model.outputs import markdown  # only where it is asked for

        return markdown.write(self.as_tables())

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``plan``: what ``Plan.as_dict()`` gives. ``statements``: the attributes of each ``RehearsedStatement``. ``breaks``: those of each ``BrokenQuery``.
        ``locked``: those of each ``LockedTable``. A forecast has ``low`` and ``high``. ``ok``, ``migrations``, ``queries``, ``server``, ``target_server``,
        ``sampled``, ``notes``, ``seconds``: as the attributes.
        """
        return {
            "ok": self.ok,
            "plan": self.plan.as_dict(),
            "statements": plain(self.statements),
            "locked": plain(self.locked),
            "breaks": plain(self.breaks),
            "queries": self.queries,
            "migrations": self.migrations,
            "server": self.server,
            "target_server": self.target_server,
            "sampled": self.sampled,
            "notes": plain(self.notes),
            "seconds": self.seconds,
        }


#: Seconds of a lock that the summary names.
_WORTH_SAYING = 1.0
_LOCKED = ("table", "rows", "size", "locked against", "how", "forecast", "by")
_STATEMENTS = ("migration", "line", "forecast", "statement")


def _how_long(tables: Sequence[LockedTable]) -> str:
    """Return for how long a plan keeps others from the table that it keeps them from the longest; nothing if that is short."""
    first = longest(each.forecast for each in tables)
    if not first.is_known or (first.high is not None and first.high < _WORTH_SAYING):
        return ""
    [name, *_] = [each.table.name for each in tables if each.forecast == first]
    return f", {name} for {first}"


def _touches(statement: RehearsedStatement, table: str) -> bool:
    return bool(blocks(statement.locks.get(table, ""))) or table in statement.rewrites or table in statement.scans
