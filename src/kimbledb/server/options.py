"""The options of a call: its time limits, its attempts, and the hazards that it refuses."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from kimbledb.errors import ConfigurationError

#: The default application name in ``pg_stat_activity``.
APPLICATION_NAME = "kimbledb"


def _positive(_instance: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigurationError(f"Options.{attribute.name} is {value!r}, and must be a number above 0")


def _known_hazards(_instance: object, _attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    if not value:
        return
    from kimbledb.model.hazard import HAZARDS  # few calls refuse any

    unknown = [each for each in value if each not in HAZARDS]
    if unknown:
        raise ConfigurationError(
            f"Options.refuse_hazards holds an unknown hazard: {', '.join(map(repr, unknown))}",
            hint=f"the hazards are {', '.join(HAZARDS)}",
        )


def _tuple_of(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen(kw_only=True)
class Options:
    """The time limits of a call, its attempts, and the hazards that it refuses.

    All times are in seconds. The defaults suit most calls.
    """

    #: Seconds for the whole call, including waiting and closing.
    deadline: float = field(default=600.0, validator=_positive)
    #: Seconds that a statement may wait for a lock. After that its transaction is
    #: rolled back and tried again, so that the application never waits behind it
    #: for longer (PostgreSQL manual, 19.11, ``lock_timeout``).
    lock_timeout: float = field(default=2.0, validator=_positive)
    #: The number of times a migration is tried while other sessions hold its locks.
    attempts: int = field(default=10, validator=_positive)
    #: Seconds that one statement may run, where the migration sets no limit
    #: of its own (manual, 19.11, ``statement_timeout``).
    statement_timeout: float = field(default=300.0, validator=_positive)
    #: The application name in ``pg_stat_activity``.
    application_name: str = APPLICATION_NAME
    #: Seconds between the server's checks that the client is still connected
    #: (manual, 19.3.2, ``client_connection_check_interval``).
    client_check_interval: float = field(default=2.0, validator=_positive)
    #: The DSN of the server itself, past any pooler, for steps that need a session of their own.
    direct_dsn: str | None = field(default=None, repr=False)
    #: Whether ``migrate()`` waits, as ``wait()`` does, where this role may not migrate: another role owns history, the
    #: role may not create in the schema, or the server is read-only. Otherwise ``PreflightError`` is raised there.
    or_wait: bool = False
    #: Bytes of a table, without its indexes, from which what takes long on it runs beside it where it can, outside of the
    #: migration's transaction. An HNSW index on 1,536 dimensions, which is the slowest to build, takes 0.4 s for 1 MB.
    large_table: int = field(default=1_000_000, validator=_positive)
    #: Names of hazards (``kimbledb.Hazard.name``) that stop a run before its first change.
    refuse_hazards: tuple[str, ...] = field(default=(), converter=_tuple_of, validator=_known_hazards)
