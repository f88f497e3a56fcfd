"""From what a reader found in files to migrations: the part that all formats of other tools share.

A reader makes a ``Draft`` of each migration, in the order of its tool. Here each draft gets its number, its
requirements, the facts at its head, and its checks; what its tool always adds is taken off, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from kimbledb.catalog import declared, facts, naming, reading, sections
from kimbledb.catalog.additions import plain
from kimbledb.catalog.declared import Recorded, Source
from kimbledb.catalog.reading import Entry, Folder
from kimbledb.catalog.script_checks import check_script
from kimbledb.model.check import VerificationQuery
from kimbledb.model.declarations import Declarations, not_recorded
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.script import Part, Script

_UNUSED: Final = "line {line} of its way back cannot run in a transaction, so that it is not used: {statement}"
#: The first line of a script of sqlx that is to run outside of a transaction.
NO_TRANSACTION: Final = "-- no-transaction"
#: Numbers are stored as bigint.
_MOST_DIGITS: Final = 18


@frozen(kw_only=True, eq=False)
class Draft:
    """One migration as a reader found it, before it is checked."""

    #: Its name, as the users of its tool say it.
    name: str
    #: The script that applies it, without its tool's marks.
    apply: Script
    #: The number in its name, or None if there is none that orders it.
    number: int | None = None
    title: str = ""
    #: The script that takes it back, or None.
    rollback: Script | None = None
    #: Its checks, and the script in which they stand.
    verify: Script | None = None
    checks: tuple[VerificationQuery, ...] = ()
    #: Whether its tool runs it in a transaction. None where that depends on its statements.
    transactional: bool | None = True
    #: The names of the migrations that it needs; None for the one before it.
    requires: tuple[str, ...] | None = None
    #: Whether it is applied again whenever its text has changed.
    repeatable: bool = False
    #: The parts that its reader removed or did not read, a line each.
    remarks: tuple[str, ...] = ()
    #: Whether a SET without LOCAL ends with the transaction: the tool's users did not write the script for kimbledb.
    #: Else it is a fault.
    lets_settings_end: bool = True
    #: Further facts of the migration.
    facts: dict[str, Any] = field(factory=dict)


def migrations_of(folder: Folder, drafts: Sequence[Draft], faults: list[Fault]) -> list[Migration]:
    """Return the migrations of drafts, each after the one before it unless it names what it needs.

    Args:
        folder: The folder of the catalog.
        drafts: The drafts, in the order of their tool.
        faults: Receives the faults of the scripts and of the names.
    """
    for draft in drafts:
        faults += filter(None, [naming.unprintable(draft.name, folder.shown)])
    source = _declared_in(folder)
    whole, single = _facts_in(folder, [draft.name for draft in drafts], faults)
    together: list[Recorded] = []
    numbers = _numbers_of(drafts)
    migrations: list[Migration] = []
    before: tuple[str, ...] = ()
    for draft, number in zip(drafts, numbers, strict=True):
        beside = (whole, single.get(draft.name, {}))
        migration = _migration_of(draft, number, before, folder, beside, source, together, faults)
        migrations.append(migration)
        # A repeatable migration sorts after all others by itself.
        before = () if draft.repeatable else (migration.name,)
    return migrations


def _numbers_of(drafts: Sequence[Draft]) -> Sequence[int]:
    """Return the numbers of migrations: those in their names where these give the order, else their places from 1.

    Those that are applied again have no number in their names, and follow the others.
    """
    stated = [draft.number for draft in drafts if not draft.repeatable]
    known = [number for number in stated if number is not None and 0 < number < 10**_MOST_DIGITS]
    if len(known) < len(stated) or known != sorted(known):
        known = list(range(1, len(stated) + 1))
    last = max(known, default=0)
    return [*known, *range(last + 1, last + 1 + len(drafts) - len(known))]


def _migration_of(
    draft: Draft,
    number: int,
    before: tuple[str, ...],
    folder: Folder,
    beside: Sequence[Mapping[str, Any]],
    source: Source | None,
    together: list[Recorded],
    faults: list[Fault],
) -> Migration:
    taken = plain(draft.apply)
    apply = taken.script
    remarks = [*draft.remarks, *taken.remarks]
    stated = _together(*beside, {"extensions": taken.extensions}, facts.of_head(draft.apply, faults))
    alone = sections.runs_alone(apply) is not None if draft.transactional is None else not draft.transactional
    stated.setdefault("transactional", not alone)
    if draft.lets_settings_end and stated["transactional"]:
        written, apply = apply, sections.with_local_settings(apply)
        if apply is not written:
            remarks.append("SET was made SET LOCAL: it ends with the transaction")
    check_script(apply, faults, transactional=stated["transactional"])
    declare: Callable[[], Declarations] = not_recorded
    if source is not None:
        scripts: dict[Part, Script] = {"apply": apply}
        declare = Recorded(source, scripts, draft.name, together)
        together.append(declare)
    return Migration(
        **{
            "name": draft.name,
            "number": number,
            "title": draft.title,
            "requires": draft.requires if draft.requires is not None else () if draft.repeatable else before,
            "repeatable": draft.repeatable,
            **draft.facts,
            **stated,
        },
        apply_sql=apply,
        rollback_sql=_way_back(draft, remarks, faults) or "",
        verify_sql=draft.verify or "",
        read_queries=_Checks(draft.checks),
        checksum=apply.checksum,
        location=draft.apply.path,
        catalog_folder=folder.shown,
        declare=declare,
        remarks=tuple(remarks),
    )


def _together(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts from several places: lists are joined, and of the others the later ones hold."""
    joined: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            joined[key] = (*joined[key], *value) if isinstance(value, tuple) and key in joined else value
    extensions = {each.name: each for each in joined.get("extensions", ())}
    return {**joined, "extensions": tuple(extensions.values())}


@frozen
class _Checks:
    """Returns checks that were read with the catalog."""

    checks: tuple[VerificationQuery, ...]

    def __call__(self, _script: Script) -> tuple[VerificationQuery, ...]:
        return self.checks


def _way_back(draft: Draft, remarks: list[str], faults: list[Fault]) -> Script | None:
    """Return the rollback of a migration, or None if it has none: a script without SQL would take nothing back."""
    if draft.rollback is None or not sections.holds_sql(draft.rollback):
        return None
    script = sections.with_local_settings(plain(draft.rollback).script)
    if (alone := sections.runs_alone(script)) is not None:
        line, _ = script.line_and_column(alone.start)
        remarks.append(_UNUSED.format(line=line, statement=" ".join(alone.skeleton.split()[:3])))
        return None
    check_script(script, faults, transactional=True, part="rollback")
    return script


def _declared_in(folder: Folder) -> Source | None:
    """Return the file with the declarations of a folder's migrations, or None if there is none."""
    beside = folder.file(declared.FILE)
    if folder.declared is None and beside is not None:
        return reading.declarations_in(beside, f"{folder.shown}/{declared.FILE}")
    return folder.declared


def _facts_in(
    folder: Folder, names: Sequence[str], faults: list[Fault]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the facts in the catalog.toml beside files: those of all migrations, and those of single ones."""
    entry = folder.file(facts.WHOLE)
    script = None if entry is None else reading.read_script(entry, f"{folder.shown}/{facts.WHOLE}", faults)
    return ({}, {}) if script is None else facts.of_files(script.text, folder.shown, frozenset(names), faults)


def is_beside(entry: Entry) -> bool:
    """Return whether an entry is one of kimbledb's files beside those of the migrations."""
    return entry.name in (declared.FILE, facts.WHOLE) and not entry.is_folder
