"""Who runs the server."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from attrs import frozen

from kimbledb.errors import EmbeddedServerError


@frozen
class Account:
    """A user of the machine, for programs that may not run as root."""

    uid: int
    gid: int

    @property
    def process(self) -> dict[str, Any]:
        """Arguments for ``subprocess.Popen`` by which a program runs as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(data: Path) -> Account | None:
    """Choose the user that runs the server on the folder ``data``; None means the caller.

    PostgreSQL refuses to run as root. For root it is the owner of the data, and for
    data still to be made the user ``nobody``, or the first one there is.

    Raises:
        EmbeddedServerError: The data belong to root, there is no user but root, or
            the caller has no name, which initdb wants.
    """
    exists = data.exists()
    if os.geteuid() != 0:
        if not exists:
            _demand_name(os.geteuid())
        return None
    if exists:
        owner = data.stat()
        if owner.st_uid == 0:
            raise EmbeddedServerError(
                f"{data} belongs to root, and PostgreSQL does not run as root",
                hint=f"give it to the user that is to run the server: chown -R nobody {data}",
            )
        return Account(owner.st_uid, owner.st_gid)
    entries = sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != "nobody")
    for entry in entries:
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and this machine has no other user", hint="add one: useradd kimbledb"
    )


def _demand_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"user {uid} has no name on this machine, and PostgreSQL's initdb wants one",
            hint="add the user to /etc/passwd, or run as a user who is there",
        ) from None
