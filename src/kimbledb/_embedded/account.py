"""The user that runs the server: the caller, or for root another user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from attrs import frozen

from kimbledb.errors import EmbeddedServerError


@frozen
class Account:
    """A user of the machine, for programs that must not run as root."""

    uid: int
    gid: int

    @property
    def process(self) -> dict[str, Any]:
        """The arguments that make ``subprocess.Popen`` run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(data: Path) -> Account | None:
    """Choose the user that runs the server.

    PostgreSQL refuses to run as root. For root the choice is the owner of the data; if the data
    do not exist yet, the user ``nobody``, or else the first other user.

    Args:
        data: The folder of the data, which may be missing.

    Returns:
        The user, or None for the caller.

    Raises:
        EmbeddedServerError: The data belong to root, root is the only user, or the caller's
            user id has no name, which initdb requires.
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
                hint=f"change its owner to the user that runs the server: chown -R nobody {data}",
            )
        return Account(owner.st_uid, owner.st_gid)
    entries = sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != "nobody")
    for entry in entries:
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and this machine has no other user", hint="add a user: useradd kimbledb"
    )


def _demand_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"user {uid} has no name on this machine, and PostgreSQL's initdb requires one",
            hint="add the user to /etc/passwd, or run as a user that has a name",
        ) from None
