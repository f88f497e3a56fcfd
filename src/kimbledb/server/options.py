"""How patient a call is, and what it refuses."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from kimbledb.errors import ConfigurationError
from kimbledb.model.migration import HAZARDS

#: What ``pg_stat_activity`` shows where nobody says otherwise.
APPLICATION_NAME = "kimbledb"


def _positive(_instance: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigurationError(f"Options.{attribute.name} is {value!r}; it wants a number above 0")


def _known_hazards(_instance: object, _attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    unknown = [each for each in value if each not in HAZARDS]
    if unknown:
        raise ConfigurationError(
            f"Options.refuse_hazards names no hazard: {', '.join(map(repr, unknown))}",
            hint=f"the hazards are {', '.join(HAZARDS)}",
        )


def _tuple_of(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen(kw_only=True)
class Options:
    """How patient a call is. All times are seconds; the defaults need no thought."""

    #: Seconds for the whole call, waiting and closing included.
    deadline: float = field(default=600.0, validator=_positive)
    #: Seconds that a statement may queue for a lock before its transaction is
    #: given up and tried again, so that the application never queues behind it
    #: for longer (PostgreSQL manual, 19.11, ``lock_timeout``).
    lock_timeout: float = field(default=2.0, validator=_positive)
    #: How often a migration is tried when others hold its locks.
    attempts: int = field(default=10, validator=_positive)
    #: Seconds that one statement may run, where the migration sets no own
    #: limit (manual, 19.11, ``statement_timeout``).
    statement_timeout: float = field(default=300.0, validator=_positive)
    #: What ``pg_stat_activity`` shows.
    application_name: str = APPLICATION_NAME
    #: Seconds between the server's looks whether the client is still there
    #: (manual, 19.3.2, ``client_connection_check_interval``).
    client_check_interval: float = field(default=2.0, validator=_positive)
    #: A DSN past any pooler, for steps that need a session of their own.
    direct_dsn: str | None = field(default=None, repr=False)
    #: Hazards (:attr:`kimbledb.Hazard.name`) that stop a run before anything is touched.
    refuse_hazards: tuple[str, ...] = field(default=(), converter=_tuple_of, validator=_known_hazards)
