"""Texts for people: without control characters, with plurals, and with long lists cut off."""

from __future__ import annotations

from collections.abc import Sequence, Sized


def printable(text: str) -> str:
    """Return a text that is safe in a terminal: control and other invisible characters are escaped.

    These are control characters, bidirectional marks and characters without width. Line breaks and tabs stay.
    """
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in text.split("\n"))


def one_line(name: str) -> str:
    """Return a name from a database or a file in the same way, with line breaks and tabs escaped, too."""
    if name.isprintable():
        return name
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in name)


def counted(things: Sized, noun: str) -> str:
    """Return the number of things with the noun: ``1 migration``, ``2 migrations``."""
    return f"{len(things)} {noun}" + ("" if len(things) == 1 else "s")


def moment(time: str) -> str:
    """Return a time of the server to the second, such as ``2026-05-01 09:30:00``; the library asks for times in UTC."""
    return time[:19].replace("T", " ")


def few(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Return the first names, and the number of the others: ``a, b, c and 4 more``."""
    shown = between.join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "nothing"
