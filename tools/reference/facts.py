"""The facts of a public thing, as griffe gives them: its arguments, its members, and the parts of its docstring."""

from __future__ import annotations

from collections.abc import Iterator

import griffe
from attrs import field, frozen

import kimbledb
from tools.reference.package import Thing, find

Annotation = griffe.Expr | str | None


@frozen
class Argument:
    """An argument of a function or of a constructor."""

    name: str
    annotation: Annotation
    #: The default as Python writes it, or None.
    default: str | None = None
    #: ``*`` or ``**``, or nothing.
    stars: str = ""
    keyword_only: bool = False

    def __str__(self) -> str:
        given = f"{self.stars}{self.name}" + (f": {formatted(self.annotation)}" if self.annotation is not None else "")
        return given if self.default is None else f"{given} = {self.default}"


@frozen
class Docstring:
    """A docstring in its parts."""

    #: The text before the sections.
    text: str = ""
    arguments: dict[str, str] = field(factory=dict)
    attributes: dict[str, str] = field(factory=dict)
    #: The meaning of what is returned, or yielded.
    result: str = ""
    #: Each error with the reason.
    raises: list[tuple[str, Annotation, str]] = field(factory=list)


def docstring_of(thing: griffe.Object, skipped: tuple[str, ...] = ()) -> Docstring:
    """Return the docstring of a thing in its parts.

    Args:
        thing: The thing.
        skipped: The titles of sections that belong to other pages.

    Raises:
        ValueError: It has a section of another kind.
    """
    found = Docstring()
    if thing.docstring is None:
        return found
    texts, result = [], ""
    for section in thing.docstring.parsed:
        if isinstance(section, griffe.DocstringSectionText):
            texts.append(section.value)
        elif isinstance(section, griffe.DocstringSectionParameters | griffe.DocstringSectionOtherParameters):
            found.arguments.update((each.name.lstrip("*"), each.description) for each in section.value)
        elif isinstance(section, griffe.DocstringSectionAttributes):
            found.attributes.update((each.name, each.description) for each in section.value)
        elif isinstance(section, griffe.DocstringSectionReturns | griffe.DocstringSectionYields):
            result = "\n".join(each.description for each in section.value)
        elif isinstance(section, griffe.DocstringSectionRaises):
            found.raises.extend((str(each.annotation), each.annotation, each.description) for each in section.value)
        elif section.title not in skipped:
            raise ValueError(f"{thing.path}: its docstring has a section that no page shows: {section.title}")
    return Docstring("\n\n".join(texts), found.arguments, found.attributes, result, found.raises)


def arguments_of(function: griffe.Function) -> list[Argument]:
    """Return the arguments of a function, without ``self``, ``cls`` and those whose names begin with ``_``."""
    kinds = griffe.ParameterKind
    stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}
    return [
        Argument(
            each.name,
            each.annotation,
            None if each.default is None or each.kind in stars else written(each.default),
            stars.get(each.kind or kinds.positional_or_keyword, ""),
            each.kind is kinds.keyword_only,
        )
        for each in function.parameters
        if each.name not in ("self", "cls") and not each.name.lstrip("*").startswith("_")
    ]


def fields_of(of: griffe.Class) -> list[Argument]:
    """Return the arguments of the constructor that attrs makes: the public fields, with their defaults."""
    keyword_only = any("kw_only=True" in str(each.value) for each in of.decorators)
    return [
        Argument(name, each.annotation, default_of(each), keyword_only=keyword_only)
        for name, each in own_members(of).items()
        if isinstance(each, griffe.Attribute) and "property" not in each.labels and each.annotation is not None
    ]


def default_of(of: griffe.Attribute) -> str | None:
    """Return the default of a field of an attrs class as Python writes it, or None."""
    value = of.value
    if not (isinstance(value, griffe.ExprCall) and str(value.function) == "field"):
        return None if value is None else written(value)
    given = {each.name: each.value for each in value.arguments if isinstance(each, griffe.ExprKeyword)}
    if "factory" in given:
        return f"{given['factory']}()"
    return written(given["default"]) if "default" in given else None


def written(value: griffe.Expr | str) -> str:
    """Return a default as a formatter of Python writes it: for a constant of the package its value."""
    if isinstance(value, griffe.ExprName) and value.canonical_path.startswith("kimbledb."):
        try:
            constant = find(value.canonical_path)
        except KeyError:
            return str(value)
        if isinstance(constant, griffe.Attribute) and constant.value is not None:
            value = constant.value
    return formatted(value)


def formatted(code: griffe.Expr | str) -> str:
    """Return code with the quotation marks of a formatter of Python."""
    text = str(code)
    return text if '"' in text else text.replace("'", '"')


def own_members(of: griffe.Class) -> dict[str, Thing]:
    """Return the public members of a class, those of its private bases among them, in the order of the sources.

    Special methods are public where they have a docstring. A value that a class gives to a member of its base has
    its meaning there.
    """
    found: dict[str, Thing] = {}
    for each in (*reversed([base for base in of.mro() if not _is_public(base)]), of):
        for name, member in each.members.items():
            if isinstance(member, griffe.Alias) or not isinstance(
                member, griffe.Class | griffe.Function | griffe.Attribute
            ):
                continue
            is_special = name.startswith("__") and name != "__init__" and member.has_docstring
            is_value = isinstance(member, griffe.Attribute) and member.annotation is None and _is_inherited(name, of)
            if is_special or not (name.startswith("_") or is_value):
                found[name] = member
    return found


def _is_public(of: griffe.Class) -> bool:
    return of.name in kimbledb.__all__ or of.path.startswith("kimbledb.events.")


def is_shown(base: griffe.Expr | str) -> bool:
    """Return whether a reader needs to know a base: not one whose members are shown as those of the class."""
    path = base.canonical_path if isinstance(base, griffe.Expr) else base
    return (
        not path.startswith("kimbledb.")
        or path.rpartition(".")[2] in kimbledb.__all__
        or path.startswith("kimbledb.events.")
    )


def _is_inherited(name: str, of: griffe.Class) -> bool:
    return any(name in base.members for base in of.mro() if _is_public(base))


def inherited(of: griffe.Class, name: str) -> griffe.Attribute | None:
    """Return the attribute of a base that a class has, or None."""
    found = (base.members.get(name) for base in of.mro())
    return next((each for each in found if isinstance(each, griffe.Attribute)), None)


def is_enum(of: griffe.Class) -> bool:
    """Return whether a class is an enumeration."""
    return any(str(base).endswith("Enum") for base in of.bases)


def named_in(of: Thing) -> Iterator[Annotation]:
    """Yield each type that the reference shows of a thing, its members included."""
    if isinstance(of, griffe.Class):
        if (init := constructor(of)) is not None:
            yield from (each.annotation for each in arguments_of(init))
        for member in own_members(of).values():
            yield from named_in(member)
    elif isinstance(of, griffe.Function):
        yield from (*(each.annotation for each in arguments_of(of)), of.returns)
    else:
        yield of.annotation
        if is_alias(of) and isinstance(of.value, griffe.Expr):
            yield of.value


def is_alias(of: griffe.Attribute) -> bool:
    """Return whether a value is a type under another name."""
    return "module-attribute" in of.labels


def constructor(of: griffe.Class) -> griffe.Function | None:
    """Return the constructor of a class that callers make, or None for a class with a generated one, and for an error."""
    if any(base.path == "kimbledb.errors.KimbleDBError" for base in (of, *of.mro())):
        return None
    for each in (of, *of.mro()):
        init = each.members.get("__init__")
        if isinstance(init, griffe.Function):
            return init
    return None
