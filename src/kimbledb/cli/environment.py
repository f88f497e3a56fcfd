"""The environment variables that kimbledb reads, by subject; ``kimbledb --help`` names those of commands.

libpq's variables that stand for a parameter of a DSN are in ``kimbledb.server.address.ENVIRONMENT``. A test compares both
tables with the sources.
"""

from __future__ import annotations

from typing import Final

#: For each subject its variables, each with its effect.
VARIABLES: Final = {
    "Database": {
        "KIMBLEDB_DSN": "The DSN of the database, where a call or command names none.",
        "DATABASE_URL": "The same; ``KIMBLEDB_DSN`` goes before it.",
    },
    "Command line": {
        "CI": "If it is set, and not to ``0`` or ``false``: nothing is asked, and output has no colour and no bar.",
        "COLUMNS": "The width of tables in a terminal; else the terminal's own.",
        "NO_COLOR": "If it is set, rich (``kimbledb[cli]``) shows no colours.",
    },
    "Tests": {
        "KIMBLEDB_TEST_DSN": "The server of the pytest plugin; ``--kimbledb-dsn`` goes before it. Else an embedded server "
        "is started.",
    },
    "Embedded server and backups": {
        "XDG_CACHE_HOME": "The folder under which the programs of the embedded server are unpacked; else ``~/.cache``, "
        "and for root ``/var/cache``.",
        "HOME": "The home folder, for that folder, ``~/.pg_service.conf``, ``~/.pgpass`` and ``~/.postgresql``.",
        "TMPDIR": "The folder of throwaway servers, and of the list of contents that ``restore`` writes. Without it a "
        "throwaway server keeps its data in memory, if enough is free.",
        "TEMP": "The same, after ``TMPDIR``.",
        "TMP": "The same, after ``TEMP``.",
        "PATH": "The folders in which ``pg_dump`` and ``pg_restore`` are looked up, after those of Debian's packages.",
    },
    "libpq": {
        "PGSERVICE": "The name of a service in a service file, which holds parameters.",
        "PGSERVICEFILE": "The service file; else ``~/.pg_service.conf``.",
        "PGSYSCONFDIR": "The folder of a service file ``pg_service.conf`` for all users.",
        "PGPASSWORD": "The password. A password in the DSN goes before it, and it goes before the password file.",
    },
}
#: The variables that change what a command does.
OF_COMMANDS: Final = (*VARIABLES["Database"], *VARIABLES["Command line"])
