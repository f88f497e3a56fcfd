"""The text of the built-in migrations: each thing is said once, in plain SQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kimbledb
from kimbledb.catalog import statements

FOLDER = Path(kimbledb.__file__).parent / "sql" / "migrations"
#: The files of each migration that people write, by the name of its folder.
WRITTEN = {
    folder.name: sorted(file for file in folder.iterdir() if file.name != "declared.toml")
    for folder in sorted(FOLDER.iterdir())
    if folder.is_dir()
}
#: Either may be applied alone, and they make the same table.
ALTERNATIVES = {"02_create_user_tokens_table", "03_supabase-migration-user_tokens"}
#: The number of lines of which a run stands in one migration only.
RUN = 6
#: The migrations that have a DO block in apply.sql, each with the reason.
BLOCKS: dict[str, str] = {}


#: The checks that ask a system catalog, each with the reason. What is declared is proved and watched without a check.
ASK_CATALOGS = {"search_leaves_the_settings_as_they_were": "a setting of the session is no object"}


def _runs(file: Path) -> list[tuple[str, ...]]:
    """Each run of lines of a file, blank lines and comments aside."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    told = [line for line in lines if line and not line.startswith(("--", "#"))]
    return [tuple(told[start : start + RUN]) for start in range(len(told) - RUN + 1)]


def test_no_run_of_lines_stands_in_two_migrations() -> None:
    """What two migrations need stands in one place: six equal lines stand together only in the alternatives #2 and #3."""
    holders: dict[tuple[str, ...], set[str]] = {}
    for name, files in WRITTEN.items():
        for file in files:
            for run in _runs(file):
                holders.setdefault(run, set()).add(name)

    assert {run: names for run, names in holders.items() if len(names) > 1 and names != ALTERNATIVES} == {}


def test_the_migrations_are_short() -> None:
    """All files of the 35 that people write have at most 9,000 lines."""
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for files in WRITTEN.values() for file in files)

    assert lines <= 9_000


@pytest.mark.parametrize("migration", kimbledb.Catalog.builtin(), ids=str)
def test_plain_statements_make_each_migration(migration: kimbledb.Migration) -> None:
    """No apply.sql and no hosted.sql has a DO block, but those that name the reason here."""
    blocks = [
        f"{script.path}:{script.line_and_column(each.start)[0]}"
        for script in migration.applied_scripts().values()
        for each in statements.split(script.text)
        if each.text.upper().startswith("DO")
    ]

    assert bool(blocks) == (migration.name in BLOCKS), blocks


def test_no_check_repeats_a_declaration() -> None:
    """A check of verify.sql asks how things behave: what is there, and in which form, is known from the declarations."""
    asking = {
        query.name
        for migration in kimbledb.Catalog.builtin()
        for query in migration.verification_queries
        if not query.runs and re.search(r"\b(pg_catalog|information_schema|pg_[a-z]+)\b", query.sql)
    }

    assert asking == set(ASK_CATALOGS)


def test_every_rollback_is_derived() -> None:
    """No built-in migration has a rollback.sql: each rollback follows from what the migration declares."""
    assert {each.rollback_kind for each in kimbledb.Catalog.builtin()} == {"derived"}
