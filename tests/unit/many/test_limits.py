from __future__ import annotations

import pytest

from kimbledb.errors import ConfigurationError
from kimbledb.many.limits import HaltRule, Limits
from kimbledb.server.targets import target_of


@pytest.mark.parametrize(
    ("rule", "failed", "finished", "halts"),
    [
        (3, 2, 1000, False),
        (3, 3, 3, True),
        ("10%", 5, 9, False),  # a share counts once ten are finished
        ("10%", 1, 10, True),
        ("10%", 1, 11, False),
        ("2.5%", 5, 200, True),
        ("100%", 10, 10, True),
        ("1%", 0, 1000, False),
    ],
)
def test_a_halt(rule: int | str, failed: int, finished: int, halts: bool) -> None:
    """A number of failures halts at once, and a share of the finished ones once there are ten."""
    assert (HaltRule.of(rule).reason(failed, finished) is not None) is halts


@pytest.mark.parametrize("given", [0, -1, True, "3", "0%", "101%", "ten", "10 percent", 0.1])
def test_a_halt_that_no_failure_can_cause(given: int | str) -> None:
    """What is neither a number of failures nor a share is refused with both forms."""
    with pytest.raises(ConfigurationError, match="halt_after") as caught:
        HaltRule.of(given)

    assert '"10%"' in str(caught.value.hint)


def test_one_connection_is_reserved() -> None:
    """Of the connections, and of those to one server, one is left for the reserved one; one alone works."""
    assert Limits.of(8, 3) == Limits(7, 2, None)
    assert Limits.of(1, 1) == Limits(1, 1, None)
    with pytest.raises(ConfigurationError, match="per_server is 0"):
        Limits.of(8, 0)


def test_a_server_is_a_set_of_hosts_and_ports() -> None:
    """The same hosts in another order are the same server; another port, or one host of several, is another one."""
    dsns = ("postgresql://one,two/a", "postgresql://TWO:5432,one/b/c", "postgresql://one/a", "postgresql://one:6432/a")
    names = [target_of(dsn).server for dsn in dsns]

    assert names[0] == names[1]
    assert len(set(names)) == 3
