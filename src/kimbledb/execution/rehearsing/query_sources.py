"""The sources of an application's queries: lists, SQL files, string literals of programs, or pg_stat_statements.

Of a program each string literal that begins as a query does is taken. A text that is put together while the program runs
cannot be read, and is counted.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from kimbledb.catalog import statements
from kimbledb.errors import ConfigurationError
from kimbledb.execution.rehearsing.js_literals import literals
from kimbledb.model.text import few
from kimbledb.server import queries as own_queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import ServerError
from kimbledb.server.session import Session

#: The name of the source that reads the queries recorded by the target's server.
RECORDED = "pg_stat_statements"
#: The beginning of a query. A single word may be anything: the name of a method, or of a button.
_BEGINS = re.compile(
    r"\s*(?:(?:--[^\n]*\n|/\*.*?\*/)\s*)*(?:select|insert\s+into|update|delete\s+from|with|merge\s+into|call)\s+\S",
    re.IGNORECASE | re.DOTALL,
)
#: Queries of the system catalogs and of history, such as those of pg_dump and this library.
_OF_CATALOGS = re.compile(
    r"\bmigration_(?:history|log)\b|\bkimbledb|\bpg_catalog\b|\binformation_schema\b|\bset_config\b|\b(?:from|join)\s+pg_",
    re.IGNORECASE,
)
#: The statements that can be tried.
_QUERY = re.compile(r"\s*(?:\(|(?:select|insert|update|delete|merge|with|values|table|call)\b)", re.IGNORECASE)
#: Folders of programs of others.
_NOT_OURS = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})
#: The most queries that are taken from the server.
_MOST = 1000
#: object_not_in_prerequisite_state
_NOT_LOADED = "55000"


@frozen
class Sources:
    """The queries of an application."""

    texts: tuple[str, ...] = ()
    #: The place of each query that stands in a program, as ``file:line``.
    places: Mapping[str, str] = field(factory=dict)
    #: The unreadable sources, a line each.
    notes: tuple[str, ...] = ()
    #: Whether the queries that the target's server has recorded are wanted, too.
    recorded: bool = False


def sources_of(queries: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None) -> Sources:
    """Return the queries of an application.

    Args:
        queries: Texts and paths; or the path of a file of SQL, of a program or of a folder of these; or
            ``pg_stat_statements``.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    given = [Path(queries) if queries != RECORDED else RECORDED] if isinstance(queries, str | os.PathLike) else queries
    reader = _Reader()
    for each in given or ():
        if isinstance(each, str):
            reader.take(each)
        else:
            reader.read(Path(each))
    return reader.sources


class _Reader:
    """Reads queries."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._unread: list[str] = []
        self._recorded = False

    @property
    def sources(self) -> Sources:
        """What was read."""
        notes = []
        if self._unread:
            number = "1 query is" if len(self._unread) == 1 else f"{len(self._unread)} queries are"
            notes.append(f"{number} put together while the program runs, and not tried: {few(self._unread, 20)}")
        known = {text: place for text, place in self._places.items() if place}
        return Sources(tuple(self._places), known, tuple(notes), self._recorded)

    def take(self, text: str, place: str = "") -> None:
        """Take a query."""
        if text == RECORDED:
            self._recorded = True
        else:
            self._places.setdefault(text, place)

    def read(self, path: Path) -> None:
        """Read a file, or all files of a folder."""
        if path.name == RECORDED and not path.exists():
            self._recorded = True
            return
        try:
            if path.is_dir():
                for file in _files_of(path):
                    self._read(file)
            else:
                self._read(path)
        except (OSError, ValueError, SyntaxError) as error:
            raise ConfigurationError(
                f"the queries cannot be read from {path}: {error}",
                hint="name a file of SQL, a .py, .js or .ts file, a folder of these, or pg_stat_statements",
            ) from error

    def _read(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        literals_of = _PROGRAMS.get(file.suffix)
        if literals_of is None:
            for each in statements.split(text):
                self.take(each.text)
            return
        try:
            found = sorted(literals_of(text))
        except SyntaxError as error:
            raise ValueError(f"{file.name} is no program: {error}") from error
        for line, literal, is_whole in found:
            if _BEGINS.match(literal if is_whole else f"{literal}x") is None:
                continue
            if not is_whole:
                self._unread.append(f"{file}:{line}")
                continue
            for each in statements.split(literal):
                self.take(each.text, f"{file}:{line}")


def _files_of(folder: Path) -> Iterator[Path]:
    for home, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in _NOT_OURS and not each.startswith("."))
        for name in sorted(files):
            if Path(name).suffix in (*_PROGRAMS, ".sql"):
                yield Path(home) / name


def _python(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the line and the text of each string of a Python program, and whether it is whole. No docstring is one."""
    tree = ast.parse(text)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(each) for each in ast.walk(node) if each is not node}
            first = node.values[0] if node.values else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                whole = all(isinstance(each, ast.Constant) for each in node.values)
                yield node.lineno, first.value, whole
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            # A text that is added to another one is none by itself.
            strings = [each for each in (node.left, node.right) if isinstance(each, ast.Constant)]
            left_out |= {id(each) for each in strings}
            if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
                yield node.lineno, node.left.value, False
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.lineno, node.value, True


_PROGRAMS: Mapping[str, Callable[[str], Iterator[tuple[int, str, bool]]]] = {
    ".py": _python,
    **dict.fromkeys((".js", ".ts", ".mjs", ".cjs", ".jsx", ".tsx"), literals),
}


async def with_recorded(session: Session, sources: Sources) -> Sources:
    """Return queries with those of its database that the server of the target has recorded, where these are wanted.

    Args:
        session: A session of the target.
        sources: The queries.

    Raises:
        ConfigurationError: The extension is not there, or may not be read.
    """
    if not sources.recorded:
        return sources
    try:
        answer = await session.ask(own_queries.block("rehearse_recorded"))
    except ServerError as error:
        if error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise _closed() from error
        if error.sqlstate != _NOT_LOADED:
            raise
        raise ConfigurationError(
            "the server does not record its queries: it has not loaded pg_stat_statements",
            hint="set shared_preload_libraries = 'pg_stat_statements', start the server anew, and let the application run",
        ) from error
    if answer is None:
        raise ConfigurationError(
            "the queries cannot be read from pg_stat_statements: the database does not have the extension",
            hint="run CREATE EXTENSION pg_stat_statements, or pass the queries as a file",
        )
    texts = [each for each in answer["texts"] if _QUERY.match(each) and not _OF_CATALOGS.search(each)]
    if not texts and answer["hidden"]:
        raise _closed()
    notes = []
    if answer["hidden"]:
        notes.append(
            f"{answer['hidden']} recorded queries are of roles whose queries this one may not read: grant it pg_read_all_stats"
        )
    if len(texts) > _MOST:
        notes.append(f"{len(texts) - _MOST} recorded queries, the least frequent, are not tried")
    known = dict.fromkeys((*sources.texts, *texts[:_MOST]))
    return evolve(sources, texts=tuple(known), notes=(*sources.notes, *notes))


def _closed() -> ConfigurationError:
    return ConfigurationError(
        "the role may not read the queries that pg_stat_statements has recorded",
        hint="grant it pg_read_all_stats, or pass the queries as a file",
    )
