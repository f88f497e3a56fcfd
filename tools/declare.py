"""Write the objects that each built-in migration creates, changes and drops into its migration.toml, from a real database.

``nox -s declare`` writes the files. ``nox -s declare -- --check`` only compares them. The
text is long and mechanical. Reviewers read it like any other: a test compares it, for
each migration, with the difference of two snapshots.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import asyncpg

import kimbledb
from kimbledb.model.objects import OBJECT_KINDS, DatabaseObject
from kimbledb.model.snapshot import Difference
from kimbledb.server.dsn import with_database
from tests.support.databases import HOSTED_DATABASE, HOSTED_ROLES, take_snapshot

FOLDERS = Path(__file__).parent.parent / "src" / "kimbledb" / "sql" / "migrations"
HEADING = "# What follows is written by `nox -s declare`, from the difference of two snapshots."
_GENERATED = re.compile(r"\n*^(?:# What follows is written by .*$|\[(?:creates|changes|drops)\b)", re.MULTILINE)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


async def differences(dsn: str, prefer: tuple[str, ...]) -> dict[str, Difference]:
    """Migrate step by step, and return the difference that each migration made in the schema.

    Args:
        dsn: An empty database.
        prefer: The alternatives to choose.
    """
    found = {}
    plan = await kimbledb.plan(dsn, prefer=prefer)
    before = await take_snapshot(dsn)
    for step in plan.pending:
        await kimbledb.migrate(dsn, to=step.name, prefer=prefer, verify=False)
        after = await take_snapshot(dsn)
        found[step.name] = after.since(before)
        before = after
    return found


def as_toml(difference: Difference) -> str:
    """Return a difference as the tables of a migration.toml."""
    lines: list[str] = []
    parts: Iterable[tuple[str, tuple[DatabaseObject, ...]]] = (
        ("creates", difference.created),
        ("changes", difference.changed),
        ("drops", difference.dropped),
    )
    for key, objects in parts:
        for kind in OBJECT_KINDS:
            of_kind = [each for each in objects if each.kind == kind]
            if of_kind:
                lines.append(f"\n[{key}.{kind}]")
                lines += [f"{_key(each.name)} = {_text(each.definition or '')}" for each in of_kind]
    return f"\n{HEADING}\n" + "\n".join(lines).lstrip("\n") + "\n" if lines else ""


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    # A TOML basic string has JSON's escapes; DEL must be escaped, too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


async def main(*, check: bool) -> int:
    """Write the files, or with ``check`` only compare them, and return the number of files that were out of step."""
    async with kimbledb.embedded() as dsn:
        admin = await asyncpg.connect(dsn)
        await admin.execute(HOSTED_ROLES)
        await admin.execute(HOSTED_DATABASE)
        await admin.execute("CREATE DATABASE other TEMPLATE postgres")
        await admin.close()
        found = await differences(dsn, ("create_user_tokens_table.sql",))
        found |= {
            name: difference
            for name, difference in (
                await differences(with_database(dsn, "other"), ("supabase-migration-user_tokens.sql",))
            ).items()
            if name not in found
        }
    stale = 0
    for migration in kimbledb.Catalog.builtin():
        file = FOLDERS / Path(migration.location).name / "migration.toml"
        text = file.read_text(encoding="utf-8")
        generated = _GENERATED.search(text)
        facts = (text if generated is None else text[: generated.start()]).rstrip("\n") + "\n"
        wanted = facts + as_toml(found[migration.name])
        if wanted != text:
            stale += 1
            print(f"{'out of step' if check else 'written'}: {file.parent.name}")
            if not check:
                file.write_text(wanted, encoding="utf-8")
    print("all declarations are in step" if not stale else f"{stale} files")
    return stale


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="nox -s declare --", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of step")
    given = parser.parse_args()
    out_of_step = asyncio.run(main(check=given.check))
    sys.exit(1 if given.check and out_of_step else 0)
