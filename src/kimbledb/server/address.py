"""The address of a database: what the parameters of a DSN, a service file and the environment say together, as for libpq."""

from __future__ import annotations

import getpass
import os
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from kimbledb.errors import ConfigurationError
from kimbledb.server.parameters import HINT, TLS, sorted_out

_PORT = 5432
#: libpq's environment variables for parameters that neither DSN nor service sets (manual, 34.15). asyncpg reads the
#: password itself, from PGPASSWORD or the passfile.
ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
    "options": "PGOPTIONS",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "gssencmode": "PGGSSENCMODE",
    "channel_binding": "PGCHANNELBINDING",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
}
#: The variables of which each names a database, or the server that has one.
NAMING = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")
#: The source of a parameter from a variable, in messages.
VARIABLES = "the environment (PG* variables)"
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

    def beside(self, database: str) -> Address:
        """Return the address of another database of the same server."""
        return self._replace(database=database, label=f"{self.label.rpartition('/')[0]}/{database}")

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


def address_of(given: Mapping[str, str], name: str) -> Address:
    """Return the address that parameters name, completed from the environment and a service file, as libpq does.

    Args:
        given: The parameters, by libpq's names.
        name: The name of their source in messages.

    Raises:
        ConfigurationError: A parameter is unknown, has an invalid value, or demands something unsupported; or the
            service is not defined.
    """
    parameters = dict(given)
    service = parameters.pop("service", None) or os.environ.get("PGSERVICE")
    file = parameters.pop("servicefile", None) or os.environ.get("PGSERVICEFILE")
    if service:
        parameters = _of_service(service, file) | parameters
    understood, settings = sorted_out(parameters, name)
    around = {each: value for each, variable in ENVIRONMENT.items() if (value := os.environ.get(variable))}
    understood |= sorted_out({each: value for each, value in around.items() if each not in parameters}, VARIABLES)[0]
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
