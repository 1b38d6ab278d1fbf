"""Reads the variables of push notifications: the original's, or a service account's file in their place."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from strongroom.core.environment import Environment, Secret
from strongroom.core.json_decoder import decode_json

FCM_URL = "https://fcm.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
PROVIDERS = frozenset({"android", "ios"})
ONE_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    project_id: str
    client_email: str
    private_key: Secret
    """The RSA key, in PEM form."""
    key_id: str | None
    token_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    enabled: bool
    """Notifications are stored, and sent if there is an account."""
    providers: frozenset[str]
    account: ServiceAccount | None
    url: str
    age_s: int
    """A notification older than this is not sent."""


def read_push_settings(environment: Environment) -> PushSettings:
    """Reads the settings. What is not understood is a mistake, unless notifications are switched off."""
    enabled = _read_switch(environment)
    if enabled is False:
        environment = environment.unused("push notifications are switched off, so it is not used")
    account = _read_account(environment)
    providers = environment.names("PUSH_ALLOWED_PROVIDERS") or frozenset({"android"})
    if unknown := providers - PROVIDERS:
        environment.mistake(
            f"PUSH_ALLOWED_PROVIDERS names {', '.join(sorted(unknown))}; there is android, ios"
        )
    return PushSettings(
        enabled=account is not None if enabled is None else enabled,
        providers=providers & PROVIDERS,
        account=account,
        url=environment.base_url("FCM_BASE_URL") or FCM_URL,
        age_s=environment.integer("HATHOR_PUSH_MAX_AGE_S", ONE_DAY_S, low=60),
    )


def _read_switch(environment: Environment) -> bool | None:
    """Returns the switch; None: neither variable is set."""
    for name in ("PUSH_NOTIFICATION_ENABLED", "PUSH_NOTIFICATION"):
        if environment.is_set(name):
            return environment.flag(name, False)
    return None


def _read_account(environment: Environment) -> ServiceAccount | None:
    document = environment.secret("FCM_SERVICE_ACCOUNT")
    if document is not None:
        return _parse_account(environment, document)
    project, email = (
        environment.optional("FIREBASE_PROJECT_ID"),
        environment.optional("FIREBASE_CLIENT_EMAIL"),
    )
    key = environment.secret("FIREBASE_PRIVATE_KEY")
    if project is None or email is None or key is None:
        if project or email or key:
            environment.mistake(
                "FIREBASE_PROJECT_ID, FIREBASE_CLIENT_EMAIL and FIREBASE_PRIVATE_KEY belong together"
            )
        return None
    return _checked(
        environment,
        "FIREBASE_PRIVATE_KEY",
        ServiceAccount(
            project_id=project,
            client_email=email,
            private_key=Secret(key.reveal().replace("\\n", "\n")),
            key_id=environment.optional("FIREBASE_PRIVATE_KEY_ID"),
            token_url=environment.url("FIREBASE_TOKEN_URI") or TOKEN_URL,
        ),
    )


def _parse_account(environment: Environment, document: Secret) -> ServiceAccount | None:
    try:
        fields = decode_json(document.reveal())
        account = ServiceAccount(
            project_id=fields["project_id"],
            client_email=fields["client_email"],
            private_key=Secret(fields["private_key"]),
            key_id=fields.get("private_key_id"),
            token_url=fields.get("token_uri") or TOKEN_URL,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        environment.mistake(
            "FCM_SERVICE_ACCOUNT (or its file) is not a service account's JSON with project_id, client_email and"
            " private_key"
        )
        return None
    return _checked(environment, "FCM_SERVICE_ACCOUNT", account)


def _checked(environment: Environment, name: str, account: ServiceAccount) -> ServiceAccount | None:
    try:
        key = load_pem_private_key(account.private_key.reveal().encode(), password=None)
    except (ValueError, TypeError, AttributeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        environment.mistake(f"{name}: the private key is no RSA key in PEM")
        return None
    return account
