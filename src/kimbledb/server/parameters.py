"""The parameters of a DSN: those that are used, those of other programs that are ignored, and those that are refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from kimbledb.errors import ConfigurationError
from kimbledb.model.names import near
from kimbledb.server.notifications import log

HINT = (
    "write postgresql://user:password@host:5432/database, with %2F for /, %23 for #, %3F for ?, "
    "%40 for @ and %25 for % in user and password"
)
#: Parameters whose value ends with the next one where a character of it is not escaped.
_SECRET = ("password", "sslpassword")
#: asyncpg's parameters of TLS; it reads these from a DSN alone.
TLS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
#: Parameters that are used, each with its allowed values, where these are few.
UNDERSTOOD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("host", "hostaddr", "port", "dbname", "user", "password", "passfile"), ()),
    **dict.fromkeys(("connect_timeout", "application_name", "fallback_application_name", "options"), ()),
    **dict.fromkeys((*TLS, "krbsrvname", "gsslib"), ()),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
#: The spellings of sslmode=require in JDBC and node-postgres.
_SPELLINGS = {"true": "require", "no-verify": "require"}
#: Parameters of libpq that asyncpg does not support and that demand nothing: they are ignored.
_OF_LIBPQ = (
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    *(
        "client_encoding",
        "sslcompression",
        "sslsni",
        "sslcertmode",
        "sslkeylogfile",
        "gssdelegation",
        "max_protocol_version",
    ),
    *("min_protocol_version", "load_balance_hosts"),
)
#: Parameters that demand something, with the values that demand nothing. An unmet demand is logged as a warning.
_DEMANDS = {
    "channel_binding": ("disable", "prefer"),
    "require_auth": ("",),
    "requirepeer": ("",),
}
#: Parameters whose demand cannot be ignored, with the values that demand nothing and the reason.
_REFUSED = {
    "gssencmode": (("disable", "prefer"), "asyncpg does not support GSSAPI encryption"),
    "replication": (("false", "off", "no", "0"), "a connection for replication accepts no migrations"),
    "sslcrldir": (("",), "asyncpg reads one file of revoked certificates: name it in sslcrl"),
}
#: Parameters of other programs that read the same DSN.
_OF_OTHERS = {
    "Prisma": (
        *("schema", "pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size"),
        *("sslaccept", "sslidentity", "single_use_connections"),
    ),
    "Supabase": ("supa", "workaround"),
    "SQLAlchemy": (
        *("prepared_statement_cache_size", "prepared_statement_name_func", "async_fallback", "command_timeout"),
        *("max_cached_statement_lifetime", "max_cacheable_statement_size", "direct_tls"),
    ),
    "Rails": (
        "pool",
        "encoding",
        "prepared_statements",
        "checkout_timeout",
        "reaping_frequency",
        "idle_timeout",
        "adapter",
    ),
    "Django": ("conn_max_age", "conn_health_checks", "disable_server_side_cursors"),
    "node-postgres": (
        *("uselibpqcompat", "max", "min", "idleTimeoutMillis", "connectionTimeoutMillis", "max_lifetime"),
        *("query_timeout", "prepare"),
    ),
    "JDBC": (
        *("currentSchema", "ApplicationName", "loginTimeout", "socketTimeout", "connectTimeout", "tcpKeepAlive"),
        *("prepareThreshold", "stringtype", "reWriteBatchedInserts", "sslfactory", "preparedStatementCacheQueries"),
    ),
    "pgx": (
        *("pool_max_conns", "pool_min_conns", "pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter"),
        *("pool_max_conn_idle_time", "pool_health_check_period", "default_query_exec_mode", "statement_cache_capacity"),
        *("statement_cache_mode", "description_cache_capacity", "prefer_simple_protocol"),
    ),
    "Ecto": ("pool_size", "queue_target", "queue_interval"),
    "Npgsql": ("pooling", "minpoolsize", "maxpoolsize", "timeout"),
}
#: Those of these that name a schema, and the one that is the target without them.
_SCHEMAS, _DEFAULT_SCHEMA = ("schema", "currentSchema"), "public"
#: Settings of the server that a DSN may set for the session.
_SETTINGS = frozenset(
    [
        "bytea_output",
        "check_function_bodies",
        "client_min_messages",
        "datestyle",
        "default_table_access_method",
        "default_tablespace",
        "default_text_search_config",
        "default_toast_compression",
        "default_transaction_deferrable",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "effective_io_concurrency",
        "extra_float_digits",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "intervalstyle",
        "jit",
        "lc_messages",
        "lc_monetary",
        "lc_numeric",
        "lc_time",
        "lock_timeout",
        "log_min_messages",
        "log_statement",
        "maintenance_work_mem",
        "max_parallel_maintenance_workers",
        "max_parallel_workers_per_gather",
        "role",
        "row_security",
        "search_path",
        "session_replication_role",
        "standard_conforming_strings",
        "statement_timeout",
        "synchronous_commit",
        "temp_buffers",
        "temp_tablespaces",
        "timezone",
        "transaction_timeout",
        "work_mem",
        "xmlbinary",
        "xmloption",
    ]
)
#: Records that have been logged already: each is logged once per process.
_LOGGED: set[str] = set()


def in_libpq_terms(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return parameters by libpq's names, where other programs have names and values of their own for the same."""
    found = dict(parameters)
    if "database" in found:  # asyncpg's name for it
        found["dbname"] = found.pop("database")
    if found.get("ssl") in _SPELLINGS or found.get("ssl") in UNDERSTOOD["sslmode"]:
        found["sslmode"] = found.pop("ssl")
    if found.get("sslmode") in _SPELLINGS:
        found["sslmode"] = _SPELLINGS[found["sslmode"]]
    return found


def sorted_out(parameters: Mapping[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters that are used, and the settings of the server; log the others.

    Args:
        parameters: All parameters of a DSN, in their order.
        name: The DSN's name in messages.

    Raises:
        ConfigurationError: A parameter is unknown, has an invalid value, or demands something unsupported.
    """
    others = {each: program for program, names in _OF_OTHERS.items() for each in names}
    understood: dict[str, str] = {}
    settings: dict[str, str] = {}
    ignored: list[str] = []
    for key, value in parameters.items():
        if key in UNDERSTOOD:
            _check_value(key, value, UNDERSTOOD[key], name)
            understood[key] = value
        elif key in _REFUSED:
            values, reason = _REFUSED[key]
            if value not in values:
                raise ConfigurationError(f"{name} asks for {key}, and {reason}", hint="remove that parameter")
        elif key in _DEMANDS:
            if value not in _DEMANDS[key]:
                _log_once(
                    logging.WARNING,
                    f"{name}: {key} is ignored, since asyncpg does not support it; sslmode alone protects the connection",
                )
        elif key.lower() in _SETTINGS or "." in key:
            settings[key] = value
        elif key in _OF_LIBPQ or key in others or key.startswith("x-") or key == "ssl":
            ignored.append(f"{key} (of {others[key]})" if key in others else key)
        else:
            raise _unknown(key, parameters, [*UNDERSTOOD, *_DEMANDS, *_REFUSED, *_OF_LIBPQ, *others, *_SETTINGS], name)
    _log_ignored(parameters, ignored, name)
    return understood, settings


def _log_ignored(parameters: Mapping[str, str], ignored: list[str], name: str) -> None:
    for key in _SCHEMAS:
        if parameters.get(key, _DEFAULT_SCHEMA) != _DEFAULT_SCHEMA:
            _log_once(logging.WARNING, f"{name}: the schema in {key} is ignored; pass it as schema=... (--schema)")
    if ignored:
        _log_once(logging.INFO, f"{name}: these parameters have no meaning here and are ignored: {', '.join(ignored)}")


def _check_value(key: str, value: str, values: tuple[str, ...], name: str) -> None:
    if values and value not in values:
        close = near(value, values)
        shown = f"{key}={value}" if re.fullmatch(r"[\w-]{1,20}", value) else key
        raise ConfigurationError(
            f"{name}: {shown} is not known" + (f"; did you mean {close[0]}?" if close else ""),
            hint=f"{key} is one of {', '.join(values)}",
        )


def _unknown(key: str, parameters: Mapping[str, str], known: list[str], name: str) -> ConfigurationError:
    names = list(parameters)
    before = names[names.index(key) - 1] if names[0] != key else None
    if before in _SECRET or not re.fullmatch(r"[\w.-]{1,63}", key):  # the key may be the rest of a password
        return ConfigurationError(
            f"{name} holds a parameter that is not known here",
            hint=f"{HINT}; in the form password='...' \\' and \\\\ for ' and \\",
        )
    close = [each for each in near(key, known) if each not in parameters]
    return ConfigurationError(
        f"{name} holds the parameter {key}, which is not known here"
        + (f"; did you mean {' or '.join(close)}?" if close else ""),
        hint="remove it; a setting of the server goes into options, as in options=-c%20name%3Dvalue",
    )


def _log_once(level: int, text: str) -> None:
    if text not in _LOGGED:
        _LOGGED.add(text)
        log(level, "parameter_ignored", "%s", text)
