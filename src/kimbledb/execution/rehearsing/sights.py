"""Locks, rewrites and scans of a session, read from the system catalogs after each statement and not guessed from its SQL."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from kimbledb.catalog import statements
from kimbledb.execution.rehearsing.pieces import Piece
from kimbledb.model.rehearsal import MODES
from kimbledb.server import queries

#: The modes by the names that pg_locks gives them.
_MODES = {f"{mode.title().replace(' ', '')}Lock": mode for mode in MODES}
_STRONGEST = MODES[-1]
#: A statement takes this where it changes rows (manual, 13.3.1).
_CHANGES_ROWS = "ROW EXCLUSIVE"
#: It reads the rows in the order of an index.
_CLUSTERS = re.compile(r"\bcluster\b", re.IGNORECASE)
#: The kinds of relations that hold rows.
_WITH_ROWS = frozenset("rpm")
_INDEXES = frozenset("iI")
#: The lock modes of statements that run outside of a transaction, whose locks are gone when they end.
_OUTSIDE = (
    (re.compile(r"vacuum\s+(?:\([^)]*\bfull\b|full\b)|cluster\b", re.IGNORECASE), _STRONGEST),
    (re.compile(r"reindex\b(?!.*\bconcurrently\b)", re.IGNORECASE | re.DOTALL), _STRONGEST),
    (re.compile(r"vacuum\b|.*\bconcurrently\b", re.IGNORECASE | re.DOTALL), "SHARE UPDATE EXCLUSIVE"),
)


@frozen
class Relation:
    """A table, a view or an index at one moment."""

    schema: str
    name: str
    kind: str
    #: The number of the file with its rows, or None where it has none.
    file: int | None
    tablespace: int
    #: The number of times that it was read from end to end in this transaction.
    scans: int
    #: The table of an index.
    table: int | None
    #: The keys to other tables that its rows are proven to satisfy.
    proven: frozenset[int]
    #: A hash of its columns, constraints and unique indexes.
    rules: str | None


@frozen
class Sight:
    """The relations of a database and the locks of a session at one moment, by their oids."""

    relations: Mapping[int, Relation] = field(factory=dict)
    locks: Mapping[int, frozenset[str]] = field(factory=dict)

    @property
    def changed_rows(self) -> set[int]:
        """The tables of which the transaction may have changed rows."""
        return {oid for oid, modes in self.locks.items() if _CHANGES_ROWS in modes}


@frozen
class Seen:
    """The effects of a statement on the relations that existed before its migration."""

    #: The strongest mode in which each is locked, by oid.
    locks: Mapping[int, str] = field(factory=dict)
    rewrites: tuple[int, ...] = ()
    scans: tuple[int, ...] = ()
    #: The tables whose columns, constraints or unique indexes it changed.
    ruled: tuple[int, ...] = ()
    #: The number of times that it read each of ``scans``.
    reads: Mapping[int, int] = field(factory=dict)
    #: The number of indexes it built on tables that it did not rewrite.
    built: Mapping[int, int] = field(factory=dict)
    #: The tables whose rows it looked for in another table.
    keyed: tuple[int, ...] = ()
    #: The tables whose rows it may have changed, or the transaction before it.
    changed: tuple[int, ...] = ()


def question(*, everything: bool) -> str:
    """Return the block that answers with the value that ``sight_of()`` reads.

    Args:
        everything: Whether to look at all relations, or at those that this session has locked.
    """
    return queries.question("rehearse_sight", all=str(everything).lower())


def sight_of(answer: Mapping[str, Any]) -> Sight:
    """Return the sight that an answer holds.

    Args:
        answer: The answer to ``question()``.
    """
    locks: dict[int, set[str]] = {}
    for oid, mode in answer["locks"]:
        if mode in _MODES:
            locks.setdefault(oid, set()).add(_MODES[mode])
    relations = {
        oid: Relation(schema, name, kind, file, tablespace, scans, table, frozenset(proven), rules)
        for oid, schema, name, kind, file, tablespace, scans, table, proven, rules in answer["relations"]
    }
    return Sight(relations, {oid: frozenset(modes) for oid, modes in locks.items()})


def seen_inside(there: Sight, begin: Sight, before: Sight, after: Sight, piece: Piece) -> Seen:
    """Return the effects of a statement in a transaction. Pure.

    Args:
        there: The sight before the migration.
        begin: The sight at the begin of the transaction.
        before: The relations that the transaction had locked before the statement.
        after: Those that it has locked now.
        piece: The statement.
    """
    rewrites, scans, ruled, keyed = [], [], [], []
    reads, built = {}, {}
    for oid, now in after.relations.items():
        was = before.relations.get(oid) or begin.relations.get(oid)
        if was is None or oid not in there.relations or now.kind not in _WITH_ROWS:
            continue
        is_read = now.scans > was.scans
        if _has_new_file(was, now):
            # A table that is emptied has a new file, too: it is read for its new indexes alone.
            is_read = now.scans - was.scans > _built(oid, begin, before, after)
            if is_read or now.kind == "m" or now.tablespace != was.tablespace or _CLUSTERS.search(piece.text):
                rewrites.append(oid)
        # A new column without a default has no value that the other table must hold: then nothing is read.
        if is_read or (now.proven - was.proven and _reads_an_index(oid, begin, before, after)):
            scans.append(oid)
            reads[oid] = max(now.scans - was.scans, 1)
            if oid not in rewrites:
                built[oid] = _built(oid, begin, before, after)
            if now.proven - was.proven:
                keyed.append(oid)
        if now.rules != was.rules:
            ruled.append(oid)
    modes: dict[int, set[str]] = {}
    for oid, held in after.locks.items():
        _note(modes, there, oid, held - before.locks.get(oid, frozenset()))
    return Seen(
        _strongest(modes, before.locks),
        tuple(rewrites),
        tuple(scans),
        tuple(ruled),
        reads,
        built,
        tuple(keyed),
        tuple(oid for oid in after.changed_rows if oid in there.relations),
    )


def seen_outside(there: Sight, before: Sight, after: Sight, piece: Piece) -> Seen:
    """Return the effects of a statement that ran in no transaction: by its kind, and by the files that it made. Pure.

    Args:
        there: The sight before the migration.
        before: The sight before the statement.
        after: The sight now.
        piece: The statement.
    """
    names = statements.names_in(piece.text)
    mode = next((mode for pattern, mode in _OUTSIDE if pattern.match(piece.skeleton)), None)
    touched: set[int] = set()
    rewrites: list[int] = []
    scans: set[int] = set()
    built: Counter[int] = Counter()
    for oid, now in after.relations.items():
        was = before.relations.get(oid)
        if was is not None and now.kind in _WITH_ROWS and _has_new_file(was, now):
            rewrites.append(oid)
            scans.add(oid)
        if now.kind in _INDEXES and now.table is not None and (was is None or _has_new_file(was, now)):
            scans.add(now.table)
            touched.add(now.table)
            built[now.table] += 1
    for oid, was in before.relations.items():
        if was.name in names or oid in rewrites:
            touched.add(was.table if was.table is not None else oid)
    modes: dict[int, set[str]] = {}
    for oid in touched if mode is not None else ():
        _note(modes, there, oid, {str(mode)})
    return Seen(
        _strongest(modes, {}),
        tuple(each for each in rewrites if each in there.relations),
        tuple(sorted(each for each in scans if each in there.relations)),
        tuple(
            oid
            for oid, now in after.relations.items()
            if oid in there.relations and oid in before.relations and now.rules != before.relations[oid].rules
        ),
        # Beside others, it is read a second time for what they wrote meanwhile.
        reads={oid: 2 * max(built[oid], 1) for oid in scans},
        built={oid: count for oid, count in built.items() if oid not in rewrites},
    )


def named(oids: Iterable[int], there: Sight, schema: str) -> dict[int, str]:
    """Return the names of relations, as they were before the migration.

    Args:
        oids: The relations.
        there: The sight before the migration.
        schema: The target schema, whose name is left out.
    """
    found = ((oid, there.relations[oid]) for oid in oids)
    return {oid: each.name if each.schema == schema else f"{each.schema}.{each.name}" for oid, each in found}


def _built(table: int, begin: Sight, before: Sight, after: Sight) -> int:
    """Return the number of indexes of a table that were built."""
    count = 0
    for oid, now in after.relations.items():
        if now.table == table and now.kind in _INDEXES:
            was = before.relations.get(oid) or begin.relations.get(oid)
            count += was is None or _has_new_file(was, now)
    return count


def _reads_an_index(table: int, begin: Sight, before: Sight, after: Sight) -> bool:
    """Whether an index of a table was read."""
    for oid, now in after.relations.items():
        if now.table == table and now.kind in _INDEXES:
            was = before.relations.get(oid) or begin.relations.get(oid)
            if was is not None and now.scans > was.scans:
                return True
    return False


def _has_new_file(was: Relation, now: Relation) -> bool:
    return was.file is not None and now.file is not None and was.file != now.file


def _note(modes: dict[int, set[str]], there: Sight, oid: int, taken: Collection[str]) -> None:
    """Note locks of a relation that was there. To plan a query of a table takes a lock on each index, as well."""
    relation = there.relations.get(oid)
    if relation is None:
        return
    if relation.kind not in _INDEXES:
        modes.setdefault(oid, set()).update(taken)
    elif _STRONGEST in taken and relation.table is not None and relation.table in there.relations:
        modes.setdefault(relation.table, set()).add(_STRONGEST)


def _strongest(modes: Mapping[int, Collection[str]], before: Mapping[int, Collection[str]]) -> dict[int, str]:
    """Return the strongest of the new modes of each relation, where none before is as strong."""
    found = {}
    for oid, taken in modes.items():
        strongest = max(taken, key=MODES.index, default=MODES[0])
        held = max(before.get(oid, ()), key=MODES.index, default=None)
        if taken and (held is None or MODES.index(strongest) > MODES.index(held)):
            found[oid] = strongest
    return found
