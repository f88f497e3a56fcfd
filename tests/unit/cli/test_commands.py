from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kimbledb import operations
from kimbledb.cli.arguments import groups
from kimbledb.cli.main import main, names, parser_of

FOLDER = Path(operations.__path__[0])
FILES = sorted(
    {file.stem for file in FOLDER.glob("*.py")} - {"__init__"}
    | {file.parent.name for file in FOLDER.glob("*/__init__.py")}
)


def test_each_file_of_an_operation_is_a_command() -> None:
    """The command line lists the files and the packages of the operations, and nothing else."""
    assert names() == FILES


@pytest.mark.parametrize("name", FILES)
def test_an_operation_has_what_a_command_needs(name: str) -> None:
    """A file of an operation has the groups of shared arguments, arguments of its own, an example, and a command with its help."""
    module = import_module(f"kimbledb.operations.{name}")

    assert set(module.GROUPS) <= set(groups())
    assert list(inspect.signature(module.add_arguments).parameters) == ["parser"]
    assert inspect.iscoroutinefunction(module.command)
    assert inspect.getdoc(module.command)
    called, *arguments = shlex.split(module.EXAMPLE)
    assert (called, arguments[0]) == ("kimbledb", name)
    assert parser_of(arguments).parse_args(arguments).command is module.command


@pytest.mark.parametrize("name", FILES)
def test_each_argument_has_its_help(name: str) -> None:
    """Each argument and option of a command is explained by its help."""
    parser = parser_of(["--help"]).get_default("parsers")[name]

    assert [action.dest for action in parser._actions if not action.help] == []


def test_a_named_command_imports_its_file_alone() -> None:
    """Only the operation that is named is imported."""
    program = (
        "import sys; from kimbledb.cli.main import main\n"
        "try: main(['new', '--help'])\n"
        "except SystemExit: print(sorted(each for each in sys.modules if each.startswith('kimbledb.operations.')))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "['kimbledb.operations.new']"


def test_an_unknown_command_is_answered_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that does not exist ends with exit code 2 and the names of those that do."""
    with pytest.raises(SystemExit) as ended:
        main(["qqqqqq"])

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert [name for name in FILES if name not in said] == []
