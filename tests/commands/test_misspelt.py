"""Misspelt names of variables: refused with the nearest one, together with every other mistake."""

import re
from pathlib import Path

import pytest

from strongroom.atto.definition import LEDGER as ATTO_LEDGER
from strongroom.core.environment import SettingsError
from strongroom.hathor.definition import LEDGER as HATHOR_LEDGER
from strongroom.settings import OBSOLETE, OWN_FAMILIES, check_names, known_names, read_settings
from support.processes import strongroom

SOURCE = Path(__file__).parents[2] / "src"
READ = re.compile(
    r'environment\.\w+\(\s*((?:"[A-Z][A-Z0-9_]+",?\s*)+)|(?:environ|variables)\.get\("([A-Z][A-Z0-9_]+)"'
)
ATTO = {"NETWORK": "live", "NODE_BASE_URL": "http://node"}


def mistakes(**variables: str) -> list[str]:
    try:
        read_settings(ATTO | variables)
    except SettingsError as error:
        return error.mistakes
    return []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ATTO_SCAN_LIMT", "ATTO_SCAN_LIMIT"),
        ("ATTO_REQUIRE_TOKENS", "ATTO_REQUIRE_TOKEN"),
        ("ATTO_DB_PASSWORD_FLE", "ATTO_DB_PASSWORD_FILE"),
        ("atto_scan_limit", "ATTO_SCAN_LIMIT"),
        ("Atto_Require_Token", "ATTO_REQUIRE_TOKEN"),
        ("HATHOR_WS_REQUIRE_TOKENS", "HATHOR_WS_REQUIRE_TOKEN"),
        ("BITTENSOR_WALET_PATH", "BITTENSOR_WALLET_PATH"),
        ("STRONGROOM_ALOW_UNAUTHENTICATED", "STRONGROOM_ALLOW_UNAUTHENTICATED"),
        ("STRONGROOM_ALLOWED_HOST", "STRONGROOM_ALLOWED_HOSTS"),
        ("CHA_CHA20_KEY_ENCRYPTON_KEY", "CHA_CHA20_KEY_ENCRYPTION_KEY"),
        ("CHACHA20_KEY_ENCRYPTION_KEY", "CHA_CHA20_KEY_ENCRYPTION_KEY"),
        ("STRONGROM_HOST", "STRONGROOM_HOST"),
        ("ATO_REQUIRE_TOKEN", "ATTO_REQUIRE_TOKEN"),
        ("CALLBCK_URL", "CALLBACK_URL"),
        ("HAHTOR_LEGACY_API", "HATHOR_LEGACY_API"),
        ("AUTO_PORT", None),
        ("SANDBOX_ATO_NODE_PORT", "SANDBOX_ATTO_NODE_PORT"),
        ("MANAGEMENT_PROT", "MANAGEMENT_PORT"),
        ("CALLBACK_ULR", "CALLBACK_URL"),
        ("NODE_BASE_ULR", "NODE_BASE_URL"),
        ("DB_ENDPONT", "DB_ENDPOINT"),
        ("REDIS_PASWORD", "REDIS_PASSWORD"),
        ("REDIS_PASSWORD_FIL", "REDIS_PASSWORD_FILE"),
        ("AUTH_SECRET_FILES", "AUTH_SECRET_FILE"),
        ("AUTH_SECRT", "AUTH_SECRET"),
        ("WALLET_SERVICE_TOKN", "WALLET_SERVICE_TOKEN"),
        ("MANAGER_JWT_SECRET_KEYS", "MANAGER_JWT_SECRET_KEY"),
        ("chain_endpont", "chain_endpoint"),
        ("LOG_LEVLE", "LOG_LEVEL"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest(name: str, meant: str | None) -> None:
    """Also for ledgers that are not served. A short name of another family may belong to another program."""
    found = mistakes(**{name: "1"})
    assert found == ([] if meant is None else [f"{name} is no variable of this service; is {meant} meant?"])
    assert mistakes(**{name: ""}) == []  # as if it were not set


def test_a_name_that_is_like_none_is_refused_in_our_families() -> None:
    assert mistakes(STRONGROOM_XYZZY_QWERTY="1") == ["STRONGROOM_XYZZY_QWERTY is no variable of this service"]


def test_all_mistakes_come_at_once() -> None:
    found = mistakes(ATTO_SCAN_LIMT="5", ATTO_SCAN_LIMIT="0", DB_ENDPONT="x", MANAGEMENT_SERVER_PORT="9")
    assert found == [
        "ATTO_SCAN_LIMT is no variable of this service; is ATTO_SCAN_LIMIT meant?",
        "DB_ENDPONT is no variable of this service; is DB_ENDPOINT meant?",
        "MANAGEMENT_SERVER_PORT is not read any more; MANAGEMENT_PORT replaced it",
        "ATTO_SCAN_LIMIT must be from 1 to 1000000, not 0",
    ]


def test_obsolete_names_say_what_replaced_them() -> None:
    for name, replacement in OBSOLETE.items():
        assert mistakes(**{name: "x"}) == [f"{name} is not read any more; {replacement} replaced it"]
        assert name not in known_names()
        assert replacement.partition(",")[0] in known_names()


SERVICE_LINKS = {
    "ATTO_PORT": "tcp://10.96.0.1:8080",
    "ATTO_PORT_8080_TCP": "tcp://10.96.0.1:8080",
    "ATTO_PORT_8080_TCP_ADDR": "10.96.0.1",
    "ATTO_PORT_8080_TCP_PORT": "8080",
    "ATTO_PORT_8080_TCP_PROTO": "tcp",
    "ATTO_SERVICE_HOST": "10.96.0.1",
    "ATTO_SERVICE_PORT": "8080",
    "ATTO_SERVICE_PORT_HTTP": "8080",
    "ATTO_SERVICE_PORT_HTTP_MANAGEMENT": "8081",
    "ATTO_NODE_PORT": "tcp://10.96.0.2:8080",
    "ATTO_NODE_SERVICE_HOST": "10.96.0.2",
    "STRONGROOM_PORT_53_UDP": "udp://[fd00::1]:53",
    "HATHOR_WS_PORT": "tcp://[fd00::1]:3001",
    "MANAGEMENT_PORT": "tcp://10.96.0.3:8081",
    "CALLBACK_SERVICE_HOST": "10.96.0.4",
    "REDIS_PORT": "tcp://10.96.0.5:6379",
    "REDIS_PORT_6379_TCP": "tcp://10.96.0.5:6379",
    "REDIS_SERVICE_HOST": "10.96.0.5",
    "DB_PORT": "tcp://10.96.0.6:3306",
    "DB_SERVICE_PORT": "3306",
    "WALLET_SERVICE_HOST": "10.96.0.7",
    "WALLET_SERVICE_PORT": "8000",
    "WALLET_SERVICE_PORT_8000_TCP": "tcp://10.96.0.7:8000",
    "KUBERNETES_PORT": "tcp://10.96.0.1:443",
}


def test_variables_of_kubernetes_services_are_ignored() -> None:
    """Of Services whose names are ours: their ports are not our settings."""
    hathor = {
        "DEFAULT_SERVER": "http://node/v1a/",
        "HATHOR_NETWORK": "testnet",
        "DB_ENDPOINT": "db",
        "REDIS_HOST": "redis",
    }
    bittensor = {"BITTENSOR_NETWORK": "local"}
    settings = read_settings(ATTO | hathor | bittensor | SERVICE_LINKS)
    of_atto, of_hathor = settings.of(ATTO_LEDGER), settings.of(HATHOR_LEDGER)
    assert of_atto is not None
    assert of_hathor is not None
    assert (of_atto.port, settings.management_port) == (8080, 8081)
    assert (of_hathor.sockets.port, of_hathor.database.port) == (3001, 3306)
    assert of_hathor.redis is not None
    assert of_hathor.redis.reveal() == "redis://redis:6379/0"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "DB_HOST",
            "DB_PASSWORD",
            "DB_ROOT_PASSWORD",
            "REDIS_HOSTNAME",
            "REDIS_DB",
            "NODE_ENV",
            "NODE_OPTIONS",
        ),
        *("LOG_DIR", "LOGNAME", "MAX_WORKERS", "AUTH_TOKEN", "WORK_DIR", "WALLET_NAME", "WS_PORT", "STAGES"),
        *(
            "SPRING_APPLICATION_NAME",
            "FIREBASE_AUTH_URI",
            "PUSH_GATEWAY",
            "FULLNODE_URL",
            "CHAIN_ID",
            "STATE",
        ),
        *(
            "BITTENSOR_RUNTIME_CACHE_DIR",
            "HATHOR_CONFIG_YAML",
            "PATH",
            "HOME",
            "network",
            "wallet_name",
            "USE_TLS",
        ),
        *("BT_PW__HOME_ME_WALLET", "NETWORKS", "REDISX", "_", "ATTO", "DBUS_SESSION_BUS_ADDRESS"),
    ],
)
def test_what_belongs_to_other_programs_stops_nothing(name: str) -> None:
    assert mistakes(**{name: "local"}) == []


def test_every_name_that_the_source_reads_is_known() -> None:
    """Every setting is known, so that a new one is not refused as misspelt."""
    read = {
        name
        for path in SOURCE.rglob("*.py")
        for several, single in READ.findall(path.read_text())
        for name in (re.findall(r'"([A-Z][A-Z0-9_]+)"', several) or [single])
    } - {"INFO", "HOME", "XDG_STATE_HOME"}
    assert {"ATTO_SCAN_LIMIT", "SANDBOX_HATHOR_STREAM", "BITTENSOR_DB_FILE", "FIREBASE_TOKEN_URI"} <= read
    assert read - known_names() == set()
    assert {name.partition("_")[0] for name in known_names()} & set(OWN_FAMILIES) >= {"ATTO", "HATHOR", "CHA"}


def test_a_command_without_settings_looks_too() -> None:
    with pytest.raises(SettingsError, match="is SANDBOX_HATHOR_PORT meant"):
        check_names({"SANDBOX_HATHOR_PROT": "9180"})
    for command in (("sandbox", "hathor"), ("serve", "--sandbox"), ("doctor",)):
        with strongroom(*command, environment={"SANDBOX_HATHOR_PROT": "9180"}) as process:
            assert process.wait_end() == 2, process.logs()
            assert "strongroom: SANDBOX_HATHOR_PROT is no variable of this service" in process.logs()
