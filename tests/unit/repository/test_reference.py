"""The API reference holds every public thing with its meaning, and its links lead somewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import griffe
import pytest

import kimbledb
from kimbledb import events, otel, testing
from kimbledb.model.hazard import HAZARDS
from tools.reference import api, facts, package, prose
from tools.reference.prose import Links

PAGES = Path(__file__).parents[3] / "docs" / "reference"
#: The text of each page, by its path from docs/reference.
TEXTS = {str(file.relative_to(PAGES)): file.read_text("utf-8") for file in sorted(PAGES.rglob("api/*.md"))}
#: The public things, by their names in the reference.
PUBLIC: dict[str, Any] = {
    **{f"kimbledb.{name}": getattr(kimbledb, name) for name in kimbledb.__all__},
    **{
        f"kimbledb.events.{name}": value
        for name, value in vars(events).items()
        if inspect.isclass(value) and value.__module__ == events.__name__ and not name.startswith("_")
    },
    **{f"kimbledb.testing.{name}": getattr(testing, name) for name in testing.__all__},
    **{f"kimbledb.otel.{name}": getattr(otel, name) for name in otel.__all__},
}


def anchors_of(name: str, thing: Any) -> Iterator[str]:
    """Give the anchors that the reference must have for a thing: its own, and those of its members and arguments."""
    yield name
    if inspect.isclass(thing):
        members = {member for member in vars(thing) if not member.startswith("_")}
        if attrs.has(thing):
            members |= {each.name for each in attrs.fields(thing) if not each.name.startswith("_")}
        for member in members - set(vars(events.Event)):
            yield from anchors_of(f"{name}.{member}", vars(thing).get(member))
    elif inspect.isfunction(function := getattr(thing, "__func__", thing)):  # of a class method
        given = inspect.signature(function).parameters
        yield from (f"{name}.{each}" for each in given if each not in ("self", "cls") and not each.startswith("_"))


def links_of() -> Links:
    """The links of a page that knows the whole reference."""
    return Links("functions", api.addresses())


def thing(source: str) -> griffe.Object:
    """The only thing that a source defines."""
    module = griffe.visit("shop", Path("shop.py"), source, docstring_parser="google")
    [found] = [each for each in module.members.values() if not each.is_alias]
    assert isinstance(found, griffe.Object)
    return found


def test_each_public_thing_is_in_the_reference() -> None:
    """Each public name, argument, field and member that Python sees at run time has its anchor."""
    anchors = set(re.findall(r'<a id="([^"]+)">', "".join(TEXTS.values())))
    wanted = {anchor for name, value in PUBLIC.items() for anchor in anchors_of(name, value)}

    assert wanted - anchors == set()


def test_each_anchor_stands_once() -> None:
    """No two things of the reference have one anchor."""
    anchors = re.findall(r'<a id="([^"]+)">', "".join(TEXTS.values()))

    assert sorted(set(anchors)) == sorted(anchors)


def test_each_link_of_the_reference_leads_to_an_anchor() -> None:
    """A type, an error or a name in a text leads to a place that is there."""
    lost = []
    for page, text in TEXTS.items():
        for target, anchor in re.findall(r"\]\(([\w-]*(?:\.md)?)#([^)]+)\)", text):
            if f'<a id="{anchor}">' not in TEXTS[f"api/{target}" if target else page]:
                lost.append(f"{page}: {target}#{anchor}")

    assert lost == []


def test_each_kind_of_hazard_is_named() -> None:
    """The reference names each value that a hazard's name can have, and that the options take."""
    assert [name for name in HAZARDS if f"`{name}`" not in TEXTS["api/planning.md"]] == []


def test_what_has_no_text_is_a_fault() -> None:
    """An argument without a meaning, and a meaning without its argument, keep the reference from being written."""
    links = links_of()
    function = thing('def pay(sum: int) -> None:\n    """Pay.\n\n    Args:\n        total: How much.\n    """\n')
    assert isinstance(function, griffe.Function)

    api.function_parts("shop.pay", function, links)

    assert links.faults == [
        "shop.pay: its docstring describes an argument total, which it lacks",
        "shop.pay.sum has no text: write its docstring, or a comment `#:` above it",
    ]


def test_a_field_needs_a_type_and_a_text() -> None:
    """A field that the class describes nowhere, or does not type, keeps the reference from being written."""
    links = links_of()
    order = thing('class Order:\n    """An order."""\n\n    total = 3\n')
    assert isinstance(order, griffe.Class)

    api.class_parts("shop.Order", order, links)

    assert links.faults == [
        "shop.Order.total has no text: write its docstring, or a comment `#:` above it",
        "shop.Order.total has no type: write one in its class",
    ]


def test_a_page_with_faults_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """All faults of a page are raised together."""
    monkeypatch.setattr(facts, "docstring_of", lambda *_: facts.Docstring())

    with pytest.raises(ValueError, match=r"(?s)kimbledb\.Options has no text.*kimbledb\.TargetLike has no text"):
        api.page("options")


def test_a_warning_of_griffe_is_an_error() -> None:
    """A docstring that griffe cannot read stops the writing, with griffe's own words."""
    pay = thing('def pay() -> None:\n    """Pay.\n\n    Raises:\n        because it can\n    """\n')

    message = r"griffe cannot read these docstrings:\nshop\.py:5: Failed to get"
    with pytest.raises(ValueError, match=message), package.warnings_are_errors():
        facts.docstring_of(pay)


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("A ``Plan``", "A [`Plan`](planning.md#kimbledb.Plan)"),
        ("``kimbledb.events.Done``", "[`kimbledb.events.Done`](events.md#kimbledb.events.Done)"),
        ("``Plan.pending``", "[`Plan.pending`](planning.md#kimbledb.Plan.pending)"),
        ("``plan()``, ``plan``", "[`plan()`](#kimbledb.plan), `plan`"),
        ("``migrate(plan=...)``", "[`migrate(plan=...)`](#kimbledb.migrate)"),
        ("`kimbledb plan --json`", "`kimbledb plan --json`"),
        ("a*b [c] <d> e_f _g", r"a\*b \[c\] \<d> e_f \_g"),
        ("(https://kimble.example/a_b/).", "(<https://kimble.example/a_b/>)."),
        ("Such as\n\n::\n\n    a = 1\n\nThen", "Such as\n\n```python\na = 1\n```\n\nThen"),
        ("The tree\n\n::\n\n    A\n    └── B", "The tree\n\n```text\nA\n└── B\n```"),
    ],
)
def test_a_docstring_becomes_markdown(docstring: str, markdown: str) -> None:
    """Code has single backticks, a public name is a link, an argument's name is none, and nothing else is mark-up."""
    assert prose.text(docstring, links_of()) == markdown


def test_a_method_is_found_in_its_class_first() -> None:
    """In the text of a class, a method is named without the class."""
    helper = links_of().within("kimbledb.Executor")

    assert prose.inline("``plan()``", helper) == "[`plan()`](helpers.md#kimbledb.Executor.plan)"


def test_a_name_that_is_gone_is_a_fault() -> None:
    """A docstring that names a member which its class lacks keeps the reference from being written."""
    links = links_of()

    prose.inline("``Plan.pnding``", links)

    assert links.faults == ["functions: a docstring names Plan.pnding, which is no public member"]
