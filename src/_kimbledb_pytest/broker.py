"""One embedded server for all workers of a run, owned by the process that started the workers.

A worker that needs the server connects to a socket. On Linux the socket has a name outside
of the file system, so that a run that is killed leaves no file, and serves this user alone;
elsewhere it is in a folder that only this user can enter. The first request starts the
server; kimbledb is not imported before.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import struct
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kimbledb.testing.background import Background


class Broker:
    """Starts the server on the first request, and answers each request with its DSN.

    Args:
        data_dir: The folder that keeps a copy of the server's data; None for no copy.

    Attributes:
        address: The name of the socket: a path, or ``@`` and a name outside of the file system.
    """

    def __init__(self, data_dir: str | None) -> None:
        self._data_dir = data_dir
        self._folder: Path | None = None
        if sys.platform == "linux":
            self.address = f"@kimbledb-run-{secrets.token_hex(16)}"
        else:
            self._folder = Path(tempfile.mkdtemp(prefix="kimbledb-run-"))
            self.address = str(self._folder / "socket")
        self._background: Background | None = None
        self._answer: dict[str, str] | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(_place(self.address))
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._serve, name="kimbledb broker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, and stop the server."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the accept() of the other thread
        self._socket.close()
        self._thread.join()
        if self._background is not None:
            self._background.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            try:
                worker, _ = self._socket.accept()
            except OSError:
                return  # stopped
            with worker, suppress(OSError):  # the worker may have died
                if _is_ours(worker):
                    worker.sendall(json.dumps(self._find_answer()).encode())

    def _find_answer(self) -> dict[str, str]:
        if self._answer is None:
            from kimbledb.errors import KimbleDBError
            from kimbledb.testing.background import Background

            try:
                self._background = Background()
                self._answer = {"dsn": self._background.start_server(self._data_dir)}
            except KimbleDBError as error:
                self._answer = {"error": str(error)}
        return self._answer


def _place(address: str) -> str:
    """Return an address as the system takes it."""
    return f"\0{address[1:]}" if address.startswith("@") else address


def _is_ours(worker: socket.socket) -> bool:
    """Return whether a process of this user is at the other end; a folder keeps others out where the system cannot say."""
    if sys.platform != "linux":
        return True
    _, uid, _ = struct.unpack("3i", worker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(uid == os.geteuid())


def ask(address: str) -> str:
    """Return the DSN of the run's server.

    Args:
        address: The broker's address.

    Raises:
        pytest.UsageError: The server cannot start.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(_place(address))
        answer = json.loads(b"".join(iter(lambda: asking.recv(65536), b"")) or b'{"error": "the run was stopped"}')
    if "dsn" not in answer:
        raise pytest.UsageError(answer["error"])
    return str(answer["dsn"])
