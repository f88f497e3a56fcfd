"""The public error for a failed connection attempt, with its cause and its cure."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.server.address import Address
from kimbledb.server.driver import MisuseError, ServerError, WrongServerError, first_line
from kimbledb.server.parameters import HINT
from kimbledb.server.session import TemporarilyUnavailable

#: Files of TLS: parameter, environment variable, and description.
_FILES = {
    "sslrootcert": ("PGSSLROOTCERT", "root certificate"),
    "sslcert": ("PGSSLCERT", "client certificate"),
    "sslkey": ("PGSSLKEY", "key of the client certificate"),
    "sslcrl": ("PGSSLCRL", "list of revoked certificates"),
}
_ROOT_HINT = (
    "name the certificate of the authority in sslrootcert (PGSSLROOTCERT), put it into ~/.postgresql/root.crt, "
    "or use sslrootcert=system for the authorities that this machine trusts"
)
#: OpenSSL's reasons that concern files (openssl-err).
_OF_FILES = (
    "NO_CERTIFICATE",
    "PEM",
    "NO_START_LINE",
    "KEY_VALUES_MISMATCH",
    "BAD_DECRYPT",
    "KEY_TYPE",
    "ASN1",
    "WRONG_TAG",
)
# SQLSTATEs (manual, appendix A).
_TOO_MANY_CONNECTIONS, _CANNOT_CONNECT_NOW, _PROTOCOL_VIOLATION = "53300", "57P03", "08P01"
_NO_SUCH_DATABASE, _NOT_AUTHORIZED = "3D000", ("28000", "28P01")
#: An invalid value, a parameter that cannot be changed now, and an unknown parameter.
_OF_SETTINGS = ("22023", "55P02", "42704")
# OpenSSL's codes for a certificate (x509_vfy.h).
_EXPIRED, _NOT_YET_VALID, _REVOKED, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 23, 62, 64


def explain(error: Exception, label: str, address: Address | None) -> ConfigurationError | ConnectionLostError:
    """Return the public error for a failed connection attempt.

    Args:
        error: The driver's error.
        label: The target's name in messages.
        address: The address in the DSN, or None for a caller's pool.
    """
    if isinstance(error, ServerError):
        return _of_server(error, label, address)
    if isinstance(error, WrongServerError):
        return ConnectionLostError(
            f"{label}: no host is a server of the kind that target_session_attrs asks for",
            hint="add the other hosts, or remove target_session_attrs; only a primary accepts migrations",
        )
    if isinstance(error, ssl.SSLError):
        return _of_tls(error, label, address)
    if isinstance(error, OSError | MisuseError) and address is not None and (missing := _missing_file(address)):
        what, path = missing
        hint = _ROOT_HINT if what == "root certificate" else f"put it there, or name another {what}"
        return ConfigurationError(f"{label}: the {what} {path} does not exist, or cannot be read", hint=hint)
    if isinstance(error, MisuseError | ValueError):
        return _of_the_client(error, label, address)
    if isinstance(error, OSError):
        return _unreachable(error, label)
    return _refused(error, label)


def _of_server(error: ServerError, label: str, address: Address | None) -> ConfigurationError | ConnectionLostError:
    sqlstate, said = error.sqlstate, str(error)
    if sqlstate in (_TOO_MANY_CONNECTIONS, _CANNOT_CONNECT_NOW) or (
        # PgBouncer's error where all of its connections are in use.
        sqlstate == _PROTOCOL_VIOLATION and "no more connections allowed" in said
    ):
        return TemporarilyUnavailable(f"{label} accepts no connection now: {first_line(error)}")
    if sqlstate == _NO_SUCH_DATABASE:
        return ConfigurationError(
            f"{label}: {first_line(error)}", hint="create it (CREATE DATABASE), or name another database in the DSN"
        )
    if sqlstate in _NOT_AUTHORIZED:
        return ConfigurationError(f"{label}: {first_line(error)}", hint=_authorization_hint(said, address))
    if sqlstate in _OF_SETTINGS:
        return ConfigurationError(
            f"{label} refused the settings of the DSN: {first_line(error)}", hint="take the setting out of the DSN"
        )
    if sqlstate == _PROTOCOL_VIOLATION and "startup parameter" in said:
        return ConfigurationError(
            f"{label}: {first_line(error)}",
            hint="the DSN leads to a pooler, which accepts no settings: remove them, and options, from the DSN",
        )
    return _refused(error, label)


def _refused(error: Exception, label: str) -> ConnectionLostError:
    return ConnectionLostError(f"{label} refused the connection: {first_line(error)}")


def _authorization_hint(said: str, address: Address | None) -> str:
    if "no encryption" in said or "SSL off" in said or "insecure" in said or "SSL connection is required" in said:
        return "the server requires TLS: write sslmode=require (or verify-full) in the DSN"
    if "certificate" in said:
        return "the server requires a client certificate: name it in sslcert and sslkey"
    if address is not None and address.password is None:
        return (
            "the DSN holds no password: write postgresql://user:password@host/database, set PGPASSWORD, or add a line to "
            "~/.pgpass; over the socket of this machine, postgresql:///database, many servers ask for none"
        )
    return "check user, password and database in the DSN"


def _of_tls(error: ssl.SSLError, label: str, address: Address | None) -> ConfigurationError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error, label)
    reason = (error.reason or first_line(error)).upper()
    words = reason.replace("_", " ").lower()
    if any(each in reason for each in _OF_FILES) and "ALERT" not in reason:
        files = [] if address is None else [path for _, path in _files(address)]
        return ConfigurationError(
            f"{label}: a file of TLS cannot be used ({words})" + (f": {' or '.join(files)}" if files else ""),
            hint="each file holds PEM (-----BEGIN CERTIFICATE-----), and sslkey is the key of sslcert",
        )
    hint = "see the server's log; ssl_min_protocol_version and sslnegotiation in the DSN must suit the server"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        hint = "the server requires a client certificate: name it in sslcert and sslkey"
    return ConfigurationError(f"{label}: TLS cannot be negotiated ({words})", hint=hint)


def _of_certificate(error: ssl.SSLCertVerificationError, label: str) -> ConfigurationError:
    if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return ConfigurationError(
            f"{label}: the server's certificate is for another host: {error.verify_message}",
            hint="connect by a name that is in the certificate; sslmode=verify-ca does not check the name",
        )
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID, _REVOKED):
        return ConfigurationError(
            f"{label}: the server's certificate is not valid: {error.verify_message}",
            hint="renew the server's certificate; check this machine's clock, too",
        )
    return ConfigurationError(
        f"{label}: no authority that this machine trusts has signed the server's certificate: {error.verify_message}",
        hint=_ROOT_HINT,
    )


def _files(address: Address) -> list[tuple[str, str]]:
    """Return the files of TLS that the DSN or the environment names: description and path."""
    named = [
        (what, address.tls.get(parameter) or os.environ.get(variable) or "")
        for parameter, (variable, what) in _FILES.items()
    ]
    found = [(what, path) for what, path in named if path and path != "system"]
    mode = address.tls.get("sslmode") or os.environ.get("PGSSLMODE") or ""
    if mode.startswith("verify") and not any(path for what, path in named if what == "root certificate"):
        found.append(("root certificate", str(Path("~/.postgresql/root.crt").expanduser())))
    return found


def _missing_file(address: Address) -> tuple[str, str] | None:
    return next(((what, path) for what, path in _files(address) if not os.access(path, os.R_OK)), None)


def _of_the_client(error: Exception, label: str, address: Address | None) -> ConfigurationError:
    if address is not None:
        # The driver's own message on its arguments, which quotes no text of the DSN.
        return ConfigurationError(f"{label}: asyncpg cannot use the DSN: {first_line(error)}", hint="correct the DSN")
    if isinstance(error, MisuseError):
        return ConfigurationError(
            f"{label}: {first_line(error)}",
            hint="pass a pool that is open: `async with asyncpg.create_pool(...)`",
        )
    return ConfigurationError(f"the DSN of {label} cannot be read ({type(error).__name__})", hint=HINT)


def _unreachable(error: OSError, label: str) -> ConfigurationError | ConnectionLostError:
    text = first_line(error)
    if "rejected SSL upgrade" in text:
        return ConfigurationError(
            f"{label} has no TLS, and sslmode asks for it",
            hint="turn TLS on in the server (ssl = on), or, on a trusted network, use sslmode=prefer or disable",
        )
    if isinstance(error, asyncio.TimeoutError):
        return ConnectionLostError(
            f"{label} cannot be reached: no answer in time",
            hint="check host and port, and firewalls on the way; connect_timeout in the DSN allows more time",
        )
    return ConnectionLostError(f"{label} cannot be reached: {text}", hint=_reach_hint(text))


def _reach_hint(text: str) -> str:
    if "Name or service not known" in text or "nodename nor servname" in text:
        return (
            "the host's name is not known here; a hosted database may have an IPv6 address only: use its pooler's host"
        )
    if "Network is unreachable" in text:
        return "the host may have an IPv6 address only, which this machine cannot reach: use its pooler's host"
    if "during SSL exchange" in text:
        return "the server refused before TLS began; its log holds the reason"
    return "check host and port, and whether the server runs"
