"""docs/schema.md against the document and against a migrated database."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg

import kimbledb
from tests.support.databases import take_snapshot

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "tests" / "data" / "MIGRATION_ORDER.md").read_text(encoding="utf-8")


def _sections(text: str, marks: str) -> dict[int, str]:
    parts = re.split(rf"^{marks} (\d+)\. .*$", text, flags=re.MULTILINE)
    return {int(number): body for number, body in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_bullet_is_answered() -> None:
    """Each bullet under a migration of the document stands in that migration's table on the page."""
    document = DOCUMENT.partition("## Migration Execution Order\n")[2].partition("## Rollback Procedures\n")[0]
    page = _sections(PAGE, "###")
    missing = []
    for number, text in _sections(document, "####").items():
        bullets = re.findall(r"^- (.+)$", text, re.MULTILINE)
        answered = {
            row.split(" | ")[0].removeprefix("| ").strip() for row in page[number].splitlines() if row.startswith("| ")
        }
        missing += [f"{number}: {bullet}" for bullet in bullets if bullet.strip() not in answered]
    assert missing == []


async def test_every_object_is_there(database: str) -> None:
    """Each object that the page names is in a migrated database, with either alternative of the tokens' table."""
    await kimbledb.migrate(database, verify=False)
    other = database + "_other"
    admin = await asyncpg.connect(database.rsplit("/", 1)[0] + "/postgres")
    await admin.execute(f'CREATE DATABASE "{other.rsplit("/", 1)[1]}"')
    await kimbledb.migrate(other, verify=False, prefer=("supabase-migration-user_tokens.sql",))
    present = set((await take_snapshot(database)).objects) | set((await take_snapshot(other)).objects)
    await admin.execute(f'DROP DATABASE "{other.rsplit("/", 1)[1]}" WITH (FORCE)')
    await admin.close()
    connection = await asyncpg.connect(database)
    present |= {("extension", row[0]) for row in await connection.fetch("SELECT extname FROM pg_extension")}
    await connection.close()

    missing = []
    named = 0
    for number, text in _sections(PAGE, "###").items():
        for row in re.findall(r"^\| .+ \| (.+) \|$", text, re.MULTILINE):
            for kind, name in re.findall(
                r"`(table|column|constraint|index|view|function|trigger|policy|extension) ([^`]+)`", row
            ):
                named += 1
                if (kind, name) not in present:
                    missing.append(f"{number}: {kind} {name}")
    assert missing == []
    assert named > 200
