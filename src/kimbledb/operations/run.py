"""What every operation starts from: the request, with what the caller left open filled in."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from attrs import field, frozen

from kimbledb.catalog import Catalog
from kimbledb.names import check_schema_name
from kimbledb.options import Options
from kimbledb.targets import Target, target_of

if TYPE_CHECKING:
    from kimbledb.events import Watcher


def schema_of(given: str | None) -> str:
    """Return the name of the target schema that a caller gave, ``public`` for None.

    Raises:
        ConfigurationError: It cannot be the name of a target schema.
    """
    return check_schema_name(given or "public")


def catalog_of(given: Catalog | None) -> Catalog:
    """Return the catalog that a caller gave, the built-in one for None."""
    return given if given is not None else Catalog.builtin()


def _options_of(given: Options | None) -> Options:
    return given or Options()


@frozen(eq=False, repr=False)
class Request:
    """What a caller asks of a database, with every default filled in.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        options: Deadline, timeouts and the like; None for the defaults.
        progress: Called with each :class:`~kimbledb.events.Event`; None for nobody.

    Raises:
        ConfigurationError: The target or the schema cannot be used.
    """

    target: Target = field(default=None, converter=target_of)
    _catalog: Catalog | None = field(default=None, kw_only=True)
    schema: str = field(default=None, converter=schema_of, kw_only=True)
    options: Options = field(default=None, converter=_options_of, kw_only=True)
    progress: Watcher | None = field(default=None, kw_only=True)

    @cached_property
    def catalog(self) -> Catalog:
        """The migrations. The built-in ones are read when they are first asked for."""
        return catalog_of(self._catalog)
