"""What each variable of the Hathor ledger is for. `hathor/settings.py` and `hathor/notifications/settings.py` read them."""

from strongroom.core.described import Subject, Variable, database_variables

SUBJECTS = (
    Subject(
        "Hathor: node and sync",
        {
            "HATHOR_NETWORK": Variable(
                meaning="As `NETWORK`, for Hathor alone: the version bytes of addresses; it counts before `NETWORK`.",
                default="required, or `NETWORK`",
                values="`mainnet`, `testnet`, `privatenet`",
            ),
            "FULLNODE_NETWORK": Variable(
                meaning="The node's own name of its network, for example `nano-testnet-bravo`.",
                default="that of `NETWORK`",
                is_original=True,
            ),
            "DEFAULT_SERVER": Variable(
                meaning="The base URL of the full node's API, `.../v1a/`.",
                default="required, unless `FULLNODE_HOST` or `WS_URL` is set",
                values="http or https URL",
                is_original=True,
                comes_first=True,
            ),
            "WS_URL": Variable(
                meaning="The node's event stream.",
                default="derived from the node",
                values="ws or wss URL",
                is_original=True,
            ),
            "FULLNODE_HOST": Variable(
                meaning="The node's host and port, as the original's daemon has them, where `DEFAULT_SERVER` is not set.",
                is_original=True,
            ),
            "USE_SSL": Variable(meaning="`FULLNODE_HOST` speaks TLS.", is_original=True),
            "FULLNODE_PEER_ID": Variable(
                meaning="The peer id that the node must have.", default="not checked", is_original=True
            ),
            "FULLNODE_STREAM_ID": Variable(
                meaning="The stream id that the node must have; the first one seen is remembered.",
                default="remembered",
            ),
            "STREAM_ID": Variable(meaning="The same, as the original's daemon names it.", is_original=True),
            "MAX_ADDRESS_GAP": Variable(
                meaning="How many unused addresses a new wallet has after its last used one.",
                is_original=True,
            ),
            "HATHOR_SYNC_WINDOW": Variable(
                meaning="How many events are on their way at a time; a thousand takes about 3 MB of memory."
            ),
        },
        "hathor.md",
    ),
    Subject(
        "Hathor: database",
        database_variables(
            {
                "host": "DB_ENDPOINT",
                "port": "DB_PORT",
                "name": "DB_NAME",
                "user": "DB_USER",
                "password": "DB_PASS",
            },
            is_original=True,
        ),
    ),
    Subject(
        "Hathor: API",
        {
            "AUTH_SECRET": Variable(
                meaning="Signs the tokens of wallets; without it there is no API.",
                values="32 bytes or more",
                is_original=True,
                comes_first=True,
            ),
            "AUTH_SECRET_PREVIOUS": Variable(
                meaning="The secret before it; its tokens are accepted. Set it in the first start with another `AUTH_SECRET`.",
                values="32 bytes or more",
            ),
            "HATHOR_PORT": Variable(meaning="The port of the API."),
            "HATHOR_PREFIX": Variable(
                meaning="The routes answer below this path too, for example `dev`.",
                default="none",
                values="a path",
            ),
            "CONFIRM_FIRST_ADDRESS": Variable(
                meaning="`firstAddress` is required and compared.", is_original=True
            ),
            "MAX_LOAD_WALLET_RETRIES": Variable(
                meaning="Failed loads of a wallet before `wallet-max-retries`.", is_original=True
            ),
            "HATHOR_CLOCK_SKEW_S": Variable(
                meaning="From so many seconds on, what a client signed at its time is refused with 400."
            ),
            "HATHOR_AUTH_REQUESTS_A_MINUTE": Variable(
                meaning="Of one client, on the routes without a token; above: 429 `too-many-requests`."
            ),
            "HATHOR_TRUSTED_PROXIES": Variable(
                meaning="Whose word in `X-Forwarded-For` counts for where a request comes from.",
                values="a number of proxies, or networks with commas between",
            ),
            "HATHOR_AMOUNTS": Variable(
                meaning="The form of amounts for requests that do not say one.",
                values="`number`, `safe`, `string`",
            ),
            "HATHOR_LEGACY_API": Variable(meaning="The first API, without tokens, is served too."),
            "HATHOR_VERIFY_PROPOSALS": Variable(
                meaning="Signatures, weight and work are checked before the node is asked; a node in test mode may need `false`."
            ),
            "STAGE": Variable(meaning="The label `environment` in `GET metrics`.", is_original=True),
            "HATHOR_HEALTH_API_KEY": Variable(
                meaning="What callers of `GET health` send as `x-api-key`; without it that route is closed.",
                values="32 bytes or more",
            ),
            "HEALTHCHECK_MAXIMUM_HEIGHT_DIFFERENCE": Variable(
                meaning="So many blocks behind the node `GET health` answers 503.", is_original=True
            ),
        },
        "hathor.md",
    ),
    Subject(
        "Hathor: WebSocket",
        {
            "HATHOR_WS_PORT": Variable(meaning="The port of the WebSocket."),
            "HATHOR_WS_REQUIRE_TOKEN": Variable(
                meaning="Joining a wallet needs its token, not its id alone."
            ),
            "HATHOR_WS_MAX_CONNECTIONS": Variable(
                meaning="Connections of one process; above: 503 instead of the handshake."
            ),
            "HATHOR_WS_MAX_SUBSCRIPTIONS": Variable(meaning="Wallets of one connection."),
        },
        "hathor.md",
    ),
    Subject(
        "Hathor: push notifications",
        {
            "PUSH_NOTIFICATION_ENABLED": Variable(
                meaning="Notifications are written, and sent if there is an account.",
                default="true with an account",
                is_original=True,
            ),
            "PUSH_NOTIFICATION": Variable(
                meaning="The same, as the original's `.env` names it.",
                default="true with an account",
                values="`true`, `false`",
                is_original=True,
            ),
            "PUSH_ALLOWED_PROVIDERS": Variable(
                meaning="The devices that are told.",
                default="android",
                values="`android`, `ios`",
                is_original=True,
            ),
            "FCM_SERVICE_ACCOUNT": Variable(
                meaning="The service account of Firebase.", values="its JSON document"
            ),
            "FIREBASE_PROJECT_ID": Variable(
                meaning="The project of Firebase, as the original takes it.", is_original=True
            ),
            "FIREBASE_CLIENT_EMAIL": Variable(
                meaning="The service account's address, as the original takes it.", is_original=True
            ),
            "FIREBASE_PRIVATE_KEY": Variable(
                meaning="The service account's key, as the original takes it.",
                values="an RSA key in PEM",
                is_original=True,
            ),
            "FIREBASE_PRIVATE_KEY_ID": Variable(meaning="The id of this key.", is_original=True),
            "FIREBASE_TOKEN_URI": Variable(
                meaning="Where access tokens come from.",
                default="https://oauth2.googleapis.com/token",
                is_original=True,
            ),
            "FCM_BASE_URL": Variable(
                meaning="Where notifications are sent.", default="https://fcm.googleapis.com"
            ),
            "HATHOR_PUSH_MAX_AGE_S": Variable(
                meaning="Older transactions are no news, and older notifications are dropped."
            ),
        },
        "hathor.md",
    ),
    Subject(
        "Hathor: sandbox and node",
        {
            "SANDBOX_HATHOR_PORT": Variable(
                meaning="The port of the sandbox's node.", default="9180", values="0 to 65535"
            ),
            "SANDBOX_HATHOR_STREAM": Variable(
                meaning="The sandbox's node only tells this stream.",
                values="`recorded:FILE`, `generated:SEED:EVENTS_A_SECOND`",
            ),
            "HATHOR_CONFIG_YAML": Variable(
                meaning="A setting of the full node, which this service knows and does not read.",
                values="of the node",
            ),
            "HATHOR_CONFIG_FILE": Variable(
                meaning="A setting of the full node, which this service knows and does not read.",
                values="of the node",
            ),
        },
    ),
)
