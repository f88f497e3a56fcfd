"""docs/reference/errors.md: each error with its meaning, causes, cure, attributes, exit code and an example."""

from __future__ import annotations

from kimbledb import errors
from kimbledb.cli.main import exit_code_of
from kimbledb.errors import KimbleDBError
from kimbledb.execution import cures
from kimbledb.server.drivers.asyncpg import condition
from tools.reference import examples, sources


def classes() -> dict[str, type[KimbleDBError]]:
    """Return the errors by their names, in the order of the tree."""
    return {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, KimbleDBError)
    }


def page() -> str:
    """Return the text of the page."""
    tree = (errors.__doc__ or "").partition("::\n")[2].partition("\n``str(")[0]
    lines = sources.head(
        "Errors",
        "For the reader of an error message, and for programs that catch errors: meaning, causes and cure of each class.",
    )
    lines += [
        "`except kimbledb.KimbleDBError` catches all of them. The text of an error names the subject, the place and the",
        "cause; `hint:` is the cure; `see:` is the address of a section of this page:",
        "",
        "```text",
        str(examples.EXAMPLES["DependentsError"]()),
        "```",
        "",
        "Each error has the attributes `message`, `hint`, `url`, and `text`, which is the text without the address. No",
        "message holds a password or a value of a row.",
        "",
        "## The tree",
        "",
        "```text",
        *(line.removeprefix("    ").rstrip() for line in tree.strip("\n").splitlines() if line.strip()),
        "```",
        "",
    ]
    for name, kind in classes().items():
        lines += _section(name, kind)
    return "\n".join([*lines, *_sqlstates()])


def _section(name: str, kind: type[KimbleDBError]) -> list[str]:
    text, sections = sources.docstring(kind)
    lines = [f"## {name}", ""]
    for paragraph in sources.paragraphs(text):
        lines += [sources.prose(paragraph), ""]
    parents = [f"`{each.__name__}`" for each in kind.__mro__[1:] if issubclass(each, KimbleDBError)]
    under = f"It is also a {sources.prose(' and a '.join(parents))}. " if parents else ""
    code = exit_code_of(kind).value
    lines += [f"{under}Exit code: [{code}](exit-codes.md#exit-code-{code}).", ""]
    if name in examples.EXAMPLES:
        lines += ["```text", examples.EXAMPLES[name]().text, "```", ""]
    lines += ["Causes:", "", *(f"- {sources.prose(each)}" for each in sources.lines_of(sections["Causes"])), ""]
    cure = sources.lines_of(sections["Cure"])
    lines += ["Cure:", "", *(f"{place}. {sources.prose(each)}" for place, each in enumerate(cure, 1)), ""]
    if name == "MigrationError":
        lines += ["See also the [cures by SQLSTATE](#cures-by-sqlstate).", ""]
    if attributes := sources.items(sections.get("Attributes", "")):
        lines += ["Attributes:", ""]
        lines += [f"- `{each}`: {sources.prose(meaning)}" for each, meaning in attributes.items()]
        lines.append("")
    return lines


def _sqlstates() -> list[str]:
    lines = [
        "## Cures by SQLSTATE",
        "",
        "A [`MigrationError`](#migrationerror) and a [`RollbackError`](#rollbackerror) from SQL carry PostgreSQL's error code",
        "in `sqlstate` ([manual, appendix A](https://www.postgresql.org/docs/18/errcodes-appendix.html)). If the server",
        "gives no hint of its own, the hint is one of these; some errors have a closer one, by the function of the server",
        "that raised them.",
        "",
    ]
    for sqlstate, cure in sorted(cures.BY_SQLSTATE.items()):
        if not sqlstate.startswith("KD"):
            lines.append(f"- `{sqlstate}`, {condition(sqlstate)}: {cure}")
    return [*lines, ""]
