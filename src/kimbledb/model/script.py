"""A script: the SQL that is sent, and the place of each character in its file."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from typing import Literal

from attrs import field, frozen

#: The scripts of a migration by their purpose.
Part = Literal["apply", "hosted", "verify", "rollback", "online"]


def checksum_of(scripts: Iterable[Script]) -> str:
    """Return SHA-256, in hexadecimal, of the texts of scripts in their order, with a NUL character between them.

    Args:
        scripts: The scripts: of one alone it is the checksum of its text.
    """
    return hashlib.sha256("\0".join(script.text for script in scripts).encode()).hexdigest()


# Without slots: an instance is then made in a quarter of the time, and a catalog holds several for each migration.
@frozen(slots=False)
class Script:
    """A text of SQL with its place in a file, for messages about the text."""

    #: The path of the file, for messages.
    path: str
    #: The SQL in the form that is sent: without a byte-order mark, and with LF as line end. It may hold secrets.
    text: str = field(repr=False)
    #: The line of the file on which the text begins, counted from 1.
    first_line: int = 1

    @classmethod
    def of_file(cls, path: str, content: str) -> Script:
        """Make a script of a whole file: a byte-order mark is removed, and CRLF becomes LF.

        Args:
            path: The path of the file, for messages.
            content: The content of the file.
        """
        text = content.removeprefix("\ufeff")
        # Most texts hold no CR, and a search for one character is faster than one for two.
        return cls(path, text.replace("\r\n", "\n") if "\r" in text else text)

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def checksum(self) -> str:
        """SHA-256 of the text in hexadecimal."""
        return checksum_of((self,))

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return the line of the file and the column of a character, both counted from 1.

        Args:
            offset: The place of the character in the text, counted from 0.
        """
        line = bisect_right(self._line_starts, offset)
        return line + self.first_line - 1, offset - self._line_starts[line - 1] + 1

    def offset_of(self, line: int, column: int = 1) -> int | None:
        """Return the place of a character in the text, counted from 0, or None if the text has no such line.

        Args:
            line: The line of the file, counted from 1.
            column: The column, counted from 1.
        """
        number = line - self.first_line
        return self._line_starts[number] + column - 1 if 0 <= number < len(self._line_starts) else None

    @cached_property
    def _line_starts(self) -> list[int]:
        # Computed once, since a file may have many faults.
        return [0, *(match.end() for match in re.finditer("\n", self.text))]
