"""Client certificates as credentials of API tokens: one certificate by its fingerprint, or a subject of one authority.

The handshake has proved that the client has the certificate's key, and that an authority of the surface issued it. What is here
decides whose it is. Dates are checked again at each request, because a connection may live longer than its certificate.
"""

import base64
import binascii
import enum
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.core.errors import InvalidInput

_DER = Encoding.DER
REMEMBERED = 4096
CODE = "certificate_invalid"
MAX_TITLE = 500


class CertificateUse(enum.StrEnum):
    """What of a token its certificate is."""

    ALONE = "alone"
    """The certificate identifies the caller; the token has no secret."""
    BESIDE = "beside"
    """The secret counts only together with the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateBinding:
    """Which certificates are a token's."""

    key: bytes
    """What finds the token: the certificate's fingerprint (SHA-256), or a digest of its subject."""
    authority: str | None
    """The certificate (DER in base64) of the authority that must have issued it; None: it is one certificate alone."""
    title: str
    """For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A certificate that a client has presented."""

    der: bytes
    fingerprint: bytes
    subject_key: bytes
    not_before_ms: int
    not_after_ms: int

    def is_bound(self, key: bytes, authority: str | None) -> bool:
        """Whether it is the one, or one of those, that a token is bound to."""
        if authority is None:
            return key == self.fingerprint
        return key == self.subject_key and _is_issued_by(self.der, authority)

    def is_current(self, now_ms: int) -> bool:
        return self.not_before_ms <= now_ms < self.not_after_ms


def bind_certificate(pem: bytes) -> CertificateBinding:
    """A token's binding to exactly this certificate. Raises: InvalidInput."""
    fingerprint = _fingerprint(_load(pem))
    return CertificateBinding(key=fingerprint, authority=None, title=f"sha256 {fingerprint.hex()}")


def bind_subject(authority_pem: bytes, subject: str) -> CertificateBinding:
    """A token's binding to every certificate of this subject that the authority issues: also to those that renew it.

    `subject` is as `openssl x509 -noout -subject -nameopt RFC2253` writes it. Raises: InvalidInput.
    """
    authority = _load(authority_pem)
    try:
        name = x509.Name.from_rfc4514_string(subject)
    except ValueError as error:
        raise InvalidInput(
            f"{subject!r} is no subject such as CN=shop,O=Example: {error}", code=CODE
        ) from None
    title = f"{name.rfc4514_string()}, issued by {authority.subject.rfc4514_string()}"
    if not subject or len(title) > MAX_TITLE:
        raise InvalidInput("A subject is not empty, nor longer than a line", code=CODE)
    der = authority.public_bytes(_DER)
    return CertificateBinding(key=_subject_key(name), authority=base64.b64encode(der).decode(), title=title)


@lru_cache(maxsize=REMEMBERED)
def read_presented(der: bytes) -> Presented | None:
    """None: it is none that could be read, though the handshake took it."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject = certificate.subject
    except ValueError:
        return None
    return Presented(
        der=der,
        fingerprint=_fingerprint(certificate),
        subject_key=_subject_key(subject),
        not_before_ms=_milliseconds(certificate.not_valid_before_utc),
        not_after_ms=_milliseconds(certificate.not_valid_after_utc),
    )


@lru_cache(maxsize=REMEMBERED)
def _is_issued_by(der: bytes, authority: str) -> bool:
    """Whether the authority's key has signed it. The check is pure and costs a curve operation, so its result is remembered."""
    try:
        issuer = x509.load_der_x509_certificate(base64.b64decode(authority, validate=True))
        x509.load_der_x509_certificate(der).verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, binascii.Error):
        return False
    return True


def _load(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidInput("The file has no certificate in PEM form", code=CODE) from error


def _fingerprint(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.public_bytes(_DER)).digest()


def _subject_key(name: x509.Name) -> bytes:
    return hashlib.sha256(b"subject:" + name.rfc4514_string().encode()).digest()


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
