"""docs/troubleshooting.md quotes what the service says: each message here comes from a running service that something was done to."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from strongroom.bittensor.client import ServiceSettings, WalletService
from strongroom.core.storage.errors import ConnectionSevered
from strongroom_sandbox.ports import default_variables
from support.atto_service import NOBODY
from support.ports import own_ports
from support.processes import Process, strongroom
from support.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
QUOTED = re.compile(r"`([^`\n]+)`")
WALLET = "23b44673413f093180ed37ce34b6577d7dedbdec9c1d909fe42be1b0bc341ec9"
XPUB = "xpub6EcBoi2vDFcCW5sPAiQpXDYYtXd1mKhUJD64tUi8CPRG1VQFDkAbL8G5gqTmSZD6oq4Yhr5PZ8pKf3Xmb3W3pGcgqzUdFNaCRKL7TZa3res"
"""The wallet of the original's own examples."""
FOREIGN_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00123456789abcdeffedcba9876543210"
KEYS: dict[str, str] = {}
"""The body that unlocks the wallet."""
WEIGHTS = {"netuid": 2, "uids": [1], "weights": [1], "version_key": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder with ports, the service on them, and its nodes in a process of their own."""

    variables: Mapping[str, str]
    client: httpx2.Client
    nodes: Process

    def url(self, port: str, path: str) -> str:
        return f"http://127.0.0.1:{self.variables[port]}{path}"

    def ask(self, method: str, port: str, path: str, body: object = None, token: str = "") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.request(method, self.url(port, path), json=body, headers=headers)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    own = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("place")), **own_ports()}
    variables = {
        **own,
        **default_variables(own),
        "ATTO_REQUEST_TIMEOUT_S": "3",
        "WORK_TIMEOUT_IN_SECONDS": "1",
        "ATTO_WORK_HEDGE_S": "1",
        "AUTH_SECRET": "s" * 40,
        "HATHOR_LEGACY_API": "true",
    }
    with (
        strongroom("sandbox", environment=own) as nodes,
        httpx2.Client(trust_env=False, verify=False, timeout=60) as client,
    ):
        nodes.wait_ready()
        with strongroom("serve", environment=variables) as service:
            service.wait_ready()
            yield Place(variables=variables, client=client, nodes=nodes)


def assert_quoted(text: str) -> None:
    """The page has the text as a quotation, in which `…` stands for what differs."""
    for quoted in QUOTED.findall(PAGE):
        pattern = ".+".join(map(re.escape, quoted.split("…")))
        if len(quoted.strip(" …")) > 6 and re.fullmatch(pattern, text):
            return
    pytest.fail(f"docs/troubleshooting.md does not quote: {text}")


def assert_told(answer: httpx2.Response, status: int, code: str, message: str = "message") -> None:
    """The answer has this status and code, and the page has both beside each other."""
    body = answer.json()
    assert (answer.status_code, body.get("code") or body.get("error")) == (status, code), answer.text
    assert f"{status} `{code}`" in PAGE
    if message in body:
        assert_quoted(body[message])


def until(condition: Callable[[], bool]) -> None:
    asyncio.run(eventually(condition))


@pytest.fixture(scope="module")
def account(place: Place) -> str:
    """Of a wallet, with a deposit."""
    made = place.ask("POST", "ATTO_PORT", "/wallets/shop", {}).json()
    KEYS["encryptionKey"] = made["encryptionKey"]
    address: str = place.ask("POST", "ATTO_PORT", "/wallets/shop/accounts", {}).json()["address"]
    assert_told(send(place, address), 404, "account_not_open")
    place.ask("POST", "SANDBOX_ATTO_NODE_PORT", "/_faucet", {"address": address, "amount": "1000"})
    until(lambda: send(place, address, amount=10**6).json()["code"] == "insufficient_balance")
    return address


def send(place: Place, address: str, amount: int = 1) -> httpx2.Response:
    path = f"/wallets/accounts/{address}/transactions/SEND"
    return place.ask("POST", "ATTO_PORT", path, {"receiverAddress": NOBODY, "amount": amount})


def test_the_first_questions(place: Place) -> None:
    (block,) = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    script = block.replace("localhost:8081", f"127.0.0.1:{place.variables['MANAGEMENT_PORT']}")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script.replace(".venv/bin/", "")],
        env={**place.variables, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"components"' in done.stdout
    assert "NODE_BASE_URL" in done.stdout
    assert "503 Service Unavailable: The Atto node does not answer" in done.stdout


def test_atto(place: Place, account: str) -> None:
    place.ask("PUT", "ATTO_PORT", "/wallets/shop/locks/LOCKED")
    assert_told(send(place, account), 400, "wallet_locked")
    place.ask("PUT", "ATTO_PORT", "/wallets/shop/locks/UNLOCKED", KEYS)
    assert_told(send(place, account, amount=10**6), 400, "insufficient_balance")
    place.ask("POST", "SANDBOX_ATTO_WORK_PORT", "/_fault", {"status": 500, "count": 99})
    assert send(place, account).status_code == 200, "with work that was found before"
    assert_told(send(place, account), 503, "unavailable")
    place.ask("DELETE", "SANDBOX_ATTO_WORK_PORT", "/_fault")
    place.ask("POST", "SANDBOX_ATTO_NODE_PORT", "/_fault", {"confirmation_delay_ms": 600_000})
    assert_told(send(place, account), 504, "outcome_unknown")
    place.ask("DELETE", "SANDBOX_ATTO_NODE_PORT", "/_fault")
    assert_told(send(place, account), 503, "account_held")


def test_hathor(place: Place) -> None:
    payment: dict[str, object] = {
        "address": "WYLW8ujPemSuLJwbeNvvH6y7nakaJ6cEwT",
        "value": 10,
        "token": "00",
        "timelock": None,
    }
    proposal = {"id": WALLET, "outputs": [payment]}
    assert_told(place.ask("POST", "HATHOR_PORT", "/txproposals/", proposal), 404, "wallet-not-found")
    place.ask("POST", "HATHOR_PORT", "/wallet/", {"xpubkey": XPUB})
    until(lambda: bool(addresses(place)))
    payment["address"] = addresses(place)[0]["address"]
    assert_told(place.ask("POST", "HATHOR_PORT", "/txproposals/", proposal), 400, "insufficient-funds")
    sent = {"timestamp": 1599051796, "parents": ["00" * 32] * 2, "weight": 1, "nonce": 700}
    path = "/txproposals/8b1b2d3e-1111-4111-8111-111111111111/"
    answer = place.ask("PUT", "HATHOR_PORT", path, {**sent, "inputsSignatures": ["aaaa"]})
    assert_told(answer, 404, "tx-proposal-not-found")
    payment["address"] = "H8F5neU87G8gs9XNbNY1XxN9DkAKQKhMoj"  # of the main network
    answer = place.ask("POST", "HATHOR_PORT", "/txproposals/", proposal)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid-payload")
    assert_quoted(answer.json()["details"][0]["message"].partition("valid: ")[2])
    assert place.ask("GET", "HATHOR_PORT", "/wallet/balances").json() == {"message": "Unauthorized"}


def addresses(place: Place) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (
        place.ask("GET", "HATHOR_PORT", f"/addresses/?id={WALLET}").json().get("addresses", [])
    )
    return found


def test_bittensor(place: Place) -> None:
    body = {"wallet_name": "validator", "hotkey_name": "default", "transaction_data": WEIGHTS}
    path = "/wallet/set_weights"
    assert_told(place.ask("POST", "BITTENSOR_PORT", path, body), 401, "token_missing", "error")
    answer = place.ask("POST", "BITTENSOR_PORT", path, body, token="wrong")
    assert answer.json()["code"] == "unauthenticated"
    assert_quoted(answer.json()["error"])
    answer = place.ask("POST", "BITTENSOR_PORT", path, body, token="default-token")
    assert_told(answer, 404, "wallet_not_found", "detail")


def test_a_client_of_a_service_that_is_away(place: Place) -> None:
    service = WalletService(ServiceSettings(url="http://127.0.0.1:9"))
    result = service.set_weights("validator", 2, [1], [1.0])
    assert not result.success
    assert_quoted(result.message)
    assert place.nodes.running


@pytest.mark.parametrize(
    ("ledger", "variables"),
    [
        ("atto", {"ATTO_SCAN_LIMT": "1"}),
        ("atto", {"CHA_CHA20_KEY_ENCRYPTION_KEY": "abc"}),
        ("atto", {"CHA_CHA20_KEY_ENCRYPTION_KEY": "0" * 64}),
        ("atto", {"STRONGROOM_HOST": "0.0.0.0", "STRONGROOM_ALLOW_UNAUTHENTICATED": "management"}),  # noqa: S104
        ("hathor", {"AUTH_SECRET": "foobar"}),
        ("bittensor", {"WALLET_SERVICE_TOKEN": "default-token", "BITTENSOR_NETWORK": "test"}),
    ],
)
def test_variables_that_stop_the_start(place: Place, ledger: str, variables: Mapping[str, str]) -> None:
    given = {name: text for name, text in place.variables.items() if name != "STRONGROOM_DATA"}
    with strongroom("serve", ledger, environment={**given, **variables}) as process:
        assert process.wait_end() == 2, process.logs()
        for line in process.stderr:
            assert_quoted(line.removeprefix("strongroom: "))


def test_keys_that_stop_the_start(tmp_path: Path) -> None:
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        **own_ports(),
        "NETWORK": "local",
        "NODE_BASE_URL": "http://127.0.0.1:9",
    }
    with strongroom("serve", "atto", environment=variables) as service:
        service.wait_ready()
        made = httpx2.post(
            f"http://127.0.0.1:{variables['ATTO_PORT']}/wallets/shop", json={}, trust_env=False
        )
        assert made.status_code == 200
        service.terminate()
    key = tmp_path / "atto.kek"
    assert_quoted(last_line(variables | {"CHA_CHA20_KEY_ENCRYPTION_KEY": FOREIGN_KEY}))
    key.chmod(0o644)
    assert_quoted(last_line(variables))
    key.unlink()
    assert_quoted(last_line(variables))


def last_line(variables: Mapping[str, str]) -> str:
    with strongroom("serve", "atto", environment=variables) as process:
        assert process.wait_end() == 1, process.logs()
        return process.stderr[-1].removeprefix("strongroom: ")


def test_a_database_that_is_away() -> None:
    assert_quoted(ConnectionSevered().message)


def test_nodes_that_are_away(place: Place) -> None:
    """The last of all: the nodes do not come back."""
    place.nodes.kill()
    place.nodes.wait_end()

    def components() -> dict[str, str]:
        found = place.ask("GET", "MANAGEMENT_PORT", "/health").json()["components"]
        return {
            name: one["details"].get("message", "") for name, one in found.items() if one["status"] != "UP"
        }

    until(lambda: components().keys() >= {"attoNode", "hathorNode"})
    told = components()
    assert_quoted(told["attoNode"])
    assert_quoted(told["hathorNode"])
    health = place.ask("GET", "MANAGEMENT_PORT", "/health")
    assert (health.status_code, health.json()["status"]) == (200, "DEGRADED")
