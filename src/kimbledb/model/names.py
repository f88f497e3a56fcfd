"""Names: how they are quoted in SQL, compared, and found if they are misspelt.

Every name of a caller (schema, migration) is quoted here before it becomes part of a statement. Quoting follows the
PostgreSQL manual, 4.1.1 "Identifiers and Key Words" and 4.1.2.1 "String Constants".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

#: A word that may be a name, also within the quotes of a constant such as ``'orders_id_seq'::regclass``.
_WORD = r'"((?:[^"]|"")*)"|([^\W\d][\w$]*)'
#: The separators of a list's elements, the brackets that group them, and the quotes that hide both.
_OF_LISTS = r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|[(),\[\]]"


def quote_identifier(name: str) -> str:
    """Quote a name as an identifier: ``a"b`` becomes ``"a""b"``."""
    return '"' + name.replace('"', '""') + '"'


def unquoted(name: str) -> str:
    """Return the name that an identifier of SQL means: without its quotes, or in lower case."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def quote_literal(value: str) -> str:
    """Quote a text as a string constant that is safe with every value of ``standard_conforming_strings``."""
    quoted = value.replace("'", "''")
    if "\\" in quoted:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def quote_array(values: Iterable[str]) -> str:
    """Quote texts as a constant of type ``text[]``."""
    return "ARRAY[" + ", ".join(map(quote_literal, values)) + "]::text[]"


def folded(name: str) -> str:
    """Return the form of a name in which a file system or a reader compares it.

    Neither case nor Unicode composition (``É`` typed in two ways) distinguishes names. The Unicode standard, 3.13,
    calls this a canonical caseless match.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three of ``known`` that are similar to ``name``, the most similar first.

    Case and a missing ``.sql`` make no difference.
    """
    by_folded = {folded(candidate): candidate for candidate in known}
    wanted = folded(name)
    if wanted in by_folded:
        return [by_folded[wanted]]
    # Compared without .sql, which would make any two short names similar.
    by_stem = {each.removesuffix(".sql"): candidate for each, candidate in by_folded.items()}
    wanted = wanted.removesuffix(".sql")
    if wanted in by_stem:
        return [by_stem[wanted]]
    import difflib  # 1 ms, and only a misspelt name needs it

    return [by_stem[match] for match in difflib.get_close_matches(wanted, by_stem, n=3, cutoff=0.6)]


@lru_cache(maxsize=4096)
def words_in(text: str) -> frozenset[str]:
    """Return the words of a text that can be names, in lower case unless quoted.

    Args:
        text: The text, such as an expression.
    """
    return frozenset(words_of(text))


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text that can be names, as they stand there.

    Args:
        text: The text, such as an expression.
    """
    for found in re.finditer(_WORD, text):
        yield found[1].replace('""', '"') if found[1] is not None else found[2].lower()


def split_list(text: str) -> list[str]:
    """Split a list at its commas, except those within parentheses, brackets, quoted names or strings.

    Args:
        text: The list, such as ``numeric(10,2),text``.
    """
    found, start, depth = [], 0, 0
    for match in re.finditer(_OF_LISTS, text):
        sign = match[0]
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and not depth:
            found.append(text[start : match.start()].strip())
            start = match.end()
    return [*found, text[start:].strip()]
