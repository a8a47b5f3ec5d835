"""The certificate that the front port shows, and how this machine's own commands know it again.

`general_settings.tls_cert` and `tls_key` name two PEM files. When they change on disk, connections that begin from then
on get the new ones, and nothing restarts. It knows no HTTP.
"""

import logging
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from configs.errors import ConfigurationError
from configs.specs import GeneralSettings

log = logging.getLogger(__name__)

LOOSE = stat.S_IWGRP | stat.S_IRWXO
"""A group may read a key, as `ssl-cert` does on Debian; nobody else may."""
SOON = timedelta(days=14)
Stamp = tuple[tuple[int, int, int], ...]


class FrontTls:
    """A pair of certificate and key on disk, and the context that shows what is there now."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the pair.

        Raises:
            ConfigurationError: a file is missing, unreadable, open to others or no PEM, or they are no pair.
        """
        self._files = (certificate, key)
        self._seen = _stamp(self._files)
        self._current = load(certificate, key)
        self.context = load(certificate, key)
        # OpenSSL takes the certificate of the context that stands here at each handshake. Reading renewed files into a
        # live context would leave it with half a pair when the second one turns out to be bad.
        self.context.sni_callback = self._choose

    @classmethod
    def of(cls, settings: GeneralSettings) -> Self | None:
        """As the configuration says; None where TLS ends elsewhere.

        Raises:
            ConfigurationError: see `__init__`.
        """
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(settings.tls_cert, settings.tls_key)

    def refresh(self) -> bool:
        """Take a renewed pair; one that cannot be used is logged once, and the one before stays."""
        try:
            stamp = _stamp(self._files)
            if stamp == self._seen:
                return False
            self._seen = stamp
            self._current = load(*self._files)
        except ConfigurationError as error:
            log.error("the renewed certificate is not used: %s", error.message)  # noqa: TRY400  it says all
            return False
        log.info("the certificate was renewed")
        return True

    def _choose(self, connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def load(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context with this pair: TLS 1.2 and 1.3.

    Raises:
        ConfigurationError: a file is missing, unreadable, open to others or no PEM, or they are no pair.
    """
    warn_of_end(certificate, read(certificate))
    _refuse_loose(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, _no_password(key))
    except ssl.SSLError as error:
        raise ConfigurationError(_why(certificate, key, error.reason)) from error
    except OSError as error:
        raise ConfigurationError(_unreadable("tls_key", key, error)) from error
    return context


def read(certificate: Path) -> x509.Certificate:
    """The certificate itself, the first of its file.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except OSError as error:
        raise ConfigurationError(_unreadable("tls_cert", certificate, error)) from error
    except ValueError as error:
        msg = (
            f"general_settings.tls_cert: {str(certificate)!r} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        )
        raise ConfigurationError(msg) from error


def left_of(certificate: x509.Certificate) -> timedelta:
    """How long it is still good; negative when it has expired."""
    return certificate.not_valid_after_utc - datetime.now(UTC)


def warn_of_end(path: Path, certificate: x509.Certificate) -> None:
    """Log that it ends soon: clients refuse it from then on."""
    left = left_of(certificate)
    if left < timedelta():
        log.warning("the certificate %s has expired: clients refuse it", path)
    elif left < SOON:
        log.warning("the certificate %s expires in %d days", path, left.days)


def pinned(certificate: Path) -> ssl.SSLContext:
    """What a command connects with to its own machine: it trusts this very certificate, whatever name that is for.

    Raises:
        ConfigurationError: it cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # it is called by an address of loopback, which no authority certifies
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=read(certificate).public_bytes(Encoding.PEM).decode())
    return context


def _stamp(paths: tuple[Path, Path]) -> Stamp:
    """What changes with a file's content, place or mode."""
    found = []
    for name, path in zip(("tls_cert", "tls_key"), paths, strict=True):
        try:
            info = path.stat()
        except OSError as error:
            raise ConfigurationError(_unreadable(name, path, error)) from error
        found.append((info.st_ino, info.st_ctime_ns, info.st_size))
    return tuple(found)


def _refuse_loose(key: Path) -> None:
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
    except OSError as error:
        raise ConfigurationError(_unreadable("tls_key", key, error)) from error
    if mode & LOOSE:
        msg = f"general_settings.tls_key: {str(key)!r} is open to others (mode {mode:04o}): `chmod g-w,o= {key}`"
        raise ConfigurationError(msg)


def _no_password(key: Path) -> Callable[[], str]:
    def refuse() -> str:
        msg = f"general_settings.tls_key: {str(key)!r} asks for a password; store it without (`openssl pkey -in`)"
        raise ConfigurationError(msg)

    return refuse


def _why(certificate: Path, key: Path, reason: str | None) -> str:
    if reason == "KEY_VALUES_MISMATCH":
        return f"general_settings.tls_key: {str(key)!r} is not the key of the certificate {str(certificate)!r}"
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return f"general_settings.tls_cert: {str(certificate)!r} is too weak ({reason}): ask for a stronger one"
    return f"general_settings.tls_key: {str(key)!r} holds no private key in PEM that can be used ({reason})"


def _unreadable(name: str, path: Path, error: OSError) -> str:
    return f"general_settings.{name}: cannot read {str(path)!r}: {error.strerror or 'the system refused it'}"
