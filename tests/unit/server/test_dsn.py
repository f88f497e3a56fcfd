from __future__ import annotations

import ctypes
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from kimbledb._embedded import programs
from kimbledb.errors import ConfigurationError
from kimbledb.server import dsn, parameters, targets
from kimbledb.server.address import ENVIRONMENT, Address
from kimbledb.server.connection_errors import explain
from kimbledb.server.driver import ServerError
from kimbledb.server.dsn import read

CANARY = "kanarienvogel"


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of libpq, no service file, nothing told yet."""
    for variable in (*ENVIRONMENT.values(), "PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(parameters, "_LOGGED", set())


def address(text: str) -> Address:
    """Read a DSN."""
    return read(text, "the DSN")


class _Option(ctypes.Structure):
    """PQconninfoOption (manual, 34.1)."""

    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    ]


@pytest.fixture(scope="session")
def libpq() -> ctypes.CDLL:
    """PostgreSQL's own client library."""
    if sys.platform != "linux":
        pytest.skip("the library has another name elsewhere")
    library = ctypes.CDLL(str(programs().parent / "lib" / "libpq.so.5"))
    library.PQconninfoParse.restype = ctypes.POINTER(_Option)
    return library


def _by_libpq(libpq: ctypes.CDLL, text: str) -> dict[str, str]:
    options = libpq.PQconninfoParse(text.encode(), None)
    assert options, "libpq cannot read it"
    found, place = {}, 0
    while options[place].keyword:
        if options[place].val:
            found[options[place].keyword.decode()] = options[place].val.decode()
        place += 1
    return found


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p@h:5433/db",
        "postgres://u@h",
        "postgresql://h,i/db?port=1,2",
        "postgresql://h:1,i:2/db",
        "postgresql://h:1,i/db",
        "postgresql://h,i:2/db",
        "postgresql://h,i/db?port=7",
        "postgresql://h:1/db?port=7",
        "postgresql://localhost/db?host=/socket",
        "postgresql://%2Fsocket:5/db",
        "postgresql:///db?host=h&port=9&user=u&password=p&dbname=other",
        "postgresql://[::1]:5/db",
        "postgresql://[fe80::1],h:6/db",
        "postgresql://u%40x:p%2F%23%3F%25%40@h/d%20b",
        "postgresql://u:a+b@h/db?user=c+d",
        "postgresql://u:a:b@h/db",
        "postgresql://h/db?sslmode=require&sslrootcert=/a%20b",
        "postgresql://h/db?ssl=true",
        "postgresql://h/db?user=a@b",
        "postgresql://h/db?application_name=x&application_name=y",
        "host=h port=5433 user=u password=p dbname=db",
        " host = h  dbname='my db'\tuser=u password='it\\'s \\\\' ",
        "host=h,i port=1,2 dbname=db user=a user=b",
        "dbname=a\\ b password='' host=/socket",
        "password= host=h host=i dbname=db",
        "host=h dbname=db sslmode=require application_name=x=y",
    ],
)
def test_a_dsn_is_read_as_libpq_reads_it(libpq: ctypes.CDLL, text: str) -> None:
    """Hosts, ports, user, password, database and parameters are those that PostgreSQL's own client reads."""
    wanted = _by_libpq(libpq, text)
    found = address(text)

    hosts = tuple(wanted["host"].split(",")) if "host" in wanted else ()
    ports = [int(port or 5432) for port in wanted.get("port", "5432").split(",")]
    assert hosts == found.hosts
    assert tuple(ports * len(hosts) if len(ports) == 1 else ports) == found.ports
    assert (wanted.get("user"), wanted.get("password") or None, wanted.get("dbname")) == (
        found.user,
        found.password,
        found.database,
    )
    assert wanted.get("application_name") == found.application_name
    assert {key: value for key, value in wanted.items() if key in parameters.TLS} == found.tls


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("postgresql://u:p@h/db", "h:5432/db"),
        ("postgresql://u@h", "h:5432/u"),
        ("postgresql://h,i:7/db", "h:5432,i:7/db"),
        ("postgresql://localhost/db?host=/socket", "/socket:5432/db"),
        ("postgresql://h/db?hostaddr=10.0.0.1", "10.0.0.1:5432/db"),
        ("postgresql://[::1]:5/db", "[::1]:5/db"),
        ("postgresql:///db", "the local server/db"),
        ("postgresql://h/db?service=s", "h:6000/db"),
        ("postgresql://?service=s", "elsewhere:6000/from_service"),
    ],
)
def test_a_label_says_where_it_goes(tmp_path: Path, text: str, label: str) -> None:
    """Messages name the host, port and database that are really gone to."""
    (tmp_path / ".pg_service.conf").write_text(
        "# comment\n[other]\nhost=no\n[s]\nhost=elsewhere\nport = 6000\ndbname=from_service\npassword=100%\n"
    )

    assert label == address(text).label


def test_the_environment_fills_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a DSN says nothing, libpq's variables do; a hostaddr leads past a host, as in libpq."""
    for variable, value in (("PGHOST", "h"), ("PGPORT", "7"), ("PGDATABASE", "d"), ("PGUSER", "u"), ("PGAPPNAME", "a")):
        monkeypatch.setenv(variable, value)

    assert ((found := address("postgresql://")).label, found.user, found.application_name) == ("h:7/d", "u", "a")
    assert address("postgresql://i/e").label == "i:7/e"
    monkeypatch.setenv("PGHOSTADDR", "10.0.0.1")
    assert address("postgresql://i/e").label == "10.0.0.1:7/e"


def test_the_environment_fills_tls_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS, options and the kind of server come from libpq's variables, too, and a wrong value is told as theirs."""
    for variable, value in (
        *(("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "system"), ("PGOPTIONS", "-c x=1")),
        ("PGTARGETSESSIONATTRS", "primary"),
    ):
        monkeypatch.setenv(variable, value)

    found = address("postgresql://h/db")
    assert found.tls == {"sslmode": "verify-full", "sslrootcert": "system"}
    assert found.settings == {"options": "-c x=1"}
    assert found.others == {"target_session_attrs": "primary"}
    assert address("postgresql://h/db?sslmode=verify-full&sslrootcert=/ca").tls["sslrootcert"] == "/ca"
    monkeypatch.setenv("PGSSLMODE", "requre")
    with pytest.raises(
        ConfigurationError, match=r"PG\* variables\): sslmode=requre is not known; did you mean require"
    ):
        address("postgresql://h/db")


def test_the_dsn_of_a_settings_library_is_told_as_such() -> None:
    """An object whose text is a DSN is no target; the hint says what is, and quotes nothing of it."""

    class PostgresDsn:
        def __str__(self) -> str:
            return f"postgresql://u:{CANARY}@h/db"

    given: Any = PostgresDsn()
    with pytest.raises(ConfigurationError, match=r"got PostgresDsn\n  hint: pass its text: str\(...\)") as caught:
        targets.target_of(given)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("variable", ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"])
def test_libpqs_variables_name_a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    """Without a DSN, libpq's variables count where one of four is set; a DSN in the environment comes before them."""
    for each in targets.DSN_VARIABLES:
        monkeypatch.delenv(each, raising=False)
    (tmp_path / ".pg_service.conf").write_text("[1.2.3.4]\nhost=h\n")
    monkeypatch.setenv("PGPORT", "7")
    assert not targets.is_named(None)
    with pytest.raises(ConfigurationError, match="no database is named") as caught:
        targets.target_of(None)
    assert "PGHOST" in str(caught.value.hint)

    monkeypatch.setenv(variable, "1.2.3.4")

    assert targets.is_named(None)
    assert ":7/" in targets.target_of(None).label
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/db")
    assert targets.target_of(None).label.startswith("elsewhere:7/db" if variable != "PGHOSTADDR" else "1.2.3.4:7/db")


def test_a_service_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without a definition stops the call; it does not go to the local server."""
    with pytest.raises(ConfigurationError, match="the service 'nowhere' is not defined"):
        address("postgresql:///db?service=nowhere")
    monkeypatch.setenv("PGSERVICE", "nowhere")
    with pytest.raises(ConfigurationError, match="the service 'nowhere' is not defined"):
        address("postgresql://h/db")
    file = tmp_path / "services"
    file.write_text("[nowhere]\ndbname=x\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert address("postgresql://h").label == "h:5432/x"


#: As providers and frameworks write them.
FAMILIAR = [
    "postgresql://u:p@ep-x.eu.aws.neon.tech/db?sslmode=require&channel_binding=require",
    "postgresql://u:p@ep-x.neon.tech/db?sslmode=require&options=endpoint%3Dep-x",
    "postgres://u:p@h:6543/postgres?pgbouncer=true&connection_limit=1&pool_timeout=20&schema=public&connect_timeout=15",
    "postgres://u:p@h:6543/postgres?sslmode=require&supa=base-pooler.x&workaround=supabase-pooler.vercel",
    "postgres://u:p@h/db?keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=5&tcp_user_timeout=3",
    "postgres://u:p@h/db?gssencmode=disable&target_session_attrs=read-write&fallback_application_name=psql",
    "postgres://u:p@h/db?ssl=true&sslmode=no-verify&uselibpqcompat=true",
    "postgresql+asyncpg://u:p@h/db?ssl=require&prepared_statement_cache_size=0",
    "postgresql+psycopg://u:p@h/db?client_encoding=utf8",
    "postgres://u:p@h/db?pool=5&encoding=unicode&prepared_statements=false",
    "postgres://u:p@h/db?pool_max_conns=10&default_query_exec_mode=exec&x-migrations-table=m",
    "postgres://u:p@h/db?currentSchema=a&ApplicationName=b&prepareThreshold=0",
]


@pytest.mark.parametrize("text", FAMILIAR)
def test_what_others_write_into_a_dsn_is_no_setting_of_the_server(text: str) -> None:
    """Parameters of libpq and of other programs are used or ignored, and none is sent to the server but options."""
    assert set(address(text).settings) <= {"options"}


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        (FAMILIAR[0], logging.WARNING, "channel_binding is ignored"),
        (FAMILIAR[2], logging.INFO, "ignored: pgbouncer (of Prisma), connection_limit (of Prisma)"),
        (
            "postgresql://h/db?schema=app&pgbouncer=true",
            logging.WARNING,
            "the schema in schema is ignored; pass it as schema=",
        ),
        (FAMILIAR[4], logging.INFO, "ignored: keepalives, keepalives_idle"),
    ],
)
def test_what_is_left_out_is_told_once(caplog: pytest.LogCaptureFixture, text: str, level: int, said: str) -> None:
    """The log names the ignored parameters, once; a demand that is not met is a warning."""
    with caplog.at_level(logging.DEBUG, logger="kimbledb"):
        address(text)
        address(text)

    [record] = [each for each in caplog.records if level == each.levelno]
    assert said in record.getMessage()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://localhost/shop", "the DSN holds no password"),
        (f"postgresql://u:{CANARY}@localhost/shop", "check user, password and database"),
    ],
)
def test_a_missing_password_is_told_from_a_wrong_one(text: str, said: str) -> None:
    """Where the server refuses the user, the hint says whether there was a password at all."""
    refused = ServerError('password authentication failed for user "u"', sqlstate="28P01")

    assert said in str(explain(refused, "localhost:5432/shop", address(text)))


def test_a_repr_shows_no_password() -> None:
    """What is read of a DSN can be printed: neither the password nor that of a certificate's key is shown."""
    assert CANARY not in repr(address(f"postgresql://u:{CANARY}@h/db?sslpassword={CANARY}"))


def test_what_is_understood() -> None:
    """Seconds to connect, the application's name, settings of the server and options of TLS arrive where they belong."""
    found = address(
        "postgresql://h,i/db?connect_timeout=7&application_name=shop&search_path=a&app.tenant=7&options=-c%20x%3D1"
        "&sslmode=verify-full&sslrootcert=/ca&target_session_attrs=primary&passfile=/p"
    )
    arguments = found.arguments()

    assert (arguments["timeout"], found.application_name) == (14, "shop")
    assert found.settings == {"search_path": "a", "app.tenant": "7", "options": "-c x=1"}
    assert arguments["dsn"] == "postgresql://?sslmode=verify-full&sslrootcert=%2Fca"
    assert (arguments["target_session_attrs"], arguments["passfile"]) == ("primary", "/p")
    assert address("postgresql://h/db?connect_timeout=0").arguments()["timeout"] is None
    assert address("postgresql://h/db?fallback_application_name=psql").application_name == "psql"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "postgresql://h/db?conect_timeout=3",
            "parameter conect_timeout, which is not known here; did you mean connect_timeout",
        ),
        ("postgresql://h/db?no_such_thing=3", "parameter no_such_thing, which is not known here"),
        ("postgresql://h/db?sslmode=requre", "sslmode=requre is not known; did you mean require?"),
        ("postgresql://h/db?target_session_attrs=readwrite", "did you mean read-write?"),
        ("postgresql://h/db?connect_timeout=soon", "connect_timeout is not a whole number"),
        ("postgresql://h/db?gssencmode=require", "does not support GSSAPI encryption"),
        ("postgresql://h/db?replication=database", "accepts no migrations"),
        ("postgresql://h,i/db?port=1,2,3", "3 ports for 2 hosts"),
        ("postgresql://h/db?port=0", "unreadable port or host"),
        ("postgresql://h:port/db", "unreadable port or host"),
        ("postgresql://[::1/db", "unreadable port or host"),
        ("postgresql://h/db?host=i:5433", "has a port in its parameter host"),
        ("postgresql://h/db?hostaddr=10.0.0.1&sslmode=verify-full", "check the certificate against the address"),
        ("postgresql://h/db?sslmode=require&sslrootcert=system", "too weak for sslrootcert=system"),
        ("postgresql://h/db?connect_timeout", "a parameter without a value"),
        ("postgresql://postgres.x:[YOUR-PASSWORD]@h:6543/postgres", "a placeholder where the password belongs"),
        ("postgresql://u:****************@h/db", "a placeholder where the password belongs"),
        (f"'postgresql://u:{CANARY}@h/db'", "begins with a quotation mark"),
        (f"jdbc:postgresql://h/db?password={CANARY}", "does not begin with postgresql://"),
        (f"host=h password='{CANARY}", "a quotation mark that is not closed"),
        (f"host=h password={CANARY} {CANARY}", "a parameter without a value"),
        (f"host=h password=x {CANARY}=x", "holds a parameter that is not known here"),
        (f"postgresql://h/db?password=x&{CANARY}=x", "holds a parameter that is not known here"),
        ("host=h usr=u", "parameter usr, which is not known here; did you mean user?"),
        (f"postgresql://u:x@{CANARY}@h/db", "must be percent-encoded"),
        (f"postgresql://u:x@x/{CANARY}@h/db", "must be percent-encoded"),
        (f"postgresql://u:x/{CANARY}@h/db", "must be percent-encoded"),
        (f"postgresql://u:x?{CANARY}@h/db", "must be percent-encoded"),
        (f"postgresql://u:x?{CANARY}=1&host=x@h/db", "must be percent-encoded"),
        (f"postgresql://u:x#{CANARY}@h/db", "must be percent-encoded"),
        (f"postgresql://u:100%{CANARY}@h/db", "a % that begins no percent-encoded character"),
        (f"postgresql://u:%ff{CANARY}@h/db", "percent-encoded bytes that are not valid text"),
        (f"postgresql://u:{CANARY}", "unreadable port or host"),
    ],
)
def test_what_cannot_be_is_told_before_anybody_is_connected_to(text: str, said: str) -> None:
    """A fault of a DSN is named with its cure, quotes nothing that may be a password, and has no cause that does."""
    with pytest.raises(ConfigurationError) as caught:
        address(text)

    assert said in str(caught.value)
    assert CANARY not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert "IPv6" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p@h:1/db", "postgresql://u:p@h:1/a%2Fb"),
        ("postgresql://h/db?dbname=x&sslmode=require&database=y", "postgresql://h/a%2Fb?sslmode=require"),
        ("postgresql://h?dbname=x", "postgresql://h/a%2Fb"),
        ("host=h dbname=x", "host=h dbname=x dbname='a/b'"),
    ],
)
def test_another_database_of_the_same_server(text: str, expected: str) -> None:
    """Test databases are gone to by a DSN whose query does not lead back to the developer's own."""
    assert expected == dsn.with_database(text, "a/b")
    assert address(expected).database == "a/b"
