"""What each variable of the process is for, whatever its ledgers are. `settings.py` and what it calls read them."""

from collections.abc import Iterable, Iterator

from strongroom.core.described import Subject, Variable
from strongroom.core.http.tls.settings import prefix_of

ADDRESSES = {
    "STRONGROOM_HOST": Variable(
        meaning="The address that the surfaces listen on, all but the admin API.",
        values="an address; `0.0.0.0` is every one",
        comes_first=True,
    ),
    "STRONGROOM_DATA": Variable(
        meaning="The folder of SQLite databases and of keys that the installation makes itself.",
        values="a folder",
        comes_first=True,
    ),
    "MANAGEMENT_PORT": Variable(meaning="The port of `/health` and `/prometheus`."),
}
CALLERS = {
    "STRONGROOM_ALLOW_UNAUTHENTICATED": Variable(
        meaning="Surfaces that other machines may reach without a token.",
        default="none",
        values="names of surfaces, with commas between",
        comes_first=True,
    ),
    "STRONGROOM_ALLOWED_HOSTS": Variable(
        meaning="Further host names that `Host` may contain.",
        default="none",
        values="host names, with commas between",
    ),
    "STRONGROOM_ALLOWED_ORIGINS": Variable(
        meaning="Origins of other web pages that may call the service.",
        default="none",
        values="as `https://shop.example`, with commas between",
    ),
    "STRONGROOM_ALLOW_SHORT_SECRETS": Variable(
        meaning="Variables whose secret may be shorter than 32 bytes, on a database that was in use before.",
        default="none",
        values="names of variables, with commas between",
    ),
    "STRONGROOM_FREE_ATTEMPTS": Variable(
        meaning="So many failed authentications of one address in a row slow nobody down."
    ),
}
CONSOLE = {
    "CONSOLE_ENABLED": Variable(meaning="This process has the admin API and the console."),
    "CONSOLE_PAGES": Variable(meaning="The console's pages are on the port of the admin API."),
    "CONSOLE_SESSION_MINUTES": Variable(
        meaning="How long somebody who signed in to the console stays signed in."
    ),
    "CONSOLE_PORT": Variable(
        meaning="The port of the admin API; where the port is not named and taken, the process runs without the API."
    ),
    "CONSOLE_HOST": Variable(
        meaning="The address of the admin API, whatever `STRONGROOM_HOST` is; name another one only behind TLS.",
        values="an address",
    ),
    "CONSOLE_TRUSTED_PROXIES": Variable(
        meaning="Whose word in `X-Forwarded-For` counts for where a request comes from.",
        values="a number of proxies, or networks with commas between",
    ),
}
CONNECTIONS = {
    "STRONGROOM_CONNECTIONS": Variable(meaning="The most open connections of the process; above: 503."),
    "STRONGROOM_CONNECTIONS_A_PEER": Variable(
        meaning="The most connections of one address on one surface; above: 503."
    ),
    "STRONGROOM_TRUSTED_PROXIES": Variable(
        meaning="Proxies, whose connections carry many clients and so are not limited as one peer.",
        values="a number of proxies, or networks with commas between",
    ),
    "STRONGROOM_HEAD_TIMEOUT_S": Variable(
        meaning="How many seconds a request's line and headers may take; then 408."
    ),
    "STRONGROOM_BODY_TIMEOUT_S": Variable(meaning="How many seconds the whole body may take; then 408."),
    "STRONGROOM_UNREAD_TIMEOUT_S": Variable(
        meaning="A peer that reads almost nothing for so many seconds is disconnected."
    ),
    "STRONGROOM_IDLE_TIMEOUT_S": Variable(
        meaning="How many seconds may pass between an answer and the next request."
    ),
    "STRONGROOM_DRAIN_S": Variable(
        meaning="For so many seconds after SIGTERM the process still takes requests."
    ),
    "STRONGROOM_SOCKET_MESSAGES_A_MINUTE": Variable(
        meaning="Frames of one WebSocket in a minute or at once; above: closed with 1008."
    ),
}
LOGS = {
    "LOG_FORMAT": Variable(meaning="The form of log lines.", values="`text`, `json`"),
    "LOG_LEVEL": Variable(
        meaning="The least important lines that are written.",
        values="`DEBUG`, `INFO`, `WARNING`, `ERROR`",
        comes_first=True,
    ),
    "SPRING_PROFILES_ACTIVE": Variable(
        meaning="`json` means `LOG_FORMAT=json`.", values="`json`", is_original=True
    ),
    "STRONGROOM_ACCESS_LOG": Variable(
        meaning="Which requests have a line in the log: none, those of the APIs, or those of health and metrics too.",
        default="on",
        values="`off`, `on`, `all`",
    ),
    "STRONGROOM_TRACES_URL": Variable(
        meaning="The collector of traces (OTLP); it needs `strongroom[traces]`.", default="none"
    ),
    "STRONGROOM_BACKLOG_ENTRIES": Variable(
        meaning="More waiting events than this make their component `DEGRADED`."
    ),
    "STRONGROOM_BACKLOG_AGE_S": Variable(
        meaning="An event that waits for more seconds makes its component `DEGRADED`."
    ),
}
DATABASES = {
    "STRONGROOM_WAIT_FOR_NODES": Variable(
        meaning="At a node of a cluster a request waits until the node has what others committed before it."
    ),
}
RULES = {
    "STRONGROOM_DEFAULT_POLICY": Variable(
        meaning="What happens to a signature that no rule concerns.", values="`allow`, `deny`"
    ),
    "STRONGROOM_POLICY_DELAY_SECONDS": Variable(
        meaning="How long it takes until a change of rules that loosens counts."
    ),
    "STRONGROOM_POLICY_APPROVALS": Variable(
        meaning="How many others must approve a change that loosens, and every unfreezing."
    ),
    "STRONGROOM_APPROVAL_SECONDS": Variable(
        meaning="How long a request waits for approvals; after that nothing is signed for it."
    ),
    "STRONGROOM_CHECKPOINT_SECONDS": Variable(
        meaning="How often checkpoints of the audit trail are made; 0: none are made."
    ),
    "STRONGROOM_CHECKPOINT_FILE": Variable(
        meaning="The file to which each checkpoint is added.", default="none", values="a file"
    ),
}
WEBHOOKS = {
    "STRONGROOM_WEBHOOK_NETWORKS": Variable(
        meaning="Networks to which webhooks may go besides public addresses.",
        default="none",
        values="networks, with commas between",
    ),
    "STRONGROOM_WEBHOOK_HTTP": Variable(meaning="Webhooks may go to `http://`."),
    "STRONGROOM_WEBHOOK_KEEP_SECONDS": Variable(
        meaning="How long delivered events are kept, to be listed and replayed."
    ),
}
REDIS = {
    "REDIS_URL": Variable(
        meaning="The Redis that carries word between processes and counts rates; without it the database does.",
        values="`redis://`, `rediss://`, `unix://`, or a host",
        is_original=True,
    ),
    "REDIS_HOST": Variable(
        meaning="The same, as the original's `.env` names it.",
        values="a host, or a URL as above",
        is_original=True,
    ),
    "REDIS_PORT": Variable(meaning="The port of Redis, where the value above has none.", is_original=True),
    "REDIS_PASSWORD": Variable(
        meaning="The password of Redis, where the value above has none.", is_original=True
    ),
}
BACKENDS = {
    "STRONGROOM_ALLOW_WEAK_KEYS": Variable(
        meaning="Ledgers that take a key-encryption key which is easy to guess.",
        default="none",
        values="names of ledgers, with commas between",
    ),
    "STRONGROOM_ALLOW_READABLE_KEYS": Variable(
        meaning="Ledgers that take a key file which other users may read, as Kubernetes mounts it by default.",
        default="none",
        values="names of ledgers, with commas between",
    ),
    "STRONGROOM_ALLOW_PLAIN_KEY_BACKENDS": Variable(
        meaning="Ledgers whose backend of keys may be asked without TLS.",
        default="none",
        values="names of ledgers, with commas between",
    ),
    "VAULT_ADDR": Variable(
        meaning="The URL of Vault or OpenBao; `https`, but for this machine.", values="http or https URL"
    ),
    "VAULT_TOKEN": Variable(
        meaning="The token of Vault; its file is read each time, so that an agent may renew it.",
        values="a token",
        is_secret=True,
    ),
    "VAULT_ROLE_ID": Variable(meaning="The role of an AppRole, instead of a token.", values="a role id"),
    "VAULT_SECRET_ID": Variable(meaning="The secret of that AppRole.", values="a secret id", is_secret=True),
    "VAULT_APPROLE_MOUNT": Variable(
        meaning="Where the AppRole method is mounted.", default="approle", values="a path"
    ),
    "VAULT_NAMESPACE": Variable(meaning="The namespace of Vault.", values="a namespace"),
    "VAULT_CACERT": Variable(
        meaning="The authorities whose certificates of Vault are trusted.", values="a PEM file"
    ),
    "AWS_REGION": Variable(
        meaning="The region of the key in AWS KMS, unless its ARN says it.", values="as `eu-central-1`"
    ),
    "AWS_DEFAULT_REGION": Variable(
        meaning="The same; `AWS_REGION` counts first.", values="as `eu-central-1`"
    ),
    "AWS_ENDPOINT_URL_KMS": Variable(
        meaning="Another endpoint of KMS, as of a VPC.", values="http or https URL"
    ),
    "AWS_ENDPOINT_URL": Variable(
        meaning="The same for all of AWS; the one of KMS counts first.", values="http or https URL"
    ),
    "AWS_CA_BUNDLE": Variable(
        meaning="The authorities whose certificates of AWS are trusted.", values="a PEM file"
    ),
    "STRONGROOM_PKCS11_MODULE": Variable(meaning="The library of the HSM's maker.", values="a `.so` file"),
    "STRONGROOM_PKCS11_PIN": Variable(meaning="The PIN of the HSM's user.", values="a PIN", is_secret=True),
}
COMMANDS = {
    "STRONGROOM_UNSEAL_KEY": Variable(
        meaning="The key-encryption key that `strongroom unseal` gives.",
        values="64 hex digits",
        is_secret=True,
    ),
    "STRONGROOM_COPY_PASSWORD": Variable(
        meaning="The password of the database that `strongroom copy` and `restore` fill.",
        values="a password",
        is_secret=True,
    ),
    "STRONGROOM_BACKUP_PASSPHRASE": Variable(
        meaning="What `strongroom backup` encrypts with, and `restore` and `verify` decrypt.",
        values="a passphrase",
        is_secret=True,
    ),
}
OF_TLS = {
    "TLS_CERTIFICATE": Variable(
        meaning="The certificate, followed by those that lead to its authority.",
        default="plain HTTP",
        values="a PEM file",
    ),
    "TLS_KEY": Variable(
        meaning="The certificate's private key.", default="in the certificate's file", values="a PEM file"
    ),
    "TLS_CLIENT_CA": Variable(
        meaning="The authorities whose client certificates are accepted.",
        default="none",
        values="a PEM file",
    ),
    "TLS_CLIENT_CRL": Variable(
        meaning="What these authorities have revoked.", default="none", values="a PEM file"
    ),
    "TLS_CLIENT_CERTIFICATES": Variable(
        meaning="Whether a client must present a certificate.",
        default="`optional` with authorities, else `none`",
        values="`none`, `optional`, `required`",
    ),
}


def process_subjects(surfaces: Iterable[str], common: str) -> Iterator[Subject]:
    """The variables of the process. `common` is the prefix of those of TLS that count for all `surfaces`."""
    yield Subject("The process: addresses and data", ADDRESSES)
    yield Subject("The process: who may call", CALLERS, "atto.md#who-may-call")
    yield Subject("The process: admin API", CONSOLE, "admin.md")
    yield Subject("The process: TLS", dict(_tls(surfaces, common)), "tls.md")
    yield Subject("The process: connections", CONNECTIONS, "operations.md#limits-of-connections")
    yield Subject("The process: logs, traces, health", LOGS, "watch.md")
    yield Subject("The process: nodes of a database cluster", DATABASES, "scale.md#several-database-writers")
    yield Subject("The process: rules and audit trail", RULES, "guard.md")
    yield Subject("The process: webhooks", WEBHOOKS, "webhooks.md")
    yield Subject("The process: Redis", REDIS, "scale.md")
    yield Subject("The process: key files and backends of keys", BACKENDS, "keys.md#backends")
    yield Subject("Commands", COMMANDS)


def _tls(surfaces: Iterable[str], common: str) -> Iterator[tuple[str, Variable]]:
    """Each variable for all surfaces, then the same for one surface."""
    named = list(surfaces)
    for name, variable in OF_TLS.items():
        yield f"{common}_{name}", variable
    yield (
        f"{common}_TLS_EXCEPT",
        Variable(
            meaning="Surfaces that do not use the variables above.",
            default="none",
            values="names of surfaces, with commas between",
        ),
    )
    for name, variable in OF_TLS.items():
        for surface in named:
            yield f"{prefix_of(surface)}_{name}", of_one_surface(variable)


def of_one_surface(variable: Variable) -> Variable:
    return Variable(
        meaning=f"Of one surface, instead of the common one: {variable.meaning[0].lower()}{variable.meaning[1:]}",
        default="the common one",
        values=variable.values,
    )
