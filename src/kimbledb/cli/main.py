"""The command line: each file of ``kimbledb.operations`` is a command of the same name.

``kimbledb.execution.command.ExitCode`` has the exit codes.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import gc
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Awaitable, Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

from kimbledb import operations
from kimbledb.cli import completion, environment, habits, signals, wording
from kimbledb.cli.arguments import groups
from kimbledb.cli.call import Call
from kimbledb.errors import DOCUMENTATION, CatalogError, ConfigurationError, KimbleDBError, UnknownMigrationError
from kimbledb.execution.command import ExitCode
from kimbledb.version import __version__

#: The errors of a wrong call, whatever the database holds.
_OF_THE_CALL: Final = (ConfigurationError, CatalogError, UnknownMigrationError)


class _Help(argparse.HelpFormatter):
    """Wraps each paragraph of a description by itself, and breaks no URL."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        import textwrap  # only a help text is wrapped

        filling = textwrap.TextWrapper(width, indent, indent, break_long_words=False, break_on_hyphens=False)
        return "\n\n".join(filling.fill(" ".join(paragraph.split())) for paragraph in text.split("\n\n"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    every = _own_arguments() if arguments is None else list(arguments)
    parser = parser_of(every)
    if _has_stray_dsn(every):
        # Here, since argparse, or an error about a migration of that name, would print it with its password.
        parser.error("a DSN is given by --dsn, or by the environment")
    if every[:1] == ["--completion"] and every[1:] and every[1] in completion.SHELLS:
        options = {name: _options_of(each) for name, each in parser.get_default("parsers").items()}
        print(completion.script(every[1], options), end="")
        return ExitCode.DONE
    if not every:
        parser.print_help(sys.stderr)
        return ExitCode.MISUSED
    if not every[0].startswith("-") and every[0] not in names():
        # Without the usage, which would hide the answer.
        parser.exit(ExitCode.MISUSED, f"kimbledb: {habits.no_command(every, names())}\n")
    given, rest = parser.parse_known_args(every)
    if rest:
        # Not by argparse, which would print an option with its value, such as a password.
        answer = habits.no_argument(every[0], rest[0], _options_of(given.parser), names())
        parser.exit(ExitCode.MISUSED, f"kimbledb: {answer}\n")
    call = Call(given)
    try:
        code: int = asyncio.run(signals.until_terminated(_command_of(call)))
    except KimbleDBError as error:
        return _explain(call, error, exit_code_of(type(error)))
    except KeyboardInterrupt:
        return _stopped("interrupted", ExitCode.INTERRUPTED)
    except signals.TerminatedError:
        return _stopped("terminated", ExitCode.TERMINATED)
    except BrokenPipeError:
        # The reader is gone, as with `| head`. What is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.REFUSED
    return code


def exit_code_of(error: type[KimbleDBError]) -> ExitCode:
    """Return the exit code of a command that ends with an error of this class."""
    return ExitCode.MISUSED if issubclass(error, _OF_THE_CALL) else ExitCode.REFUSED


def _own_arguments() -> list[str]:
    """Return the arguments of this process, which runs nothing but the command."""
    # A command's objects live to its end: a search for cycles at every 700 objects, as Python does by default,
    # takes a quarter of the time of a large plan.
    gc.set_threshold(50_000, 20, 20)
    # The last collection, at the exit of Python, would free what the end of the process frees.
    atexit.register(gc.freeze)
    return sys.argv[1:]


def _command_of(call: Call) -> Awaitable[int]:
    if len(getattr(call.given, "schema", None) or ()) > 1:
        from kimbledb.cli import several  # few calls name several schemas

        return several.command(call)
    command: Awaitable[int] = call.given.command(call)
    return command


def _has_stray_dsn(arguments: Sequence[str]) -> bool:
    """Return whether a DSN is given as another argument than ``--dsn`` and the like."""
    before = ["", *arguments]
    return any(
        re.match(r"postgres\w*(?:\+\w+)?:/|(?:.*\s)?password\s*=", each, re.DOTALL)
        and not option.startswith(("--d", "--se"))
        for option, each in zip(before, arguments, strict=False)
    )


def _explain(call: Call, error: KimbleDBError, code: ExitCode) -> int:
    error.hint = wording.in_the_shell(error.hint)
    if isinstance(error, CatalogError):
        # Its message holds the hint of each fault.
        error.message = wording.in_the_shell(error.message) or ""
    call.error(error)
    print(f"kimbledb: {error}", file=sys.stderr)
    return code


def _stopped(how: str, code: ExitCode) -> int:
    print(f"{how}; each migration is either whole and recorded, or absent", file=sys.stderr)
    return code


def names() -> list[str]:
    """Return the names of the commands: those of the files that hold them."""
    return sorted(found.name for found in pkgutil.iter_modules(operations.__path__))


def parser_of(arguments: Iterable[str]) -> argparse.ArgumentParser:
    """Return the parser. A command is imported when it is named, and all are for the list of them."""
    arguments = list(arguments)
    is_about_none = arguments[:1] == ["--version"]
    named = next((each for each in arguments if not each.startswith("-") or each in ("-h", "--help")), None)
    parser = argparse.ArgumentParser(
        prog="kimbledb",
        description="Bring a PostgreSQL database to the KimbleAI v4 schema, or to your own folder of migrations.",
        epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong call, 3 `plan --check` found something to apply, 130 and 143 "
        f"stopped by SIGINT or SIGTERM.\n\nEnvironment variables: {', '.join(environment.OF_COMMANDS)} and libpq's.\n\n"
        f"{DOCUMENTATION}",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"kimbledb {__version__}")
    parser.add_argument(
        "--completion",
        choices=completion.SHELLS,
        help="print the script that completes commands and options in a shell",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = groups()
    every = names()
    for name in every:
        if is_about_none or (named in every and named != name):
            commands.add_parser(name)
            continue
        module = import_module(f"{operations.__name__}.{name}")
        own = commands.add_parser(
            name,
            parents=[shared[group] for group in module.GROUPS],
            help=_help_of(module),
            description=inspect.getdoc(module.command),
            epilog=f"Example: {module.EXAMPLE}\n\n{DOCUMENTATION}reference/commands/#kimbledb-{name}",
            formatter_class=_Help,
        )
        module.add_arguments(own)
        own.set_defaults(command=module.command, parser=own)
    parser.set_defaults(parsers=commands.choices)
    return parser


def _options_of(parser: argparse.ArgumentParser) -> list[str]:
    """Return the long options of a parser, from the lines of its help that begin with one."""
    return re.findall(r"^  (?:-\w(?: \w+)?, )?(--[\w-]+)", parser.format_help(), re.MULTILINE)


def _help_of(module: ModuleType) -> str:
    sentence = (inspect.getdoc(module.command) or "").partition("\n")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]
