"""The block that loops over several transactions, as text."""

from __future__ import annotations

from kimbledb.server import queries
from kimbledb.server.loops import Handed, Noted, Piece, ScriptText, before_scripts, loop, nested, written


def _two(script: str | None) -> list[list[Piece]]:
    return [
        ["SELECT 1;\n", Handed({"kimbledb.step": name}), ScriptText(text), differs, "COMMIT;\n"]
        for name, text, differs in (("a", "CREATE TABLE a ()", ""), ("b", script, "SELECT 'only b';\n"))
    ]


def test_statements_of_ours_stand_in_a_block() -> None:
    """Anonymous blocks become inner blocks, and questions discard their answer; the text of a block stays as it is."""
    text = "SELECT 1;\n" + queries.anonymous("BEGIN\nSELECT 2 INTO two;\nEND") + "SET LOCAL jit = off;\nPERFORM\n3;\n"

    assert nested(text) == "PERFORM 1;\nBEGIN\nSELECT 2 INTO two;\nEND;\nSET LOCAL jit = off;\nPERFORM\n3;\n"


def test_what_is_the_same_stands_there_once() -> None:
    """Statements that all transactions share are written once, and those of some in a branch."""
    text = loop("", _two("CREATE TABLE b ()"))

    assert text.count("PERFORM 1;") == text.count("PERFORM 'only b';") == 1
    assert "IF kimbledb_3[kimbledb_at] OPERATOR(pg_catalog.=) 1 THEN\nPERFORM 'only b';\nEND IF;" in text


def test_a_transaction_without_a_script() -> None:
    """Where one of the transactions has no script nothing is executed in its place."""
    text = loop("", _two(None))

    assert "IF kimbledb_2[kimbledb_at] IS NOT NULL THEN\nEXECUTE kimbledb_2[kimbledb_at];\nEND IF;" in text


def test_a_script_with_the_quotes_of_the_block() -> None:
    """A script that contains the quotation marks which it would get, or those of the whole, gets others."""
    text = loop("", _two("SELECT $script$ $kimbledb$ $script1$"))

    assert "$script2$\nSELECT $script$ $kimbledb$ $script1$\n$script2$" in text
    assert text.startswith("DO $kimbledb1$\n")
    assert text.endswith("\n$kimbledb1$;\n")


def test_what_each_transaction_leaves_as_it_found_it_is_noted_once() -> None:
    """The first transaction looks, and the next ones are given what it found, but for one that has another state."""
    text = loop("", [[Noted("SELECT look();\n", ("kimbledb.a",), of=state)] for state in ("one", "one", "other")])

    assert "kimbledb_0_looks constant pg_catalog.bool[] := ARRAY[True, False, True]" in text
    assert text.count("PERFORM look();") == 1
    assert "ELSE\nPERFORM pg_catalog.set_config('kimbledb.a', kimbledb_0[1], true);\nEND IF;" in text


def test_what_stands_before_a_script() -> None:
    """Pieces are statements one after the other, and each script ends where a comment on its last line would hide the rest."""
    pieces: list[Piece] = ["SELECT 1;\n", ScriptText("SELECT 2 -- two"), "SELECT 3;\n", ScriptText(None)]

    assert written(pieces) == "SELECT 1;\nSELECT 2 -- two\n;\nSELECT 3;\n"
    assert before_scripts("BEGIN;\n", pieces) == ["BEGIN;\nSELECT 1;\n", f"BEGIN;\n{written(pieces)}"]
