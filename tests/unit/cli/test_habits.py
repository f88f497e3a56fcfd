from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from kimbledb.cli.habits import _COMMANDS, no_command
from kimbledb.cli.main import main, names


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the last line of the answer to a wrong call."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("upgrade head", "migrate"),
        ("downgrade -1", "rollback -1"),
        ("downgrade base", "rollback --to 0"),
        ("down", "rollback -1"),
        ("revision -m x", "new NAME"),
        ("up", "migrate"),
        ("dump", "render"),
        ("deploy", "migrate"),
        ("revert", "rollback"),
        ("schema diff", "verify"),
        ("migrat", "migrate"),
        ("upgrde", "migrate"),
    ],
)
def test_a_command_of_another_tool_is_named_as_here(given: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command of another tool, or a misspelt one, is answered with the one of this tool."""
    assert f"`kimbledb {meant}`" in said(capsys, *given.split())


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("migrate --url x", "--dsn"),
        ("migrate --sql", "`kimbledb render`"),
        ("migrate --cataog x", "--catalog"),
        ("migrate head", "without --to it means all"),
        ("migrate apply", "it does that by itself"),
        ("migrate down", "`kimbledb rollback -1`"),
        ("migrate b.sql", "--to"),
        ("migrate -y", "only `kimbledb rollback` and `kimbledb reset` ask"),
        ("stamp a --fake", "`kimbledb stamp`"),
        ("new x --nonsense", "`kimbledb new -h`"),
    ],
)
def test_an_option_of_another_tool_is_named_as_here(given: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option or a word of another tool, or a misspelt one, is answered with the one of this tool."""
    assert meant in said(capsys, *given.split())


def test_a_misspelt_command_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command has its own spelling as the answer; a call without a command has the list of commands."""
    assert "did you mean `kimbledb migrate`?" in said(capsys, "migate")
    assert "it is `kimbledb --help` here" in said(capsys, "help")
    assert main([]) == 2
    assert "apply what is missing, and prove it" in capsys.readouterr().err


def test_no_value_of_an_option_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The value of an unknown option may be a password."""
    assert "geheim" not in said(capsys, "migrate", "--secret=geheim")


def test_habits_lead_to_commands_that_exist() -> None:
    """Each command that is named instead exists, and no habit hides one."""
    assert {meant.partition(" ")[0].rstrip(",") for meant in _COMMANDS.values()} <= {*names(), "--help"}
    assert not set(_COMMANDS) & set(names())
    assert "it is" not in no_command(["qqqqqq"], names())


def completed(script: str, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    asked = f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _kimbledb; echo ${{COMPREPLY[@]}}"
    return subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(os.name != "posix" or shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    """The script offers the commands first, and then the options of the one that is named."""
    assert main(["--completion", "bash"]) == 0
    script = capsys.readouterr().out

    assert completed(script, "kimbledb", "re") == ["rehearse", "render", "reset", "restore"]
    assert completed(script, "kimbledb", "migrate", "--dr") == ["--dry-run"]
    assert completed(script, "kimbledb", "migrate", "--qu") == ["--quiet"]
    assert completed(script, "kimbledb", "plan", "--dr") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command is in the script of each shell."""
    assert main(["--completion", shell]) == 0

    script = capsys.readouterr().out
    assert not [name for name in names() if name not in script]
    assert "dry-run" in script
