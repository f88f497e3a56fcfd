"""The values that an override of the fixture ``kimbledb_server`` may return, and the DSN of each."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest

#: The name of a driver in a URL of SQLAlchemy; other libraries refuse a DSN with it.
_DRIVER = re.compile(r"^\s*(postgres(?:ql)?)\+\w+(?=://)")


def dsn_of(server: object) -> str:
    """Return the DSN of a server.

    Args:
        server: A DSN or URL as text, SQLAlchemy's ``URL`` or an engine with one, a container of testcontainers
            (``get_connection_url()``), or an executor of pytest-postgresql (``host``, ``port``, ``user``, ``password``).

    Raises:
        pytest.UsageError: It is none of these.
    """
    given: Any = server
    if isinstance(given, str):
        return _DRIVER.sub(r"\1", given)
    if callable(getattr(given, "get_connection_url", None)):
        return dsn_of(given.get_connection_url())
    if callable(getattr(given, "render_as_string", None)):
        return dsn_of(given.render_as_string(hide_password=False))  # str() would mask it
    if hasattr(given, "host") and hasattr(given, "port"):
        return _of_executor(given)
    if hasattr(given, "url"):
        return dsn_of(given.url)
    raise pytest.UsageError(
        f"kimbledb_server returned {type(server).__name__}; expected a DSN, a URL of SQLAlchemy, a container of "
        "testcontainers, or an executor of pytest-postgresql"
    )


def _of_executor(executor: Any) -> str:
    user, password = (quote(getattr(executor, name, None) or "", safe="") for name in ("user", "password"))
    who = f"{user}{':' if password else ''}{password}{'@' if user else ''}"
    host = str(executor.host)
    # Its `dbname` exists only while a client of it does.
    database = getattr(executor, "maintenance_dbname", "postgres")
    if host.startswith("/"):
        return f"postgresql://{who}/{database}?{urlencode({'host': host, 'port': executor.port})}"
    place = f"[{host}]" if ":" in host else host
    return f"postgresql://{who}{place}:{executor.port}/{database}"
