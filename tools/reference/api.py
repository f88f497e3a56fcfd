"""The API reference: each public name with its arguments, fields and members, one page a chapter.

griffe reads the sources, and nothing is imported for them. An argument, field or member without a text is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import griffe

from tools.reference import facts, package, prose
from tools.reference.chapters import CHAPTERS
from tools.reference.facts import Argument, Docstring
from tools.reference.package import Thing
from tools.reference.prose import Links

MARK = "<!-- Written by `nox -s order` from the docstrings: do not edit. -->"
#: Classes with generated constructors that callers use.
CONSTRUCTED = (
    *("kimbledb.Options", "kimbledb.AppliedMigration", "kimbledb.Evidence", "kimbledb.Finding"),
    *("kimbledb.DatabaseObject", "kimbledb.Extension"),
)
#: Sections of the docstrings of errors that the page of errors shows.
ELSEWHERE = ("Causes", "Cure")
#: The pages of the reference that are not about names of Python, each with its subject.
BESIDE = {
    "[Commands](commands.md)": "each command with its arguments, its options and an example",
    "[Settings](settings.md)": "the keys of pyproject.toml, the options of a call, and which of them wins",
    "[Environment variables](environment.md)": "each variable that kimbledb reads",
    "[Exit codes](exit-codes.md)": "what each code means, and what a script should do",
    "[Events](events.md)": "when each event is sent, and the fields of its log record",
    "[Errors](errors.md)": "for each error its causes, its cure and an example",
    "[Notes of a plan](plan-notes.md)": "each note below a step, and the rules by which columns are converted",
    "[File formats](../format.md)": "the folder of migrations, file by file and key by key",
    "[The built-in schema](../schema.md) and [its migrations](../migration-order.md)": "the 35 migrations, and what they make",
}
#: The longest signature that stands on one line.
WIDTH = 76
#: Decorators that a caller must know.
DECORATORS = ("asynccontextmanager", "classmethod", "contextmanager", "staticmethod")


def page(name: str) -> str:
    """Return the text of a page of docs/reference/api.

    Raises:
        ValueError: A docstring is missing, or says what is not so.
    """
    chapter, links = CHAPTERS[name], Links(name, addresses())
    parts = [MARK, f"# {chapter.title}", chapter.purpose]
    with package.warnings_are_errors():
        if chapter.module is not None:
            text = facts.docstring_of(package.find(chapter.module)).text
            parts.append(prose.text(text.partition("\n\n")[2], links))
        for public, path in package.public()[name].items():
            parts += _entry(public, package.thing(path), links)
        if name == "types":
            parts.append("\n".join(_type_beside(path, links) for path in types_beside()))
    return _joined(parts, links)


def index() -> str:
    """Return the list of all public names, for docs/reference/index.md."""
    links = Links("", {path: (f"api/{name}", anchor) for path, (name, anchor) in addresses().items()})
    parts = [
        MARK,
        "# Reference",
        "For all who look something up: the pages of the reference, then each public name in one line.",
    ]
    parts.append("\n".join(f"- {page}: {subject}" for page, subject in BESIDE.items()))
    with package.warnings_are_errors():
        for name, chapter in CHAPTERS.items():
            entries = [
                f"- [`{title(public, package.thing(path))}`]({links.address(public)}): {_summary(package.thing(path), links)}"
                for public, path in package.public()[name].items()
            ]
            parts += [f"## [{chapter.title}](api/{name}.md)", chapter.purpose, "\n".join(entries)]
    return _joined(parts, links)


def _joined(parts: list[str], links: Links) -> str:
    if links.faults:
        raise ValueError("the sources do not say what the reference shows:\n" + "\n".join(links.faults))
    return "\n\n".join(part for part in parts if part) + "\n"


@cache
def addresses() -> dict[str, tuple[str, str]]:
    """Return for each public name and member, and for each path of the sources, its page and its anchor."""
    found = {}
    for name, things in package.public().items():
        for public, path in things.items():
            each = package.thing(path)
            found[public] = found[path] = (name, public)
            if isinstance(each, griffe.Class):
                for member in facts.own_members(each):
                    found[f"{public}.{member}"] = found[f"{path}.{member}"] = (name, f"{public}.{member}")
    return found | {path: ("types", path) for path in _types_beside(frozenset(found))}


def types_beside() -> list[str]:
    """Return the paths of the types that signatures name and that are not public, by their names."""
    return sorted((path for path, (name, _) in addresses().items() if name == "types"), key=_last)


def _types_beside(known: frozenset[str]) -> set[str]:
    found: set[str] = set()
    left = [package.thing(path) for things in package.public().values() for path in things.values()]
    while left:
        for annotation in facts.named_in(left.pop()):
            for each in annotation.iterate(flat=True) if isinstance(annotation, griffe.Expr) else ():
                path = each.canonical_path if isinstance(each, griffe.ExprName) else ""
                if path.startswith("kimbledb.") and path not in known | found:
                    other = package.find(path)
                    if isinstance(other, griffe.Attribute):
                        left.append(other)
                    if not isinstance(other, griffe.Module):
                        found.add(path)
    return found


def _type_beside(path: str, links: Links) -> str:
    other = package.thing(path)
    meaning = _text(path, facts.docstring_of(other).text, links)
    if isinstance(other, griffe.Attribute):
        same = prose.type_of(other.value, links)
    else:
        same = f"a class of `{path.rpartition('.')[0]}`"
    return f"- {_anchor(path)}`{_last(path)}`: {same}. {prose.item(meaning, links)}"


def title(public: str, thing: Thing) -> str:
    """Return the name under which a thing stands on its page."""
    name = public.removeprefix("kimbledb.")
    return f"{name}()" if isinstance(thing, griffe.Function) and not _is_fixture(thing) else name


def _entry(public: str, thing: Thing, links: Links) -> list[str]:
    """Return the part of a page that is about a public name."""
    head = [_anchor(public), *([_anchor(thing.path)] if thing.path.startswith("kimbledb.events.") else [])]
    # The site's search ranks exact titles first: for an error, that is its section with causes and cure on another page.
    mark = "class " if thing.path.startswith("kimbledb.errors.") else ""
    parts = ["".join(dict.fromkeys(head)), f"## {mark}{title(public, thing)}"]
    if isinstance(thing, griffe.Class):
        return [*parts, *class_parts(public, thing, links.within(public))]
    if isinstance(thing, griffe.Function):
        return [*parts, *function_parts(public, thing, links)]
    meaning = prose.text(_text(public, facts.docstring_of(thing).text, links), links)
    return [*parts, meaning, f"**Type:** {prose.type_of(thing.value, links)}"]


def class_parts(public: str, of: griffe.Class, links: Links) -> list[str]:
    """Return what a page says of a class, its members included, and note what its sources lack."""
    docstring = facts.docstring_of(of, ELSEWHERE)
    own = facts.own_members(of)
    parts = [_class_signature(public, of), _bases(of, links), prose.text(_text(public, docstring.text, links), links)]
    init = facts.constructor(of)
    if init is not None:
        made = facts.docstring_of(init)
        # The docstring of the constructor, or else that of the class, describes the arguments.
        described = made if made.arguments else docstring
        parts += [_arguments(f"{public}.__init__", facts.arguments_of(init), described.arguments, links)]
        parts += [_raises(described, links)]
    parts.append(_elsewhere(of))
    if facts.is_enum(of):
        return [*parts, _list("Members", [_value(public, name, each, links) for name, each in own.items()])]
    attributes = {name: each for name, each in own.items() if isinstance(each, griffe.Attribute)}
    for name in [each for each in docstring.attributes if each not in attributes]:
        # An attribute of a base may mean more here.
        if (base := facts.inherited(of, name)) is not None:
            attributes[name] = base
        else:
            links.faults.append(f"{public}: its docstring describes an attribute {name}, which it lacks")
    shows_default = public in CONSTRUCTED
    entries = [
        _attribute(f"{public}.{name}", each, docstring.attributes.get(name, ""), links, shows_default=shows_default)
        for name, each in attributes.items()
    ]
    parts.append(_list("Attributes", entries))
    for name, each in own.items():
        if isinstance(each, griffe.Function):
            shown = f"`{_last(public)}.{name}()`" if name.startswith("__") else f"{_last(public)}.{name}()"
            parts += [_anchor(f"{public}.{name}"), f"### {shown}", *function_parts(f"{public}.{name}", each, links)]
    return parts


def function_parts(public: str, of: griffe.Function, links: Links) -> list[str]:
    """Return what a page says of a function, and note what its sources lack."""
    docstring = facts.docstring_of(of)
    meaning = prose.text(_text(public, docstring.text, links), links)
    if _is_fixture(of):
        given = of.returns
        if isinstance(given, griffe.ExprSubscript) and str(given.left).endswith("Iterator"):
            given = given.slice  # a test gets what the generator yields
        return [meaning, f"**Type:** {prose.type_of(given, links)}"]
    decorators = [str(each.value).rpartition(".")[2] for each in of.decorators]
    marks = [f"@{each}" for each in decorators if each in DECORATORS]
    arguments = facts.arguments_of(of)
    head = f"{'async ' if 'async' in of.labels else ''}def {of.name}"
    own = next((each.name for each in of.parameters if each.name in ("self", "cls")), "")
    signature = _signature(head, arguments, f" -> {facts.formatted(of.returns or 'None')}", own=own)
    result = ""
    if str(of.returns) != "None":
        word = (
            "Yields"
            if of.docstring is not None and any(mark.endswith("contextmanager") for mark in marks)
            else "Returns"
        )
        shown = prose.type_of(of.returns, links)
        result = f"**{word}:** {shown}" + (f". {prose.item(docstring.result, links)}" if docstring.result else "")
    return [
        _fence([*marks, *signature]),
        meaning,
        _arguments(public, arguments, docstring.arguments, links),
        result,
        _raises(docstring, links),
    ]


def _class_signature(public: str, of: griffe.Class) -> str:
    bases = ", ".join(str(base) for base in of.bases if facts.is_shown(base))
    head = f"class {of.name}" + (f"({bases})" if bases else "")
    init = facts.constructor(of)
    if init is None and public not in CONSTRUCTED:
        return _fence([f"{head}: ..."])
    arguments = facts.fields_of(of) if init is None else facts.arguments_of(init)
    if not arguments:
        return _fence([f"{head}: ..."])
    return _fence([f"{head}:", *_signature("def __init__", arguments, " -> None", own="self", indent="    ")])


def _bases(of: griffe.Class, links: Links) -> str:
    shown = [prose.type_of(base, links) for base in of.bases if facts.is_shown(base) and links.address(_path(base))]
    return f"**Base:** {', '.join(shown)}" if shown else ""


def _elsewhere(of: griffe.Class) -> str:
    """Return the reference to the page that has more about an error or an event."""
    if of.path.startswith("kimbledb.errors."):
        return f"[Causes, cure and an example](../errors.md#{of.name.lower()})"
    name = of.members.get("name")
    if of.path.startswith("kimbledb.events.") and isinstance(name, griffe.Attribute) and name.annotation is None:
        return f"[When it is sent, and its log record](../events.md#{str(name.value)[1:-1]})"
    return ""


def _path(annotation: griffe.Expr | str) -> str:
    return annotation.canonical_path if isinstance(annotation, griffe.Expr) else annotation


def _attribute(path: str, of: griffe.Attribute, described: str, links: Links, *, shows_default: bool) -> str:
    meaning = _text(path, described or facts.docstring_of(of).text, links)
    if of.annotation is None:
        links.faults.append(f"{path} has no type: write one in its class")
    default = facts.default_of(of) if shows_default else None
    return _item(path, of.name, of.annotation, default, meaning, links)


def _value(public: str, name: str, of: Thing, links: Links) -> str:
    """Return the item of a member of an enumeration."""
    if not isinstance(of, griffe.Attribute):
        links.faults.append(f"{public}.{name} is no value: the page has no place for it")
        return ""
    meaning = prose.item(_text(f"{public}.{name}", facts.docstring_of(of).text, links), links)
    return f"- {_anchor(f'{public}.{name}')}`{name}` = `{of.value}`. {meaning}"


def _arguments(path: str, arguments: list[Argument], described: Mapping[str, str], links: Links) -> str:
    names = [each.name for each in arguments]
    for name in described:
        if name not in names:
            links.faults.append(f"{path}: its docstring describes an argument {name}, which it lacks")
    entries = []
    for each in arguments:
        anchor = f"{path}.{each.name}"
        meaning = _text(anchor, described.get(each.name, ""), links)
        entries.append(_item(anchor, f"{each.stars}{each.name}", each.annotation, each.default, meaning, links))
    return _list("Arguments", entries)


def _item(path: str, name: str, annotation: facts.Annotation, default: str | None, meaning: str, links: Links) -> str:
    given = "" if default is None else f", default `{default}`"
    return f"- {_anchor(path)}`{name}`: {prose.type_of(annotation, links)}{given}. {prose.item(meaning, links)}"


def _raises(docstring: Docstring, links: Links) -> str:
    entries = []
    for name, annotation, reason in docstring.raises:
        address = links.address(_path(annotation or name))
        shown = f"[`{name}`]({address})" if address else f"`{name}`"
        entries.append(f"- {shown}: {prose.item(reason, links)}")
    return _list("Raises", entries)


def _list(head: str, entries: Iterable[str]) -> str:
    lines = "\n".join(entries)
    return f"**{head}**\n\n{lines}" if lines else ""


def _signature(head: str, arguments: list[Argument], tail: str, *, own: str = "", indent: str = "") -> list[str]:
    """Return the lines of a signature, as a stub has it, with one argument a line where it is long."""
    parts = [own] if own else []
    for each in arguments:
        if each.keyword_only and "*" not in parts and not any(other.stars == "*" for other in arguments):
            parts.append("*")
        parts.append(str(each))
    line = f"{indent}{head}({', '.join(parts)}){tail}: ..."
    if len(line) <= WIDTH:
        return [line]
    return [f"{indent}{head}(", *(f"{indent}    {part}," for part in parts), f"{indent}){tail}: ..."]


def _fence(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```"])


def _summary(thing: Thing, links: Links) -> str:
    """Return the first sentence of a docstring."""
    paragraph = _text(thing.path, facts.docstring_of(thing, ELSEWHERE).text, links).partition("\n\n")[0]
    first = " ".join(paragraph.split()).partition(". ")[0].rstrip(".:")
    return prose.inline(f"{first}.", links)


def _text(path: str, found: str, links: Links) -> str:
    """Return the text of a thing. That there is none is a fault."""
    if not found.strip():
        links.faults.append(f"{path} has no text: write its docstring, or a comment `#:` above it")
    return found


def _is_fixture(of: griffe.Function) -> bool:
    return of.path.startswith(f"{package.FIXTURES}.")


def _anchor(path: str) -> str:
    return f'<a id="{path}"></a>'


def _last(path: str) -> str:
    return path.rpartition(".")[2]
