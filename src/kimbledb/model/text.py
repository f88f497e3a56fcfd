"""Text that is shown: harmless to a terminal, and in the right number."""

from __future__ import annotations

from collections.abc import Sequence, Sized


def printable(text: str) -> str:
    """Return a text that a terminal only shows: what would steer it, or hide or turn other text, is spelt out.

    That is control characters, bidirectional marks and characters without width. Line breaks and tabs stay.
    """
    return text if text.isprintable() else "".join(each if each in "\n\t" else one_line(each) for each in text)


def one_line(name: str) -> str:
    """Return a name from a database or a file in the same way; its line breaks and tabs are spelt out, too."""
    if name.isprintable():
        return name
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in name)


def counted(things: Sized, noun: str) -> str:
    """Return how many there are with the noun in its number: ``1 migration``, ``2 migrations``."""
    return f"{len(things)} {noun}" + ("" if len(things) == 1 else "s")


def few(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Return the first of some names and how many more there are."""
    shown = between.join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "nothing"
