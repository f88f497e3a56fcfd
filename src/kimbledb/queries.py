"""The SQL that the library itself sends, from ``sql/queries/``, one file a question.

A file is either the body of a ``DO`` block, which answers by ``RAISE INFO``, or
plain statements. Placeholders in braces are filled with quoted text only.
"""

from __future__ import annotations

from functools import cache

from kimbledb import packaged

#: Quotes the blocks; no file of sql/queries holds it.
_TAG = "$kimbledb$"


@cache
def text_of(name: str) -> str:
    """Return a file of ``sql/queries`` without its comments at the top, its placeholders unfilled."""
    text = packaged.read(f"queries/{name}.sql").decode()
    lines = text.splitlines()
    while lines and lines[0].startswith("--"):
        del lines[0]
    return "\n".join(lines)


def block(name: str, /, **values: str) -> str:
    """Return a file as an anonymous block, its placeholders filled.

    Args:
        name: The file, without ``.sql``.
        values: For each placeholder its text, quoted by the caller (:mod:`kimbledb.names`).
    """
    return f"DO {_TAG}\n{filled(name, **values)}\n{_TAG};\n"


def question(name: str, /, **values: str) -> str:
    """Return a file that is one SELECT of one jsonb value as a block that answers with it."""
    return (
        f"DO {_TAG}\nBEGIN\nRAISE INFO USING ERRCODE = 'KD100', MESSAGE = (\n"
        f"{filled(name, **values)}\n)::text;\nEND\n{_TAG};\n"
    )


def filled(name: str, /, **values: str) -> str:
    """Return a file with its placeholders filled."""
    text = text_of(name)
    for placeholder, value in values.items():
        text = text.replace("{" + placeholder + "}", value)
    return text
