"""docs/reference/exit-codes.md: each exit code, with what a script does then."""

from __future__ import annotations

from kimbledb.cli.main import exit_code_of
from kimbledb.execution.command import ExitCode
from tools.reference import errors, sources

_ERRORS = "errors.md"


def page() -> str:
    """Return the text of the page."""
    texts = sources.comments_of(ExitCode)
    lines = sources.head(
        "Exit codes",
        "For scripts, CI jobs and orchestrators that run `kimbledb`: the meaning of each exit code, and what to do then.",
    )
    for code in ExitCode:
        meaning, action = (sources.prose(each, _ERRORS) for each in sources.paragraphs(texts[code.name]))
        lines += [f"## Exit code {code.value}", "", meaning, "", f"In a script: {action[0].lower()}{action[1:]}", ""]
    lines += [
        "## Exit code of each error",
        "",
        "An error goes to standard error as text. With `--json`, standard output also has one JSON value with the keys",
        "`error` (the name of the class), `message`, `hint` and `url`.",
        "",
    ]
    misused = [f"`{name}`" for name, kind in errors.classes().items() if exit_code_of(kind) is ExitCode.MISUSED]
    lines += [
        f"- {ExitCode.MISUSED.value}: {sources.prose(', '.join(misused), _ERRORS)}",
        f"- {ExitCode.REFUSED.value}: [every other error]({_ERRORS}#the-tree)",
        "",
        "```sh",
        "kimbledb migrate --json > result.json",
        "if [ $? -eq 1 ]; then jq -r .error result.json; fi  # such as LockUnavailableError",
        "```",
        "",
        "A command that argparse refuses, such as one with an unknown option, ends with 2 and prints no JSON.",
        "",
    ]
    return "\n".join(lines)
