"""Reads a DSN as libpq does (manual, 34.1.1 "Connection Strings"), before any connection is made.

Both forms are read: a URI, and ``key=value`` pairs. asyncpg reads URIs, too, and differs in places: it takes
no host from the query where the authority names one, gives one port to several hosts, ignores a service
that does not exist, and sends each unknown parameter to the server. So this module reads the DSN, and
``kimbledb.server.address`` passes its parts to asyncpg. A parameter is used, or is known and ignored with a
record in the log, or is refused as unknown at once (``kimbledb.server.parameters``).

No error quotes any part of the DSN but the names of its parameters: the unreadable part
may be a password.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from kimbledb.errors import ConfigurationError
from kimbledb.server.address import Address, address_of
from kimbledb.server.parameters import HINT, UNDERSTOOD, in_libpq_terms

# They are compiled by the first DSN that needs them.
_SCHEME = r"postgres(?:ql)?(?P<driver>\+\w+)?://"
_PERCENT = r"%(?![0-9A-Fa-f]{2})"
_HOST_AND_PORT = r"(?:\[(?P<ip>[^\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[^:]*))?"
#: The begin of ``key=value`` pairs, and one pair. The value is quoted or ends at a space; \\ and \' are \ and '.
_PAIRS = r"[A-Za-z_][\w.]*\s*="
_PAIR = r"(?s:\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?!')(?:[^\s\\]|\\.)*)))"
#: A password as consoles and examples print it, for the reader to replace.
_PLACEHOLDER = r"(?i:[\[<{][\w -]*password[\w -]*[\]>}]|\*{6,})"


def with_database(dsn: str, database: str) -> str:
    """Return the DSN of another database on the same server.

    Args:
        dsn: A DSN. A database in its query is replaced, too.
        database: The name of the other database.
    """
    if re.match(_SCHEME, dsn.strip()) is None:
        # Of several values of one parameter the last one counts.
        return f"{dsn} {database_pair(database)}"
    parts = urlsplit(dsn)
    kept = [each for each in parts.query.split("&") if each.partition("=")[0] not in ("", "dbname", "database")]
    return urlunsplit(parts._replace(path=f"/{quote(database, safe='')}", query="&".join(kept)))


def database_pair(database: str) -> str:
    """Return the ``key=value`` pair of a DSN that names a database, of any characters."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


class _Unreadable(Exception):
    """The fault of a DSN, in words that quote no part of it."""


def read(dsn: str, name: str) -> Address:
    """Read a DSN, completed from the environment and a service file, as libpq does.

    Args:
        dsn: The DSN: a URI, or ``key=value`` pairs.
        name: The DSN's name in messages.

    Raises:
        ConfigurationError: The DSN cannot be read, has an unknown parameter, or demands something unsupported.
    """
    return address_of(parameters_of(dsn, name), name)


def parameters_of(dsn: str, name: str) -> dict[str, str]:
    """Return the parameters of a DSN, by libpq's names. Arguments and errors are those of ``read()``."""
    try:
        return _parameters(dsn.strip())
    except _Unreadable as fault:
        problem = str(fault)
    # Raised here and not where the fault is found: the traceback of that place shows a part of the DSN.
    raise ConfigurationError(f"{name} {problem}", hint=HINT)


def _parameters(dsn: str) -> dict[str, str]:
    """See ``parameters_of()``. Of several values of one parameter the last one counts."""
    scheme = re.match(_SCHEME, dsn)
    if scheme is not None:
        found = _of_uri(dsn, scheme)
    elif re.match(_PAIRS, dsn):
        found = _of_pairs(dsn)
    elif dsn[:1] in ("'", '"', "`"):
        raise _Unreadable("begins with a quotation mark; such marks belong to a shell or a file, and not to the value")
    else:
        # Without the slashes asyncpg would silently connect to 127.0.0.1.
        raise _Unreadable("does not begin with postgresql://, and holds no pairs such as host=localhost dbname=app")
    if re.fullmatch(_PLACEHOLDER, found.get("password", "")):
        raise _Unreadable("holds a placeholder where the password belongs")
    return in_libpq_terms(found)


def _of_uri(dsn: str, scheme: re.Match[str]) -> dict[str, str]:
    rest, _, query = dsn[scheme.end() :].partition("?")
    authority, _, path = rest.partition("/")
    given = [pair.partition("=") for pair in query.split("&")] if query else []
    in_query = "@" in query and not all(_decoded(key) in UNDERSTOOD for key, _, _ in given)
    if "#" in dsn or authority.count("@") > 1 or "@" in path or in_query:
        raise _Unreadable("holds a character that must be percent-encoded")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    found = {"user": user, "password": password, "dbname": path, **_of_hosts(hosts)}
    found = {key: _decoded(value) for key, value in found.items() if value}
    places: list[str] = []
    for key, separator, value in given:
        if not separator:
            raise _Unreadable("has a parameter without a value after its ?")
        found[_decoded(key)] = _decoded(value)
        if _decoded(key) == "host":
            places.append(_decoded(value))
    if scheme["driver"]:
        found |= hosts_with_ports(places)
    return found


def _of_pairs(dsn: str) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while place < len(dsn):
        pair = re.compile(_PAIR).match(dsn, place)
        if pair is None:
            raise _Unreadable("holds a parameter without a value, or a quotation mark that is not closed")
        key, quoted, plain = pair.groups()
        found[key] = re.sub(r"\\(.)", r"\1", plain if quoted is None else quoted, flags=re.DOTALL)
        place = pair.end()
    if any("\0" in value for value in found.values()):
        raise _Unreadable("holds a character that no value may hold")
    return found


def hosts_with_ports(places: list[str]) -> dict[str, str]:
    """Return the parameters for hosts as SQLAlchemy's URLs name several: ``?host=one:5432&host=two:5433``.

    Args:
        places: The values of ``host``, each a host with or without a port. Empty where none has a port: then libpq's
            way of naming hosts holds.
    """
    matches = [re.fullmatch(r"([^/:,]+):(\d+)", place) for place in places]
    if not any(matches):
        return {"host": ",".join(places)} if len(places) > 1 else {}
    pairs = [(match[1], match[2]) if match else (place, "") for match, place in zip(matches, places, strict=True)]
    return {"host": ",".join(host for host, _ in pairs), "port": ",".join(port for _, port in pairs)}


def _of_hosts(authority: str) -> dict[str, str]:
    matches = [re.fullmatch(_HOST_AND_PORT, each) for each in authority.split(",")]
    if not all(matches):
        raise _Unreadable("has an unreadable port or host")
    hosts = [match["ip"] or match["host"] or "" for match in matches if match]
    ports = [match["port"] or "" for match in matches if match]
    return {
        "host": ",".join(hosts).strip(",") and ",".join(hosts),
        "port": ",".join(ports).strip(",") and ",".join(ports),
    }


def _decoded(text: str) -> str:
    if re.search(_PERCENT, text):
        raise _Unreadable("holds a % that begins no percent-encoded character")
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        raise _Unreadable("holds percent-encoded bytes that are not valid text")
    return decoded
