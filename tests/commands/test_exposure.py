"""What a process refuses to open to the network, and with which secrets: all mistakes at once, before anything is made."""

from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.bittensor.definition import LEDGER
from strongroom.core.environment import SettingsError
from strongroom.core.http.exposure import Access
from strongroom.core.security.short_secrets import require_long_credentials
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.settings import Settings, read_settings
from support.processes import strongroom

pytestmark = pytest.mark.anyio

EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, and refused
LONG = "a secret of thirty-two bytes or more"
SHORT = "x" * 31
HATHOR = {"HATHOR_NETWORK": "testnet", "DEFAULT_SERVER": "http://node/v1a/"}
ATTO = {"ATTO_NETWORK": "live", "NODE_BASE_URL": "http://node"}
BITTENSOR = {"network": "finney", "WALLET_SERVICE_TOKEN": LONG}
OPEN = "STRONGROOM_ALLOW_UNAUTHENTICATED"
ALLOW_SHORT = "STRONGROOM_ALLOW_SHORT_SECRETS"


def mistakes(*parts: dict[str, str], **variables: str) -> list[str]:
    merged = {name: value for part in parts for name, value in part.items()} | variables
    try:
        read_settings(merged)
    except SettingsError as error:
        return error.mistakes
    return []


def settings(*parts: dict[str, str], **variables: str) -> Settings:
    return read_settings({name: value for part in parts for name, value in part.items()} | variables)


def test_every_open_surface_of_every_ledger_is_named() -> None:
    found = mistakes(ATTO, HATHOR, BITTENSOR, AUTH_SECRET=LONG, STRONGROOM_HOST=EVERYWHERE)
    start = f"STRONGROOM_HOST={EVERYWHERE} would let the network reach the "
    end = " surface without authentication. If that is wanted, add "
    assert found == [
        f"{start}atto{end}atto to {OPEN}, or require tokens (ATTO_REQUIRE_TOKEN=true)",
        f"{start}hathor-ws{end}hathor-ws to {OPEN}, or require tokens (HATHOR_WS_REQUIRE_TOKEN=true)",
        f"{start}management{end}management to {OPEN}",
    ]


def test_hathors_websocket_is_opened_by_name_or_with_tokens() -> None:
    outside = {**HATHOR, "AUTH_SECRET": LONG, "STRONGROOM_HOST": EVERYWHERE}
    (left,) = mistakes(outside, {OPEN: "management,hathor"})
    assert "the hathor-ws surface" in left
    assert mistakes(outside, {OPEN: "management,hathor-ws"}) == []
    assert mistakes(outside, {OPEN: "management"}, HATHOR_WS_REQUIRE_TOKEN="true") == []
    del outside["AUTH_SECRET"]  # neither the API nor the WebSocket is served
    assert mistakes(outside, {OPEN: "management"}) == []


def test_the_sync_alone_opens_no_surface_of_wallets() -> None:
    outside = {**HATHOR, "AUTH_SECRET": LONG, "STRONGROOM_HOST": EVERYWHERE}
    sync_alone = read_settings({**outside, OPEN: "management"}, ("hathor",), serves_ledgers=False)
    assert sync_alone.ledgers.keys() == {"hathor"}
    with pytest.raises(SettingsError, match="the management surface") as refused:
        read_settings(outside, ("hathor",), serves_ledgers=False)
    assert len(refused.value.mistakes) == 1


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.1", "strongroom.example", "[::1]"])
def test_whatever_is_not_loopback_is_outside(host: str) -> None:
    assert len(mistakes(HATHOR, AUTH_SECRET=LONG, STRONGROOM_HOST=host)) == 2


def test_a_surface_of_a_ledger_that_is_not_served_may_be_named() -> None:
    assert mistakes(ATTO, {OPEN: "hathor-ws,bittensor,hathor,atto,management"}) == []
    (found,) = mistakes(ATTO, {OPEN: "hathor-wss"})
    assert found == f"{OPEN} names unknown surfaces: hathor-wss"


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("AUTH_SECRET", HATHOR),
        ("AUTH_SECRET_PREVIOUS", {**HATHOR, "AUTH_SECRET": LONG}),
        ("HATHOR_HEALTH_API_KEY", HATHOR),
        ("WALLET_SERVICE_TOKEN", {"network": "finney"}),
        ("WALLET_SERVICE_TOKEN", {"network": "local"}),
        ("MANAGER_JWT_SECRET_KEY", BITTENSOR),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
def test_a_short_secret_is_refused_until_it_is_named(
    name: str, others: dict[str, str], in_file: bool, tmp_path: Path
) -> None:
    def given(secret: str) -> dict[str, str]:
        (tmp_path / "secret").write_text(secret)
        return {f"{name}_FILE": str(tmp_path / "secret")} if in_file else {name: secret}

    for secret in ("x", SHORT, "é" * 15):
        (found,) = mistakes(others, given(secret))
        assert found == (
            f"{name} must have 32 bytes or more, as `openssl rand -hex 32` makes it. Where callers of a database that was"
            f" taken over still need the old one, add {name} to {ALLOW_SHORT}"
        )
        assert mistakes(others, given(secret), {ALLOW_SHORT: name}) == []
    for secret in ("x" * 32, "é" * 16):
        assert mistakes(others, given(secret)) == []


def test_only_secrets_of_callers_may_be_short() -> None:
    (found,) = mistakes(HATHOR, {ALLOW_SHORT: "AUTH_SECRET,CHA_CHA20_KEY_ENCRYPTION_KEY"})
    assert found.startswith(
        f"{ALLOW_SHORT} names what is no secret of callers: CHA_CHA20_KEY_ENCRYPTION_KEY;"
    )


def test_with_the_published_token_reaching_the_surface_is_the_permission() -> None:
    given: dict[str, str]
    for given, access in ({}, Access.REACH), ({"WALLET_SERVICE_TOKEN": LONG}, Access.TOKEN):
        private = settings({"network": "local"}, given).of(LEDGER)
        assert private is not None
        assert private.access is access
    named = {ALLOW_SHORT: "WALLET_SERVICE_TOKEN,MANAGER_JWT_SECRET_KEY"}
    for name, published in (
        ("WALLET_SERVICE_TOKEN", "default-token"),
        ("MANAGER_JWT_SECRET_KEY", "your-secret-api-key"),
    ):
        (found,) = mistakes(BITTENSOR, named, {name: published})
        assert "which everybody knows" in found


async def test_a_new_database_does_not_begin_with_a_short_secret(database_url: URL) -> None:
    """And one that was in use before does, when the operator says so. The refusal makes nothing of the database."""
    database = Database(database_url)
    try:
        await require_long_credentials(database, ())
        for _ in range(2):
            with pytest.raises(SettingsError, match=r"AUTH_SECRET is shorter than .* and this one is new"):
                await require_long_credentials(database, ["AUTH_SECRET"])
        await migrate(database, [])
        await require_long_credentials(database, ["AUTH_SECRET"])
    finally:
        await database.close()


@pytest.mark.parametrize("command", [("serve", "hathor"), ("migrate", "hathor"), ("serve", "bittensor")])
def test_whichever_command_makes_it(command: tuple[str, str], tmp_path: Path) -> None:
    (name, others) = (
        ("AUTH_SECRET", HATHOR) if command[1] == "hathor" else ("WALLET_SERVICE_TOKEN", {"network": "local"})
    )
    variables = {**others, "STRONGROOM_DATA": str(tmp_path), name: "foobar", ALLOW_SHORT: name}
    with strongroom(*command, environment=variables | {"MANAGEMENT_PORT": "0"}) as process:
        assert process.wait_end() == 2, process.logs()
        assert f"{name} is shorter than 32 bytes" in process.logs()
        assert "foobar" not in process.logs()
