"""Reads which backend keeps a ledger's key-encryption key, and how it is reached.

`<LEDGER>_KEY_BACKEND` names the key: `vault:MOUNT/keys/NAME`, `kms:KEY` or `pkcs11:token=LABEL;object=LABEL`. How the backend is
reached is the same for all ledgers, and in the variables that people know from the backend's own tools.
"""

import ipaddress
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from strongroom.core.environment import Environment, Secret
from strongroom.core.secret_files import read_secret_file

MAX_REFERENCE = 190
"""The database has room for so many characters."""
ALLOW_PLAIN = "STRONGROOM_ALLOW_PLAIN_KEY_BACKENDS"
FORMS = "vault:MOUNT/keys/NAME, kms:KEY or pkcs11:token=LABEL;object=LABEL"
NAMES = (
    ALLOW_PLAIN,
    "VAULT_ADDR",
    "VAULT_NAMESPACE",
    "VAULT_CACERT",
    "VAULT_TOKEN",
    "VAULT_TOKEN_FILE",
    "VAULT_ROLE_ID",
    "VAULT_SECRET_ID",
    "VAULT_SECRET_ID_FILE",
    "VAULT_APPROLE_MOUNT",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_CA_BUNDLE",
    "STRONGROOM_PKCS11_MODULE",
    "STRONGROOM_PKCS11_PIN",
    "STRONGROOM_PKCS11_PIN_FILE",
)
_VAULT = re.compile(r"(?P<mount>[\w.-]+(/[\w.-]+)*)/keys/(?P<name>[\w.-]+)", re.ASCII)
_KMS = re.compile(r"(?P<arn>arn:aws[\w-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:)?(key/)?[\w/-]{1,256}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}[a-z0-9-]{1,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSecret:
    """A secret in a variable, or in a file that is read each time it is used, because agents renew such files."""

    variable: str
    """The variable where the operator looks when the secret is wrong."""
    text: Secret | None = None
    file: Path | None = None

    def read(self) -> str:
        """The secret.

        Raises:
            ValueError: the file cannot be read, or is empty; the message names the variable.
        """
        if self.text is not None:
            return self.text.reveal()
        if self.file is None:
            raise ValueError(f"{self.variable} is not set")
        try:
            text = read_secret_file(self.file).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ValueError(f"{self.variable}: {self.file}: {why}") from None
        if not text:
            raise ValueError(f"{self.variable}: the file {self.file} is empty")
        if not text.isprintable():
            raise ValueError(f"{self.variable}: the file {self.file} has more than one line")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRole:
    """How a program authenticates to Vault: it gets a token for its role and its secret."""

    role_id: str
    secret_id: GivenSecret
    mount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    reference: str
    url: str
    mount: str
    name: str
    credential: GivenSecret | AppRole
    namespace: str | None
    ca_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """Credentials are not here: botocore finds them where all programs for AWS do."""

    reference: str
    key_id: str
    region: str
    endpoint: str | None
    """None: that of AWS for the region."""
    ca_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Settings:
    reference: str
    module: Path
    token: str
    label: str
    pin: GivenSecret


BackendSettings = VaultSettings | KmsSettings | Pkcs11Settings


def key_backend_variable(ledger: str) -> str:
    """The name of the variable that names a ledger's backend."""
    return f"{ledger.upper()}_KEY_BACKEND"


def read_key_backends(environment: Environment, *, ledger: str) -> tuple[BackendSettings, ...]:
    """Reads the backend of one ledger, and the one that follows it if the key moves. `environment` collects the mistakes."""
    environment.names_read.update(NAMES)  # known also where they are not used
    variable = key_backend_variable(ledger)
    following = f"{variable}_NEXT"
    names = [name for name in (variable, following) if environment.is_set(name)]
    if names == [following]:
        environment.mistake(f"{following} is set, and {variable} is not: set both")
    if len(names) > 1 and environment.text(variable) == environment.text(following):
        environment.mistake(f"{following} is the same as {variable}: set another key, or only {variable}")
    found = [_read_key_backend(environment, name, ledger) for name in names]
    return tuple(one for one in found if one is not None)


def _read_key_backend(environment: Environment, variable: str, ledger: str) -> BackendSettings | None:
    allows_plain = ledger in environment.names(ALLOW_PLAIN)
    text = environment.text(variable)
    kind, _, key = text.partition(":")
    if len(text) > MAX_REFERENCE:
        environment.mistake(f"{variable} has more than {MAX_REFERENCE} characters")
        return None
    match kind:
        case "vault":
            found = _VAULT.fullmatch(key)
            if found:
                return _vault(environment, text, found, ledger, allows_plain=allows_plain)
        case "kms":
            found = _KMS.fullmatch(key)
            if found:
                return _kms(environment, text, found, ledger, allows_plain=allows_plain)
        case "pkcs11":
            names = _pkcs11_names(key)
            if names is not None:
                return _pkcs11(environment, text, names, ledger)
        case _:
            pass
    environment.mistake(f"{variable} must be {FORMS}, not {text!r}")
    return None


def _vault(
    environment: Environment, text: str, found: re.Match[str], ledger: str, *, allows_plain: bool
) -> VaultSettings | None:
    url = environment.base_url("VAULT_ADDR")
    if url is None:
        environment.mistake("VAULT_ADDR is required: the URL of Vault or OpenBao")
    _require_tls(environment, "VAULT_ADDR", url, ledger, allows_plain=allows_plain)
    credential = _vault_credential(environment)
    ca_file = _existing(environment, "VAULT_CACERT")
    if url is None or credential is None:
        return None
    return VaultSettings(
        reference=text,
        url=url,
        mount=found["mount"],
        name=found["name"],
        credential=credential,
        namespace=environment.optional("VAULT_NAMESPACE"),
        ca_file=ca_file,
    )


def _vault_credential(environment: Environment) -> GivenSecret | AppRole | None:
    role_id = environment.optional("VAULT_ROLE_ID")
    token, secret_id = _secret(environment, "VAULT_TOKEN"), _secret(environment, "VAULT_SECRET_ID")
    if role_id is not None and token is not None:
        environment.mistake("VAULT_TOKEN and VAULT_ROLE_ID are both set; keep one")
    if role_id is None:
        if token is None:
            environment.mistake(
                "VAULT_TOKEN, VAULT_TOKEN_FILE, or VAULT_ROLE_ID with VAULT_SECRET_ID is required"
            )
        return token
    if secret_id is None:
        environment.mistake("VAULT_SECRET_ID or VAULT_SECRET_ID_FILE is required beside VAULT_ROLE_ID")
        return None
    return AppRole(
        role_id=role_id, secret_id=secret_id, mount=environment.text("VAULT_APPROLE_MOUNT", "approle")
    )


def _kms(
    environment: Environment, text: str, found: re.Match[str], ledger: str, *, allows_plain: bool
) -> KmsSettings | None:
    _require_package(environment, "botocore", "kms", ledger)
    region = environment.first("AWS_REGION", "AWS_DEFAULT_REGION")
    if found["region"] is None and region is None:
        environment.mistake("AWS_REGION is required: the region of the key in AWS KMS")
    elif found["region"] is None and not _REGION.fullmatch(region or ""):
        environment.mistake(f"AWS_REGION must be a region as eu-central-1, not {region!r}")
    name = "AWS_ENDPOINT_URL_KMS" if environment.is_set("AWS_ENDPOINT_URL_KMS") else "AWS_ENDPOINT_URL"
    endpoint = environment.base_url(name)
    _require_tls(environment, name, endpoint, ledger, allows_plain=allows_plain)
    return KmsSettings(
        reference=text,
        key_id=text.partition(":")[2],
        region=found["region"] or region or "",
        endpoint=endpoint,
        ca_file=_existing(environment, "AWS_CA_BUNDLE"),
    )


def _pkcs11_names(key: str) -> tuple[str, str] | None:
    """Token and label of a PKCS#11 URI (RFC 7512) with these two parts alone."""
    parts = [part.partition("=") for part in key.split(";")]
    named = {name: unquote(value) for name, _, value in parts}
    if set(named) != {"token", "object"} or len(parts) != len(named) or not all(named.values()):
        return None
    return named["token"], named["object"]


def _pkcs11(
    environment: Environment, text: str, names: tuple[str, str], ledger: str
) -> Pkcs11Settings | None:
    _require_package(environment, "pkcs11", "pkcs11", ledger)
    module = _existing(environment, "STRONGROOM_PKCS11_MODULE")
    if not environment.is_set("STRONGROOM_PKCS11_MODULE"):
        environment.mistake(
            "STRONGROOM_PKCS11_MODULE is required: the library of the HSM's maker, a .so file"
        )
    pin = _secret(environment, "STRONGROOM_PKCS11_PIN")
    if pin is None:
        environment.mistake("STRONGROOM_PKCS11_PIN or STRONGROOM_PKCS11_PIN_FILE is required")
    if module is None or pin is None:
        return None
    token, label = names
    return Pkcs11Settings(reference=text, module=module, token=token, label=label, pin=pin)


def _secret(environment: Environment, name: str) -> GivenSecret | None:
    direct, path = environment.optional(name), environment.optional(f"{name}_FILE")
    if direct and path:
        environment.mistake(f"{name} and {name}_FILE are both set; keep one")
    if direct:
        if direct.isprintable():
            return GivenSecret(variable=name, text=Secret(direct))
        environment.mistake(f"{name} must be one line of printable characters")
    if path:
        given = GivenSecret(variable=f"{name}_FILE", file=Path(path))
        try:
            given.read()
        except ValueError as error:
            environment.mistake(str(error))
        return given
    return None


def _existing(environment: Environment, name: str) -> Path | None:
    text = environment.optional(name)
    if text is None:
        return None
    if not Path(text).is_file():
        environment.mistake(f"{name}: there is no file {text}")
        return None
    return Path(text)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_tls(
    environment: Environment, variable: str, url: str | None, ledger: str, *, allows_plain: bool
) -> None:
    """Without TLS whoever is on the way reads the credentials and the unwrapped key."""
    parts = urlsplit(url or "")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or "") and not allows_plain:
        environment.mistake(
            f"{variable} must begin with https, or name this machine: without TLS the key can be read on the way."
            f" If the way is safe, add {ledger} to {ALLOW_PLAIN}"
        )


def _require_package(environment: Environment, module: str, extra: str, ledger: str) -> None:
    if find_spec(module) is None:
        environment.mistake(
            f"{ledger.upper()}_KEY_BACKEND: the package {module} is not installed; install strongroom[{extra}]"
        )
