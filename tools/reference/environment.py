"""docs/reference/environment.md: the environment variables that kimbledb reads."""

from __future__ import annotations

from kimbledb.cli.environment import VARIABLES
from kimbledb.server.address import ENVIRONMENT
from tools.reference import sources

#: The chapter of PostgreSQL's manual on libpq's variables.
_MANUAL = "https://www.postgresql.org/docs/18/libpq-envars.html"


def page() -> str:
    """Return the text of the page."""
    lines = sources.head(
        "Environment variables",
        "For operators: each environment variable that kimbledb reads, and its effect.",
    )
    lines += [
        "The database of a call is that of its argument (`--dsn`), else of `KIMBLEDB_DSN`, else of `DATABASE_URL`, else of",
        "libpq's variables, if one of `PGHOST`, `PGHOSTADDR`, `PGSERVICE` and `PGDATABASE` is set. An empty variable counts",
        "as none. Parts that a DSN leaves out come from libpq's variables, as for `psql`.",
        "",
    ]
    for subject, variables in VARIABLES.items():
        lines += [f"## {subject}", ""]
        lines += [f"- `{name}`: {sources.prose(effect)}" for name, effect in variables.items()]
        lines.append("")
    lines += [
        "Each of the following stands for a parameter of the DSN, and has the meaning that it has",
        f"[for libpq]({_MANUAL}). A parameter that kimbledb cannot honour is refused, or named in a warning of the log.",
        "",
        *(f"- `{variable}`: `{parameter}`" for parameter, variable in ENVIRONMENT.items()),
        "",
        "`pg_dump` and `pg_restore`, which make and restore [backups](../backups.md), get the rest of the environment as it is.",
        "",
    ]
    return "\n".join(lines)
