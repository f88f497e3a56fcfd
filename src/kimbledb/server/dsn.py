"""A DSN, read as libpq reads one (manual, 34.1.1 "Connection Strings"), before anybody is connected to.

asyncpg reads DSNs, too, and in places otherwise: it takes no host from the query where
the authority names one, gives one port to several hosts, passes over a service that is
not there, and sends each parameter that it does not know to the server. So what is read
here is handed to it in parts. A parameter is understood, or known and left out with a
word in the log, or told as unknown at once.

No error quotes a piece of the DSN but the names of its parameters: what cannot be read
may be a password.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from attrs import field, frozen

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

#: What asyncpg takes of TLS; it reads these from a DSN alone.
TLS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
#: What libpq takes from the environment where neither DSN nor service says it. What else it takes, asyncpg does.
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}
#: Parameters that mean something here, each with the values that it may have, where these are few.
_UNDERSTOOD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("host", "hostaddr", "port", "dbname", "user", "password", "passfile"), ()),
    **dict.fromkeys(("connect_timeout", "application_name", "fallback_application_name", "options"), ()),
    **dict.fromkeys((*TLS, "krbsrvname", "gsslib"), ()),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
}
#: How JDBC and node-postgres write sslmode=require.
_SPELLINGS = {"true": "require", "no-verify": "require"}
#: Parameters of libpq that asyncpg cannot follow and whose loss costs nothing that was asked for.
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
#: Those that demand something, with the values that demand nothing. A demand that is not met is told louder.
_DEMANDS = {
    "channel_binding": ("disable", "prefer"),
    "require_auth": ("",),
    "requirepeer": ("",),
}
#: Those whose demand cannot be left out.
_REFUSED = {
    "gssencmode": (("disable", "prefer"), "GSSAPI encryption is not to be had with asyncpg"),
    "replication": (("false", "off", "no", "0"), "a connection for replication takes no migrations"),
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
#: Settings of the server that a session may have from its start.
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
#: What has been told already, so that each word comes once.
_TOLD: set[str] = set()


@frozen
class Address:
    """Where a DSN leads, and how to get there."""

    #: Host, port and database as they are shown, never a password.
    label: str
    #: Names, addresses, or folders of sockets; none for the usual sockets of this machine and then localhost.
    hosts: tuple[str, ...]
    #: One for each host, or one alone.
    ports: tuple[int, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    #: Seconds that it may take to connect, 0 for as long as it takes, None where nobody says.
    timeout: float | None = None
    application_name: str | None = None
    #: Parameters of TLS, by libpq's names.
    tls: Mapping[str, str] = field(factory=dict, repr=False)
    #: Settings of the server with which the session begins, ``options`` among them.
    settings: Mapping[str, str] = field(factory=dict)
    #: What else asyncpg takes by the same name.
    others: Mapping[str, str] = field(factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return what ``asyncpg.connect`` wants, settings aside."""
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
        # These can be given by a DSN alone; it holds nothing else.
        return arguments | {"dsn": f"postgresql://?{urlencode(tls, quote_via=quote)}"}


def _system_context(tls: Mapping[str, str]) -> Any:
    """Return what sslrootcert=system means: the authorities of this machine, and the host's name is checked."""
    import ssl

    context = ssl.create_default_context()
    if tls.get("sslcert"):
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: tls.get("sslpassword", ""))
    return context


def with_database(dsn: str, database: str) -> str:
    """Return a DSN for another database of the same server: its query would name the old one, too."""
    parts = urlsplit(dsn)
    kept = [each for each in parts.query.split("&") if each.partition("=")[0] not in ("", "dbname", "database")]
    return urlunsplit(parts._replace(path=f"/{quote(database, safe='')}", query="&".join(kept)))


class _Unreadable(Exception):
    """What is wrong with a DSN, in words that quote nothing of it."""


def read(dsn: str, name: str) -> Address:
    """Read a DSN, with what the environment and a service add to it, as libpq does.

    Args:
        dsn: The text.
        name: What messages call it.

    Raises:
        ConfigurationError: It cannot be read, names what is not known, or demands what cannot be had.
    """
    try:
        parameters = _parameters(dsn.strip())
    except _Unreadable as fault:
        problem = str(fault)
    else:
        return _address(parameters, name)
    # Raised here and not where the fault is found: that error's traceback shows a piece of the DSN.
    raise ConfigurationError(f"{name} {problem}", hint=HINT)


def _parameters(dsn: str) -> dict[str, str]:
    """Return all that a DSN says, by libpq's names; what comes later in it counts."""
    scheme = _SCHEME.match(dsn)
    if scheme is None:
        # Without the slashes asyncpg would go to 127.0.0.1 and say nothing.
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
    if "database" in found:  # so asyncpg calls it
        found["dbname"] = found.pop("database")
    if found.get("ssl") in _SPELLINGS or found.get("ssl") in _UNDERSTOOD["sslmode"]:
        found["sslmode"] = found.pop("ssl")
    if found.get("sslmode") in _SPELLINGS:
        found["sslmode"] = _SPELLINGS[found["sslmode"]]
    return found


def _of_hosts(authority: str) -> dict[str, str]:
    matches = [_HOST_AND_PORT.fullmatch(each) for each in authority.split(",")]
    if not all(matches):
        raise _Unreadable("has a port or host that cannot be read")
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
        raise _Unreadable("holds percent-encoded bytes that are no text")
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
            hint="write sslmode=verify-full: anybody can have a certificate of a public authority",
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
        # An empty one is none, for which environment and passfile are asked.
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
    with suppress(OSError, KeyError, ImportError):  # there is none, and asyncpg says so
        return getpass.getuser()
    return ""


def _sorted_out(parameters: Mapping[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is understood, and what is a setting of the server; tell of the rest.

    Raises:
        ConfigurationError: One of them is not known, has a value that it cannot have, or demands what cannot be had.
    """
    others = {each: program for program, names in _OF_OTHERS.items() for each in names}
    understood: dict[str, str] = {}
    settings: dict[str, str] = {}
    left_out: list[str] = []
    for key, value in parameters.items():
        if key in _UNDERSTOOD:
            _check_value(key, value, _UNDERSTOOD[key], name)
            understood[key] = value
        elif key in _REFUSED:
            values, reason = _REFUSED[key]
            if value not in values:
                raise ConfigurationError(f"{name} asks for {key}, and {reason}", hint="take that parameter out")
        elif key in _DEMANDS:
            if value not in _DEMANDS[key]:
                _tell(
                    logging.WARNING,
                    f"{name}: {key} is not kept, since asyncpg cannot; sslmode alone protects the connection",
                )
        elif key.lower() in _SETTINGS or "." in key:
            settings[key] = value
        elif key in _OF_LIBPQ or key in others or key.startswith("x-") or key == "ssl":
            left_out.append(f"{key} (of {others[key]})" if key in others else key)
        else:
            raise _unknown(key, parameters, [*_UNDERSTOOD, *_DEMANDS, *_REFUSED, *_OF_LIBPQ, *others, *_SETTINGS], name)
    if left_out:
        _tell(logging.INFO, f"{name}: parameters that mean nothing here are left out: {', '.join(left_out)}")
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
    if not re.fullmatch(r"[\w.-]{1,63}", key):  # it may be the rest of a password
        return ConfigurationError(f"{name} holds a parameter that is not known here", hint=HINT)
    close = [each for each in near(key, known) if each not in parameters]
    return ConfigurationError(
        f"{name} holds the parameter {key}, which is not known here"
        + (f"; did you mean {' or '.join(close)}?" if close else ""),
        hint="take it out; a setting of the server goes into options, as in options=-c%20name%3Dvalue",
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
        raise ConfigurationError(f"{name} has a port in its parameter host", hint="write it as port=5432")
    ports = _list(parameters.get("port")) or [""]
    if len(ports) > 1 and len(ports) != max(1, len(hosts)):
        raise ConfigurationError(
            f"{name} has {len(ports)} ports for {len(hosts)} hosts", hint="give one port, or one for each"
        )
    if not all(re.fullmatch(r"\s*\d{0,5}\s*", port) and int(port or _PORT) in range(1, 65536) for port in ports):
        raise ConfigurationError(
            f"{name} has a port or host that cannot be read", hint=f"{HINT}; a port is a number from 1 to 65535"
        )
    numbers = [int(port or _PORT) for port in ports]
    # One port is for all. An empty host among several is the usual socket.
    places = tuple(host or "/var/run/postgresql" for host in hosts)
    return places, tuple(numbers * len(places) if len(numbers) == 1 and places else numbers)


def _list(text: str | None) -> list[str]:
    return [each.strip() for each in text.split(",")] if text else []


def _seconds(parameters: Mapping[str, str], name: str) -> float | None:
    given = parameters.get("connect_timeout")
    if not given:
        return None
    if not re.fullmatch(r"\s*-?\d{1,9}\s*", given):
        raise ConfigurationError(f"{name}: connect_timeout is no whole number of seconds")
    return float(max(0, int(given)))


def _of_service(service: str, file: str | None) -> dict[str, str]:
    """Return what a service file says (manual, 34.17 "The Connection Service File")."""
    home = os.path.expanduser("~/.pg_service.conf")  # noqa: PTH111 - without a home it is no error
    system = os.environ.get("PGSYSCONFDIR")
    files = [file or home, *([os.path.join(system, "pg_service.conf")] if system else [])]  # noqa: PTH118 - as libpq does
    for each in files:
        found = _section(each, service)
        if found is not None:
            return found
    raise ConfigurationError(
        f"there is no definition of the service {service!r} in {' or '.join(files)}",
        hint="name the file in PGSERVICEFILE, or the service as it is called there",
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


def _tell(level: int, text: str) -> None:
    if text not in _TOLD:
        _TOLD.add(text)
        log(level, "%s", text)
