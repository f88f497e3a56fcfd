"""TLS, with real certificates and a real server: what is wrong is told, each with its own cure."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

import kimbledb
from kimbledb.server.targets import target_of
from kimbledb.testing.background import Background
from tests.support.folders import Folder

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by the program openssl")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two authorities, and a certificate of the first for the name localhost alone."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ca", "other"):
        make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        _openssl(folder, *make, "-keyout", f"{name}.key", "-out", f"{name}.crt")
    request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key"]
    _openssl(folder, *request, "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    _openssl(folder, *sign, "-extfile", "names", "-out", "server.crt")
    (folder / "garbage.crt").write_text("no certificate\n")
    return folder


@pytest.fixture(scope="session")
def tls_server(certificates: Path, _kimbledb_background: Background) -> str:
    """The port and the credentials of a server with TLS, which lets the role tls_only in by TLS alone."""
    dsn = _kimbledb_background.start_server()

    async def prepare() -> None:
        connection = await asyncpg.connect(dsn)
        for file in ("server.crt", "server.key"):
            text = (certificates / file).read_text()
            await connection.execute(
                f"COPY (SELECT line FROM regexp_split_to_table('{text.strip()}', E'\\n') AS line)"
                f" TO PROGRAM 'umask 077; cat > {file}'"
            )
        await connection.execute(
            "COPY (SELECT 'hostnossl all tls_only all reject' UNION ALL"
            " SELECT line FROM regexp_split_to_table(pg_read_file('pg_hba.conf'), E'\\n') AS line) TO PROGRAM 'cat > hba.new && mv hba.new pg_hba.conf'"
        )
        await connection.execute("CREATE ROLE tls_only LOGIN PASSWORD 'x'")
        await connection.execute("ALTER SYSTEM SET ssl = on")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        for _ in range(200):
            connection = await asyncpg.connect(dsn)
            on = await connection.fetchval("SHOW ssl") == "on"
            await connection.close()
            if on:
                return
            await asyncio.sleep(0.05)
        pytest.fail("the server does not turn TLS on")

    _kimbledb_background.run(prepare())
    return dsn


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def _with(dsn: str, host: str, query: str) -> str:
    parts = urlsplit(dsn)
    return f"postgresql://{parts.username}:{parts.password}@{host}:{parts.port}/postgres?{query}"


@pytest.mark.parametrize(
    ("host", "query"),
    [
        ("localhost", "sslmode=require"),
        ("localhost", "sslmode=verify-full&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=require&channel_binding=require&keepalives=1&connect_timeout=15&application_name=shop"),
        ("localhost", "sslmode=require&ssl_min_protocol_version=TLSv1.3"),
    ],
)
async def test_tls_that_is_right(tls_server: str, certificates: Path, host: str, query: str) -> None:
    """What libpq would connect to is connected to."""
    dsn = _with(tls_server, host, query.format(ca=certificates / "ca.crt"))

    assert (await kimbledb.status(dsn)).database == "postgres"


FAULTS: dict[str, tuple[str, str, str, str]] = {
    "no such file": (
        "localhost",
        "sslmode=verify-full&sslrootcert=/nowhere/ca.crt",
        "the root certificate /nowhere/ca.crt does not exist",
        "sslrootcert=system",
    ),
    "no file named": ("localhost", "sslmode=verify-ca", "root.crt does not exist", "sslrootcert=system"),
    "no client certificate": (
        "localhost",
        "sslmode=require&sslcert=/nowhere/c.crt",
        "the client certificate /nowhere/c.crt does not exist",
        "name another client certificate",
    ),
    "garbage": (
        "localhost",
        "sslmode=verify-ca&sslrootcert={folder}/garbage.crt",
        "a file of TLS cannot be used",
        "PEM",
    ),
    "wrong authority": (
        "localhost",
        "sslmode=verify-full&sslrootcert={folder}/other.crt",
        "no authority that this machine trusts has signed",
        "name the certificate of the authority",
    ),
    "wrong name": (
        "127.0.0.1",
        "sslmode=verify-full&sslrootcert={folder}/ca.crt",
        "is for another host",
        "connect by a name that is in the certificate",
    ),
    "of this machine": (
        "localhost",
        "sslmode=verify-full&sslrootcert=system",
        "no authority that this machine trusts has signed",
        "name the certificate",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_tls_is_told(tls_server: str, certificates: Path, fault: str) -> None:
    """A missing certificate, a wrong authority and a wrong name are each told at once, as what they are, with their own cure."""
    host, query, said, cure = FAULTS[fault]
    dsn = _with(tls_server, host, query.format(folder=certificates))

    with pytest.raises(kimbledb.ConfigurationError) as caught:
        await kimbledb.status(dsn)

    assert said in caught.value.message
    assert cure in str(caught.value.hint)
    assert f"{host}:{urlsplit(dsn).port}/postgres" in caught.value.message
    assert str(urlsplit(dsn).password) not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_server_without_tls(server: str) -> None:
    """Where sslmode asks for TLS and the server has none, that is said, and not that nobody is there."""
    with pytest.raises(kimbledb.ConfigurationError, match="has no TLS, and sslmode asks for it") as caught:
        await kimbledb.status(_with(server, "127.0.0.1", "sslmode=require"))

    assert "ssl = on" in str(caught.value.hint)


async def test_a_server_that_wants_tls(tls_server: str) -> None:
    """Where the server lets nobody in without TLS, the cure is sslmode and not the password."""
    dsn = f"postgresql://tls_only:x@127.0.0.1:{urlsplit(tls_server).port}/postgres"

    assert (await kimbledb.status(dsn)).database == "postgres"
    with pytest.raises(kimbledb.ConfigurationError) as caught:
        await kimbledb.status(f"{dsn}?sslmode=disable")
    assert "sslmode=require" in str(caught.value.hint)


async def test_the_tls_of_an_engine_and_of_psycopg_holds(tls_server: str, certificates: Path) -> None:
    """An engine's own context decides, and a connection of psycopg's is followed by its sslmode and certificate."""
    engines = pytest.importorskip("sqlalchemy.ext.asyncio")
    psycopg = pytest.importorskip("psycopg")
    port = urlsplit(tls_server).port
    url = f"postgresql+asyncpg://tls_only:x@localhost:{port}/postgres"

    async def status(context: ssl.SSLContext | bool) -> kimbledb.Status:
        engine = engines.create_async_engine(url, connect_args={"ssl": context})
        try:
            return await kimbledb.status(engine)
        finally:
            await engine.dispose()

    assert (await status(ssl.create_default_context(cafile=certificates / "ca.crt"))).database == "postgres"
    with pytest.raises(kimbledb.ConfigurationError, match="no authority that this machine trusts has signed"):
        await status(ssl.create_default_context(cafile=certificates / "other.crt"))
    with pytest.raises(kimbledb.ConfigurationError) as caught:
        await status(context=False)
    assert "sslmode=require" in str(caught.value.hint)

    query = f"sslmode=verify-full&sslrootcert={certificates}/ca.crt"
    async with await psycopg.AsyncConnection.connect(_with(tls_server, "localhost", query)) as connection:
        address = target_of(connection).address
        assert address is not None
        assert address.tls == {"sslmode": "verify-full", "sslrootcert": f"{certificates}/ca.crt"}
        assert (await kimbledb.status(connection)).database == "postgres"


async def test_a_backup_goes_by_the_same_tls(
    tls_server: str, certificates: Path, tmp_path: Path, folder: Folder
) -> None:
    """pg_dump is given what the DSN says of TLS."""
    folder.table(1, "a")
    dsn = _with(tls_server, "localhost", f"sslmode=verify-full&sslrootcert={certificates}/ca.crt&connect_timeout=20")

    await kimbledb.migrate(dsn, catalog=folder.catalog, backup=tmp_path / "backup")

    assert (tmp_path / "backup").stat().st_size


@pytest.mark.parametrize(
    ("query", "name"),
    [("application_name=shop", "shop"), ("fallback_application_name=shop", "shop"), ("", "kimbledb")],
)
async def test_the_application_is_called_as_the_dsn_says(database: str, query: str, name: str) -> None:
    """A DSN's name for the application shows on the server; Options are stronger."""
    seen = "SELECT current_setting('application_name') = '{}' AS passed"
    for options, expected in ((kimbledb.Options(), name), (kimbledb.Options(application_name="own"), "own")):
        async with target_of(f"{database}?{query}").session(options) as session:
            [[passed]] = await session.connection.fetch(seen.format(expected))

        assert passed


async def test_a_setting_that_the_server_does_not_take(database: str) -> None:
    """A setting of the server in the DSN that has a wrong value is told as such, at once."""
    with pytest.raises(kimbledb.ConfigurationError, match="refused the settings of the DSN") as caught:
        await kimbledb.status(f"{database}?work_mem=much")

    assert "take the setting out" in str(caught.value.hint)
