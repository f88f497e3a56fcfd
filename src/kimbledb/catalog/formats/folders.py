"""Folders of migrations: found, read, and checked file by file.

A migration is a folder ``19_api-cost-tracking`` with ``migration.toml``,
``apply.sql``, ``verify.sql`` and ``rollback.sql``, or a file of a flat folder; docs/format.md has the formats with their reasons.
Everything is read and checked here, before anything runs, and all faults are
reported at once. What must hold among them is left to :mod:`kimbledb.catalog.catalog`.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from kimbledb.catalog import facts
from kimbledb.catalog.scripts import named_queries
from kimbledb.model.migration import Fault, Migration
from kimbledb.model.script import Part, Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kimbledb.catalog.other_tools import Owner
    from kimbledb.catalog.statements import Problem

#: Bytes that are read at once: most files are no larger.
_PIECE: Final = 64 * 1024
#: The largest file that is read, in bytes. A migration of this size is data,
#: and belongs into a loader.
MAX_FILE_BYTES: Final = 16 * 1024 * 1024

#: Numbers of up to 18 digits: dates with times are some, and a database keeps them as bigint.
_FOLDER = re.compile(r"([0-9]{1,18})_(.+)")
#: The document's ways to name a file: ``{ORDER}_{DESCRIPTION}.sql`` and ``{description}-{date}.sql``.
_NUMBERED = re.compile(r"([0-9]{1,18})_(.+)\.sql")
_TOO_MANY_DIGITS = re.compile(r"[0-9]{19,}_.+")
_DATED = re.compile(r"(.+)-([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})\.sql")
_FACTS: Final = facts.FILE
_SQL_FILES = ("apply.sql", "verify.sql", "rollback.sql")
#: It may be there: a road for tables that hold rows.
_ONLINE = "online.sql"
_FILES = (_FACTS, *_SQL_FILES, _ONLINE)


#: How far is looked for the folder that was meant: in folders of folders, and in so many of each.
_DEEPEST_LOOK, _WIDEST_LOOK = 2, 50
#: Folders whose content never changes: whoever makes a link into one of them pins what it leads to.
STORES: tuple[str, ...] = ("/nix/store", "/gnu/store")

# Reading. Each function returns what it read and appends to `faults` what is wrong.


@frozen
class _Entry:
    """Something in a folder; what a link leads to, where it may."""

    name: str
    is_folder: bool
    #: Where it is read.
    where: str
    #: Why it may not be read, and the cure, or None.
    problem: tuple[str, str] | None = None

    @property
    def is_passed_over(self) -> bool:
        """Whether it is none of ours: hidden (as is what a ConfigMap keeps its files in), or a cache."""
        return self.name.startswith((".", "__"))

    @property
    def is_text(self) -> bool:
        """Whether it goes by the name of a file that migrations consist of."""
        return self.name.lower().endswith((".sql", ".toml"))


def read(root: Path, *, source: str) -> tuple[list[Migration], list[Fault]]:
    """Read a folder of migrations' folders, or of files.

    Args:
        root: The folder.
        source: It as a path, for messages.

    Returns:
        The migrations, and what is wrong with them.
    """
    faults: list[Fault] = []
    home = os.path.realpath(root)
    entries = [entry for entry in _entries(root, source, faults, home) if not entry.is_passed_over]
    from kimbledb.catalog import other_tools  # late: what ships is not searched

    names = [entry.name for entry in entries]
    if "meta" in names and (root / "meta" / "_journal.json").exists():
        names.append("meta/_journal.json")
    owner = other_tools.owner_of(names)
    if owner is not None and not faults:
        return [], [_of_another_tool(source, owner)]
    migrations = _read_flat(entries, source, faults) if _is_flat(entries) else _read_all(entries, source, home, faults)
    return migrations, faults


def nothing_in(root: Path, *, source: str) -> Fault:
    """Say what a folder without migrations holds, and where they may be."""
    from kimbledb.catalog import other_tools

    names = [entry.name for entry in _entries(root, source, [], os.path.realpath(root)) if not entry.is_passed_over]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    holds = f"it holds {shown}, and no migration" if names else "it is empty"
    programs = next(((name, whose) for name in names if (whose := other_tools.owner_of_program(name))), None)
    if programs is not None:
        holds = f"it holds no SQL; {programs[0]} may be a migration of {programs[1]}"
    inside = _holder_of_migrations(root, source, _DEEPEST_LOOK)
    cure = "give the folder that holds the migrations, such as 01_base-tables/apply.sql or 001_base-tables.sql"
    if inside is not None:
        cure = f"is it {inside}?"
    elif not names:
        cure = f"`kimbledb new base-tables --directory {source}` makes the first migration; or give another folder"
    return Fault(source, holds, cure)


def _holder_of_migrations(folder: str | Path, source: str, depth: int) -> str | None:
    """Return the first folder in a folder that holds migrations, by their names, or None."""
    from kimbledb.catalog import other_tools

    entries = [entry for entry in _entries(folder, source, [], os.path.realpath(folder)) if not entry.is_passed_over]
    names = [entry.name for entry in entries]
    if any(map(_looks_like_one, names)) or other_tools.owner_of(names) is not None:
        return source
    if not depth:
        return None
    inside = (
        _holder_of_migrations(entry.where, f"{source}/{entry.name}", depth - 1)
        for entry in entries[:_WIDEST_LOOK]
        if entry.is_folder
    )
    return next((found for found in inside if found is not None), None)


def _looks_like_one(name: str) -> bool:
    """Whether a file or a folder has the name of a migration."""
    return any(pattern.fullmatch(name) for pattern in (_NUMBERED, _DATED)) or (
        _FOLDER.fullmatch(name) is not None and "." not in name
    )


def _read_all(entries: list[_Entry], source: str, home: str, faults: list[Fault]) -> list[Migration]:
    migrations: list[Migration] = []
    # Where nothing goes by the name of a migration, it is another folder.
    is_one = any(entry.is_folder and _FOLDER.fullmatch(entry.name) for entry in entries)
    for entry in entries:
        path = f"{source}/{entry.name}"
        if not _is_named_well(entry, source, faults):
            continue
        if entry.problem is not None and (entry.is_folder or entry.is_text or _FOLDER.fullmatch(entry.name)):
            faults.append(Fault(path, *entry.problem))
        elif not entry.is_folder:
            if is_one and entry.is_text and not _is_marked(entry, path, faults):
                faults.append(
                    Fault(
                        path,
                        "it lies beside the folders of migrations, and would never run",
                        "give each migration a folder, such as 01_base-tables/apply.sql",
                    )
                )
        elif (match := _FOLDER.fullmatch(entry.name)) is None:
            faults.extend(_misnamed(entry, path, is_one=is_one))
        elif not int(match[1]):
            faults.append(
                Fault(
                    path, "its number is 0, which means none at all", "number migrations from 1, such as 01_base-tables"
                )
            )
        else:
            migrations.append(_read_folder(entry.where, path, home, int(match[1]), match[2] + ".sql", faults))
    return migrations


def _is_named_well(entry: _Entry, source: str, faults: list[Fault]) -> bool:
    if entry.name.isprintable():
        return True
    # Neither a terminal nor, where it is not Unicode, the server could take it.
    shown = entry.name.encode("unicode_escape").decode()
    faults.append(Fault(f"{source}/{shown}", "its name holds a character that cannot be shown", "give it another name"))
    return False


def _misnamed(entry: _Entry, path: str, *, is_one: bool) -> Iterator[Fault]:
    """Say what is wrong with the name of a folder, or whose it is.

    Args:
        entry: The folder.
        path: It as it is shown.
        is_one: Whether the others beside it are migrations; else it may be any folder.
    """
    from kimbledb.catalog import other_tools

    inside = [each.name for each in _entries(entry.where, path, [], "/")]
    owner = other_tools.owner_of_parts(inside) or other_tools.owner_of(inside)
    if owner is not None:
        yield _of_another_tool(path, owner)
    elif _TOO_MANY_DIGITS.fullmatch(entry.name):
        yield Fault(path, "its number has more than 18 digits", "take a smaller one, such as 20250101120000")
    elif is_one or "apply.sql" in inside:
        yield Fault(path, "the folder's name has no number", "name it <number>_<name>, such as 19_api-cost-tracking")


def _of_another_tool(path: str, owner: Owner) -> Fault:
    return Fault(
        f"{path}/{owner.file}", f"this is a file of {owner.name}, whose migrations would be read wrongly", owner.cure
    )


def _is_flat(entries: list[_Entry]) -> bool:
    """Whether a folder holds migrations as files: scripts, and no folder of any."""
    return any(entry.name.lower().endswith(".sql") and not entry.is_folder for entry in entries) and not any(
        entry.is_folder and _FOLDER.fullmatch(entry.name) for entry in entries
    )


def _read_flat(entries: list[_Entry], source: str, faults: list[Fault]) -> list[Migration]:
    """Read a flat folder: ``{ORDER}_{DESCRIPTION}.sql`` or ``{description}-{date}.sql`` files.

    The order is that of the numbers, or that of the dates and, for those of one
    date, of the names. Each file needs the one before it.
    """
    numbered: dict[str, int] = {}
    dated: dict[str, str] = {}
    scripts: dict[str, Script] = {}
    heads: dict[str, dict[str, Any]] = {}
    for entry in entries:
        path = f"{source}/{entry.name}"
        if not (entry.is_text or entry.is_folder) or not _is_named_well(entry, source, faults):
            continue
        if entry.is_folder:
            faults.append(
                Fault(
                    path,
                    "it is a folder beside migrations that are files, and nothing in it would run",
                    "take it out, or give each migration a folder, such as 01_base-tables/apply.sql",
                )
            )
            continue
        if match := _NUMBERED.fullmatch(entry.name):
            numbered[entry.name] = int(match[1])
            if not int(match[1]):
                faults.append(Fault(path, "its number is 0, which means none at all", "number files from 1"))
        elif (match := _DATED.fullmatch(entry.name)) and _is_date(match[2]):
            dated[entry.name] = match[2].replace("-", "")
        elif _TOO_MANY_DIGITS.fullmatch(entry.name):
            faults.append(
                Fault(path, "its number has more than 18 digits", "take a smaller one, such as 20250101120000")
            )
            continue
        elif _is_marked(entry, path, faults):
            continue
        else:
            faults.append(
                Fault(
                    path,
                    "its name tells no order",
                    "name it by number, such as 007_ADD_INVOICES.sql, or by date, such as add-invoices-2025-10-27.sql",
                )
            )
            continue
        read = _read_file(entry, path, faults)
        script = scripts[entry.name] = read or Script(path, "")
        heads[entry.name] = facts.of_head(script, faults)
        if read is not None:
            _find_problems(script, faults, transactional=heads[entry.name].get("transactional", True))
    _find_ways_back(scripts, source, faults)
    if numbered and dated:
        first, other = min(numbered), min(dated)
        faults.append(
            Fault(
                f"{source}/{other}",
                f"it goes by a date, and {first} by a number: neither tells which comes first",
                "name all files of a folder in one way",
            )
        )
    ordered = sorted(numbered, key=lambda name: (numbered[name], name)) or sorted(
        dated, key=lambda name: (dated[name], name)
    )
    return [
        Migration(
            name=name,
            number=numbered.get(name, place),
            title=re.sub(r"[-_]+", " ", _description(name)).strip(),
            requires=tuple(ordered[place - 2 : place - 1]) if place > 1 else (),
            irreversible="a flat folder holds no rollback, and no checks",
            **heads[name],
            apply_sql=scripts[name],
            checksum=scripts[name].checksum,
            location=f"{source}/{name}",
        )
        for place, name in enumerate(ordered, 1)
    ]


#: A file that takes back what one of the same name does.
_WAY_BACK = re.compile(r"(.+)[-_.](?:down|undo|rollback|revert)((?:-[0-9-]+)?\.sql)")


def _find_ways_back(names: Iterable[str], source: str, faults: list[Fault]) -> None:
    """Refuse files that take others of the folder back: they would run after these."""
    folded = {re.sub(r"[-_.](?:up|do)(?=(?:-[0-9-]+)?\.sql$)", "", name): name for name in names}
    for name in names:
        match = _WAY_BACK.fullmatch(name)
        if match is not None and (partner := folded.get(match[1] + match[2])) is not None:
            faults.append(
                Fault(
                    f"{source}/{name}",
                    f"it takes back what {partner} does, and would run after it",
                    "take it out of the folder, or give each migration a folder of its own with an apply.sql and a rollback.sql",
                )
            )


def _description(name: str) -> str:
    match = _NUMBERED.fullmatch(name)
    return match[2] if match else _DATED.sub(r"\1", name)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _entries(folder: str | Path, path: str, faults: list[Fault], home: str) -> list[_Entry]:
    """Return what lies in a folder, sorted by name.

    Args:
        folder: The folder.
        path: It as it is shown.
        faults: Where it is noted that it cannot be read.
        home: The whole catalog's folder, out of which no link may lead, without links itself.
    """
    entries: list[_Entry] = []
    try:
        with os.scandir(folder) as found:
            for item in found:
                if item.is_symlink():
                    entries.append(_linked(item, home))
                else:
                    entries.append(_Entry(item.name, item.is_dir(follow_symlinks=False), item.path))
    except OSError as error:
        faults.append(_unreadable(path, error))
    return sorted(entries, key=lambda entry: entry.name)


def _linked(item: os.DirEntry[str], home: str) -> _Entry:
    """Return what a link leads to, which must lie in the folder itself: whoever may write there may write it."""
    where = os.path.realpath(item.path)
    problem = None
    if not Path(where).exists():
        problem = ("it is a symbolic link that leads nowhere", "take it out, or mend it")
    elif not any(Path(where).is_relative_to(place) for place in (home, *STORES)):
        problem = (
            "it is a symbolic link that leads out of the folder",
            "put the file itself there, or give the folder in which the files lie (that may be reached by a link)",
        )
    return _Entry(item.name, problem is None and item.is_dir(), where, problem)


def _unreadable(path: str, error: OSError) -> Fault:
    return Fault(path, f"it cannot be read: {error.strerror or error}", "let the user who runs this read it")


def _read_folder(folder: str, path: str, home: str, number: int, name: str, faults: list[Fault]) -> Migration:
    """Read a migration, with what could be read of it where it has faults.

    Those keep the catalog from being made; that the migration is known all the
    same spares the others the fault that they require what is not here.
    """
    present = {entry.name: entry for entry in _entries(folder, path, faults, home)}
    if "apply.sql" not in present:
        from kimbledb.catalog import other_tools

        owner = other_tools.owner_of_parts(present)
        if owner is not None:
            faults.append(_of_another_tool(path, owner))
            return Migration(name=name, number=number, location=path)
    scripts: dict[str, Script] = {}
    for file in _FILES:
        entry = present.get(file)
        if entry is not None:
            script = _read_file(entry, f"{path}/{file}", faults)
            if script is not None:
                scripts[file] = script
    for other in present:
        if other not in _FILES and other.lower().endswith((".sql", ".toml")):
            import difflib  # late: only for what is misspelt

            meant = difflib.get_close_matches(other.lower(), _FILES, n=1)
            faults.append(
                Fault(
                    f"{path}/{other}",
                    "no such file belongs to a migration",
                    f"is it {meant[0]}?" if meant else f"the files are {', '.join(_FILES)}",
                )
            )
    apply = scripts.get("apply.sql") or Script(f"{path}/apply.sql", "")
    head = facts.of_head(apply, faults)
    read = facts.read(
        scripts[_FACTS].text if _FACTS in scripts else None, path, faults, present=_FACTS in present, lazily=False
    )
    # Where the facts cannot be read, what they might excuse is no fault yet.
    may_lack_rollback = read is None or read.get("irreversible")
    for file in _SQL_FILES:
        if file not in present and not (file == "rollback.sql" and may_lack_rollback):
            cure = {
                "apply.sql": "write the SQL that makes the change",
                "verify.sql": "write `-- name: <check>` and a SELECT that gives a boolean `passed`",
                "rollback.sql": 'write the SQL that takes it back, or say why there is none: irreversible = "..." in migration.toml',
            }[file]
            faults.append(Fault(f"{path}/{file}", "the file is missing", cure))
    transactional = read is not None and {**head, **read}.get("transactional", True)
    if "apply.sql" in scripts:
        _find_problems(apply, faults, transactional=transactional)
    if "rollback.sql" in scripts:
        # It is tried in a transaction that is rolled back, to see what would go, and run in one.
        _find_problems(scripts["rollback.sql"], faults, transactional=True, part="rollback")
    if _ONLINE in scripts:
        _find_problems(scripts[_ONLINE], faults, transactional=False)
        if not transactional:
            faults.append(
                Fault(
                    f"{path}/{_ONLINE}",
                    "apply.sql itself runs outside of a transaction: `transactional = false`",
                    "write what is in it into apply.sql, or take that line out of migration.toml",
                )
            )
    if "verify.sql" in scripts:
        from kimbledb.catalog import statements

        faults.extend(_faults_in(scripts["verify.sql"], statements.read_named_queries(scripts["verify.sql"])[1]))
    return Migration(
        name=name,
        number=number,
        apply_sql=apply,
        verify_sql=scripts.get("verify.sql", ""),
        rollback_sql=scripts.get("rollback.sql", ""),
        online_sql=scripts.get(_ONLINE, ""),
        checksum=apply.checksum,
        location=path,
        read_queries=named_queries,
        **{**head, **(read or {})},
    )


def _read_file(entry: _Entry, path: str, faults: list[Fault]) -> Script | None:
    """Read a file once: what is checked here is what is hashed and run."""
    if entry.problem is not None:
        faults.append(Fault(path, *entry.problem))
        return None
    try:
        data = _read_bytes(entry.where)
    except OSError as error:
        faults.append(_unreadable(path, error))
        return None
    if data is None:
        faults.append(Fault(path, "it is not a regular file", "put a file of text there"))
        return None
    if len(data) > MAX_FILE_BYTES:
        faults.append(
            Fault(
                path,
                f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB",
                "load data by a program of its own, and keep the migration to the schema",
            )
        )
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.append(
            Fault(
                path,
                f"it is not UTF-8: byte 0x{data[error.start]:02x}",
                "save it as UTF-8 (of a dump: pg_dump --encoding=UTF8)",
                line,
            )
        )
        return None
    if (nul := text.find("\0")) >= 0:
        faults.append(
            Fault(
                path,
                "it holds a NUL character, which PostgreSQL cannot store",
                "take it out",
                text.count("\n", 0, nul) + 1,
            )
        )
        return None
    return Script.of_file(path, text)


def _read_bytes(where: str) -> bytes | None:
    """Return a file, as far as to see that it is too large, or None for what is no regular file."""
    # Opened without following links, and without waiting for a named pipe's other end.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(where, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = bytearray()
        while len(data) <= MAX_FILE_BYTES and (piece := os.read(descriptor, _PIECE)):
            data += piece
        return bytes(data)
    finally:
        os.close(descriptor)


def _find_problems(script: Script, faults: list[Fault], *, transactional: bool, part: Part = "apply") -> None:
    from kimbledb.catalog import statements  # late: what ships is not searched again

    _find_mark(script, faults, forward=part != "rollback")
    faults.extend(_faults_in(script, statements.find_problems(script.text, transactional=transactional, part=part)))


def _is_marked(entry: _Entry, path: str, faults: list[Fault]) -> bool:
    """Whether a file whose name tells nothing is of another tool, which then is a fault."""
    script = _read_file(entry, path, [])
    return script is not None and _find_mark(script, faults, forward=True)


def _find_mark(script: Script, faults: list[Fault], *, forward: bool) -> bool:
    from kimbledb.catalog import other_tools, statements  # late, as above

    mark = other_tools.mark_in(script.text, forward=forward)
    if mark is None:
        return False
    message = f"`{mark.text[:80]}` is a mark of {mark.tool or 'a file that holds both ways'}"
    cure = "take it out: it means nothing here"
    if mark.both_ways:
        message += ", and what goes forward and what goes back would run one after the other"
        cure = (
            "keep what goes forward (in a folder's apply.sql), put what goes back into that folder's rollback.sql, "
            "and take the marks out"
        )
    faults.extend(_faults_in(script, [statements.Problem(mark.offset, message, cure)]))
    return True


def _faults_in(script: Script, problems: Iterable[Problem]) -> Iterator[Fault]:
    for problem in problems:
        line, column = script.line_and_column(problem.offset)
        yield Fault(script.path, problem.message, problem.cure, line, column if problem.exact else None)
