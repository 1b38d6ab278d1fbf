"""The certificate files of a surface: read together into one context, and read again when they change."""

import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

from strongroom.core.clock import Clock, iso_instant
from strongroom.core.errors import Unavailable
from strongroom.core.http.tls.settings import ClientCertificates, TlsSettings
from strongroom.core.security.certificates import read_presented

log = structlog.get_logger(__name__)

ALPN = ["http/1.1"]
VERIFY = {
    ClientCertificates.NONE: ssl.CERT_NONE,
    ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
}
NO_PASSWORD = ""
CRL_END = b"-----END X509 CRL-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the files held when they were read."""

    context: ssl.SSLContext
    digest: bytes
    """Of the content of all files."""
    names: tuple[str, ...]
    """The hosts that the certificate is for."""
    authorities: int
    """Whose client certificates are accepted."""
    not_before_ms: int
    not_after_ms: int
    crls_end_at_ms: tuple[int, ...] = ()
    """Until when the authorities' lists of what is revoked are in date. After one, its authority's clients cannot connect."""

    def fault(self, now_ms: int) -> str | None:
        """What is wrong with the dates; None: nothing."""
        if now_ms < self.not_before_ms:
            return f"the certificate is valid only from {iso_instant(self.not_before_ms)} on"
        if now_ms >= self.not_after_ms:
            return f"the certificate expired at {iso_instant(self.not_after_ms)}"
        if self.crls_end_at_ms and now_ms >= min(self.crls_end_at_ms):
            return f"the list of revoked client certificates ended at {iso_instant(min(self.crls_end_at_ms))}"
        return None


def load(settings: TlsSettings) -> Loaded:
    """Reads the files.

    Raises:
        Unavailable: one cannot be read, is no PEM, or the key is not the certificate's.
    """
    content = {path: _read(path) for path in settings.files}
    leaf = _leaf(settings.certificate, content[settings.certificate])
    context = _context(settings)
    return Loaded(
        context=context,
        authorities=len(context.get_ca_certs()),
        digest=_digest(content),
        names=_names(leaf),
        not_before_ms=_milliseconds(leaf.not_valid_before_utc),
        not_after_ms=_milliseconds(leaf.not_valid_after_utc),
        crls_end_at_ms=_crl_ends(settings.client_crl, content),
    )


async def check_files(settings: TlsSettings, clock: Clock) -> str:
    """What `doctor` says of a surface's files. Raises: Unavailable: they, or the certificate's dates, are not in order."""
    loaded = load(settings)
    if (fault := loaded.fault(clock.now_ms())) is not None:
        raise Unavailable(f"{settings.certificate}: {fault}")
    hosts = ", ".join(loaded.names) or "no host"
    until = f"{settings.certificate} for {hosts}, until {iso_instant(loaded.not_after_ms)}"
    if settings.client_ca is None:
        return until
    return f"{until}; client certificates: {settings.clients}, of {loaded.authorities} authorities"


class TlsFiles:
    """The files of one surface, as they were when they were last read and in order."""

    def __init__(self, surface: str, settings: TlsSettings, clock: Clock) -> None:
        """Raises: Unavailable: as `load`."""
        self.surface = surface
        self.settings = settings
        self._clock = clock
        self._loaded = load(settings)
        self._fault: str | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """For handshakes from now on."""
        return self._loaded.context

    @property
    def not_after_ms(self) -> int:
        return self._loaded.not_after_ms

    @property
    def fault(self) -> str | None:
        """Why the files, or the certificate in use, need a person; None: they do not."""
        return self._fault or self._loaded.fault(self._clock.now_ms())

    def admits(self, session: ssl.SSLObject | None) -> bool:
        """Whether the certificate of a resumed session is still in date: such a handshake does not look at it again."""
        if session is None or not session.session_reused:
            return True
        der = session.getpeercert(binary_form=True)
        presented = None if der is None else read_presented(der)
        return presented is None or presented.is_current(self._clock.now_ms())

    def refresh(self) -> bool:
        """Reads the files again; whether they have changed. Where they are not in order, what was read before stays in use."""
        try:
            loaded = load(self.settings)
        except Unavailable as error:
            if error.message != self._fault:
                log.error("a changed certificate is not used", surface=self.surface, fault=error.message)
            self._fault = error.message
            return False
        self._fault = None
        if loaded.digest == self._loaded.digest:
            return False
        self._loaded = loaded
        log.info("a new certificate is used", surface=self.surface, until=iso_instant(loaded.not_after_ms))
        return True


def _context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(ALPN)
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: NO_PASSWORD)
    except OSError as error:
        raise Unavailable(
            f"{settings.certificate} and {settings.key} are no certificate and its key, without a password: {_reason(error)}"
        ) from error
    context.verify_mode = VERIFY[settings.clients]
    if settings.client_ca is not None:
        # A resumed session would outlive what the files say of a client later. Sessions of TLS 1.2 that are resumed by their
        # number cannot be switched off here; `admits` looks at their certificates.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_flags |= (
            ssl.VERIFY_X509_PARTIAL_CHAIN
        )  # an authority may be named that has one above itself
        _trust(context, settings.client_ca)
    if settings.client_crl is not None:
        _trust(context, settings.client_crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _trust(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be used: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """TLS's own words, or the system's where a file went away meanwhile."""
    return str(error.reason) if isinstance(error, ssl.SSLError) else str(error.strerror)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error


def _leaf(path: Path, content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(content)[0]
    except ValueError as error:
        raise Unavailable(f"{path} has no certificate in PEM form") from error


def _crl_ends(path: Path | None, content: dict[Path, bytes]) -> tuple[int, ...]:
    if path is None:
        return ()
    try:
        lists = [
            x509.load_pem_x509_crl(part + CRL_END) for part in content[path].split(CRL_END) if part.strip()
        ]
    except ValueError as error:
        raise Unavailable(f"{path} has no list of revoked certificates in PEM form") from error
    return tuple(_milliseconds(each.next_update_utc) for each in lists if each.next_update_utc is not None)


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*hosts, *(str(address) for address in addresses))


def _digest(content: dict[Path, bytes]) -> bytes:
    parts = b"".join(hashlib.sha256(each).digest() for each in content.values())
    return hashlib.sha256(parts).digest()


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
