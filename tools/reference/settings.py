"""docs/reference/settings.md: the keys of pyproject.toml, the fields of Options, and the settings of the pytest plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from attrs import NOTHING, fields

import _kimbledb_pytest
from kimbledb.cli.configuration import KEYS
from kimbledb.cli.wording import OPTIONS
from kimbledb.server.options import Options
from tools.reference import sources

if TYPE_CHECKING:
    import pytest

_ERRORS = "errors.md"


def page() -> str:
    """Return the text of the page."""
    lines = sources.head(
        "Settings",
        "For projects: the keys of `[tool.kimbledb]` in pyproject.toml, the options of a call, and the settings of the pytest plugin.",
    )
    lines += [
        "```toml",
        "[tool.kimbledb]",
        'catalog = ["builtin", "migrations"]',
        'schema = "shop"',
        "",
        "[tool.kimbledb.options]",
        "lock_timeout = 5",
        "```",
        "",
        "An option of the command line takes the place of a value in the file. The database is named by `--dsn` or by the",
        "[environment](environment.md), and never in the file: a key with `dsn` in its name is refused, and so is an unknown",
        "one. The command line reads the file; the functions of Python do not, and take `catalog=`, `schema=` and `options=`.",
        "",
        "The nearest pyproject.toml counts, in the current folder or one above it. Folders are relative to the file.",
        "",
        "## Keys of tool.kimbledb",
        "",
    ]
    for name, text in KEYS.items():
        lines.append(f"- `{name}`: {_prose(text)}")
    lines += [
        "",
        "## Options",
        "",
        "These are the arguments of [`kimbledb.Options`](api/options.md#kimbledb.Options), and all but `direct_dsn` are keys of",
        "`[tool.kimbledb.options]`:",
        "",
        "```python",
        "import kimbledb",
        "",
        "options = kimbledb.Options(deadline=60, lock_timeout=5)",
        "```",
        "",
    ]
    texts = sources.comments_of(Options)
    for field in fields(Options):
        assert field.default is not NOTHING
        text = f"{_prose(texts[field.name])} Default: {sources.shown(field.default)}."
        if field.name in OPTIONS:
            text += f" Command line: `{OPTIONS[field.name]}`."
        lines += [f"### {field.name}", "", text, ""]
    lines += [
        "## pytest",
        "",
        "The [plugin](../testing.md) takes these options of `pytest`, and settings of its file:",
        "",
    ]
    parser = _Recorder()
    _kimbledb_pytest.pytest_addoption(cast("pytest.Parser", parser))
    lines += [f"- `{name}`: {text[:1].upper()}{text[1:]}." for name, text in parser.found.items()]
    return "\n".join([*lines, ""])


def _prose(text: str) -> str:
    return sources.prose(" ".join(text.split()), _ERRORS)


class _Recorder:
    """Takes the options of a plugin as pytest's parser does."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def getgroup(self, *_: object) -> _Recorder:
        return self

    def addoption(self, name: str, *, metavar: str, help: str) -> None:  # noqa: A002 - pytest's name
        self.found[f"{name} {metavar}"] = help

    def addini(self, name: str, help: str, *, default: str) -> None:  # noqa: A002 - pytest's name
        self.found[name] = f"{help} ({default})"
