"""The recipes of docs/recipes: what each file says is run, and where."""

from __future__ import annotations

import configparser
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from ruamel.yaml import YAML

RECIPES = Path(__file__).parent.parent.parent / "docs" / "recipes"
#: Runs a Python program as a container with a read-only root file system does: nothing can be written.
READ_ONLY = """\
import errno, os, runpy, sys
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown")
def hook(event, arguments):
    if event in _CHANGES or (event == "open" and isinstance(arguments[0], (str, bytes)) and (arguments[2] or 0) & _WRITING):
        if event in _CHANGES or os.fspath(arguments[0]) not in (os.devnull, os.devnull.encode()):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), arguments[0])
sys.addaudithook(hook)
sys.argv[0] = "kimbledb"
runpy.run_module("kimbledb", run_name="__main__", alter_sys=True)
"""


def documents(path: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file among the recipes, by YAML 1.2, in which `on` is a text."""
    text = (RECIPES / path).read_text(encoding="utf-8")
    loaded: list[dict[str, Any]] = json.loads(json.dumps(list(YAML(typ="safe").load_all(text))))
    return loaded


def document(path: str) -> dict[str, Any]:
    """Return the only document of a YAML file."""
    [only] = documents(path)
    return only


@frozen
class Container:
    """A container of a manifest."""

    command: Sequence[str]
    #: The name of the secret, and the key in it, of each variable.
    secrets: Mapping[str, tuple[str, str]]
    is_read_only: bool


def containers(manifest: Mapping[str, Any], kind: str = "containers") -> Iterator[Container]:
    """Yield the containers of a Job or a Deployment that have a command: of ``containers`` or ``initContainers``."""
    for each in manifest["spec"]["template"]["spec"][kind]:
        if "command" in each:
            yield Container(
                command=[*each["command"], *each["args"]],
                secrets={
                    variable["name"]: (
                        variable["valueFrom"]["secretKeyRef"]["name"],
                        variable["valueFrom"]["secretKeyRef"]["key"],
                    )
                    for variable in each["env"]
                },
                is_read_only=each["securityContext"]["readOnlyRootFilesystem"],
            )


def unit(path: str) -> configparser.ConfigParser:
    """Return the sections of a systemd unit."""
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((RECIPES / path).read_text(encoding="utf-8"))
    return found


def instructions(path: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments."""
    lines = (RECIPES / path).read_text(encoding="utf-8").splitlines()
    parts = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(name, rest) for name, _, rest in parts]


def seconds_of(command: Sequence[str]) -> int:
    """Return the value of ``--deadline``."""
    return int(command[list(command).index("--deadline") + 1])


class Machine:
    """A folder with a project, and the programs that recipes call."""

    def __init__(self, project: Path, programs: Path, environment: Mapping[str, str]) -> None:
        self.project = project
        self.programs = programs
        self.environment = dict(environment)

    def program(self, name: str, text: str) -> None:
        """Make a program of a shell script."""
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)

    def start(self, command: Sequence[str], **environment: str) -> subprocess.Popen[str]:
        """Start a program with its arguments, without a shell, as a container does."""
        return subprocess.Popen(
            list(command),
            cwd=self.project,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: Sequence[str], **environment: str) -> tuple[int, str]:
        """Run a program, and return its exit code and its output."""
        with self.start(command, **environment) as process:
            out, _ = process.communicate(timeout=120)
        return process.returncode, out

    def script(self, text: str, **environment: str) -> tuple[int, str]:
        """Run lines in a shell that stops at the first that fails."""
        return self.run(["bash", "-e", "-c", text], **environment)
