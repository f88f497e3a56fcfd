"""hosted.sql and catalog.toml: what is read of them, what is hashed, and the faults in them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest

import kimbledb
from tests.support.folders import Folder

APPLY = "CREATE TABLE t (id integer);\n"
HOSTED = "GRANT SELECT ON t TO anon;\n"


def faults_of(path: Path) -> list[tuple[str, str, int | None]]:
    """The faults of a folder: the file, the message with the cure, and the line."""
    with pytest.raises(kimbledb.CatalogError) as caught:
        kimbledb.Catalog.from_directory(path)
    return [
        (each.path.removeprefix(f"{path}/"), f"{each.message}: {each.cure}", each.line) for each in caught.value.faults
    ]


def test_hosted_sql_is_read_beside_apply_sql(tmp_path: Path) -> None:
    """A migration has the text of its hosted.sql, and its scripts by platform in the order in which they run."""
    folder = Folder(tmp_path / "m")
    folder.add(1, "a", APPLY, hosted=HOSTED.replace("\n", "\r\n"))
    folder.add(2, "b", APPLY)

    one, other = folder.catalog

    assert one.hosted_sql == HOSTED
    assert [*one.applied_scripts(hosted=True)] == ["apply", "hosted"]
    assert [*one.applied_scripts(hosted=False)] == ["apply"]
    assert [*other.applied_scripts(hosted=True)] == ["apply"]
    assert one.file("hosted").endswith("01_a/hosted.sql")


def test_the_checksum_covers_hosted_sql(tmp_path: Path) -> None:
    """The checksum is that of apply.sql, and of both texts with a NUL between them where there is a hosted.sql."""
    folder = Folder(tmp_path / "m")
    folder.add(1, "without", APPLY)
    folder.add(2, "with", APPLY, hosted=HOSTED)
    folder.add(3, "empty", APPLY, hosted="")

    without, both, empty = (each.checksum for each in folder.catalog)

    assert without == empty == hashlib.sha256(APPLY.encode()).hexdigest()
    assert both == hashlib.sha256(f"{APPLY}\0{HOSTED}".encode()).hexdigest()


def test_declarations_are_bound_to_both_texts(tmp_path: Path) -> None:
    """Declarations that name statements of both files are of the checksum of both; an edit of either outdates them."""
    folder = Folder(tmp_path / "m")
    path = folder.add(1, "a", APPLY, hosted=HOSTED)
    checksum = folder.catalog[1].checksum
    (path / "declared.toml").write_text(
        f'checksum = "{checksum}"\nserver = "18.1"\n[[statement]]\nat = "apply.sql:1"\n[statement.creates]\n"table t" = {{}}\n'
        '[[statement]]\nat = "hosted.sql:1"\non = "hosted"\n[statement.creates]\n"privilege table t to anon" = { may = ["select"] }\n'
    )

    [recorded] = folder.catalog
    kept = pickle.loads(pickle.dumps(recorded))  # noqa: S301 - our own
    (path / "hosted.sql").write_text(HOSTED + "-- edited\n")
    [edited] = folder.catalog

    assert recorded.is_declared
    assert [(each.part, each.line, each.hosted) for each in recorded.declarations.statements] == [
        ("apply", 1, None),
        ("hosted", 1, True),
    ]
    assert kept.declarations == recorded.declarations.without_sources()
    assert kept.hosted_sql == ""
    assert edited.is_outdated


def test_hosted_sql_obeys_the_rules_of_a_script(tmp_path: Path) -> None:
    """What may not stand in a script is a fault in hosted.sql, with its line; so is what needs no transaction."""
    folder = Folder(tmp_path / "m")
    folder.add(1, "a", APPLY, hosted="GRANT SELECT ON t TO anon;\nCOMMIT;\n")
    folder.add(2, "b", APPLY, hosted="\nCREATE INDEX CONCURRENTLY i ON t (id);\n", facts="transactional = false")

    [(one, ends, first), (other, alone, second)] = faults_of(folder.path)

    assert (one, first, other, second) == ("01_a/hosted.sql", 2, "02_b/hosted.sql", 2)
    assert "COMMIT" in ends
    assert "runs in the transaction that records the migration" in alone


def test_a_catalog_is_closed_by_its_catalog_toml(tmp_path: Path) -> None:
    """`closed = true` in catalog.toml is a fact of the catalog and of each migration; without the file nothing is closed."""
    folder = Folder(tmp_path / "m")
    folder.table(1, "a")
    before = folder.catalog
    folder.close()

    after = folder.catalog

    assert (before.closed, before[1].closed) == (False, False)
    assert (after.closed, after[1].closed) == (True, True)
    assert pickle.loads(pickle.dumps(after))  # noqa: S301 - our own.closed
    assert after[1].checksum == before[1].checksum


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("closd = true\n", "there is no key closd: is it closed?", 1),
        ("\nclosed = 1\n", "closed is 1: it must be true or false", 2),
        ("closed\n", "it is not TOML", 1),
    ],
)
def test_a_fault_in_catalog_toml_has_its_line_and_cure(tmp_path: Path, text: str, said: str, line: int) -> None:
    """An unknown key, another value and what is no TOML are faults of catalog.toml."""
    folder = Folder(tmp_path / "m")
    folder.table(1, "a")
    (folder.path / "catalog.toml").write_text(text)

    [(file, words, at)] = faults_of(folder.path)

    assert (file, at) == ("catalog.toml", line)
    assert words.startswith(said)


def test_a_flat_folder_cannot_be_closed(tmp_path: Path) -> None:
    """Files alone cannot be opened by a hosted.sql, so that `closed` beside them is a fault that says so."""
    (tmp_path / "001_a.sql").write_text(APPLY)
    (tmp_path / "catalog.toml").write_text("closed = true\n")

    [(file, words, _)] = faults_of(tmp_path)

    assert file == "catalog.toml"
    assert "have no hosted.sql" in words
    assert "give each migration a folder" in words
