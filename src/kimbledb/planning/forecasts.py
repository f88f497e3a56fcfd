"""Forecasts of seconds: the work that a statement does on the tables of the target, times the pace of its server. Pure.

The pace is measured on the target (``execution/rehearsing/pace.py``). What only a server that is written to would show is
a number of units, each the time of one hash on that server. These numbers were measured with narrow and wide rows on the
embedded PostgreSQL 18; ``python -m tests.benchmarks --only rehearse`` holds them against facts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from kimbledb.catalog import statements
from kimbledb.model.forecast import UNKNOWN, Forecast, total

#: The schema and the name of a table in the target.
Key = tuple[str, str]

#: Units at the least and at the most, for a row that is written into a new file,
_WRITTEN = (8.0, 30.0)
#: an entry of an index that is built, of a hundred thousand,
_ENTRY = (4.0, 24.0)
#: a row that a check or NOT NULL looks at, and a page of such rows: a pattern reads every character,
_CHECKED = (0.2, 12.0)
_PAGE_CHECKED = (0.0, 1500.0)
#: a row whose key is looked for in another table,
_KEY = (0.5, 30.0)
#: a row that is updated or deleted,
_CHANGED = (5.0, 80.0)
#: its new entry in an index,
_NEW_ENTRY = (0.0, 300.0)
#: and a page that is written into memory with its log. That a disk must take it is added at the most.
_PAGE_COPIED = (200.0, 0.0)
#: Others read and write beside it, and pages that were read just now are read again from memory.
_READ = (0.5, 2.0)
#: Seconds for a page that is written with its log to a disk of 100 MB/s, which is what the smaller volumes of clouds do.
_PAGE_WRITTEN = 2 * 8192 / 100e6
#: Rows on a page of a table that is too small to be measured and was never counted.
_ROWS_OF_A_PAGE = 100.0
_HUNDRED_THOUSAND = 17.0  # its logarithm
#: The factor by which a statement that touches no rows may take longer than in the clone.
_OVERHEAD = 4.0

_CHANGING = re.compile(r"(?:update|delete)\b", re.IGNORECASE)
#: It may read or change any number of rows, or wait for others, as no look at the clone shows.
_OPEN = re.compile(
    r"(?:call|select|with|merge|refresh|execute|explain|analyze|vacuum(?!\s*\(?[^)]*\bfull\b))\b"
    r"|insert\b.*\b(?:select|with|table)\b"
    r"|(?:update|delete)\b.*\b(?:select|using|with)\b|update\b.*\bfrom\b"
    r"|create\s+(?:(?:global|local|temp|temporary|unlogged)\s+)*(?:table|materialized\s+view)\b.*"
    r"\bas\s*\(?\s*(?:select|with|table|values|execute)\b",
    re.IGNORECASE | re.DOTALL,
)
#: An index of a kind whose entries take as long as its parameters make them.
_ODD_INDEX = re.compile(
    r"(?:\bindex\b.*\bon\b|\bexclude)[^(]*\busing\s+(?!btree\b|hash\b)\w+", re.IGNORECASE | re.DOTALL
)
#: Words of a block that may do more for rows than to change definitions.
_BLOCK = re.compile(r"do\b", re.IGNORECASE)
_FOR_ROWS = re.compile(
    r"\b(?:loop|select|perform|insert|update|delete|merge|call|refresh|analyze|pg_sleep\w*|query|language)\b",
    re.IGNORECASE,
)
_CHECKS = re.compile(r"\b(?:check|validate|domain|partition)\b", re.IGNORECASE)
_PICKS_ROWS = re.compile(r"\bwhere\b", re.IGNORECASE)
#: To make or to alter these calls no function for rows.
_RUNS_NOTHING = re.compile(
    r"(?:create|alter|drop|comment|grant|revoke)\b[^(]*?\b(?:function|procedure|routine|trigger|policy|rule|view)\b",
    re.IGNORECASE,
)
_MAKES_FUNCTION = re.compile(r"create\s+(?:or\s+replace\s+)?(?:function|procedure)\b[^(]*", re.IGNORECASE)


@frozen
class Size:
    """A table of the target, as far as its size and what hangs on it say how long something takes."""

    rows: float | None
    pages: int
    #: Pages of values that are stored apart.
    apart: int = 0
    #: Its indexes of the usual kind, and the pages of all its indexes.
    indexes: int = 0
    index_pages: int = 0
    #: Whether it has an index of another kind, or one of an expression.
    is_odd: bool = False
    #: Whether a change of its rows runs triggers, or actions on tables that refer to it.
    fires: bool = False
    #: Seconds in which the target reads one of its pages; None where that was not measured.
    page: float | None = None
    #: The reason why it could not be measured.
    unread: str | None = None


@frozen
class Pace:
    """The measured speed of the target."""

    #: Seconds of a unit.
    unit: float
    #: The sizes of the tables that the statements touch.
    sizes: Mapping[Key, Size]

    @property
    def page(self) -> float:
        """Seconds in which a page of a table that was not measured is read: that of the slowest that was."""
        return max((each.page for each in self.sizes.values() if each.page is not None), default=200 * self.unit)


@frozen
class TableWork:
    """The effects of a statement on one table."""

    table: Key
    #: Whether its rows are written into a new file, with all indexes.
    is_rewritten: bool = False
    #: The number of times that it is read from end to end.
    reads: int = 0
    #: The number of indexes that are built, those of a rewrite aside.
    built: int = 0
    #: Whether its rows are looked for in another table.
    is_keyed: bool = False
    #: Whether an expression is evaluated for each row that is read, beside a look at NULL.
    is_checked: bool = False
    #: Whether its rows may be updated or deleted.
    is_changed: bool = False


@frozen
class Effort:
    """The work of a statement."""

    #: Its effects on existing tables.
    works: tuple[TableWork, ...]
    #: Seconds that it took on the clone, without rows.
    seconds: float
    #: Whether nothing bounds its time.
    is_open: bool
    #: Whether it changes every row of the table whose rows it changes.
    all_rows: bool


def is_open(text: str, skeleton: str, functions: Iterable[str]) -> bool:
    """Return whether nothing bounds the time of a statement, once tables hold rows.

    Args:
        text: The statement.
        skeleton: The statement without comments, strings and bodies.
        functions: The names of functions that are not the server's own.
    """
    if _OPEN.match(skeleton) or _ODD_INDEX.search(skeleton):
        return True
    if _BLOCK.match(skeleton):
        # The called function may stand in a string.
        return _FOR_ROWS.search(text) is not None or not frozenset(functions).isdisjoint(re.findall(r"\w+", text))
    if _RUNS_NOTHING.match(skeleton):
        return False
    if not (known := frozenset(functions)):
        return False
    # The skeleton has no quoted names; what stands like one in a string does no harm.
    called = statements.names_in("\n".join(re.findall(r"([\w$]+)\s*\(", skeleton)))
    spelled = {name.replace('""', '"') for name in re.findall(r'"((?:[^"]|"")+)"\s*\(', text)}
    return not known.isdisjoint(called | spelled)


def made_in(skeleton: str) -> frozenset[str]:
    """Return the name of the function that a statement makes, with the words before it; nothing of another statement."""
    found = _MAKES_FUNCTION.match(skeleton)
    return statements.names_in(found[0]) if found else frozenset()


def checks_rows(skeleton: str) -> bool:
    """Return whether a statement may evaluate an expression for each row that it reads."""
    return _CHECKS.search(skeleton) is not None


def changes_rows(skeleton: str) -> bool:
    """Return whether a statement updates or deletes rows of the table that it names."""
    return _CHANGING.match(skeleton) is not None


def changes_all(skeleton: str) -> bool:
    """Return whether an UPDATE or a DELETE changes every row."""
    return changes_rows(skeleton) and _PICKS_ROWS.search(skeleton) is None


def forecast(pace: Pace, effort: Effort) -> Forecast:
    """Return how long a statement takes on the target.

    Args:
        pace: What the target can do.
        effort: What the statement has to do.
    """
    those = [each for each in effort.works if each.table in pace.sizes]
    parts = [_of_table(pace, pace.sizes[each.table], each, effort.all_rows) for each in those]
    found = total((Forecast(0.0, _OVERHEAD * effort.seconds), *parts))
    return Forecast(found.low, None) if effort.is_open else found


def _of_table(pace: Pace, size: Size, work: TableWork, all_rows: bool) -> Forecast:
    if size.unread is not None:
        return UNKNOWN
    rows = size.rows if size.rows is not None else size.pages * _ROWS_OF_A_PAGE
    page = size.page if size.page is not None else pace.page
    reads, built = work.reads, work.built
    low = high = 0.0

    def add(amount: float, cost: tuple[float, float], at_least: float = 1.0) -> None:
        nonlocal low, high
        low += amount * cost[0] * at_least
        high += amount * cost[1]

    written = 0
    if work.is_rewritten:
        add(rows * pace.unit, _WRITTEN)
        built += size.indexes
        reads = 1
        written += size.pages + size.apart + size.index_pages
        add(size.pages * pace.unit, _PAGE_COPIED)
        high += size.apart * page * _READ[1]
    else:
        written += work.built * size.pages
    # Every index reads the table, and those after the first mostly from memory.
    add(max(reads, min(built, 1)) * size.pages * page, _READ)
    high += max(built - 1, 0) * size.pages * page
    # More rows take more comparisons each.
    add(built * rows * pace.unit * max(math.log2(rows + 2) / _HUNDRED_THOUSAND, 0.3), _ENTRY)
    if work.is_checked and not work.is_rewritten:
        add(rows * pace.unit, _CHECKED)
        add(size.pages * pace.unit, _PAGE_CHECKED)
    if work.is_keyed:
        add(rows * pace.unit, _KEY)
    if work.is_changed:
        share = 1.0 if all_rows else 0.0
        add(rows * pace.unit, _CHANGED, share)
        add(rows * size.indexes * pace.unit, _NEW_ENTRY, share)
        high += 0.0 if reads else size.pages * page * _READ[1]
        written += size.pages + size.index_pages
    high += written * _PAGE_WRITTEN
    unbounded = (work.is_rewritten and size.is_odd) or (work.is_changed and (size.fires or size.is_odd))
    return Forecast(low, None if unbounded else high)
