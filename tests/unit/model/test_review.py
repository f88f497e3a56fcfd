"""A plan as something to review and to sign, in GitHub's Markdown."""

from __future__ import annotations

import re

from attrs import evolve
from markdown_it import MarkdownIt

import kimbledb
from kimbledb import Step, StepState
from kimbledb.model.completion import Completion
from kimbledb.model.hazard import Hazard
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.origin import Place
from kimbledb.model.plan import Plan

PLACE = Place(7, "shop", 5, occupied=True, label="db.example:5432/shop")
HAZARD = Hazard("rows_deleted", "orders", 1200, 16384, "it is dropped", "make a backup first", "b.sql", 3)
B = kimbledb.Migration(name="b.sql", number=2, checksum="b", apply_sql="DROP TABLE orders;\n")
PLAN = Plan(
    (
        Step(kimbledb.Migration(name="a.sql", number=1), StepState.APPLIED, "applied"),
        Step(B, StepState.PENDING, "not applied yet", hazards=(HAZARD,)),
    ),
    "tenant",
    place=PLACE,
)
#: What a hostile author could put into a name or a script.
EVIL = "a|b`c`</details><script>@team\x1b[2J\u202e.sql"

#: The elements of a rendered plan.
TAGS = {
    "p",
    "strong",
    "ul",
    "li",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
    "pre",
    "details",
    "summary",
}


def rendered(plan: Plan) -> str:
    """Return a plan as GitHub would render it."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(plan.to_markdown()))


def test_it_holds_what_whoever_signs_needs() -> None:
    """Fingerprint, target, what is not applied with the reason, locks and sizes, losses, SQL and the command stand in it."""
    shown = PLAN.to_markdown()

    assert shown.startswith(f"**{PLAN.summary}**\n")
    for text in (
        f"- fingerprint: `{PLAN.fingerprint}`",
        "- target: `db.example:5432/shop`, schema `tenant`, server 7",
        "| 2 | b.sql | pending | hazard: rows\\_deleted on orders",
        "| b.sql | rows\\_deleted | orders | about 1,200 | 16 kB | it is dropped<br>make a backup first |",
        "- b.sql: rows of orders: it is dropped",
        "```sql\nDROP TABLE orders;\n```",
        f"```sh\nkimbledb migrate --schema tenant --plan {PLAN.fingerprint}\n```",
    ):
        assert text in shown, text
    assert "a.sql" not in shown
    assert PLAN.to_markdown() == shown


def test_no_name_and_no_script_is_read_as_markup() -> None:
    """Pipes, backticks, tags, mentions and what steers a terminal stand as text, in tables, in summaries and in code."""
    script = "SELECT '```\n</details>\n@team \x1b[2J \u202e';\n"
    evil = kimbledb.Migration(name=EVIL, number=1, apply_sql=script, deletes="<b>`because`</b> | @team")
    plan = kimbledb.Planner(kimbledb.Catalog([evil])).plan(to=EVIL)

    page = rendered(plan)
    assert set(re.findall(r"<(\w+)", page)) <= TAGS
    assert page.count("<details>") == page.count("</details>") == 1
    assert page.count("<tr>") == 2
    assert not re.search("[\x1b\u202e]", page)
    assert "@team" not in re.sub("<code.*?</code>", "", page, flags=re.DOTALL)


def test_what_is_lost_is_named() -> None:
    """Data that a migration deletes on purpose, declared drops and what a completion takes away are listed; else it says so."""
    policy = DatabaseObject("policy", "orders.open", {})
    completed = Step(B, StepState.PARTIAL, "a part", completion=Completion(statements=("X",), taken_away=(policy,)))
    deleting = Step(evolve(B, deletes="old rows"), StepState.PENDING, "not applied yet")
    harmless = Step(evolve(B, apply_sql="SELECT 1;"), StepState.PENDING, "not applied yet")

    assert "- b.sql: drops policy orders.open, which is another hand's" in Plan((completed,)).to_markdown()
    assert "- b.sql: deletes data on purpose: old rows" in Plan((deleting,)).to_markdown()
    assert "Nothing that can be foreseen." in Plan((harmless,)).to_markdown()


def test_a_long_script_is_left_to_a_command() -> None:
    """GitHub takes no longer comments: what has no room is named, with the command that prints it."""
    long = Step(evolve(B, name="long.sql", apply_sql="SELECT 1;\n" * 5000), StepState.PENDING, "not applied yet")
    shown = Plan((long, PLAN.steps[1])).to_markdown()

    assert len(shown) < 65_536
    assert "DROP TABLE orders;" in shown
    assert "1 script, which `kimbledb render --pending` prints: long.sql" in shown


def test_a_plan_that_a_run_refuses_has_no_command() -> None:
    """Conflicts come first, and a plan with nothing to do has nothing to run."""
    conflict = Step(B, StepState.CONFLICTING, "it is a view")

    assert "kimbledb migrate" not in Plan((conflict,)).to_markdown()
    assert "A run refuses this plan" in Plan((conflict,)).to_markdown()
    assert "SQL" not in Plan(PLAN.steps[:1]).to_markdown()


def test_the_command_has_the_arguments_of_the_plan() -> None:
    """The limits and choices by which the plan was made stand in it: they are part of what is signed."""
    plan = evolve(
        PLAN, schema=None, wishes=evolve(PLAN.wishes, to="b.sql", phase=3, prefer=("x y.sql",), set_aside=("t",))
    )

    assert (
        f"kimbledb migrate --to b.sql --phase 3 --prefer 'x y.sql' --set-aside t --plan {plan.fingerprint}"
        in plan.to_markdown()
    )
