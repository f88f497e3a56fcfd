from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimbledb.errors import ConfigurationError
from kimbledb.model.names import folded, near, quote_array, quote_identifier, quote_literal
from kimbledb.server.schemas import MAX_IDENTIFIER_BYTES, check_schema_name

#: What PostgreSQL can store: anything but NUL and lone surrogates.
STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
TRICKY = st.lists(st.sampled_from(["'", '"', "\\", "''", '""', "\\'", " ", "E", "$$", "--", "/*", ";", "é", "\n"])).map(
    "".join
)


def read_quoted(text: str, quote: str, *, escapes: bool) -> tuple[str, str]:
    """Read a quoted name or string as the manual, 4.1, describes it: what it says, and the text after it."""
    assert text[0] == quote
    value, position = "", 1
    while True:
        if text[position] == "\\" and escapes:
            # Of the escapes only the one that the library writes; any other is a mistake of its.
            assert text[position + 1] == "\\"
            value, position = value + "\\", position + 2
        elif text.startswith(quote * 2, position):
            value, position = value + quote, position + 2
        elif text[position] == quote:
            return value, text[position + 1 :]
        else:
            value, position = value + text[position], position + 1


def read_string(text: str, *, standard_conforming: bool) -> tuple[str, str]:
    """Read a string constant, with E before it or without."""
    text = text.lstrip(" ")
    if text[0] == "E":
        return read_quoted(text[1:], "'", escapes=True)
    return read_quoted(text, "'", escapes=not standard_conforming)


# Quoting.


@given(STORABLE | TRICKY)
def test_an_identifier_reads_back_as_the_name(name: str) -> None:
    """Whatever a name holds, it is quoted as one identifier and nothing is left over."""
    assert (name, "") == read_quoted(quote_identifier(name), '"', escapes=False)


@given(STORABLE | TRICKY, st.booleans())
def test_a_literal_reads_back_as_the_text(value: str, standard_conforming: bool) -> None:
    """Whatever a text holds, it is quoted as one string, by the old reading of backslashes as by the new."""
    assert (value, "") == read_string(quote_literal(value), standard_conforming=standard_conforming)


@given(TRICKY)
def test_a_literal_does_not_stick_to_the_word_before_it(value: str) -> None:
    """No letter of the word before a literal becomes part of it, and its E none of the word's."""
    assert quote_literal(value).startswith((" E'", "'"))


@given(st.lists(STORABLE | TRICKY))
def test_an_array_reads_back_as_its_texts(values: list[str]) -> None:
    """Any texts are quoted as one constant array."""
    rest = quote_array(values).removeprefix("ARRAY[").removesuffix("]::text[]")
    read = []
    while rest:
        value, rest = read_string(rest, standard_conforming=True)
        read.append(value)
        assert not rest or rest.startswith(", ")
        rest = rest.removeprefix(", ")

    assert values == read


# The target schema.


@given(STORABLE)
def test_a_schema_may_have_any_name_that_the_server_keeps_whole(schema: str) -> None:
    """A name of 1 to 63 bytes that is not the server's own is taken as it is, and any other is refused."""
    right = 0 < len(schema.encode()) <= 63 and not schema.startswith("pg_") and schema != "information_schema"
    if right:
        assert schema == check_schema_name(schema)
    else:
        with pytest.raises(ConfigurationError, match="cannot be the target schema"):
            check_schema_name(schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("", "it is empty"),
        ("a\0b", "it contains a NUL character"),
        ("a\ud800", "it is not valid Unicode"),
        ("a" * 64, "it is 64 bytes long, and PostgreSQL keeps 63"),
        ("é" * 32, "it is 64 bytes long, and PostgreSQL keeps 63"),
        ("pg_catalog", "that name belongs to the server"),
        ("pg_mine", "that name belongs to the server"),
        ("information_schema", "that name belongs to the server"),
        (5, "it is no text"),
    ],
)
def test_a_schema_that_cannot_be_is_refused_with_the_reason(schema: str, why: str) -> None:
    """The error names the schema and says why it cannot be the target."""
    with pytest.raises(ConfigurationError) as caught:
        check_schema_name(schema)

    assert f"{schema!r} cannot be the target schema: {why}" == caught.value.text


@pytest.mark.parametrize("schema", ["public", "Tenant 1", 'a"b', "PG_upper", "pg", "é" * 31 + "a", "a" * 63])
def test_a_schema_of_an_odd_name_is_accepted(schema: str) -> None:
    """Case, space and quotes are no hindrance, and 63 bytes are not too many."""
    assert MAX_IDENTIFIER_BYTES == 63
    assert schema == check_schema_name(schema)


# Names that are the same to a reader, and names that come close.


@given(st.text())
def test_composition_does_not_tell_names_apart(name: str) -> None:
    """A name typed in composed or in decomposed characters is the same name."""
    assert folded(name) == folded(unicodedata.normalize("NFC", name)) == folded(unicodedata.normalize("NFD", name))


@given(st.text())
def test_case_does_not_tell_names_apart(name: str) -> None:
    """A name and its lower case are the same name, and folding it again changes nothing."""
    assert folded(name) == folded(name.lower()) == folded(folded(name))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A.sql", "a.SQL"),
        ("É", "e\u0301"),
        ("straße", "STRASSE"),
        ("a\u0386\u0301\u0323\u0345", "a\u03ac\u0301\u0323\u0345"),
        ("K", "\u212a"),
    ],
)
def test_names_taken_for_one_are_folded_into_one(one: str, other: str) -> None:
    """Names that a file system or a reader takes for one are folded into one."""
    assert folded(one) == folded(other)


@given(st.lists(st.text(max_size=12), max_size=8), st.text(max_size=12))
def test_near_names_are_known_ones(known: list[str], name: str) -> None:
    """At most three names are offered, each once, and each of them is known."""
    found = near(name, iter(known))

    assert len(found) <= 3
    assert len(set(found)) == len(found)
    assert set(found) <= set(known)


WORDS = st.text(string.ascii_lowercase, min_size=6, max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=8, unique=True), st.data())
def test_a_slip_of_the_keyboard_is_understood(words: list[str], data: st.DataObject) -> None:
    """Case and a missing .sql do not count, and one wrong letter still finds the name."""
    known = [f"{word}.sql" for word in words]
    word = data.draw(st.sampled_from(words))
    place = data.draw(st.integers(0, len(word) - 1))
    slip = word[:place] + "_" + word[place + 1 :]

    assert [f"{word}.sql"] == near(f"{word}.sql", known) == near(word, known) == near(word.upper(), known)
    assert near(slip, known) == near(f"{slip}.sql", known)
    assert f"{word}.sql" in near(slip, known) or len(near(slip, known)) == 3


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("api-cost-traking", ["base.sql", "api-cost-tracking.sql"], ["api-cost-tracking.sql"]),
        ("api-cost-traking.sql", ["base.sql", "api-cost-tracking.sql"], ["api-cost-tracking.sql"]),
        ("usr", ["users.sql"], ["users.sql"]),
        ("usr.sql", ["users.sql"], ["users.sql"]),
        ("USERS.SQL", ["users.sql", "users"], ["users.sql"]),
        ("Users", ["users.sql", "users"], ["users"]),
        ("tables", ["tables5", "tables54", "tables543", "tables5432"], ["tables5", "tables54", "tables543"]),
        ("user_token", ["users.sql", "user_tokens", "tokens.sql"], ["user_tokens", "tokens.sql"]),
        ("a.sql", ["b.sql", "c.sql"], []),
        ("invoices", [], []),
        ("", ["a.sql"], []),
    ],
)
def test_near_names_are_offered_best_first(name: str, known: list[str], expected: list[str]) -> None:
    """The names that come close are offered best first, and a name that resembles none gets none."""
    assert expected == near(name, known)
