"""docs/reference/commands.md: each command with its arguments and options, from the parsers of the command line."""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from attrs import frozen

from kimbledb import operations
from kimbledb.cli.arguments import groups
from kimbledb.cli.main import parser_of
from tools.reference import sources

#: The width of a synopsis.
_WIDTH = 78


@frozen
class Option:
    """An argument or option of a command. Written by ourselves, since versions of Python write it differently."""

    #: Its names: none for an argument.
    names: tuple[str, ...]
    #: The name of its value, or nothing for an option without one.
    value: str
    help: str
    required: bool

    @property
    def written(self) -> str:
        """The option with the name of its value, such as ``-o``, ``--output FILE``; or the name of the argument."""
        return " ".join(filter(None, (", ".join(self.names), self.value)))

    @property
    def sentence(self) -> str:
        """Its help as a sentence."""
        return _with_code(f"{self.help[:1].upper()}{self.help[1:]}.")

    @property
    def in_the_synopsis(self) -> str:
        """The option as the synopsis shows it, in which a part has no space at which a line could end."""
        shown = " ".join(filter(None, (self.names[-1] if self.names else "", self.value)))
        return (shown if self.required else f"[{shown}]").replace(" ", "\0")


def page() -> str:
    """Return the text of the page."""
    commands = {name: list(_options(parser)) for name, parser in _parsers().items()}
    common = list(_options(groups()["database"]))
    with_common = [name for name, options in commands.items() if set(common) <= set(options)]
    lines = sources.head(
        "Commands",
        "For users of the command line: each command with its arguments and options, as `kimbledb COMMAND --help` shows them.",
    )
    lines += [f"- [`kimbledb {name}`](#kimbledb-{name}): {_purpose(name)[0]}" for name in commands]
    lines += [
        "",
        "`kimbledb --version` prints the version; `kimbledb --completion bash` (or `zsh`, `fish`) prints the script that",
        "completes commands and options in that shell. [Settings](settings.md) can stand in pyproject.toml, and a DSN in the",
        "[environment](environment.md).",
        "",
        "The [exit code](exit-codes.md) is 0 where all is done, 1 where something was refused or failed, 2 where the call is",
        "wrong, and 130 or 143 where a signal stopped the command. Further meanings of a code stand with the command.",
        "",
        "## Common options",
        "",
        f"{', '.join(f'`{each}`' for each in with_common[:-1])} and `{with_common[-1]}` take these options.",
        "",
    ]
    for option in common:
        lines += [f"### {option.names[-1]}", "", f"`{option.written}`: {option.sentence}", ""]
    for name, options in commands.items():
        lines += _section(name, options, common if name in with_common else [])
    return "\n".join(lines)


def _section(name: str, options: list[Option], common: list[Option]) -> list[str]:
    first, *others = _purpose(name)
    own = [option for option in options if option not in common]
    parts = [each.in_the_synopsis for each in sorted(own, key=lambda option: not option.names)]
    synopsis = " ".join(["kimbledb", name, *(["[common\0options]"] if common else []), *parts])
    wrapped = textwrap.wrap(synopsis, _WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    lines = [f"## kimbledb {name}", "", first, ""]
    for paragraph in others:
        lines += [_with_code(paragraph), ""]
    lines += ["```text", *(line.replace("\0", " ") for line in wrapped), "```", ""]
    lines += ["Example:", "", "```sh", _module(name).EXAMPLE, "```", ""]
    lines += [f"- `{option.written}`: {option.sentence}" for option in own]
    if common:
        lines.append("- The [common options](#common-options).")
    return [*lines, ""]


def _parsers() -> dict[str, argparse.ArgumentParser]:
    parsers: dict[str, argparse.ArgumentParser] = parser_of(["--help"]).get_default("parsers")
    return parsers


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    """Yield the arguments and options of a command, but for ``--help``.

    Raises:
        ValueError: One has no help.
    """
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list
        if isinstance(action, argparse._HelpAction):  # noqa: SLF001 - on the page it would stand in each list
            continue
        if not action.help:
            raise ValueError(f"{parser.prog}: {action.dest} has no help")
        names, value = tuple(action.option_strings), ""
        if action.nargs != 0:
            choices = "|".join(map(str, action.choices)) if action.choices else ""
            value = str(action.metavar or choices or (action.dest.upper() if names else action.dest))
        if names and action.nargs == "?":
            value = f"[{value}]"
        elif action.nargs in ("*", "+"):
            value = f"{value} ..."
        yield Option(names, value, action.help, action.required and action.nargs not in ("?", "*"))


def _module(name: str) -> ModuleType:
    return import_module(f"{operations.__name__}.{name}")


def _purpose(name: str) -> list[str]:
    return sources.paragraphs(inspect.getdoc(_module(name).command) or "")


def _with_code(text: str) -> str:
    """Return a text with its options in backticks, but for those that stand in some already."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"(?<![\w-])(--[a-z][\w-]*)", "\0\\1\0", part) for part in parts[::2]]
    return "`".join(parts).replace("\0", "`")
