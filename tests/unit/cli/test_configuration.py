from __future__ import annotations

from pathlib import Path

import pytest

import kimbledb
from kimbledb.cli.configuration import Configuration, read
from kimbledb.cli.main import main


def written(folder: Path, text: str) -> Path:
    """Write the file of a project."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_says_what_every_call_would_repeat(tmp_path: Path) -> None:
    """Catalog, schema and options are read from the nearest pyproject.toml, folders relative to it."""
    written(
        tmp_path,
        '[tool.kimbledb]\ncatalog = ["builtin", "db"]\nschema = "shop"\n[tool.kimbledb.options]\nlock_timeout = 5',
    )
    (tmp_path / "deeper").mkdir()

    found = read(tmp_path / "deeper")

    assert found.catalog == ("builtin", str(tmp_path / "db"))
    assert found.schema == "shop"
    assert found.options == kimbledb.Options(lock_timeout=5)
    assert read(tmp_path).catalog == ("builtin", "db")  # messages show what a command in this folder would take


@pytest.mark.parametrize(
    ("catalog", "folder"),
    [("", "migrations"), ('"builtin"', "migrations"), ('"db/own"', "db/own"), ('"base", "own", "builtin"', "own")],
)
def test_the_folder_of_new_migrations_is_the_last_of_the_project(tmp_path: Path, catalog: str, folder: str) -> None:
    """New migrations belong to the last folder of the project, which builds on the others; else to ``migrations``."""
    assert read(written(tmp_path, f"[tool.kimbledb]\ncatalog = [{catalog}]")).folder == folder


def test_a_project_without_a_table_changes_nothing(tmp_path: Path) -> None:
    """Without [tool.kimbledb] all is as without a file."""
    assert read(written(tmp_path, "[project]")) == Configuration()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tool.kimbledb]\ncatalogue = "x"', "did you mean catalog?"),
        ("[tool.kimbledb]\nschema = 3", "schema is no text"),
        ('[tool.kimbledb]\nschema = ["a", "b"]', "schema is no text"),
        ("[tool.kimbledb]\ncatalog = [3]", "catalog is no text"),
        ("[tool]\nkimbledb = 3", "write [tool.kimbledb]"),
        ("[tool.kimbledb]\noptions = 3", "it is no table"),
        ("[tool.kimbledb.options]\nlock_timeot = 3", "did you mean lock_timeout?"),
        ("[tool.kimbledb.options]\nlock_timeout = 'x'", "lock_timeout"),
        ("[tool.kimbledb.options]\nlock_timeout = -1", "lock_timeout"),
        ("[tool.kimbledb", "is not TOML"),
    ],
)
def test_a_fault_of_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A wrong key or value is an error that names the file and the cure."""
    with pytest.raises(kimbledb.ConfigurationError) as raised:
        read(written(tmp_path, text))

    assert said in str(raised.value)
    assert "pyproject.toml" in str(raised.value)


@pytest.mark.parametrize("text", ["[tool.kimbledb]\ndsn = 'geheim'", "[tool.kimbledb.options]\ndirect_dsn = 'geheim'"])
def test_a_password_has_no_place_in_the_file(tmp_path: Path, text: str) -> None:
    """A DSN is refused, and not printed."""
    with pytest.raises(kimbledb.ConfigurationError, match="environment") as raised:
        read(written(tmp_path, text))

    assert "geheim" not in str(raised.value)


def test_a_folder_that_is_not_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no catalog is named and `kimbledb new` has made a folder, the built-in catalog is not taken silently."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "migrations").mkdir()

    assert main(["plan", "--empty"]) == 0
    shown = capsys.readouterr()
    assert "for the folder migrations pass --catalog migrations" in shown.err
    assert "only comments" not in shown.out  # those of the built-in ones are declared so
    assert main(["plan", "--empty", "--catalog", "builtin"]) == 0
    assert "the folder migrations" not in capsys.readouterr().err
