"""Write the files that are made from the code.

These are the document's page, all migrations as one SQL file, the picture of the plan, the
page of the notebook, the pages of the reference, the stub of the public names, and the table of
rooms in CONTRIBUTING.md. ``nox -s order`` writes them. ``nox -s order -- --check`` only compares
them, as a test does.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import kimbledb
from kimbledb.planning.derived_rollback import Objects, derive, objects_after
from tools import notebook, public_names, rooms, run_picture, small_plan, trace_picture
from tools.reference import commands, environment, errors, events, exit_codes, settings
from tools.reference.chapters import CHAPTERS

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "tests" / "data" / "MIGRATION_ORDER.md"

HEAD = """\
# The built-in migrations

For people who operate a KimbleAI database: the {total} built-in migrations in the order and the form of the document that asks
for them, each with its dependencies, objects, rollback and checks. One database receives {applied} of them, since two are
alternatives. [The built-in schema](schema.md) explains each migration.

`nox -s order` writes this page from the catalog: do not edit it.

## Quick start

For a new database and for an existing one, on PostgreSQL 15 to 18 with pgvector:

```bash
kimbledb plan      # the state of each migration, and the reason
kimbledb adopt     # only for objects without a history: records the migrations whose objects are all there
kimbledb migrate   # applies the rest, each migration in a transaction with its checks
```

Without Python, run [run-all-migrations.sql](run-all-migrations.sql) whole in an SQL editor.

## Migration execution order
"""

TAIL = """
## Rollback procedures

`kimbledb rollback NAME` rolls back one migration, `--phase N` a phase, and `--to NAME` every migration after that one. Each
migration is rolled back by the statements above, newest first, in a transaction of its own. The rollback stops where rows or
values would be lost, or where another migration needs the objects. A derived rollback is written from the declarations when
it runs: on a hosted database it also takes back the grants of hosted.sql. An object that existed before its migration stays.
`--dry-run` shows the losses.

The document's own lines run on this schema, each as it stands: `DROP TABLE IF EXISTS notifications CASCADE`, `ALTER TABLE
conversations DROP COLUMN IF EXISTS project_id`, those of its phases and of the full reset. They leave functions and the history
behind, so that `kimbledb verify` reports missing objects; `kimbledb rollback` removes these, too. In the document's pattern
`table_name`, `column_name` and `function_name` stand for real names. Where a trigger, a policy or a view uses such a column or
function, the server refuses the line, and `kimbledb rollback NAME` drops the dependent object first.

## Verification queries

`kimbledb verify` runs the checks above and the document's queries about the whole database (tables with their sizes, row level
security, extensions, indexes, foreign keys, history), and compares every object with its declaration.

```sql
SELECT migration_name, applied_at, success
FROM migration_history
ORDER BY applied_at DESC;
```
"""

#: The kinds of objects that the page names, and those that it only counts.
NAMED = {"table": "tables", "view": "views", "function": "functions", "type": "types", "sequence": "sequences"}
COUNTED = {
    "index": ("index", "indexes"),
    "constraint": ("constraint", "constraints"),
    "trigger": ("trigger", "triggers"),
    "policy": ("policy of row level security", "policies of row level security"),
}


def page() -> str:
    """Return the text of docs/migration-order.md."""
    catalog = kimbledb.Catalog.builtin()
    plan = kimbledb.Planner(catalog).plan()
    titles = dict(re.findall(r"^### Phase (\d+): (.+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    parts = [HEAD.format(total=len(catalog), applied=len(plan.pending))]
    applied = {step.name for step in plan.pending}
    before: Objects = {}
    phase = None
    for migration in catalog:
        if migration.phase != phase:
            phase = migration.phase
            parts.append(f"\n### Phase {phase}: {titles[str(phase)]}\n")
        parts.append(_section(migration, before))
        if migration.name in applied:
            before = objects_after(before, migration, hosted=False)
    return "".join(parts) + TAIL


def _section(migration: kimbledb.Migration, before: Objects) -> str:
    facts = [
        ("Purpose", migration.purpose or migration.title),
        ("Dependencies", ", ".join(map(_code, migration.requires)) or "none (fresh database)"),
        ("Extensions", ", ".join(map(str, migration.extensions))),
        ("Execution order", f"{migration.order}" + (" (alternative)" if migration.alternatives else "")),
        ("Status", migration.status),
        ("Note", migration.notes),
        ("Alternative to", ", ".join(map(_code, migration.alternatives))),
    ]
    lines = [f"\n#### {migration.number}. {migration.name}\n"]
    lines += [f"- **{name}:** {value}" for name, value in facts if value]
    made = _made(migration)
    if made:
        lines += ["", "**What it creates:**", "", *(f"- {line}" for line in made)]
    if migration.expects:
        lines += ["", f"**What it repairs:** the types of {len(migration.expects)} columns, where they are others:", ""]
        lines += [f"- {_code(column)} becomes {_code(kind)}" for column, kind in migration.expects.items()]
    lines += ["", *_rollback(migration, before)]
    checks = [query.name.replace("_", " ") for query in migration.verification_queries if not query.runs]
    if checks:
        lines += ["", f"**Verification:** {', '.join(checks)}"]
    for query in migration.verification_queries:
        if query.runs:
            lines += ["", "```sql", f"{query.sql.strip()};", "```"]
    return "\n".join(lines) + "\n"


def _rollback(migration: kimbledb.Migration, before: Objects) -> list[str]:
    """Return how a migration is rolled back, with the statements that do it on a bare database."""
    if migration.no_rollback is not None:
        return [f"**Rollback:** none: {migration.no_rollback}"]
    if migration.rollback_kind == "written":
        return ["**Rollback:**", *_statements(migration.rollback_sql)]
    sql = _statements(derive(migration, before, hosted=False).script.text)
    return (
        ["**Rollback:** derived from its declarations", *sql]
        if sql
        else ["**Rollback:** it makes nothing to take back"]
    )


def _statements(sql: str) -> list[str]:
    """Return SQL as a block of the page, without its comments, or nothing if it has no statements."""
    text = "\n".join(line for line in sql.splitlines() if not line.startswith("--")).strip()
    return ["", "```sql", text, "```"] if text else []


def _made(migration: kimbledb.Migration) -> list[str]:
    of_kind: dict[str, list[str]] = {}
    for each in migration.creates:
        of_kind.setdefault(each.kind, []).append(each.name)
    whole = {*of_kind.get("table", ()), *of_kind.get("view", ())}
    lines = [f"{word}: {', '.join(map(_code, of_kind[kind]))}" for kind, word in NAMED.items() if kind in of_kind]
    columns: dict[str, list[str]] = {}
    for name in of_kind.get("column", ()):
        table, _, own = name.partition(".")
        if table not in whole:
            columns.setdefault(table, []).append(own)
    lines += [f"columns of {_code(table)}: {', '.join(map(_code, own))}" for table, own in columns.items()]
    counts = [
        f"{len(of_kind[kind])} {one if len(of_kind[kind]) == 1 else many}"
        for kind, (one, many) in COUNTED.items()
        if kind in of_kind
    ]
    if counts:
        lines.append(", ".join(counts))
    return lines


def _code(text: str) -> str:
    return f"`{text}`"


def _of_the_api(chapter: str | None) -> str:
    """Return a page of the API reference, or its list of names."""
    from tools.reference import api  # where the wheel is tested, griffe is not installed

    return api.index() if chapter is None else api.page(chapter)


#: The files that are written whole, by their path from the root, each with the function that returns its text.
FILES: dict[str, Callable[[], str]] = {
    "docs/migration-order.md": page,
    "docs/run-all-migrations.sql": kimbledb.render,
    "docs/tour.md": notebook.page,
    "docs/images/plan.svg": lambda: kimbledb.Planner(kimbledb.Catalog.builtin()).plan().to_svg(),
    "docs/images/small-plan.svg": small_plan.picture,
    "docs/images/run.svg": run_picture.picture,
    "docs/images/trace.svg": trace_picture.picture,
    "docs/reference/index.md": partial(_of_the_api, None),
    **{f"docs/reference/api/{chapter}.md": partial(_of_the_api, chapter) for chapter in CHAPTERS},
    "docs/reference/commands.md": commands.page,
    "docs/reference/environment.md": environment.page,
    "docs/reference/errors.md": errors.page,
    "docs/reference/events.md": events.page,
    "docs/reference/exit-codes.md": exit_codes.page,
    "docs/reference/settings.md": settings.page,
    "src/kimbledb/__init__.pyi": public_names.stub,
}
#: The same with the page of which only a part is written.
WRITTEN: dict[str, Callable[[], str]] = {**FILES, "CONTRIBUTING.md": rooms.page}


def main(*, check: bool) -> int:
    """Write the files, or with ``check`` only compare them, and return the number of files that were out of step."""
    stale = 0
    for name, text_of in WRITTEN.items():
        file, text = ROOT / name, text_of()
        in_step = file.exists() and file.read_text(encoding="utf-8") == text
        if not in_step and not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        print(f"{name}: {'in step' if in_step else 'out of step' if check else 'written'}")
        stale += not in_step
    return stale


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="nox -s order --", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of step")
    given = parser.parse_args()
    out_of_step = main(check=given.check)
    sys.exit(1 if given.check and out_of_step else 0)
