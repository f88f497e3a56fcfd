"""What it means that no connection could be had, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.server.drivers import MisuseError, ServerError, WrongServerError
from kimbledb.server.dsn import HINT, Address
from kimbledb.server.session import NotJustNow, first_line

#: Files of TLS: their parameter, the environment's variable for it, and what they are.
_FILES = {
    "sslrootcert": ("PGSSLROOTCERT", "root certificate"),
    "sslcert": ("PGSSLCERT", "client certificate"),
    "sslkey": ("PGSSLKEY", "key of the client certificate"),
    "sslcrl": ("PGSSLCRL", "list of revoked certificates"),
}
_ROOT_HINT = (
    "name the certificate of the authority in sslrootcert (PGSSLROOTCERT), put it to ~/.postgresql/root.crt, "
    "or use sslrootcert=system for the authorities that this machine trusts"
)
#: OpenSSL's reasons that are about files (openssl-err).
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
#: An invalid value, a parameter that cannot be changed now, and one that is not there.
_OF_SETTINGS = ("22023", "55P02", "42704")
# OpenSSL's codes for a certificate (x509_vfy.h).
_EXPIRED, _NOT_YET_VALID, _REVOKED, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 23, 62, 64


def meaning(error: Exception, label: str, address: Address | None) -> ConfigurationError | ConnectionLostError:
    """Return what an error means.

    Args:
        error: What the driver raised.
        label: What the target is called.
        address: Where it leads, or None for a pool of the caller's.
    """
    sqlstate = error.sqlstate if isinstance(error, ServerError) else None
    if sqlstate in (_TOO_MANY_CONNECTIONS, _CANNOT_CONNECT_NOW) or (
        # So says PgBouncer where all that it may serve are there.
        sqlstate == _PROTOCOL_VIOLATION and "no more connections allowed" in str(error)
    ):
        return NotJustNow(f"{label} takes no connection now: {first_line(error)}")
    if sqlstate == _NO_SUCH_DATABASE:
        return ConfigurationError(
            f"{label}: {first_line(error)}", hint="make it (CREATE DATABASE), or name another one in the DSN"
        )
    if sqlstate in _NOT_AUTHORIZED:
        return ConfigurationError(f"{label}: {first_line(error)}", hint=_authorization_hint(error))
    if isinstance(error, WrongServerError):
        return ConnectionLostError(
            f"{label}: no host there is what target_session_attrs asks for",
            hint="name the other hosts, too, or take target_session_attrs out; only a primary takes migrations",
        )
    if isinstance(error, ssl.SSLError):
        return _of_tls(error, label, address)
    missing = None if address is None else _missing_file(address)
    if missing is not None and isinstance(error, OSError | MisuseError):
        what, path = missing
        hint = _ROOT_HINT if what == "root certificate" else f"put it there, or name another {what}"
        return ConfigurationError(f"{label}: the {what} {path} is not there, or cannot be read", hint=hint)
    if isinstance(error, MisuseError | ValueError):
        return _of_the_client(error, label, address)
    if isinstance(error, OSError):
        return _unreached(error, label)
    if sqlstate in _OF_SETTINGS:
        return ConfigurationError(
            f"{label} refused the settings of the DSN: {first_line(error)}", hint="take the setting out of the DSN"
        )
    if sqlstate == _PROTOCOL_VIOLATION and "startup parameter" in str(error):
        return ConfigurationError(
            f"{label}: {first_line(error)}",
            hint="a pooler is between, which takes no settings: take them, and options, out of the DSN",
        )
    return ConnectionLostError(f"{label} refused the connection: {first_line(error)}")


def _authorization_hint(error: Exception) -> str:
    text = str(error)
    if "no encryption" in text or "SSL off" in text or "insecure" in text or "SSL connection is required" in text:
        return "the server wants TLS: write sslmode=require (or verify-full) in the DSN"
    if "certificate" in text:
        return "the server wants a certificate of the client: name it in sslcert and sslkey"
    return "check user, password and database in the DSN"


def _of_tls(error: ssl.SSLError, label: str, address: Address | None) -> ConfigurationError:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
            return ConfigurationError(
                f"{label}: the server's certificate is for another host: {error.verify_message}",
                hint="connect by a name that is in the certificate; sslmode=verify-ca does not look at the name",
            )
        if error.verify_code in (_EXPIRED, _NOT_YET_VALID, _REVOKED):
            return ConfigurationError(
                f"{label}: the server's certificate is not valid: {error.verify_message}",
                hint="let the server have a new one; look at this machine's clock, too",
            )
        return ConfigurationError(
            f"{label}: the server's certificate is of no authority that is trusted here: {error.verify_message}",
            hint=_ROOT_HINT,
        )
    reason = (error.reason or first_line(error)).upper()
    words = reason.replace("_", " ").lower()
    if any(each in reason for each in _OF_FILES) and "ALERT" not in reason:
        files = [] if address is None else [path for _, path in _files(address)]
        return ConfigurationError(
            f"{label}: a file of TLS cannot be used ({words})" + (f": {' or '.join(files)}" if files else ""),
            hint="each holds PEM (-----BEGIN CERTIFICATE-----), and sslkey is the key of sslcert",
        )
    hint = "look at the server's log; ssl_min_protocol_version and sslnegotiation in the DSN must suit the server"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        hint = "the server wants a certificate of the client: name it in sslcert and sslkey"
    return ConfigurationError(f"{label}: TLS cannot be had ({words})", hint=hint)


def _files(address: Address) -> list[tuple[str, str]]:
    """Return the files of TLS that are asked for: what each is, and its path."""
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
        # The driver's own word on what it was given, which is no text of the DSN.
        return ConfigurationError(f"{label}: asyncpg cannot use the DSN: {first_line(error)}", hint="mend the DSN")
    if isinstance(error, MisuseError):
        return ConfigurationError(
            f"{label}: {first_line(error)}",
            hint="pass a pool that is open: `async with asyncpg.create_pool(...)`",
        )
    return ConfigurationError(f"the DSN of {label} cannot be read ({type(error).__name__})", hint=HINT)


def _unreached(error: OSError, label: str) -> ConfigurationError | ConnectionLostError:
    text = first_line(error)
    if "rejected SSL upgrade" in text:
        return ConfigurationError(
            f"{label} has no TLS, and sslmode asks for it",
            hint="turn TLS on in the server (ssl = on); where the network is trusted, sslmode=prefer or disable does without",
        )
    if isinstance(error, asyncio.TimeoutError):
        return ConnectionLostError(
            f"{label} cannot be reached: nobody answered in time",
            hint="check host and port, and that no firewall is between; connect_timeout in the DSN allows more time",
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
        return "the server refused before TLS began; its log says why"
    return "check host and port, and that the server runs"
