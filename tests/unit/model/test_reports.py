"""What each result shows: one set of tables and one of values, from which text, HTML and JSON are made."""

from __future__ import annotations

import html
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

import kimbledb
from kimbledb import testing
from kimbledb.model.check import Check
from kimbledb.model.outputs import markdown
from kimbledb.model.outputs import text as text_output
from kimbledb.model.presentation import Report
from kimbledb.model.tables import Table


def migration(name: str, number: int) -> kimbledb.Migration:
    """A migration with a title of its own."""
    return kimbledb.Migration(name=name, number=number, phase=number + 70, title=f"title of {name}", deletes="old rows")


A, B, C = (migration(f"{name}.sql", number) for number, name in enumerate("abc", 11))
LOSS = kimbledb.Loss("table", "lost_table", 4711)
UPDATE = kimbledb.Loss("updated rows", "updated_table", 815)
HAZARD = kimbledb.Hazard("index_build", "hazard_table", 5000, 8192, "it waits", "build it before")
NEWER = kimbledb.AppliedMigration("newer.sql", version="99.0")
PLAN = kimbledb.Plan(
    (
        kimbledb.Step(A, kimbledb.StepState.APPLIED, "history says so"),
        kimbledb.Step(B, kimbledb.StepState.PENDING, "not there", needs=("a.sql",), hazards=(HAZARD,), online=True),
        kimbledb.Step(C, kimbledb.StepState.PENDING, "not there yet", selected=False),
        kimbledb.Step(
            kimbledb.Migration(name="newer.sql", number=0),
            kimbledb.StepState.UNKNOWN,
            "recorded by kimbledb 99.0",
            recorded=NEWER,
        ),
    ),
    schema="tenant",
    notes=("the database holds the history of goose",),
)
VERIFICATION = kimbledb.VerificationReport(
    (
        kimbledb.Check("a.sql", "a good check", passed=True),
        kimbledb.Check("b.sql", "a bad check", passed=False, expected="ten rows", found="nine rows", hint="add one"),
        kimbledb.Check(
            None,
            "a security check",
            passed=False,
            expected="closed",
            found="table x: open",
            rows=({"object": "table x", "reason": "open", "cure": "close it"},),
            hint="close it",
            severity="high",
        ),
        kimbledb.Check("c.sql", "a newer shape", passed=False, found="another", hint="look at it", informative=True),
        kimbledb.Check(None, "the server", passed=True, found="PostgreSQL 18.1"),
        kimbledb.Check(
            None,
            "known tables",
            passed=True,
            found="table y: read by its owner",
            rows=({"object": "table y", "reason": "read by its owner", "cure": "none"},),
            severity="information",
            informative=True,
        ),
    )
)
MIGRATED = kimbledb.MigrationReport(
    (kimbledb.AppliedStep(B, 1.25, 0.75),), PLAN, 2.5, VERIFICATION, "0/16B3748", (LOSS,), (UPDATE,)
)
ERROR = kimbledb.ConfigurationError("no such host", hint="name another")
#: One of each class, with a value of its own in every field.
SAMPLES: dict[type, Any] = {
    type(each): each
    for each in (
        PLAN,
        VERIFICATION,
        MIGRATED,
        kimbledb.AdoptionReport((PLAN.steps[0],), PLAN, 3.5),
        kimbledb.RollbackReport(
            (kimbledb.AppliedStep(A, 1.5), kimbledb.AppliedStep(B, 2.5)),
            (LOSS,),
            4.5,
            objects=(kimbledb.DatabaseObject("table", "gone"),),
            dependents=("b.sql",),
            handmade=(kimbledb.DatabaseObject("index", "by_hand"),),
        ),
        kimbledb.ResetReport("base", "tenant", (kimbledb.DatabaseObject("view", "gone"),), (LOSS,), 5.5),
        kimbledb.Status(
            "base",
            "tenant",
            "18.1",
            hosted=True,
            plan=PLAN,
            history=(NEWER,),
            extensions={"vector": ("0.8.1", "extensions")},
            log=(
                {"logged_at": "2026-01-02", "event": "failed", "migration_name": "a.sql", "error_message": "it broke"},
            ),
            tables=(kimbledb.TableUse("largest", 77, 8192, 3, 4, ("unused_index",)),),
            load=kimbledb.Load(5, 2, 1, 100, 6.5, 99.5),
            forecasts=kimbledb.PastForecasts(13, 12, 1.25),
        ),
        kimbledb.DeclareReport(
            (
                kimbledb.DeclaredMigration(
                    migration="a.sql",
                    state=kimbledb.DeclaredState.OUT_OF_STEP,
                    differences=("it drops table t, and they do not say so",),
                    creates=1,
                    changes=2,
                    drops=3,
                    renames=4,
                    seconds=5.5,
                    size=66,
                    file="01_a/declared.toml",
                ),
                kimbledb.DeclaredMigration(migration="b.sql", state=kimbledb.DeclaredState.IN_STEP),
            ),
            "18.1",
            ("bare", "hosted"),
            7.5,
            check=True,
            notes=("the other platform was not recorded",),
        ),
        kimbledb.CatalogReport(
            (
                kimbledb.CatalogCase(migration="a.sql", kind=kimbledb.Proof.APPLY, platform="bare"),
                kimbledb.CatalogCase(
                    migration="a.sql",
                    kind=kimbledb.Proof.COMPLETE,
                    platform="hosted",
                    detail="after apply.sql:3",
                    message="completed, it ends elsewhere:\n+ table b",
                    seconds=1.5,
                ),
                kimbledb.CatalogCase(
                    migration="a.sql", kind=kimbledb.Proof.ROWS, platform="bare", skipped="no table is there before it"
                ),
            ),
            "18.1",
            9.5,
            ("no migration is declared",),
        ),
        kimbledb.Rehearsal(
            plan=PLAN,
            statements=(
                kimbledb.RehearsedStatement(
                    migration="a.sql",
                    file="01_a/apply.sql",
                    line=3,
                    sql="ALTER TABLE orders ADD c text NOT NULL",
                    locks={"orders": "ACCESS EXCLUSIVE"},
                    rewrites=("orders",),
                    scans=("orders", "people"),
                    seconds=0.5,
                    forecast=kimbledb.Forecast(2.0, 6.0),
                    transaction=1,
                    will_fail="88 rows of orders (c) with NULL",
                ),
                kimbledb.RehearsedStatement(
                    migration="b.sql",
                    file="02_b/apply.sql",
                    sql="UPDATE people SET name = '***'",
                    locks={"people": "SHARE"},
                    seconds=0.25,
                    unknown="a block hides it",
                ),
            ),
            breaks=(kimbledb.BrokenQuery(query="SELECT name FROM people", migration="b.sql", reason="name is gone"),),
            queries=7,
            tables={
                "orders": kimbledb.RehearsedTable("orders", 4711, 8192),
                "people": kimbledb.RehearsedTable("people", None, None),
                "empty": kimbledb.RehearsedTable("empty", 0, 0, is_filled=False),
            },
            migrations=2,
            server="18.1",
            target_server="15.20",
            notes=("the clone lacks the extensions postgis",),
            seconds=8.5,
        ),
        kimbledb.ManyResult("host/one", "tenant", MIGRATED),
        kimbledb.ManyReport[Any](
            (
                kimbledb.ManyResult("host/one", "first", MIGRATED),
                kimbledb.ManyResult("host/two", "second", VERIFICATION),
                kimbledb.ManyResult("host/three", "third", error=ERROR),
            ),
            7.5,
        ),
        testing.IsolationReport(
            {"notes": 2},
            (testing.Breach("notes", "read", "one row"),),
            (testing.Breach("lines", "insert", "a loose row"),),
            {"odd": "no row can be made"},
            42,
            ("people", "nobody"),
        ),
    )
}
#: Keys of values that are there for programs: no reader of a text or a page wants them.
FOR_PROGRAMS = {
    "hazards",
    "history",
    "lsn",
    "needs",
    "no_rollback",
    "rollback",
    "rows",
    "tables",
    "title",
    "verification",
}
#: The same, for one class: what its caller named, what each result shows by itself, and the address of an error.
FOR_PROGRAMS_OF: dict[type, set[str]] = {
    kimbledb.DeclareReport: {"file"},
    kimbledb.Plan: {"schema", "fingerprint", "basis"},
    kimbledb.Rehearsal: {"file", "plan"},
    kimbledb.ManyReport: {"report", "url"},
}


def returned() -> set[type]:
    """The classes of values that the public functions return."""
    found = set()
    for module in (kimbledb, testing):
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function):
                hint = inspect.signature(function, eval_str=False).return_annotation
                names = re.findall(r"\w+", hint) if isinstance(hint, str) else []
                found |= {value for each in names if attrs.has(value := getattr(module, each, object))}
    return found


def leaves(value: object, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts in a value, each with the keys that lead to it; checks that passed are only counted."""
    if isinstance(value, Mapping):
        if value.get("passed") is True:
            return
        for key, each in value.items():
            yield from leaves(each, *path, key)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, *path)
    elif isinstance(value, str) and value:
        yield path, value


def words(text: str) -> str:
    """A text with one space between its words, and without colons: a list may put one where a value has none."""
    return " ".join(text.replace(":", " ").split())


def test_every_result_is_a_report() -> None:
    """What a public function returns gives its tables and its values, and there is a sample of it here."""
    found = returned()

    assert {kimbledb.Plan, kimbledb.ManyReport, kimbledb.Status, testing.IsolationReport} <= found
    assert not [each for each in found if not issubclass(each, Report)]
    assert found | {kimbledb.ManyResult} == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_values_are_json(kind: type) -> None:
    """The values of a report are JSON as they stand, and come back from it as they were."""
    values = SAMPLES[kind].as_dict()

    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_what_programs_get_people_see(kind: type) -> None:
    """Each text among a report's values stands in its text and in its HTML, but for what is for programs alone."""
    report = SAMPLES[kind]
    text = words(text_output.write(report.as_tables(), detail=True))
    page = words(html.unescape(re.sub("<style>.*?</style>|<[^>]*>", " ", report._repr_html_(), flags=re.DOTALL)))
    hidden = FOR_PROGRAMS | FOR_PROGRAMS_OF.get(kind, set())
    wanted = {value for path, value in leaves(report.as_dict()) if not hidden & set(path)}

    assert wanted
    assert not {value for value in wanted if words(value) not in text}
    assert not {value for value in wanted if words(value) not in page}


def test_the_errors_of_many_schemas_have_no_address_in_the_text() -> None:
    """A report of several errors shows none of their addresses, which its values hold."""
    error = kimbledb.ConfigurationError("no DSN", hint="name one")
    report: kimbledb.ManyReport[Any] = kimbledb.ManyReport((kimbledb.ManyResult("shop", "public", error=error),), 0.1)

    assert "name one" in str(report)
    assert "see:" not in str(report)
    assert report.results[0].as_dict()["error"] == {
        "error": "ConfigurationError",
        "message": "no DSN",
        "hint": "name one",
        "url": error.url,
    }


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_the_summary_comes_with_the_first_table(kind: type) -> None:
    """The summary is one line of what is printed."""
    report = SAMPLES[kind]

    assert report.as_tables()[0].caption == report.summary
    assert report.summary in str(report).splitlines()


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_a_page_is_well_formed(kind: type) -> None:
    """HTML has no open element and no name that is not escaped."""
    ET.fromstring(f"<div>{SAMPLES[kind]._repr_html_()}</div>")  # noqa: S314 - we wrote it


# Tables as text.


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    """Numbers end in one place, other cells begin in one, and a column without anything in it is not shown."""
    table = Table("two", (("9", "a", "", "x"), ("10", "bb", "", ("y", "z"))), ("#", "name", "held", "why"), ("odd",))

    assert text_output.write([table]).splitlines() == [
        "two",
        "   #  name  why",
        "   9  a     x",
        "  10  bb    y",
        "            z",
        "note: odd",
    ]


def test_what_has_no_room_beside_stands_below() -> None:
    """The last columns of a row that is too wide stand below it, with their names where there are several."""
    table = Table(
        "two",
        (("9", "a", "pending", "short"), ("10", "bb", "pending", "some words that are too long")),
        ("#", "name", "state", "why"),
    )

    assert text_output.write([table], width=34).splitlines() == [
        "two",
        "   #  name  state    why",
        "   9  a     pending  short",
        "  10  bb    pending",
        "      some words that are too long",
    ]
    assert text_output.write([table], width=24).splitlines() == [
        "two",
        "   #  name  state",
        "   9  a     pending",
        "      short",
        "  10  bb    pending",
        "      some words that",
        "        are too long",
    ]
    assert text_output.write([table], width=18).splitlines()[:6] == [
        "two",
        "   #  name",
        "   9  a",
        "      state:",
        "        pending",
        "      why: short",
    ]


@pytest.mark.parametrize("width", [20, 26, 30])
def test_one_long_name_takes_the_room_of_no_other_row(width: int) -> None:
    """A row whose name is longer than the others continues below: the others stay one line each."""
    names = ["ab", "cd", "ef", "a-very-long-name"]
    table = Table(
        "four", tuple((str(place), name, "pending") for place, name in enumerate(names)), ("#", "name", "state")
    )

    rows = text_output.write([table], width=width).splitlines()[2:]

    assert max(len(row) for row in rows) <= width
    assert len(rows) == {20: 9, 26: 5, 30: 4}[width]
    assert width == 20 or rows[0].split() == ["0", "ab", "pending"]


def test_a_long_name_is_broken_behind_a_sign() -> None:
    """A name that has no room on a line is broken where it has a sign, and not in a word."""
    table = Table("one", (("first_table-and-second_table.sql",),))

    assert text_output.write([table], width=20).splitlines()[1:] == ["  first_table-and-", "    second_table.sql"]


def test_a_long_table_has_its_verdict_at_both_ends() -> None:
    """A table of more rows than a screen has its caption again below; its remarks stand above."""
    steps = tuple(
        kimbledb.Step(migration(f"{number}.sql", number), kimbledb.StepState.PENDING, "") for number in range(30)
    )
    lines = str(kimbledb.Plan(steps, notes=("look here",))).splitlines()

    assert lines[0] == lines[-1] == "30 to apply; 30 pending"
    assert lines[1] == "note: look here"
    assert str(kimbledb.Plan(steps[:3])).count("3 to apply") == 1


def test_a_plan_leads_with_what_is_out_of_the_ordinary() -> None:
    """Steps that need a decision and hazards are named above the rows; a state's own words are not repeated as the reason."""
    steps = (
        kimbledb.Step(A, kimbledb.StepState.CONFLICTING, "column x is text"),
        kimbledb.Step(B, kimbledb.StepState.PENDING, "not applied yet", hazards=(HAZARD,)),
        kimbledb.Step(C, kimbledb.StepState.APPLIED, "applied 2026-05-01 09:30:00"),
    )
    lines = str(kimbledb.Plan(steps)).splitlines()

    assert lines[1:3] == ["note: conflicting: a.sql", "note: hazards: 1 index_build"]
    assert not [line for line in lines if "not applied yet" in line or "applied 2026" in line]


@pytest.mark.parametrize("width", [100, 80, 60, 40])
@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_every_report_fits_its_width(kind: type, width: int) -> None:
    """At any usual width each line fits, and no word of half a line is broken."""
    tables = SAMPLES[kind].as_tables()
    text = text_output.write(tables, detail=True, width=width)

    headers = {header for table in tables for header in table.headers}
    every = set(text_output.write(tables, detail=True).split()) - headers
    assert max(len(line) for line in text.splitlines()) <= width
    assert not [word for word in every if len(word) <= width / 2 and word not in text]


def test_a_plan_says_nothing_twice() -> None:
    """A remark that stands in the reason already has no line of its own."""
    step = kimbledb.Step(C, kimbledb.StepState.PENDING, "not asked for (not applied yet)", selected=False)

    assert "not asked for" not in [line.strip() for line in str(kimbledb.Plan((step,))).splitlines()]


def test_nothing_in_a_table_is_read_as_markdown() -> None:
    """Names and reasons stand as they are: no markup, no HTML, no further column, and nobody is called."""
    hostile = Table("a|b", (("x_y", ("<b>", "[1](2)", "@team")),), ("name", "why"), ("*note*",))

    assert markdown.write([hostile]).splitlines() == [
        "**a\\|b**",
        "",
        "| name | why |",
        "| --- | --- |",
        "| x\\_y | \\<b\\><br>\\[1\\](2)<br>@<!-- -->team |",
        "",
        "- \\*note\\*",
    ]


def test_the_sql_of_a_plan_is_that_of_its_pending_steps() -> None:
    """It names the pending steps with their remarks as comments, and nothing of the others."""
    completed = kimbledb.Completion(
        statements=("CREATE TABLE rest ()",), online=("CREATE INDEX i",), afterwards=("END",)
    )
    plan = kimbledb.Plan(
        (
            *PLAN.steps,
            kimbledb.Step(
                kimbledb.Migration(name="d.sql", number=4, apply_sql="THE SCRIPT"),
                kimbledb.StepState.PARTIAL,
                "a\nDROP TABLE b;",
                completion=completed,
            ),
        )
    )

    statements = [line for line in plan.sql().splitlines() if line and not line.startswith("--")]
    assert statements[-3:] == ["CREATE INDEX i;", "CREATE TABLE rest ();", "END;"]
    assert "b.sql: pending" in plan.sql()
    assert not [name for name in ("a.sql: ", "c.sql: ", "THE SCRIPT") if name in plan.sql()]


def test_detail_stands_before_the_verdict() -> None:
    """print() leaves detail out; where it is wanted it comes first."""
    tables = [Table("verdict"), Table("more", (("a",),), detail=True)]

    assert text_output.write(tables) == "verdict"
    assert text_output.write(tables, detail=True) == "more\n  a\nverdict"


def test_no_cell_adds_a_line() -> None:
    """Line breaks and what steers a terminal are spelt out in captions, cells and notes."""
    evil = "a\n\x1b[2Jb"
    text = text_output.write([Table(evil, ((evil, (evil, evil)),), notes=(evil,))])

    assert len(text.splitlines()) == 4
    assert "\x1b" not in text


def test_a_cure_of_several_lines_stands_under_its_first() -> None:
    """The lines of a cure begin in one column, so that it can be copied as a block."""
    check = Check("a.sql", "view v", passed=False, hint="CREATE VIEW v AS\nSELECT 1", file="a.sql", line=3)

    assert str(check).splitlines()[1:] == [
        "    at:       a.sql:3",
        "    hint:     CREATE VIEW v AS",
        "              SELECT 1",
    ]
