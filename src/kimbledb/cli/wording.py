"""Hints for the command line: the options and commands in place of the arguments and functions of Python."""

from __future__ import annotations

import re
from typing import Final

#: The option of each argument, with the placeholder for a value that the hint leaves open.
OPTIONS: Final = {
    "allow_data_loss": "--allow-data-loss",
    "applied": "--remove",
    "backup": "--backup FILE",
    "cascade": "--cascade",
    "catalog": "--catalog DIR",
    "confirm": "--confirm NAME",
    "deadline": "--deadline SECONDS",
    "direct_dsn": "--direct-dsn DSN",
    "halt_after": "--halt-after",
    "include_adopted": "--include-adopted",
    "or_wait": "--or-wait",
    "output": "--output FILE",
    "per_server": "--per-server N",
    "phase": "--phase NUMBER",
    "prefer": "--prefer MIGRATION",
    "refuse_hazards": "--refuse-hazard",
    "schema": "--schema NAME",
    "server": "--server DSN",
    "set_aside": "--set-aside",
    "steps": "--steps N",
    "to": "--to MIGRATION",
}
_VALUE: Final = r"""(?:True|False|\.\.\.|\d+|\("[^"]*",\)|\('[^']*',\)|"[^"]*"|'[^']*')"""
_PHRASES: Final = (
    (r"Catalog\.builtin\(\) \+ Catalog\.from_directory\(\.\.\.\)", "--catalog builtin --catalog DIR"),
    (r"Catalog\.builtin\(\) \+ Catalog\.from_directory\('([^']*)'\)", r"--catalog builtin --catalog \1"),
    (r"one \+ other\b", "--catalog twice"),
    (r"\ba DSN such as (\S+), a connection, a pool or an engine\b", r"--dsn \1"),
    (r"\ba DSN as target\b", "--dsn DSN"),
    (r"\bcall again\b", "run again"),
    (r"\b(?:call )?(adopt|declare|migrate|plan|rollback|status|verify)\(\)", r"`kimbledb \1`"),
)
_OF_OPTIONS: Final = re.compile(r"Options\(((?:\w+=\.\.\.(?:, )?)+)\)")
_ARGUMENT: Final = re.compile(rf"\b(\w+)=({_VALUE})")
_BARE: Final = re.compile(r"\b(refuse_hazards|set_aside)\b")


def in_the_shell(hint: str | None) -> str | None:
    """Return a hint with options in place of arguments, and commands in place of functions.

    Args:
        hint: The hint of an error, or None.
    """
    if hint is None:
        return None
    for pattern, shell in _PHRASES:
        hint = re.sub(pattern, shell, hint)
    hint = _OF_OPTIONS.sub(_of_options, hint)
    hint = _ARGUMENT.sub(_option, hint)
    return _BARE.sub(lambda found: OPTIONS[found[1]], hint)


def _of_options(found: re.Match[str]) -> str:
    names = re.findall(r"\w+(?==)", found[1])
    if all(name in OPTIONS for name in names):
        return " ".join(OPTIONS[name] for name in names)
    return f"{' and '.join(names)} in [tool.kimbledb.options] of pyproject.toml"


def _option(found: re.Match[str]) -> str:
    name, value = found.groups()
    if name not in OPTIONS:
        return found[0]
    option, _, _ = OPTIONS[name].partition(" ")
    if value in ("True", "False"):
        return option
    bare = re.sub(r"^\(?['\"]|['\"](?:,\))?$", "", value)
    return OPTIONS[name] if value == "..." else f"{option} {bare}"
