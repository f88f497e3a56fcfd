"""The basis of a plan: all that the plan rests on, as plain texts, and the fingerprint of these texts.

Two plans with the same fingerprint send the same statements to the same database in the same state. The basis names
what differs where the fingerprints do. No path, no time zone and no size of a table is in it: another checkout, another
process or another Python gives the same texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from kimbledb.model.presentation import Json

#: The kinds of texts, in the order of the last digits of a fingerprint.
KINDS: Final = ("files", "history", "schema", "rows", "target", "wishes", "steps")
#: Two digits for each kind say which kind differs; the others cover all of them.
_FINGERPRINT = re.compile(rf"kp1-[0-9a-f]{{32}}-[0-9a-f]{{{2 * len(KINDS)}}}")
#: The digits that are kept of SHA-256 of a file: as many as a fingerprint has.
DIGITS: Final = 32

#: The value of a table without rows, of one with rows, and of one that is locked, so that nobody can tell.
EMPTY, FILLED, LOCKED = "empty", "holds rows", "locked"
#: The value of a step that is to be applied begins with it, and that of a row of history which records success.
APPLY, APPLIED = "apply ", "applied "
#: The value of an object that exists, and of one that is a step's and does not.
THERE, MISSING = "there", "missing"


@frozen
class Basis:
    """All that a plan rests on."""

    #: The texts: by kind, and by the name of a file, a migration, an object or the like.
    parts: Mapping[str, Mapping[str, str]]

    @cached_property
    def fingerprint(self) -> str:
        """``kp1-``, 32 digits that cover all of it, and two for each kind of texts, in hexadecimal."""
        digests = [_sha256(json.dumps(self.of(kind), sort_keys=True)) for kind in KINDS]
        return f"kp1-{_sha256(' '.join(digests))[:DIGITS]}-{''.join(each[:2] for each in digests)}"

    def of(self, kind: str) -> Mapping[str, str]:
        """Return the texts of a kind, by their names.

        Args:
            kind: One of ``KINDS``.
        """
        return self.parts.get(kind, {})

    @property
    def to_apply(self) -> list[str]:
        """The names of the migrations that the plan applies."""
        return [name for name, value in self.of("steps").items() if value.startswith(APPLY)]

    def replacing(self, kind: str, texts: Mapping[str, str]) -> Basis:
        """Return a basis with other texts of one kind.

        Args:
            kind: One of ``KINDS``.
            texts: The texts by their names.
        """
        return Basis({**self.parts, kind: texts})

    def as_dict(self) -> dict[str, Json]:
        """Return the texts by kind and by name."""
        return {kind: dict(self.of(kind)) for kind in KINDS}

    @classmethod
    def of_dict(cls, value: object) -> Basis | None:
        """Return the basis that ``as_dict()`` gave, or None if it is none.

        Args:
            value: The value, as JSON gives it back.
        """
        if not isinstance(value, Mapping) or set(value) != set(KINDS):
            return None
        parts: dict[str, Mapping[str, str]] = {}
        for kind, texts in value.items():
            if not isinstance(texts, Mapping) or not all(isinstance(each, str) for each in texts.values()):
                return None
            parts[kind] = dict(texts)
        return cls(parts)


def is_fingerprint(text: str) -> bool:
    """Whether a text has the form of a fingerprint."""
    return _FINGERPRINT.fullmatch(text) is not None


def kinds_that_differ(one: str, other: str) -> list[str]:
    """Return the kinds of texts in which two fingerprints differ, as far as their last digits show it.

    Args:
        one: A fingerprint.
        other: Another one.
    """
    digits = zip(KINDS, *(re.findall("..", each.rpartition("-")[2]) for each in (one, other)), strict=True)
    return [kind for kind, first, second in digits if first != second]


def digest(value: object) -> str:
    """Return the digits that stand for a value of JSON in a basis."""
    return _sha256(json.dumps(value, sort_keys=True))[:DIGITS]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
