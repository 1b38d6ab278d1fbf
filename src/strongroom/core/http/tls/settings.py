"""The variables of TLS: common ones, and those of one surface, which count instead. docs/tls.md describes them."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from strongroom.core.environment import Environment

COMMON = "STRONGROOM"
EXCEPT_VARIABLE = "STRONGROOM_TLS_EXCEPT"
CERTIFICATE = "TLS_CERTIFICATE"
KEY = "TLS_KEY"
CLIENT_CA = "TLS_CLIENT_CA"
CLIENT_CRL = "TLS_CLIENT_CRL"
CLIENT_CERTIFICATES = "TLS_CLIENT_CERTIFICATES"


class ClientCertificates(enum.StrEnum):
    """What the handshake asks of a client."""

    NONE = "none"
    OPTIONAL = "optional"
    """A certificate that is presented must be one of a named authority; a client may present none."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS of one surface. The files are PEM."""

    certificate: Path
    """The surface's certificate, followed by those that lead to its authority."""
    key: Path
    """The certificate's private key; it may be the same file."""
    client_ca: Path | None = None
    """The certificates of the authorities whose client certificates are accepted."""
    client_crl: Path | None = None
    """What these authorities have revoked."""
    clients: ClientCertificates = ClientCertificates.NONE

    @property
    def files(self) -> tuple[Path, ...]:
        named = (self.certificate, self.key, self.client_ca, self.client_crl)
        return tuple(dict.fromkeys(path for path in named if path is not None))


def read_tls(environment: Environment, surfaces: Iterable[str]) -> dict[str, TlsSettings]:
    """The settings of each surface that speaks TLS. `environment` collects the mistakes."""
    known = frozenset(surfaces)
    excepted = environment.names(EXCEPT_VARIABLE)
    if unknown := excepted - known:
        environment.mistake(f"{EXCEPT_VARIABLE} names unknown surfaces: {', '.join(sorted(unknown))}")
    common = _texts(environment, COMMON)
    found = {}
    for surface in sorted(known):
        own = _texts(environment, prefix_of(surface))
        texts = common | own if surface not in excepted else own
        if texts and (settings := _settings(environment, surface, texts)) is not None:
            found[surface] = settings
    return found


def prefix_of(surface: str) -> str:
    return surface.upper().replace("-", "_")


def _texts(environment: Environment, prefix: str) -> dict[str, str]:
    names = (CERTIFICATE, KEY, CLIENT_CA, CLIENT_CRL, CLIENT_CERTIFICATES)
    found = {name: environment.optional(f"{prefix}_{name}") for name in names}
    if found[CERTIFICATE] is not None and found[KEY] is None:
        found[KEY] = found[CERTIFICATE]  # a certificate of the surface's own does not have the common key
    return {name: text for name, text in found.items() if text is not None}


def _settings(environment: Environment, surface: str, texts: Mapping[str, str]) -> TlsSettings | None:
    if CERTIFICATE not in texts:
        environment.mistake(
            f"{', '.join(sorted(texts))} of the {surface} surface: there is no {prefix_of(surface)}_{CERTIFICATE} or"
            f" {COMMON}_{CERTIFICATE}"
        )
        return None
    client_ca = texts.get(CLIENT_CA)
    usual = ClientCertificates.NONE if client_ca is None else ClientCertificates.OPTIONAL
    clients = environment.parsed(
        CLIENT_CERTIFICATES, texts.get(CLIENT_CERTIFICATES, usual), ClientCertificates, usual
    )
    if client_ca is None and (clients is not ClientCertificates.NONE or CLIENT_CRL in texts):
        environment.mistake(
            f"the {surface} surface asks for client certificates, and no {COMMON}_{CLIENT_CA} says whose it accepts"
        )
    return TlsSettings(
        certificate=Path(texts[CERTIFICATE]),
        key=Path(texts[KEY]),
        client_ca=None if client_ca is None else Path(client_ca),
        client_crl=Path(texts[CLIENT_CRL]) if CLIENT_CRL in texts else None,
        clients=clients,
    )
