"""Formats: each is found by its file alone, and one of them reads a folder."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimbledb.catalog import formats
from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.formats import (
    Format,
    dbmate,
    diesel,
    drizzle,
    files,
    flyway,
    folders,
    goose,
    pairs,
    pg_dump,
    prisma,
    sqitch,
    tern,
    yoyo,
)
from kimbledb.errors import CatalogError

#: The formats of the package. mypy compares the functions of their modules with those of a format.
OURS: dict[str, Format] = {
    "dbmate": dbmate,
    "diesel": diesel,
    "drizzle": drizzle,
    "files": files,
    "flyway": flyway,
    "folders": folders,
    "goose": goose,
    "pairs": pairs,
    "pg_dump": pg_dump,
    "prisma": prisma,
    "sqitch": sqitch,
    "tern": tern,
    "yoyo": yoyo,
}

#: A format of one file for all migrations: each line is a name, a tab, and the SQL.
TABLE = '''
"""A table of migrations."""

from kimbledb.catalog.reading import read_script
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.script import Script


def matches(folder):
    return any(entry.name == "migrations.tsv" for entry in folder.entries)


def read(folder):
    faults = []
    [entry] = [entry for entry in folder.entries if entry.name == "migrations.tsv"]
    path = f"{folder.shown}/{entry.name}"
    table = read_script(entry, path, faults)
    migrations = []
    for number, line in enumerate(table.text.splitlines() if table else (), 1):
        name, tab, sql = line.partition("\\t")
        if not tab:
            faults.append(Fault(path, "the line has no tab", "write one after the name", number))
            continue
        script = Script(path, sql, number)
        migrations.append(
            Migration(name=name, number=number, apply_sql=script, checksum=script.checksum, location=path)
        )
    return migrations, faults
'''


@pytest.fixture
def format_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a format that is not the package's, in a folder where formats are looked for."""
    folder = tmp_path / "formats"
    folder.mkdir()
    file = folder / "table.py"
    file.write_text(TABLE, encoding="utf-8")
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    yield file
    sys.modules.pop(f"{formats.__name__}.table", None)
    importlib.invalidate_caches()


#: A format for the files of another tool.
VERSIONED = """
from kimbledb.catalog.reading import read_script
from kimbledb.model.migration import Migration


def matches(folder):
    return folder.owner is not None and folder.owner.name == "Liquibase"


def read(folder):
    faults = []
    migrations = []
    for number, entry in enumerate(folder.entries, 1):
        script = read_script(entry, f"{folder.shown}/{entry.name}", faults)
        migrations.append(Migration(name=entry.name, number=number, apply_sql=script))
    return migrations, faults
"""


def catalog_of(tmp_path: Path, table: str) -> Path:
    """Write a folder of that format."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "migrations.tsv").write_text(table, encoding="utf-8")
    return folder


def test_a_format_is_found_by_its_file_alone(tmp_path: Path, format_file: Path) -> None:
    """A module in the folder of formats reads the folders that it matches, and nothing else names it."""
    folder = catalog_of(tmp_path, "users\tCREATE TABLE users (id integer)\norders\tCREATE TABLE orders (id integer)\n")

    catalog = Catalog.from_directory(folder)

    assert format_file.stem in formats.every()
    assert [migration.name for migration in catalog] == ["users", "orders"]
    assert catalog["orders"].apply_sql == "CREATE TABLE orders (id integer)"


@pytest.mark.usefixtures("format_file")
def test_the_faults_of_a_format_are_those_of_the_catalog(tmp_path: Path) -> None:
    """Each fault that a format finds is raised with its file and its line."""
    folder = catalog_of(tmp_path, "users\tSELECT 1\norders\n")

    with pytest.raises(CatalogError, match=r"migrations\.tsv:2: the line has no tab; write one after the name"):
        Catalog.from_directory(folder)


@pytest.mark.usefixtures("format_file")
def test_a_folder_of_two_formats_is_refused(tmp_path: Path) -> None:
    """A folder that two formats match is a fault that names both: neither is guessed."""
    folder = catalog_of(tmp_path, "users\tSELECT 1\n")
    (folder / "1_a.up.sql").write_text("SELECT 1;\n", encoding="utf-8")

    with pytest.raises(CatalogError, match="it matches several formats: pairs, table"):
        Catalog.from_directory(folder)


def test_a_format_can_read_the_files_of_another_tool(tmp_path: Path, format_file: Path) -> None:
    """A folder that belongs to another tool is refused only where no format reads it."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "liquibase.properties").write_text("SELECT 1;", encoding="utf-8")

    with pytest.raises(CatalogError, match="this is a file of Liquibase"):
        Catalog.from_directory(folder)

    sys.modules.pop(f"{formats.__name__}.table")
    format_file.with_name("table.py").write_text(VERSIONED, encoding="utf-8")
    importlib.invalidate_caches()

    assert [migration.name for migration in Catalog.from_directory(folder)] == ["liquibase.properties"]


def test_formats_are_asked_in_the_order_of_their_names() -> None:
    """The package holds the formats in alphabetical order."""
    found = formats.every()

    assert list(found) == sorted(OURS)
    assert found == OURS


def test_a_folder_of_kimbledb_imports_no_other_format(tmp_path: Path) -> None:
    """The own formats are asked first: a start with plain files does not pay for those of other tools."""
    (tmp_path / "1_a.sql").write_text("SELECT 1;", encoding="utf-8")
    program = (
        "import sys; from kimbledb import Catalog; Catalog.from_directory(sys.argv[1]); "
        "print(sorted(name for name in sys.modules if name.startswith('kimbledb.catalog.formats.')))"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "['kimbledb.catalog.formats.files', 'kimbledb.catalog.formats.folders']"


def test_a_start_with_the_built_in_catalog_imports_no_format() -> None:
    """What reads folders is imported when a folder is read."""
    program = (
        "import sys; from kimbledb import Catalog; Catalog.builtin(); "
        "print([name for name in sys.modules if name.startswith(('kimbledb.catalog.formats', 'kimbledb.catalog.reading'))])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
