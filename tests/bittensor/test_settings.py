"""Variables of the Bittensor ledger: the subnet project's names and defaults, and no published secret on a real network."""

from pathlib import Path

import pytest

from strongroom.bittensor.definition import LEDGER
from strongroom.bittensor.protocol.networks import Network
from strongroom.bittensor.settings import BittensorSettings
from strongroom.core.environment import SettingsError
from strongroom.settings import read_settings
from support.keys import KEY

TOKEN = "a token of the operator's own, and long"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, never bound


def bittensor(**variables: str) -> BittensorSettings:
    settings = read_settings({"network": "local"} | variables).of(LEDGER)
    assert settings is not None
    return settings


def mistakes(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read_settings({"network": "local"} | variables, ("bittensor",))
    return raised.value.mistakes


def test_defaults() -> None:
    settings = bittensor()
    assert (settings.network, settings.netuid) == (Network.LOCAL, None)
    assert settings.chain_endpoints == ("ws://127.0.0.1:9944",)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert str(settings.database) == "sqlite:///data/bittensor.sqlite3"
    assert settings.key.file == Path("data/bittensor.kek")
    assert (settings.wallet_path, settings.jwt_secret, settings.key.given) == (None, None, None)


def test_other_ledgers_are_not_configured_with_it() -> None:
    settings = read_settings({"network": "local"})
    assert settings.ledgers.keys() == {"bittensor"}


@pytest.mark.parametrize(
    ("network", "endpoint"),
    [
        ("local", "ws://127.0.0.1:9944"),
        ("test", "wss://test.finney.opentensor.ai"),
        ("finney", "wss://entrypoint-finney.opentensor.ai"),
    ],
)
def test_each_network_has_its_endpoint(network: str, endpoint: str) -> None:
    assert bittensor(network=network).chain_endpoints == (endpoint,)


def test_names_of_the_original_and_our_own() -> None:
    original = bittensor(
        CHAIN_NETWORK="finney", network="", CHAIN_ENDPOINT="wss://node:443", CHAIN_NETUID="2"
    )
    assert (original.network, original.chain_endpoints, original.netuid) == (
        Network.FINNEY,
        ("wss://node:443",),
        2,
    )
    assert bittensor(BITTENSOR_NETWORK="test").network is Network.TEST
    assert bittensor(netuid="7", CHAIN_NETUID="8").netuid == 7


def test_database_host_means_mysql() -> None:
    url = bittensor(BITTENSOR_DB_HOST="db", BITTENSOR_DB_PASSWORD="p@:/").database
    assert (url.host, url.port, url.database, url.username, url.password) == (
        "db",
        3306,
        "bittensor",
        "root",
        "p@:/",
    )


@pytest.mark.parametrize(
    ("url", "own", "port"),
    [
        ("http://localhost:8123", "", 8123),
        ("http://wallet-service", "", 8000),
        ("https://wallets.example:8443", "", 8000),
        ("http://localhost:8123", "9000", 9000),
    ],
)
def test_the_port_may_come_from_the_clients_url(url: str, own: str, port: int) -> None:
    assert bittensor(WALLET_SERVICE_URL=url, BITTENSOR_PORT=own).port == port


def test_the_default_token_opens_a_private_network() -> None:
    for variables in ({}, {"WALLET_SERVICE_TOKEN": "default-token"}):
        token = bittensor(**variables).service_token
        assert token is not None
        assert token.reveal() == "default-token"


REAL = [
    {"network": "finney"},
    {"network": "test"},
    {"chain_endpoint": "wss://entrypoint-finney.opentensor.ai"},
    {"chain_endpoint": "ws://10.0.0.5:9944"},
    {"STRONGROOM_HOST": EVERYWHERE, "STRONGROOM_ALLOW_UNAUTHENTICATED": "management"},
]


@pytest.mark.parametrize("variables", REAL)
def test_the_default_token_opens_nothing_else(variables: dict[str, str]) -> None:
    (mistake,) = mistakes(WALLET_SERVICE_TOKEN="default-token", **variables)
    assert mistake.startswith("WALLET_SERVICE_TOKEN is 'default-token', which everybody knows")
    assert bittensor(**variables).service_token is None
    (mistake,) = mistakes(WALLET_SERVICE_TOKEN="x" * 31, **variables)
    assert mistake.startswith("WALLET_SERVICE_TOKEN must have 32 bytes or more")
    token = bittensor(WALLET_SERVICE_TOKEN=TOKEN, **variables).service_token
    assert token is not None
    assert token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("variables", "mistake"),
    [
        ({"network": "main"}, "network: must be local, test, finney, not 'main'"),
        ({"chain_endpoint": "http://node"}, "chain_endpoint: must be a ws or wss URL, not 'http://node'"),
        (
            {"BITTENSOR_PYLON_IDENTITIES": "../v=2"},
            "BITTENSOR_PYLON_IDENTITIES: must be identities as in validator=2,validator:second=5, not '../v=2'",
        ),
        (
            {"BITTENSOR_PYLON_IDENTITIES": "v"},
            "BITTENSOR_PYLON_IDENTITIES: must be a whole number up to 65535, not ''",
        ),
        ({"netuid": "65536"}, "netuid: must be a whole number up to 65535, not '65536'"),
        ({"netuid": "two"}, "netuid: must be a whole number up to 65535, not 'two'"),
        ({"MANAGER_JWT_ALGORITHM": "none"}, "MANAGER_JWT_ALGORITHM must be HS256"),
        (
            {"BITTENSOR_KEY_ENCRYPTION_KEY": "abc"},
            "BITTENSOR_KEY_ENCRYPTION_KEY: the key-encryption key must be 64 hex digits",
        ),
    ],
)
def test_a_mistake_is_named(variables: dict[str, str], mistake: str) -> None:
    assert mistakes(**variables) == [mistake]


def test_the_originals_published_jwt_secret_is_refused() -> None:
    (mistake,) = mistakes(MANAGER_JWT_SECRET_KEY="your-secret-api-key")
    assert "everybody knows" in mistake


def test_secrets_are_not_shown() -> None:
    shown = repr(
        bittensor(
            WALLET_SERVICE_TOKEN="open-sesame-please-open-sesame-please",
            MANAGER_JWT_SECRET_KEY="open-sesame" * 3,
            BITTENSOR_KEY_ENCRYPTION_KEY=KEY,
            WALLET_PASSWORD="open-sesame",
            BITTENSOR_DB_HOST="db",
            BITTENSOR_DB_PASSWORD="open-sesame",
        )
    )
    assert "open-sesame" not in shown
    assert KEY[:8] not in shown


def test_the_service_token_may_be_given_more_calls() -> None:
    assert bittensor().service_calls == ("weights",)
    more = "weights, SubtensorModule.serve_axon"
    assert bittensor(WALLET_SERVICE_CALLS=more).service_calls == ("weights", "SubtensorModule.serve_axon")


def test_no_variable_opens_a_call_that_carries_others() -> None:
    with pytest.raises(SettingsError, match="WALLET_SERVICE_CALLS"):
        bittensor(WALLET_SERVICE_CALLS="Utility.batch")
