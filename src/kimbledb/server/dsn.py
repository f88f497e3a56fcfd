"""Reads a DSN as libpq does (manual, 34.1.1 "Connection Strings"), before any connection is made.

asyncpg reads DSNs, too, and differs in places: it takes no host from the query where
the authority names one, gives one port to several hosts, ignores a service that does not
exist, and sends each unknown parameter to the server. So this module reads the DSN and passes
its parts to asyncpg. A parameter is used, or is known and ignored with a
record in the log, or is refused as unknown at once.

No error quotes any part of the DSN but the names of its parameters: the unreadable part
may be a password.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from kimbledb.errors import ConfigurationError
from kimbledb.model.names import near
from kimbledb.server.notifications import log

HINT = (
    "write postgresql://user:password@host:5432/database, with %2F for /, %23 for #, %3F for ?, "
    "%40 for @ and %25 for % in user and password"
)
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<ip>[^\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[^:]*))?")
_PORT = 5432

#: asyncpg's parameters of TLS; it reads these from a DSN alone.
TLS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
#: libpq's environment variables for parameters that neither DSN nor service sets. asyncpg reads the others itself.
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}
#: Parameters that are used, each with its allowed values, where these are few.
_UNDERSTOOD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("host", "hostaddr", "port", "dbname", "user", "password", "passfile"), ()),
    **dict.fromkeys(("connect_timeout", "application_name", "fallback_application_name", "options"), ()),
    **dict.fromkeys((*TLS, "krbsrvname", "gsslib"), ()),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
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
    "min_protocol_version",
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
_NONE: Mapping[str, str] = MappingProxyType({})


class Address(NamedTuple):  # every start makes this class: with attrs that takes 1.3 ms longer
    """The content of a DSN."""

    #: Host, port and database for messages, never a password.
    label: str
    #: Names, addresses, or directories of sockets; none for the default sockets of this machine and then localhost.
    hosts: tuple[str, ...]
    #: One for each host, or one alone.
    ports: tuple[int, ...]
    user: str | None = None
    password: str | None = None
    database: str | None = None
    #: Seconds for one connection attempt, 0 for no limit, None where the DSN sets none.
    timeout: float | None = None
    application_name: str | None = None
    #: Parameters of TLS, by libpq's names.
    tls: Mapping[str, str] = _NONE
    #: Settings of the server for the session, ``options`` among them.
    settings: Mapping[str, str] = _NONE
    #: Further arguments of ``asyncpg.connect``, which have the same names there.
    others: Mapping[str, str] = _NONE

    def __repr__(self) -> str:
        return f"Address({self.label!r})"  # no password

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``asyncpg.connect``, without the settings."""
        tls = dict(self.tls)
        arguments: dict[str, Any] = {
            "host": list(self.hosts) or None,
            "port": list(self.ports) if self.hosts else self.ports[0],
            "user": self.user,
            "password": self.password,
            "database": self.database,
            **self.others,
        }
        if self.timeout is not None:
            arguments["timeout"] = self.timeout * max(1, len(self.hosts)) or None
        if tls.get("sslrootcert") == "system":
            arguments["ssl"] = _system_context(tls)
            tls = {name: value for name, value in tls.items() if name == "sslnegotiation"}
        # asyncpg takes the parameters of TLS in a DSN alone; this DSN holds nothing else.
        return arguments | {"dsn": f"postgresql://?{urlencode(tls, quote_via=quote)}"}


def _system_context(tls: Mapping[str, str]) -> Any:
    """Return the TLS context of sslrootcert=system: the authorities of this machine, with a check of the host's name."""
    context = ssl.create_default_context()
    if tls.get("sslcert"):
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: tls.get("sslpassword", ""))
    return context


def with_database(dsn: str, database: str) -> str:
    """Return the DSN of another database on the same server.

    Args:
        dsn: A DSN. A database in its query is replaced, too.
        database: The name of the other database.
    """
    parts = urlsplit(dsn)
    kept = [each for each in parts.query.split("&") if each.partition("=")[0] not in ("", "dbname", "database")]
    return urlunsplit(parts._replace(path=f"/{quote(database, safe='')}", query="&".join(kept)))


class _Unreadable(Exception):
    """The fault of a DSN, in words that quote no part of it."""


def read(dsn: str, name: str) -> Address:
    """Read a DSN, completed from the environment and a service file, as libpq does.

    Args:
        dsn: The DSN.
        name: The DSN's name in messages.

    Raises:
        ConfigurationError: The DSN cannot be read, has an unknown parameter, or demands something unsupported.
    """
    try:
        parameters = _parameters(dsn.strip())
    except _Unreadable as fault:
        problem = str(fault)
    else:
        return _address(parameters, name)
    # Raised here and not where the fault is found: the traceback of that place shows a part of the DSN.
    raise ConfigurationError(f"{name} {problem}", hint=HINT)


def _parameters(dsn: str) -> dict[str, str]:
    """Return the parameters of a DSN, by libpq's names. Of several values of one parameter the last one counts."""
    scheme = _SCHEME.match(dsn)
    if scheme is None:
        # Without the slashes asyncpg would silently connect to 127.0.0.1.
        raise _Unreadable("does not begin with postgresql://")
    rest, _, query = dsn[scheme.end() :].partition("?")
    authority, _, path = rest.partition("/")
    given = [pair.partition("=") for pair in query.split("&")] if query else []
    in_query = "@" in query and not all(_decoded(key) in _UNDERSTOOD for key, _, _ in given)
    if "#" in dsn or authority.count("@") > 1 or "@" in path or in_query:
        raise _Unreadable("holds a character that must be percent-encoded")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    found = {"user": user, "password": password, "dbname": path, **_of_hosts(hosts)}
    found = {key: _decoded(value) for key, value in found.items() if value}
    for key, separator, value in given:
        if not separator:
            raise _Unreadable("has a parameter without a value after its ?")
        found[_decoded(key)] = _decoded(value)
    if "database" in found:  # asyncpg's name for it
        found["dbname"] = found.pop("database")
    if found.get("ssl") in _SPELLINGS or found.get("ssl") in _UNDERSTOOD["sslmode"]:
        found["sslmode"] = found.pop("ssl")
    if found.get("sslmode") in _SPELLINGS:
        found["sslmode"] = _SPELLINGS[found["sslmode"]]
    return found


def _of_hosts(authority: str) -> dict[str, str]:
    matches = [_HOST_AND_PORT.fullmatch(each) for each in authority.split(",")]
    if not all(matches):
        raise _Unreadable("has an unreadable port or host")
    hosts = [match["ip"] or match["host"] or "" for match in matches if match]
    ports = [match["port"] or "" for match in matches if match]
    return {
        "host": ",".join(hosts).strip(",") and ",".join(hosts),
        "port": ",".join(ports).strip(",") and ",".join(ports),
    }


def _decoded(text: str) -> str:
    if _PERCENT.search(text):
        raise _Unreadable("holds a % that begins no percent-encoded character")
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        raise _Unreadable("holds percent-encoded bytes that are not valid text")
    return decoded


def _address(parameters: dict[str, str], name: str) -> Address:
    service = parameters.pop("service", None) or os.environ.get("PGSERVICE")
    file = parameters.pop("servicefile", None) or os.environ.get("PGSERVICEFILE")
    if service:
        parameters = _of_service(service, file) | parameters
    understood, settings = _sorted_out(parameters, name)
    for parameter, variable in _ENVIRONMENT.items():
        if parameter not in understood and os.environ.get(variable):
            understood[parameter] = os.environ[variable]
    if understood.get("sslrootcert") == "system" and understood.setdefault("sslmode", "verify-full") != "verify-full":
        raise ConfigurationError(
            f"{name}: sslmode={understood['sslmode']} is too weak for sslrootcert=system",
            hint="write sslmode=verify-full: anyone can obtain a certificate from a public authority",
        )
    hosts, ports = _places(understood, name)
    user = understood.get("user") or None
    database = understood.get("dbname") or None
    if "options" in understood:
        settings["options"] = understood["options"]
    places = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in zip(hosts, ports, strict=False)]
    shown = ",".join(places) or ("the local server" if ports[0] == _PORT else f"the local server:{ports[0]}")
    return Address(
        label=f"{shown}/{database or user or _own_name()}",
        hosts=hosts,
        ports=ports,
        user=user,
        # An empty password counts as none: asyncpg then reads the environment and the passfile.
        password=understood.get("password") or None,
        database=database,
        timeout=_seconds(understood, name),
        application_name=understood.get("application_name") or understood.get("fallback_application_name"),
        tls={each: understood[each] for each in TLS if understood.get(each)},
        settings=settings,
        others={
            each: understood[each]
            for each in ("passfile", "target_session_attrs", "krbsrvname", "gsslib")
            if understood.get(each)
        },
    )


def _own_name() -> str:
    with suppress(OSError, KeyError, ImportError):  # the user has no name, and asyncpg raises the error
        return getpass.getuser()
    return ""


def _sorted_out(parameters: Mapping[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters that are used, and the settings of the server; log the others.

    Raises:
        ConfigurationError: A parameter is unknown, has an invalid value, or demands something unsupported.
    """
    others = {each: program for program, names in _OF_OTHERS.items() for each in names}
    understood: dict[str, str] = {}
    settings: dict[str, str] = {}
    ignored: list[str] = []
    for key, value in parameters.items():
        if key in _UNDERSTOOD:
            _check_value(key, value, _UNDERSTOOD[key], name)
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
            raise _unknown(key, parameters, [*_UNDERSTOOD, *_DEMANDS, *_REFUSED, *_OF_LIBPQ, *others, *_SETTINGS], name)
    if ignored:
        _log_once(logging.INFO, f"{name}: these parameters have no meaning here and are ignored: {', '.join(ignored)}")
    return understood, settings


def _check_value(key: str, value: str, values: tuple[str, ...], name: str) -> None:
    if values and value not in values:
        close = near(value, values)
        shown = f"{key}={value}" if re.fullmatch(r"[\w-]{1,20}", value) else key
        raise ConfigurationError(
            f"{name}: {shown} is not known" + (f"; did you mean {close[0]}?" if close else ""),
            hint=f"{key} is one of {', '.join(values)}",
        )


def _unknown(key: str, parameters: Mapping[str, str], known: list[str], name: str) -> ConfigurationError:
    if not re.fullmatch(r"[\w.-]{1,63}", key):  # the key may be the rest of a password
        return ConfigurationError(f"{name} holds a parameter that is not known here", hint=HINT)
    close = [each for each in near(key, known) if each not in parameters]
    return ConfigurationError(
        f"{name} holds the parameter {key}, which is not known here"
        + (f"; did you mean {' or '.join(close)}?" if close else ""),
        hint="remove it; a setting of the server goes into options, as in options=-c%20name%3Dvalue",
    )


def _places(parameters: Mapping[str, str], name: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the hosts, and a port for each."""
    hosts = _list(parameters.get("host"))
    addresses = _list(parameters.get("hostaddr"))
    if addresses and hosts and len(addresses) != len(hosts):
        raise ConfigurationError(f"{name} has {len(hosts)} hosts and {len(addresses)} in hostaddr")
    if addresses:
        if hosts and parameters.get("sslmode") == "verify-full":
            raise ConfigurationError(
                f"{name} has a hostaddr beside its host, and asyncpg would check the certificate against the address",
                hint="leave hostaddr out, or use sslmode=verify-ca",
            )
        hosts = [address or host for address, host in zip(addresses, hosts or addresses, strict=True)]
    if any(re.fullmatch(r"[^:]+:\d*", host) for host in hosts):
        raise ConfigurationError(f"{name} has a port in its parameter host", hint="write the port as port=5432")
    ports = _list(parameters.get("port")) or [""]
    if len(ports) > 1 and len(ports) != max(1, len(hosts)):
        raise ConfigurationError(
            f"{name} has {len(ports)} ports for {len(hosts)} hosts", hint="give one port, or one for each"
        )
    if not all(re.fullmatch(r"\s*\d{0,5}\s*", port) and int(port or _PORT) in range(1, 65536) for port in ports):
        raise ConfigurationError(
            f"{name} has an unreadable port or host", hint=f"{HINT}; a port is a number from 1 to 65535"
        )
    numbers = [int(port or _PORT) for port in ports]
    # One port serves all hosts. An empty host among several is the default socket.
    places = tuple(host or "/var/run/postgresql" for host in hosts)
    return places, tuple(numbers * len(places) if len(numbers) == 1 and places else numbers)


def _list(text: str | None) -> list[str]:
    return [each.strip() for each in text.split(",")] if text else []


def _seconds(parameters: Mapping[str, str], name: str) -> float | None:
    given = parameters.get("connect_timeout")
    if not given:
        return None
    if not re.fullmatch(r"\s*-?\d{1,9}\s*", given):
        raise ConfigurationError(f"{name}: connect_timeout is not a whole number of seconds")
    return float(max(0, int(given)))


def _of_service(service: str, file: str | None) -> dict[str, str]:
    """Return the parameters of a service (manual, 34.17 "The Connection Service File")."""
    home = os.path.expanduser("~/.pg_service.conf")  # noqa: PTH111 - a missing home is no error
    system = os.environ.get("PGSYSCONFDIR")
    files = [file or home, *([os.path.join(system, "pg_service.conf")] if system else [])]  # noqa: PTH118 - as libpq does
    for each in files:
        found = _section(each, service)
        if found is not None:
            return found
    raise ConfigurationError(
        f"the service {service!r} is not defined in {' or '.join(files)}",
        hint="name the file in PGSERVICEFILE, or correct the name of the service",
    )


def _section(file: str, service: str) -> dict[str, str] | None:
    try:
        with open(file, encoding="utf-8") as lines:  # noqa: PTH123 - a path of libpq's
            found: dict[str, str] | None = None
            for line in map(str.strip, lines):
                if line.startswith("["):
                    if found is not None:
                        break
                    found = {} if line == f"[{service}]" else None
                elif found is not None and line and not line.startswith("#"):
                    key, _, value = line.partition("=")
                    found.setdefault(key.strip(), value.strip())
            return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        problem = f"the service file {file} cannot be read"
    raise ConfigurationError(problem)


def _log_once(level: int, text: str) -> None:
    if text not in _LOGGED:
        _LOGGED.add(text)
        log(level, "%s", text)
