"""The how-to pages: their examples run, in their order, as they stand."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import json
import os
import re
import secrets
import shutil
import socket
import sys
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.support.databases import as_role, fresh_database, sql
from tests.support.folders import Folder
from tests.support.transcripts import Shell, blocks_of, commands_of, settled, shows
from tools import pages
from tools.pages import DOCS, Kept

ROOT = Path(__file__).parent.parent.parent
#: The page whose examples need roles, with the names of these.
WITH_ROLES = {"how-to/two-roles.md": ("owner", "application", "monitor")}
TRANSCRIPTS = [page for page in pages.pages() if pages.kept(page) is Kept.TRANSCRIPT]
EXAMPLES = [page for page in pages.pages() if pages.kept(page) is Kept.EXAMPLES]


def _examples(page: str) -> list[CodeType]:
    """The examples of a page that are no file by themselves."""
    blocks = [block for block in blocks_of(DOCS / page) if block.language == "python" and block.title is None]
    return [
        compile(block.text, f"{page}, example {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for number, block in enumerate(blocks, 1)
    ]


def _skip_without_libraries(page: str) -> None:
    """Skip a page whose examples import what is not installed; CI has all of it."""
    imported = re.findall(r"^(?:import|from) (\w+)", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    absent = [name for name in imported if importlib.util.find_spec(name) is None]
    if absent and os.environ.get("CI") != "true":
        pytest.skip(f"{', '.join(absent)}: not installed")


async def _run(example: CodeType, names: dict[str, Any]) -> None:
    running = FunctionType(example, names)()
    if inspect.isawaitable(running):
        await running


@pytest.mark.parametrize("page", EXAMPLES)
async def test_the_examples_run(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The examples of each page run one after the other, as in a notebook, given the DSNs of empty databases."""
    _skip_without_libraries(page)
    monkeypatch.chdir(tmp_path)
    examples = _examples(page)
    async with AsyncExitStack() as stack:
        taken = {"dsn", *re.findall(r"\bempty_dsn\b", (DOCS / page).read_text(encoding="utf-8"))}
        names: dict[str, Any] = {
            name: await stack.enter_async_context(fresh_database(server)) for name in sorted(taken)
        }
        for example in examples:
            await _run(example, names)

    assert "kimbledb" in names
    assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize("page", WITH_ROLES)
async def test_the_examples_run_with_roles(
    server: str, database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """The roles that a page makes can do what the page says, and its examples run."""
    roles = {f"{role}_dsn": f"shop_{role}_{secrets.token_hex(4)}" for role in WITH_ROLES[page]}
    [statements] = [block.text for block in blocks_of(DOCS / page) if block.language == "sql"]
    for role in roles.values():
        statements = re.sub(rf"\b{role.rpartition('_')[0]}\b", role, statements)
        statements = re.sub(rf"(CREATE ROLE {role} LOGIN)", rf"\1 PASSWORD '{role}'", statements)
    await sql(database, statements)
    folder.table(1, "orders")
    monkeypatch.chdir(folder.path.parent)
    try:
        names: dict[str, Any] = {each: as_role(database, role) for each, role in roles.items()}
        for example in _examples(page):
            await _run(example, names)
    finally:
        for role in roles.values():
            await sql(database, f"DROP OWNED BY {role} CASCADE")
        await sql(server, f"DROP ROLE {', '.join(roles.values())}")


@pytest.mark.parametrize("page", TRANSCRIPTS)
async def test_the_transcript_is_true(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], page: str
) -> None:
    """What a page shows is what happens: each file is written, each command run, each output compared."""
    _skip_without_libraries(page)
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    shutil.copy(ROOT / "tests" / "data" / "bases" / "true.sql", tmp_path / "shop")
    async with AsyncExitStack() as stack:
        databases = {name: await stack.enter_async_context(fresh_database(server)) for name in pages.databases(page)}
        shell = Shell(tmp_path / "shop", databases)
        names: dict[str, Any] = {"dsn": next(iter(databases.values()), None)}
        for block in blocks_of(DOCS / page):
            if block.language == "console":
                for command in commands_of(block):
                    found = await asyncio.to_thread(shell.run, command.line)
                    assert shows(command.output, found), f"$ {command.line}\n{found}"
            elif block.language == "python" and block.title is None:
                await _run(compile(block.text, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            elif block.language == "toml" and (block.title or "declared.toml").endswith("declared.toml"):
                found = shell.texts(block.title or "**/declared.toml")
                assert settled(block.text) in settled(found), found
            elif block.language != "sh":  # such a block names servers and tools that are not here
                assert block.title is not None
                shell.write(block.title, block.text)

    assert "Traceback" not in capsys.readouterr().out


async def test_an_application_in_two_workers(database: str) -> None:
    """A FastAPI application under uvicorn with two workers starts on an empty database: one worker applies, both serve."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "application:app", "--workers", "2", "--port", str(port)),
        cwd=ROOT / "docs" / "examples",
        env={**os.environ, "DATABASE_URL": database},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        printed: list[bytes] = []
        while sum(b"Application startup complete" in line for line in printed) < 2:
            printed.append(await asyncio.wait_for(process.stderr.readline(), 120))
            assert printed[-1], b"".join(printed).decode()
        answers: dict[int, Any] = {}
        for _ in range(400):
            answer = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/projects")
            answers[answer["process"]] = answer
            if len(answers) == 2:
                break
        # Each migration was applied by one of the two, whichever it was.
        assert sum(answer["applied"] for answer in answers.values()) == 34
        assert {answer["projects"] for answer in answers.values()} == {0}
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
        return json.load(answer)
