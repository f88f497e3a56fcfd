"""What a database says of itself at the first look: the server, the schema, and what history holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from kimbledb.model.migration import AppliedMigration


@frozen(kw_only=True)
class DatabaseState:
    """The answer to the first question of every call."""

    server_version: str
    #: As ``server_version_num``: 150018, 180001.
    version_number: int
    encoding: str
    #: Whether it is a standby that replays another server's log, and so cannot be written.
    standby: bool
    #: Whether it is set to be only read, as platforms do where the disk is full.
    read_only: bool
    database: str
    #: Whether a run was at work on the schema, or preparing the database, at that moment.
    busy: bool
    #: The server's process that answered. Behind a pooler it is another one than the
    #: connection was told of.
    process_id: int
    role: str
    superuser: bool
    #: Whether it has the roles anon, authenticated, service_role and a schema auth.
    hosted: bool
    schema_exists: bool
    #: Whether the schema holds any table, view or sequence beside kimbledb's own.
    occupied: bool
    #: Where extensions are made: a schema of that name where there is one, else
    #: public. Never a target schema of a tenant's.
    extension_home: str
    #: Installed extensions by name: version and schema.
    extensions: Mapping[str, tuple[str, str]]
    #: Rows of migration_history, or None where there is no such table.
    history: tuple[AppliedMigration, ...] | None
    #: The newest entry of migration_log, or None where there is no such table.
    #: It moves with every event, so that two states with one head are one state.
    head: int | None
    #: Whether adopt() has looked at the schema since the last rollback. Asked only
    #: where no row of ours is there: it may have found nothing to record.
    looked: bool = False
    #: The role that owns history, where this one could not write it: then what history
    #: says is that role's word. None where it could, or there is no history.
    history_owner: str | None = None
    #: The same, where this role may create in the schema and does not trust that one.
    stranger: str | None = None

    def search_path(self, schema: str, extensions: Iterable[str]) -> list[str]:
        """Return where scripts look names up: the target schema, then those of the extensions."""
        homes = {self.extensions[name][1] for name in extensions if name in self.extensions}
        return [schema, *sorted(homes - {schema})]
