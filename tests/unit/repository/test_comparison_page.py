"""The page that compares kimbledb with other tools: a source for each fact, and no figure that nobody measured."""

from __future__ import annotations

import re

from tools.pages import DOCS

PAGE = (DOCS / "comparison.md").read_text(encoding="utf-8")
TOOLS = {
    *("Alembic", "Atlas", "dbmate", "Django", "Flyway", "golang-migrate", "goose", "graphile-migrate", "Liquibase"),
    *("pgfast and pogo-migrate", "pgroll", "pg-schema-diff", "Prisma", "Sqitch", "Supabase CLI"),
}


def test_each_tool_has_a_source() -> None:
    """The section of each tool links to a page of that tool or to a report about it."""
    sections = re.split(r"^### ", PAGE.partition("\n## Tool by tool\n")[2].partition("\n## ")[0], flags=re.MULTILINE)[
        1:
    ]

    assert {section.partition("\n")[0] for section in sections} == TOOLS
    assert [section.partition("\n")[0] for section in sections if "](https://" not in section] == []


def test_a_link_that_leads_away_is_https() -> None:
    """Each source can be fetched safely, and stands beside its fact and not in a list of numbers."""
    assert re.findall(r"\]\((?!https://)\w+:[^)]*\)", PAGE) == []
    assert re.findall(r"\[\^?\d+\]", PAGE) == []


def test_figures_are_left_to_the_benchmarks() -> None:
    """A figure on this page could be out of step with the measured ones."""
    assert re.findall(r"\b\d[\d.,]* ?(?:%|ms|s|seconds|minutes|times)(?!\w)", PAGE) == []
