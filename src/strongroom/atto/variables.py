"""What each variable of the Atto ledger is for. `atto/settings.py` reads them."""

from strongroom.core.described import Subject, Variable, database_variables, key_variables

SUBJECTS = (
    Subject(
        "Atto: node and work",
        {
            "NETWORK": Variable(
                meaning="The network; with a node of another network nothing is signed, and health is `DOWN`.",
                default="required",
                values="`live`, `beta`, `dev`, `local`; of Hathor `mainnet`, `testnet`, `privatenet`",
                is_original=True,
                comes_first=True,
            ),
            "ATTO_NETWORK": Variable(
                meaning="The same for Atto alone; it counts before `NETWORK`.",
                values="`live`, `beta`, `dev`, `local`",
            ),
            "NODE_BASE_URL": Variable(
                meaning="The Atto node; a historical one, for histories that were made elsewhere.",
                default="required",
                is_original=True,
                comes_first=True,
            ),
            "WORK_BASE_URL": Variable(
                meaning="The work server; without it this machine searches proof of work.",
                default="this machine",
                is_original=True,
                comes_first=True,
            ),
            "WORK_TIMEOUT_IN_SECONDS": Variable(
                meaning="How long one request to the work server may take.", is_original=True
            ),
            "ATTO_WORK_HEDGE_S": Variable(
                meaning="After so many seconds of silence the work server is asked again, or this machine searches too."
            ),
            "ATTO_WORK_FALLBACK": Variable(
                meaning="This machine searches work when the work server fails or is silent."
            ),
            "ATTO_WORK_THREADS": Variable(meaning="The threads that search work on this machine."),
            "ATTO_WORK_QUEUE_SIZE": Variable(
                meaning="A setting of a work server, which this service knows and does not read.",
                values="of the work server",
            ),
        },
    ),
    Subject(
        "Atto: keys",
        key_variables("atto", "CHA_CHA20_KEY_ENCRYPTION_KEY", is_original=True)
        | {
            "ATTO_KEY_CACHE_S": Variable(
                meaning="How many seconds an opened seed stays in memory after its last use; 0: not at all."
            ),
        },
        "keys.md",
    ),
    Subject(
        "Atto: database",
        database_variables(
            {
                "host": "ATTO_DB_HOST",
                "port": "ATTO_DB_PORT",
                "name": "ATTO_DB_NAME",
                "user": "ATTO_DB_USER",
                "password": "ATTO_DB_PASSWORD",
            },
            is_original=True,
        ),
    ),
    Subject(
        "Atto: API, accounts, callbacks",
        {
            "ATTO_PORT": Variable(meaning="The port of the API."),
            "ATTO_REQUIRE_TOKEN": Variable(
                meaning="Every call needs an API token; without it whoever reaches the port may spend.",
                comes_first=True,
            ),
            "ATTO_TRUSTED_PROXIES": Variable(
                meaning="Whose word in `X-Forwarded-For` counts for where a request comes from.",
                values="a number of proxies, or networks with commas between",
            ),
            "ATTO_REQUEST_TIMEOUT_S": Variable(
                meaning="How many seconds SEND and CHANGE wait for their turn, work and confirmation, until they answer 504."
            ),
            "ATTO_DEFAULT_REPRESENTATIVE": Variable(
                meaning="The representative of accounts that open.",
                default="the account itself",
                values="an address",
            ),
            "ATTO_RECEIVE_MINIMUM_RAW": Variable(meaning="Smaller amounts are neither received nor listed."),
            "ATTO_SCAN_LIMIT": Variable(
                meaning="The most account indexes that one range or recovery may touch."
            ),
            "CALLBACK_URL": Variable(
                meaning="Every entry of every account is posted to it.", is_original=True
            ),
            "CALLBACK_HEADER_KEY": Variable(
                meaning="The name of a header of the callbacks.", is_original=True
            ),
            "CALLBACK_HEADER_VALUE": Variable(meaning="The value of this header.", is_original=True),
        },
        "atto.md",
    ),
    Subject(
        "Atto: commands and sandbox",
        {
            "STRONGROOM_ATTO_URL": Variable(
                meaning="Where the service answers, for `strongroom atto recover`, `range` and `export`.",
                default="http://127.0.0.1:8080",
                values="http or https URL",
            ),
            "STRONGROOM_ATTO_TOKEN": Variable(
                meaning="The API token of these commands.", values="an API token", is_secret=True
            ),
            "SANDBOX_ATTO_NODE_PORT": Variable(
                meaning="The port of the sandbox's node.", default="9080", values="0 to 65535"
            ),
            "SANDBOX_ATTO_WORK_PORT": Variable(
                meaning="The port of the sandbox's work server.", default="9085", values="0 to 65535"
            ),
        },
    ),
)
