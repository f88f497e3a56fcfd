"""The limits of a call for many: its connections, those to one server, and the failures after which it halts."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from kimbledb.errors import ConfigurationError

#: A share counts from so many finished schemas on: of the first two, one that fails is half of them.
_LEAST_FINISHED: Final = 10
_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*", re.ASCII)


@frozen
class HaltRule:
    """The failures after which no further schema starts."""

    #: The number of failures, or None.
    failures: int | None = None
    #: The failed ones among the finished ones in percent, or None.
    percent: float | None = None

    @classmethod
    def of(cls, given: int | str) -> HaltRule:
        """Read a rule: a number of failures such as 5, or a share such as ``"10%"``.

        Args:
            given: The number or the share.

        Raises:
            ConfigurationError: It is neither, or one that no failure or no share can reach.
        """
        share = _SHARE.fullmatch(given) if isinstance(given, str) else None
        if share is not None and 0 < float(share[1]) <= 100:
            return cls(percent=float(share[1]))
        if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
            return cls(failures=given)
        raise ConfigurationError(
            f"halt_after is {given!r}, but it must be a number of failures or a share",
            hint='pass a number of at least 1, such as 5, or a share of the finished schemas, such as "10%"',
        )

    def reason(self, failed: int, finished: int) -> str | None:
        """Return the reason to halt, or None.

        Args:
            failed: The number of schemas that failed.
            finished: The number of finished schemas, failed ones included.
        """
        if self.failures is not None and failed >= self.failures:
            return f"{failed} failed, and the limit is {self.failures}"
        if self.percent is not None and finished >= _LEAST_FINISHED and failed * 100 >= self.percent * finished:
            return f"{failed} of {finished} failed, and the limit is {self.percent:g}%"
        return None


@frozen
class Limits:
    """The limits of one call."""

    #: The number of targets that are worked on at once.
    targets: int
    #: The number of targets of one server that are worked on at once, or None for any number.
    per_server: int | None
    #: The failures after which the call halts, or None.
    halt: HaltRule | None

    @classmethod
    def of(cls, concurrency: int, per_server: int | None = None, halt_after: int | str | None = None) -> Limits:
        """Read the arguments of a call.

        Args:
            concurrency: The largest number of connections.
            per_server: The largest number of connections to one server, or None.
            halt_after: The failures after which the call halts, or None.

        Raises:
            ConfigurationError: An argument is impossible.
        """
        for name, given in (("concurrency", concurrency), ("per_server", per_server)):
            if given is not None and given < 1:
                raise ConfigurationError(f"{name} is {given!r}, but it must be at least 1")
        # One connection is the reserved one, which at any time goes to one server.
        return cls(
            max(1, concurrency - 1),
            None if per_server is None else max(1, per_server - 1),
            None if halt_after is None else HaltRule.of(halt_after),
        )
