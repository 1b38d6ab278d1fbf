"""`strongroom payments` and `payment` beside a running service."""

import asyncio
import json

import httpx2
import pytest

from commands.conftest import Installation
from support.waiting import until_true


def funded_account(installation: Installation, wallet: str) -> str:
    """An account that has received 50 ATTO, by a block that the service signed."""
    client = installation.client
    assert client.post(f"/wallets/{wallet}").status_code == httpx2.codes.OK
    address: str = client.post(f"/wallets/{wallet}/accounts").json()["address"]
    faucet = f"http://127.0.0.1:{installation.variables['SANDBOX_ATTO_NODE_PORT']}/_faucet"
    httpx2.post(
        faucet, json={"address": address, "amount": 50_000_000_000}, trust_env=False
    ).raise_for_status()

    async def is_open() -> bool:
        return client.get(f"/wallets/accounts/{address}/details").status_code == httpx2.codes.OK

    asyncio.run(until_true(is_open))
    return address


def test_a_payment_is_listed_with_who_and_why(installation: Installation) -> None:
    address = funded_account(installation, "paying")
    other = installation.client.post("/wallets/paying/accounts").json()["address"]
    secret = installation.run("token", "create", "payer", "--scope", "atto:send").stdout[0]
    sent = installation.client.post(
        f"/wallets/accounts/{address}/transactions/SEND",
        json={"receiverAddress": other, "amount": 7},
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert sent.status_code == httpx2.codes.OK, sent.text
    found = [
        json.loads(line)
        for line in installation.run("payments", "--wallet", "paying", "--kind", "SEND", "--json").stdout
    ]
    (payment,) = found
    assert payment["principal"] == "token:payer"
    assert payment["token"] == secret.split("_")[1]
    assert (payment["ledger"], payment["account"], payment["rule"]) == (
        "atto",
        address.split("://")[-1],
        None,
    )
    assert (payment["amountRaw"], payment["destination"]) == ("7", other.split("://")[-1])
    assert payment["id"] == sent.json()["hash"]
    by_id = installation.run("payment", payment["id"].lower(), "--json")
    assert json.loads(by_id.stdout[0])["id"] == payment["id"]
    shown = " ".join(installation.run("payment", payment["id"]).stdout)
    assert "token:payer" in shown
    assert payment["id"] in " ".join(installation.run("payments", "--by", "token:payer").stdout)
    assert installation.run("payments", "--until", "2020-01-01", "--json").stdout == []
    assert (
        installation.run("payments", "--wallet", "paying", "--kind", "SEND", "--stuck", "--json").stdout == []
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("payments", "--since", "yesterday"), "must be a moment such as"),
        (("payments", "--ledger", "doge"), "the ledger is atto or hathor or bittensor"),
        (("payments", "--state", "LOST"), "Invalid value"),
        (("payment", "xyz"), "No ledger has a payment with this id"),
        (("payment", "00" * 32), "No ledger has a payment with this id"),
    ],
)
def test_a_mistake_is_told(installation: Installation, arguments: tuple[str, ...], words: str) -> None:
    ended = installation.run(*arguments)
    assert ended.status != 0
    assert words in " ".join(" ".join(ended.stderr).split())
