"""Commands and options of other tools, with their names in kimbledb: the answers to a wrong name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from kimbledb.model.names import near
from kimbledb.model.text import one_line

#: The commands of Alembic, Atlas, dbmate, Django, Flyway, goose and Sqitch that have another name here.
_COMMANDS: Final = {
    "add": "new NAME",
    "apply": "migrate",
    "autogenerate": "new NAME",
    "baseline": "adopt",
    "branches": "plan",
    "bundle": "render",
    "check": "plan --check",
    "clean": "reset",
    "clone": "migrate",
    "create": "new NAME",
    "current": "status",
    "deploy": "migrate",
    "diff": "verify",
    "down": "rollback -1",
    "down-to": "rollback --to NAME",
    "downgrade": "rollback",
    "drop": "reset",
    "dump": "render",
    "ensure_version": "adopt",
    "fake": "stamp",
    "generate": "new NAME",
    "hash": "declare DIR",
    "heads": "plan",
    "help": "--help",
    "info": "status",
    "inspect": "status",
    "lint": "plan --check",
    "log": "history",
    "makemigrations": "new NAME",
    "mark": "stamp",
    "push": "migrate",
    "rebase": "rollback, then kimbledb migrate",
    "redo": "rollback -1, then kimbledb migrate",
    "repair": "adopt",
    "revert": "rollback",
    "revision": "new NAME",
    "rework": "new NAME",
    "set": "stamp",
    "show": "plan",
    "showmigrations": "status",
    "sqlmigrate": "render",
    "test": "plan --check",
    "undo": "rollback -1",
    "up": "migrate",
    "up-to": "migrate --to NAME",
    "upgrade": "migrate",
    "validate": "verify",
}
_ASKING: Final = "only `kimbledb rollback` and `kimbledb reset` ask, and take --yes"
#: The options of these tools.
_OPTIONS: Final = {
    "--auto-approve": _ASKING,
    "--autogenerate": "`kimbledb declare DIR`, which records what the SQL of a migration makes",
    "--connect": "--dsn",
    "--database": "--dsn",
    "--database-url": "--dsn",
    "--db-client": "--dsn",
    "--dir": "--catalog DIR",
    "--directory": "--catalog DIR",
    "--fake": "`kimbledb stamp`",
    "--force": "--allow-data-loss",
    "--message": "the name of the migration: `kimbledb new NAME`",
    "--migrations-dir": "--catalog DIR",
    "--mode": "`kimbledb stamp`",
    "--name": "the name alone, as in `kimbledb new NAME`",
    "--no-dump-schema": "nothing: no schema is dumped",
    "--plan": "`kimbledb plan`",
    "--revision": "--to NAME",
    "--search-path": "--schema",
    "--sql": "`kimbledb render`",
    "--tag": "--to NAME",
    "--target": "--to NAME, or --dsn for the database",
    "--to-change": "--to NAME",
    "--to-version": "--to NAME",
    "--url": "--dsn",
    "--yes": _ASKING,
    "--username": "--dsn postgresql://USER@HOST/DATABASE",
    "-d": "--catalog DIR, or --dsn for the database",
    "-f": "--catalog DIR",
    "-m": "the name of the migration: `kimbledb new NAME`",
    "-p": "--dsn postgresql://USER@HOST:PORT/DATABASE",
    "-u": "--dsn",
    "-y": _ASKING,
}
#: Words for all migrations, which `kimbledb migrate` applies without a word.
_ALL: Final = frozenset({"head", "heads", "latest", "all"})
#: Words for the state before all migrations.
_NONE: Final = frozenset({"base", "zero"})
#: Commands with subcommands in Atlas and other tools.
_GROUPS: Final = frozenset({"migrate", "migration", "migrations", "schema", "db", "database"})


def no_command(given: Sequence[str], names: Iterable[str]) -> str:
    """Return the message on a command that does not exist, with its name in kimbledb.

    Args:
        given: The arguments; the first one is the command.
        names: The commands.
    """
    names = list(names)
    word, *rest = given
    meant = None
    if word.casefold() in _GROUPS and rest and not rest[0].startswith("-"):
        meant, word = _command(rest[0], names), f"{word} {rest[0]}"
    meant = meant or _command(given[0], names)
    if meant in ("rollback", "rollback -1") and rest and (how := _how_far(rest)):
        meant = f"rollback {how}"
    if meant is None:
        hint = f"the commands are {', '.join(names)}"
    elif meant in near(word, names):
        hint = f"did you mean `kimbledb {meant}`?"
    else:
        hint = f"it is `kimbledb {meant}` here"
    return f"there is no command {one_line(word)!r}; {hint}"


def no_argument(command: str, word: str, options: Iterable[str], names: Iterable[str]) -> str:
    """Return the message on an argument that a command does not take, with its name in kimbledb.

    Args:
        command: The command.
        word: The argument.
        options: The options of the command.
        names: The commands.
    """
    # A value could be a password.
    word = word.partition("=")[0]
    options = list(options)
    said = f"`kimbledb {command}` takes no {one_line(word)!r}"
    if word.startswith("-"):
        stem = word.lstrip("-")
        similar = near(stem, [each.lstrip("-") for each in options if each.startswith("--")])
        if _OPTIONS.get(word) == _ASKING:
            return f"{said}: {_ASKING}"
        if word in _OPTIONS:
            return f"{said}; it is {_OPTIONS[word]} here"
        return (
            f"{said}; did you mean --{similar[0]}?"
            if similar
            else f"{said}; `kimbledb {command} -h` lists what it takes"
        )
    if word.casefold() in _ALL and "--to" in options:
        return f"{said}: without --to it means all"
    meant = _command(word, list(names)) if command in _GROUPS else None
    if meant == command:
        return f"{said}: it does that by itself"
    if meant is not None:
        return f"{said}; it is `kimbledb {meant}` here"
    if "--to" in options:
        return f"{said}; a migration is named by --to"
    return f"{said}; `kimbledb {command} -h` lists what it takes"


def _how_far(words: Sequence[str]) -> str | None:
    """Return the argument of `kimbledb rollback` for those of Alembic, goose and Django: `-2`, `base`, `zero`."""
    if any(word.casefold() in _NONE for word in words):
        return "--to 0"
    return next((word for word in words if word[:1] == "-" and word[1:].isdecimal()), None)


def _command(word: str, names: list[str]) -> str | None:
    word = word.casefold()
    if word in names:
        return word
    if word in _COMMANDS:
        return _COMMANDS[word]
    similar = next(iter(near(word, [*names, *_COMMANDS])), None)
    return None if similar is None else _COMMANDS.get(similar, similar)
