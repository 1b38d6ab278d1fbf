"""What each variable of the Bittensor ledger is for. `bittensor/settings.py` reads those of the service, `bittensor/client` its own."""

from strongroom.core.described import Subject, Variable, database_variables, key_variables

NETWORKS = "`local`, `test`, `finney`"
ENDPOINTS = "ws or wss URLs, with commas between"

SUBJECTS = (
    Subject(
        "Bittensor: chain",
        {
            "network": Variable(
                meaning="The network.",
                default="required",
                values=NETWORKS,
                is_original=True,
                comes_first=True,
            ),
            "CHAIN_NETWORK": Variable(
                meaning="The same, as the original's manager names it.", values=NETWORKS, is_original=True
            ),
            "BITTENSOR_NETWORK": Variable(meaning="The same; it counts first.", values=NETWORKS),
            "chain_endpoint": Variable(
                meaning="The node, or several: the first that answers is used.",
                default="the network's own",
                values=ENDPOINTS,
                is_original=True,
                comes_first=True,
            ),
            "CHAIN_ENDPOINT": Variable(
                meaning="The same, as the original's manager names it.",
                default="the network's own",
                values=ENDPOINTS,
                is_original=True,
            ),
            "netuid": Variable(
                meaning="The only subnet that `WALLET_SERVICE_TOKEN` and JWTs reach.",
                default="any",
                values="0 to 65535",
                is_original=True,
            ),
            "CHAIN_NETUID": Variable(
                meaning="The same, as the original's manager names it.",
                default="any",
                values="0 to 65535",
                is_original=True,
            ),
            "BITTENSOR_IGNORE_MAX_WEIGHTS_LIMIT": Variable(
                meaning="Sets weights also where one has a larger share than the chain's `MaxWeightsLimit` of the subnet."
            ),
            "BITTENSOR_RUNTIME_CACHE_DIR": Variable(
                meaning="A setting of the SDK, which this service knows and does not read.",
                values="of the SDK",
            ),
        },
        "bittensor.md",
    ),
    Subject(
        "Bittensor: callers",
        {
            "BITTENSOR_PORT": Variable(
                meaning="The port of the API.", default="that of `WALLET_SERVICE_URL`, or 8000"
            ),
            "WALLET_SERVICE_TOKEN": Variable(
                meaning="A token that clients present; `default-token` counts only on loopback with a local chain.",
                default="`default-token` on loopback with a local chain, else none",
                values="32 bytes or more",
                is_original=True,
                comes_first=True,
            ),
            "WALLET_SERVICE_CALLS": Variable(
                meaning="What that token and JWTs may have submitted.",
                values="`weights`, `Pallet.function`, with commas between",
            ),
            "MANAGER_JWT_SECRET_KEY": Variable(
                meaning="The original's JWTs, signed with it, are accepted.",
                values="32 bytes or more",
                is_original=True,
            ),
            "MANAGER_JWT_ALGORITHM": Variable(
                meaning="The algorithm of these JWTs; there is no other.", values="`HS256`", is_original=True
            ),
            "BITTENSOR_REQUESTS_A_MINUTE": Variable(
                meaning="Of one token that has no limit of its own; above: 429."
            ),
            "BITTENSOR_PYLON_IDENTITIES": Variable(
                meaning="What clients of Pylon are told without a token.",
                values="`WALLET=NETUID` or `WALLET:HOTKEY=NETUID`, with commas between",
            ),
            "BITTENSOR_TRUSTED_PROXIES": Variable(
                meaning="Whose word in `X-Forwarded-For` counts for where a request comes from.",
                values="a number of proxies, or networks with commas between",
            ),
            "BITTENSOR_RETENTION_DAYS": Variable(
                meaning="How many days a job that is over can be asked for, and its `Idempotency-Key` counts; 0: for ever."
            ),
        },
        "bittensor.md",
    ),
    Subject(
        "Bittensor: keys",
        key_variables("bittensor", "BITTENSOR_KEY_ENCRYPTION_KEY")
        | {
            "BITTENSOR_WALLET_PATH": Variable(
                meaning="A folder of wallets that are used where they lie.", values="a folder"
            ),
            "WALLET_PASSWORD": Variable(
                meaning="Opens encrypted keys of that folder that have no variable `BT_PW_...` of their own.",
                is_original=True,
            ),
            "BITTENSOR_KEY_CACHE_S": Variable(
                meaning="How many seconds a key opened from that folder stays in memory after its last use."
            ),
        },
        "keys.md",
    ),
    Subject(
        "Bittensor: database",
        {
            "BITTENSOR_DB_FILE": Variable(
                meaning="SQLite's file in the data folder; beside `--sandbox` it is one of the chain's own."
            ),
        }
        | database_variables(
            {
                "host": "BITTENSOR_DB_HOST",
                "port": "BITTENSOR_DB_PORT",
                "name": "BITTENSOR_DB_NAME",
                "user": "BITTENSOR_DB_USER",
                "password": "BITTENSOR_DB_PASSWORD",
            },
            is_original=False,
        ),
    ),
    Subject(
        "Bittensor: clients, commands and sandbox",
        {
            "WALLET_SERVICE_URL": Variable(
                meaning="Where clients look for the service; an `http` URL gives the port when `BITTENSOR_PORT` does not.",
                default="http://localhost:8000",
                is_original=True,
                comes_first=True,
            ),
            "WALLET_SERVICE_STATE": Variable(
                meaning="Where a client remembers requests without a known outcome; empty: memory only.",
                default="`~/.local/state/strongroom/wallet-service`",
                values="a folder",
            ),
            "WALLET_SERVICE_COOL_DOWN_S": Variable(
                meaning="For so many seconds a client does not ask a service again that did not answer.",
                default="60",
                values="seconds",
            ),
            "STRONGROOM_BITTENSOR_TOKEN": Variable(
                meaning="The API token of `strongroom bittensor export`.",
                values="an API token",
                is_secret=True,
            ),
            "SANDBOX_BITTENSOR_PORT": Variable(
                meaning="The port of the sandbox's chain.", default="9944", values="0 to 65535"
            ),
            "SANDBOX_BITTENSOR_SPEC": Variable(
                meaning="The runtime of the sandbox's chain.", default="424", values="`293`, `424`"
            ),
            "SANDBOX_BITTENSOR_BLOCK_MS": Variable(
                meaning="Milliseconds between blocks of the sandbox's chain; 0: one for each extrinsic, final at once.",
                default="1000",
                values="0 or more",
            ),
        },
        "bittensor-nodes.md",
    ),
)
