"""The text of a script: the form in which it is sent, its checksum, the queries that it names."""

from __future__ import annotations

import hashlib

from kimbledb.model import VerificationQuery


def normalise(text: str) -> str:
    """Return a text with one byte-order mark taken off and line ends as LF."""
    text = text.removeprefix("\ufeff")
    # One character is found sooner than two, and most texts have none.
    return text.replace("\r\n", "\n") if "\r" in text else text


def checksum_of(text: str) -> str:
    """Return the SHA-256 of a script in the form in which it is sent."""
    return hashlib.sha256(text.encode()).hexdigest()


def named_queries(text: str) -> tuple[VerificationQuery, ...]:
    """Return the named queries of a verify.sql in which no fault was found."""
    from kimbledb import statements  # late: no start-up with nothing to do runs checks

    return tuple(statements.read_named_queries(text)[0])
