"""The SQL that the library itself sends, from ``sql/queries/``, one file per question.

A file is either the body of a ``DO`` block, which answers by ``RAISE INFO``, or
plain statements. Placeholders in braces are filled with quoted text only, all of
them in one pass: a filled-in text is never searched for placeholders.

Errors and notices of our blocks are signed with a random name, so that no error or notice of a
script is taken for one of them, whatever its SQLSTATE.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Final

from kimbledb.sql import packaged

#: The signature, sent as the name of a constraint (manual, 43.9.1).
SIGNATURE: Final = f"kimbledb_{os.urandom(8).hex()}"
_SIGNED: Final = f", CONSTRAINT = '{SIGNATURE}'"
_CODE = re.compile(r"ERRCODE = 'KD\d\d\d'")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TAG: Final = "kimbledb"
#: The beginning of each anonymous block, by which a session's query is known as one of this package.
ANONYMOUS: Final = f"DO ${_TAG}"


@cache
def text_of(name: str) -> str:
    """Return a file of ``sql/queries`` without its leading comments, with its placeholders unfilled.

    Args:
        name: The file, without ``.sql``.
    """
    text = packaged.read(f"queries/{name}.sql").decode()
    lines = text.splitlines()
    while lines and lines[0].startswith("--"):
        del lines[0]
    return _CODE.sub(rf"\g<0>{_SIGNED}", "\n".join(lines))


def block(name: str, /, **values: str) -> str:
    """Return a file as an anonymous block, with its placeholders filled.

    Args:
        name: The file, without ``.sql``.
        values: The text for each placeholder, quoted by the caller (``kimbledb.model.names``).
    """
    return anonymous(filled(name, **values))


def question(name: str, /, **values: str) -> str:
    """Return a file that is one SELECT of one jsonb value, as a block that answers with that value.

    Args:
        name: The file, without ``.sql``.
        values: The text for each placeholder, quoted by the caller.
    """
    return answering(filled(name, **values))


def answering(query: str) -> str:
    """Return one SELECT of one jsonb value as a block that answers with that value."""
    return anonymous(f"BEGIN\nRAISE INFO USING ERRCODE = 'KD100'{_SIGNED}, MESSAGE = (\n{query}\n)::text;\nEND")


def printed(query: str, path: str) -> str:
    """Return the body of a block that answers with the value of a query under a search_path, whose schemas it does not name.

    Names in the query itself are looked up before that search_path is set, so that no object
    in those schemas is called: a cursor is planned when it is opened.

    Args:
        query: One SELECT of one jsonb value.
        path: The search_path, as a text constant.
    """
    return filled("printed", path=path, question=query)


def filled(name: str, /, **values: str) -> str:
    """Return a file with its placeholders filled.

    Args:
        name: The file, without ``.sql``.
        values: The text for each placeholder, quoted by the caller.
    """
    pieces, names = _pieces(name)
    filled: list[str] = []
    for piece, placeholder in zip(pieces, names, strict=True):
        filled += (piece, values.get(placeholder, f"{{{placeholder}}}"))
    return "".join(filled[:-1])


@cache
def _pieces(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts of a file between its placeholders, and the placeholder behind each: none behind the last."""
    parts = _PLACEHOLDER.split(text_of(name))
    return tuple(parts[::2]), (*parts[1::2], "")


def fill(text: str, /, **values: str) -> str:
    """Return a text with its placeholders filled; one without a value stays.

    Args:
        text: The text, such as one that was put together from files.
        values: The text for each placeholder, quoted by the caller.
    """
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def unsigned(text: str) -> str:
    """Return a text of ours without signatures, for a file that another program runs."""
    return text.replace(_SIGNED, "")


def quoted(text: str, word: str) -> str:
    """Return a text between dollar quotes, with a tag that the text does not contain.

    Args:
        text: The text.
        word: The tag, which gets a number where the text contains it.
    """
    number = 0
    while (tag := f"${word}{number or ''}$") in text:
        number += 1
    return f"{tag}\n{text}\n{tag}"


def anonymous(body: str) -> str:
    """Return the body of a block as an anonymous block."""
    return f"DO {quoted(body, _TAG)};\n"
