"""Sqitch: the changes of ``sqitch.plan`` in its order, each with its scripts in ``deploy``, ``revert`` and ``verify``.

A migration has the name of its change. Each statement of a verify script is a check that an error fails. Reworked
changes, conflicts and other projects' changes are faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from kimbledb.catalog import sections
from kimbledb.catalog.drafts import Draft, migrations_of
from kimbledb.catalog.naming import title_of
from kimbledb.catalog.reading import Entry, Folder, files_below, script_of
from kimbledb.catalog.verify_scripts import checks_of
from kimbledb.model.check import VerificationQuery
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.script import Script

PLAN, CONF = "sqitch.plan", "sqitch.conf"
#: A change of the plan: what is done, its name, what it needs; then come its time, its author and a note.
_CHANGE = re.compile(r"[ \t]*([+-]?)[ \t]*([^\s@%#\[+-][^\s\[]*)[ \t]*(?:\[([^\]]*)\])?")
_NEED = re.compile(r"(!?)(?:([^\s:@]*):)?([^\s@]*)(?:@\S+)?")
_SETTING = re.compile(r"^\s*(engine|(?:deploy|revert|verify)_dir)\s*=\s*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^(--[ \t]*(?:deploy|revert|verify)[ \t].*)$", re.MULTILINE | re.IGNORECASE)


def matches(folder: Folder) -> bool:
    """Return whether a folder holds a plan of Sqitch."""
    return folder.file(PLAN) is not None


def read(folder: Folder) -> tuple[list[Migration], list[Fault]]:
    """Return the migrations of a project of Sqitch, and all faults in it."""
    faults: list[Fault] = []
    project = _Project.of(folder, faults)
    plan = project.script(PLAN, faults)
    drafts = [project.draft_of(change, faults) for change in _changes(plan or Script(PLAN, ""), faults)]
    return migrations_of(folder, drafts, faults), faults


@frozen(eq=False)
class _Project:
    """The files of a project."""

    folder: Folder
    #: All files, by the path in the folder.
    files: Mapping[str, tuple[Entry, str]]
    #: The folders of scripts as its configuration names them, by the name of the setting.
    settings: Mapping[str, str]

    @classmethod
    def of(cls, folder: Folder, faults: list[Fault]) -> _Project:
        found = files_below(folder, faults)
        files = {path.removeprefix(f"{folder.shown}/"): (entry, path) for entry, path in found}
        conf = cls(folder, files, {}).script(CONF, faults)
        settings = {} if conf is None else dict(_SETTING.findall(conf.text))
        if conf is not None and settings.get("engine", "pg") != "pg":
            message = f"its changes are for {settings['engine']}"
            faults.append(Fault(conf.path, message, "give the folder of a project for pg"))
        return cls(folder, files, settings)

    def script(self, name: str, faults: list[Fault]) -> Script | None:
        """Return a file, or None if it is not there."""
        entry, path = self.files.get(name, (None, ""))
        return None if entry is None else script_of(entry, path, faults)

    def part(self, part: str, change: str, faults: list[Fault]) -> Script | None:
        """Return one of the scripts of a change without its heading, or None if it is not there."""
        script = self.script(f"{self.settings.get(f'{part}_dir', part)}/{change}.sql", faults)
        return None if script is None else sections.divided(script, sections.marks_in(script, _HEADING))

    def draft_of(self, change: str, faults: list[Fault]) -> Draft:
        deploy, revert = (self.part(part, change, faults) for part in ("deploy", "revert"))
        if deploy is None:
            path = f"{self.folder.shown}/{self.settings.get('deploy_dir', 'deploy')}/{change}.sql"
            faults.append(Fault(path, "the plan names it, and it is missing", "restore it, or remove it from the plan"))
        verify = self.part("verify", change, faults)
        checks: tuple[VerificationQuery, ...] = ()
        remarks: tuple[str, ...] = ()
        if verify is not None:
            checks, remarks = checks_of(verify, faults)
        return Draft(
            name=change,
            title=title_of(change),
            apply=deploy or Script(change, ""),
            rollback=revert,
            verify=verify if checks else None,
            checks=checks,
            transactional=None,
            remarks=remarks,
        )


def _changes(plan: Script, faults: list[Fault]) -> Iterator[str]:
    """Yield the names of the changes in a plan, and find the faults of its lines."""
    seen: set[str] = set()
    for number, line in enumerate(plan.text.split("\n"), plan.first_line):
        text = line.strip()
        if not text or text[0] in "%#@":
            continue
        match = _CHANGE.match(line)
        if match is None or match[1] == "-":
            message = f"`{text[:60]}` is no change that is deployed"
            faults.append(Fault(plan.path, message, "remove it, and what it takes back", number))
            continue
        if match[2] in seen:
            message = f"{match[2]} is reworked, and a migration has one script"
            faults.append(Fault(plan.path, message, "give the rework a name of its own, as a new change", number))
            continue
        for need in (match[3] or "").split():
            if (unmet := _unmet(need, seen)) is not None:
                faults.append(Fault(plan.path, unmet, "remove it from the plan, or correct it", number))
        seen.add(match[2])
        yield match[2]


def _unmet(need: str, seen: set[str]) -> str | None:
    """Return why what a change needs cannot be had, or None if it can: each change comes after all before it."""
    match = _NEED.fullmatch(need)
    if match is None or match[1] or match[2]:
        return f"{need} is a conflict, or another project's change"
    return f"it needs {match[3]}, which no line above names" if match[3] and match[3] not in seen else None
