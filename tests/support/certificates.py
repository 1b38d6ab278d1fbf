"""Certificates made by openssl, as an operator makes them: of an authority of the test's own, of any dates, also revoked ones."""

import hashlib
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = $ENV::AUTHORITY/index
new_certs_dir = $ENV::AUTHORITY
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
default_crl_days = 30
[any]
commonName = supplied
organizationName = optional
"""
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
HERE = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
LONG_AGO, PAST, FUTURE, FAR = "20200101000000Z", "20210101000000Z", "20480101000000Z", "20490101000000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Two PEM files."""

    path: Path
    key: Path

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.path.read_text())

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def pair(self) -> tuple[str, str]:
        return str(self.path), str(self.key)


class Authority:
    """A folder with an authority's key and certificate, and those that it issued."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        (folder / "ca.cnf").write_text(CONFIGURATION)
        (folder / "index").touch()
        (folder / "here").write_text(HERE)
        self.own = Certificate(path=folder / "ca.pem", key=folder / "ca.key")
        self._openssl("req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name}")

    def issue(self, name: str, *, subject: str = "", start: str = LONG_AGO, end: str = FAR) -> Certificate:
        """For servers on this machine and for clients."""
        self._openssl(
            "req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject or f"/CN={name}"
        )
        dates = ("-startdate", start, "-enddate", end)
        self._ca("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "here", *dates)
        return Certificate(path=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")

    def revoke(self, certificate: Certificate) -> Path:
        """The list of what is revoked."""
        self._ca("-revoke", str(certificate.path))
        return self.revoked()

    def revoked(self) -> Path:
        self._ca("-gencrl", "-out", "crl.pem")
        return self._folder / "crl.pem"

    def _ca(self, *arguments: str) -> None:
        own = ("-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key")
        self._openssl("ca", "-batch", "-notext", *own, *arguments)

    def _openssl(self, *arguments: str) -> None:
        environment = os.environ | {"AUTHORITY": str(self._folder)}
        ended = subprocess.run(
            ["openssl", *arguments],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr


def client_context(authority: Authority, certificate: Certificate | None = None) -> ssl.SSLContext:
    """What a client that trusts the authority and has this certificate connects with."""
    context = ssl.create_default_context(cafile=str(authority.own.path))
    if certificate is not None:
        context.load_cert_chain(*certificate.pair)
    return context
