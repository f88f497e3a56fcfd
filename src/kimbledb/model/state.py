"""The state of a database at the start of a call: the server, the schema and the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from kimbledb.model.evidence import AppliedMigration

#: The name of each platform, by whether it is hosted.
PLATFORMS: Final = {False: "bare", True: "hosted"}


@frozen(kw_only=True)
class DatabaseState:
    """The answer to the first query of every call."""

    #: The version of the server, such as ``18.1``.
    server_version: str
    #: The version as ``server_version_num``: 150018, 180001.
    version_number: int
    #: The system identifier of the server's cluster. A standby has that of its primary.
    system: int
    #: The encoding of the database, such as ``UTF8``.
    encoding: str
    #: Whether the server is a standby, which replays the log of another server and accepts no writes.
    standby: bool
    #: Whether the database is set to read-only, as platforms do when the disk is full.
    read_only: bool
    #: The name of the database.
    database: str
    #: The object identifier of the database.
    database_oid: int
    #: Whether another run held the lock of the schema, or of the bootstrap, at that moment.
    busy: bool
    #: The id of the server process that answered. Behind a pooler it differs from the one that the
    #: connection reports.
    process_id: int
    #: The current role.
    role: str
    #: Whether the role is a superuser.
    superuser: bool
    #: Whether the database has the roles anon, authenticated, service_role and a schema auth.
    hosted: bool
    #: Whether the target schema exists.
    schema_exists: bool
    #: Whether the schema holds a table, view or sequence that is not kimbledb's own.
    occupied: bool
    #: The schema for new extensions: ``extensions`` if it exists, else ``public``. Never the target schema of
    #: a tenant.
    extension_home: str
    #: The installed extensions by name, each with its version and its schema.
    extensions: Mapping[str, tuple[str, str]]
    #: The rows of migration_history, or None if there is no such table.
    history: tuple[AppliedMigration, ...] | None
    #: The id of the newest entry of migration_log, or None if there is no such table. Every
    #: event moves it, so that two states with the same position are the same state.
    log_position: int | None
    #: Whether adopt() has inspected the schema since the last rollback. It is queried only if history holds no
    #: row of kimbledb: adopt() may have found nothing to record.
    looked: bool = False
    #: The role that owns history, if the current role cannot write it: the content of history then rests on that
    #: role. None if the current role can write it, or if there is no history.
    history_owner: str | None = None
    #: The same role, if the current role may create objects in the schema and does not trust the owner. Else None.
    stranger: str | None = None

    def search_path(self, schema: str, extensions: Iterable[str]) -> list[str]:
        """Return the search_path of scripts: the target schema, then the schemas of some extensions.

        Args:
            schema: The name of the target schema.
            extensions: The names of the extensions. One that is not installed is left out.
        """
        return [schema, *(home for home in self.homes(extensions) if home != schema)]

    def homes(self, extensions: Iterable[str]) -> list[str]:
        """Return the schemas of some extensions, sorted.

        Args:
            extensions: The names of the extensions. One that is not installed is left out.
        """
        return sorted({self.extensions[name][1] for name in extensions if name in self.extensions})
