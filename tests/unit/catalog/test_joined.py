"""Catalogs that are joined: one builds on another."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from kimbledb import Catalog, CatalogError, Planner, UnknownMigrationError
from kimbledb.catalog.scaffold import new_migration
from kimbledb.cli import wording
from tests.support.folders import Folder


@pytest.fixture
def base(tmp_path: Path) -> Folder:
    """A folder with two migrations."""
    folder = Folder(tmp_path / "base")
    folder.table(1, "users")
    folder.table(7, "projects", facts='requires = ["users.sql"]\nprovides = ["projects"]')
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Folder:
    """A folder whose migrations build on those of ``base``."""
    folder = Folder(tmp_path / "own")
    folder.table(1, "invoices", facts='requires = ["users.sql", "projects"]')
    folder.table(2, "payments", facts='requires = ["invoices.sql"]')
    return folder


def test_what_builds_on_another_comes_after_it(base: Folder, own: Folder) -> None:
    """The numbers of a folder are raised by the highest one of its base; order, look-up and a pickled copy follow."""
    joined = Catalog.from_directory(own.path, base=base.catalog)

    expected = [("users.sql", 1), ("projects.sql", 7), ("invoices.sql", 8), ("payments.sql", 9)]
    assert [(each.name, each.number) for each in joined] == expected
    assert [each.name for each in Planner(joined).in_order()] == [name for name, _ in expected]
    assert joined[8].requires == ("users.sql", "projects")
    copy = pickle.loads(pickle.dumps(joined))  # noqa: S301 - made in this line
    assert [(each.name, each.number) for each in copy] == expected
    assert copy.source == joined.source == f"{base.path} + {own.path}"


def test_numbers_that_are_higher_already_stay(base: Folder, tmp_path: Path) -> None:
    """A folder whose numbers are all above those of its base keeps them."""
    folder = Folder(tmp_path / "later")
    folder.table(36, "invoices")

    assert (base.catalog + folder.catalog)[36].name == "invoices.sql"


def test_the_built_in_catalog_is_a_base(tmp_path: Path) -> None:
    """A folder may require what only the built-in catalog has, a thing as well as a migration; joined, it is number 36."""
    folder = Folder(tmp_path)
    folder.table(1, "invoices", facts='requires = ["COMPLETE_MIGRATION.sql", "user_tokens"]')

    for joined in (
        Catalog.builtin() + folder.catalog,
        Catalog.from_directory(tmp_path, base=Catalog.builtin()),
    ):
        assert joined[36].name == "invoices.sql"
        assert Planner(joined).plan().pending[-1].needs[0] == "COMPLETE_MIGRATION.sql"
    assert {each.name for each in folder.catalog + Catalog.builtin()} == {each.name for each in joined}


def test_a_folder_that_lacks_its_base_makes_no_plan(tmp_path: Path) -> None:
    """Without the built-in migrations that it requires, a folder is refused before any plan, with the cure."""
    Folder(tmp_path).table(1, "invoices", facts='requires = ["COMPLETE_MIGRATION.sql"]')

    with pytest.raises(CatalogError) as caught:
        Planner(Catalog.from_directory(tmp_path))

    [fault] = caught.value.faults
    assert fault.path.endswith("01_invoices/migration.toml")
    assert "it requires COMPLETE_MIGRATION.sql" in fault.message
    assert f"Catalog.builtin() + Catalog.from_directory('{tmp_path}')" in fault.cure
    assert f"--catalog builtin --catalog {tmp_path}" in (wording.in_the_shell(fault.cure) or "")


def test_what_no_catalog_has_is_a_fault_of_both(base: Folder, tmp_path: Path) -> None:
    """A requirement that neither a folder nor its base meets is told, with a name of the base that is similar."""
    folder = Folder(tmp_path / "wrong")
    folder.table(1, "invoices", facts='requires = ["user.sql"]')

    with pytest.raises(CatalogError, match=r"it requires user.sql, .*; is it users.sql\?"):
        Catalog.from_directory(folder.path, base=base.catalog)


def test_a_name_stands_once_in_both(base: Folder, tmp_path: Path) -> None:
    """Two migrations of one name cannot be joined: history would not tell them apart."""
    folder = Folder(tmp_path / "twin")
    folder.table(1, "users")

    with pytest.raises(CatalogError, match="it has the same name as"):
        base.catalog + folder.catalog


def test_an_own_migration_may_be_an_alternative(base: Folder, tmp_path: Path) -> None:
    """A folder that provides what its base provides offers an alternative, on both sides."""
    folder = Folder(tmp_path / "other")
    folder.table(1, "teams", facts='provides = ["projects"]\ndefault = true')

    joined = base.catalog + folder.catalog

    assert (joined["projects.sql"].alternatives, joined["teams.sql"].alternatives) == (
        ("teams.sql",),
        ("projects.sql",),
    )
    assert [step.name for step in Planner(joined).plan().pending] == ["users.sql", "teams.sql"]


def test_a_new_migration_may_require_what_its_base_has(base: Folder, own: Folder, tmp_path: Path) -> None:
    """A new folder is numbered within its own, and requires the built-in migrations or those of the base that is named."""
    assert new_migration(tmp_path / "new", "invoices", requires=("COMPLETE_MIGRATION.sql",)).name == "01_invoices"
    assert new_migration(tmp_path / "new", "more", requires=("invoices.sql",)).name == "02_more"
    assert new_migration(own.path, "more", requires=("projects",), base=base.catalog).name == "03_more"
    with pytest.raises(UnknownMigrationError):
        new_migration(own.path, "most", requires=("COMPLETE_MIGRATION.sql",), base=base.catalog)
