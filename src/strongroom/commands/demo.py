"""`strongroom demo`: a payment on the sandbox, told as it happens."""

import time
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from strongroom.atto.protocol import RAW_PER_ATTO

console = Console()

ARRIVAL_S = 30.0
POLL_S = 0.1
FUNDS_ATTO = 50
PAYMENT_ATTO = 10


def demo(
    url: Annotated[
        str, typer.Option(help="A running `strongroom serve --sandbox`.")
    ] = "http://127.0.0.1:8080",
    node: Annotated[str, typer.Option(help="Its sandbox node.")] = "http://127.0.0.1:9080",
) -> None:
    """Create a wallet, fund it from the faucet, watch it arrive, send, list the history."""
    with httpx2.Client(timeout=60, trust_env=False) as client:
        try:
            _play(client, url, node)
        except httpx2.ConnectError:
            console.print("[red]Nothing answers.[/] Start the service first: [bold]scripts/run[/]")
            raise typer.Exit(1) from None


def _play(client: httpx2.Client, url: str, node: str) -> None:
    name = f"demo-{int(time.time())}"
    console.print(Panel.fit("[bold]Strongroom[/]: a payment on a local Atto network", border_style="cyan"))
    wallet = _call(client, "POST", f"{url}/wallets/{name}")
    words = wallet["mnemonic"].split()
    console.print(
        f"1. Wallet [bold]{name}[/], its mnemonic begins with [dim]{' '.join(words[:3])} …[/] (24 words)"
    )
    alice = _call(client, "POST", f"{url}/wallets/{name}/accounts")
    bob = _call(client, "POST", f"{url}/wallets/{name}/accounts")
    console.print(
        f"2. Two accounts:\n   Alice [cyan]{alice['displayAddress']}[/]\n   Bob   [cyan]{bob['displayAddress']}[/]"
    )
    _call(
        client, "POST", f"{node}/_faucet", {"address": alice["address"], "amount": FUNDS_ATTO * RAW_PER_ATTO}
    )
    waited_s = _wait_for(client, url, alice["address"], FUNDS_ATTO * RAW_PER_ATTO)
    console.print(f"3. The faucet sent {FUNDS_ATTO} ATTO to Alice; received by itself in {waited_s:.2f} s")
    started_s = time.monotonic()
    body = {"receiverAddress": bob["address"], "amount": PAYMENT_ATTO * RAW_PER_ATTO}
    entry = _call(
        client,
        "POST",
        f"{url}/wallets/accounts/{alice['address']}/transactions/SEND",
        body,
        {"Idempotency-Key": name},
    )
    console.print(
        f"4. Alice sent {PAYMENT_ATTO} ATTO to Bob in {time.monotonic() - started_s:.2f} s,"
        f" transaction [dim]{entry['hash'][:16]}…[/]"
    )
    waited_s = _wait_for(client, url, bob["address"], PAYMENT_ATTO * RAW_PER_ATTO)
    console.print(f"5. Bob received it {waited_s:.2f} s later")
    again = _call(
        client,
        "POST",
        f"{url}/wallets/accounts/{alice['address']}/transactions/SEND",
        body,
        {"Idempotency-Key": name},
    )
    console.print(
        f"6. The same request again, with its Idempotency-Key: the same transaction ({again == entry}), no second payment"
    )
    console.print(_history(_call(client, "GET", f"{url}/wallets/{name}/entries")["entries"]))
    console.print(f"The API in a browser: [link={url}]{url}[/]")


def _call(
    client: httpx2.Client, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
) -> Any:
    response = client.request(method, url, json=body, headers=headers)
    if not response.is_success:
        console.print(f"[red]{method} {url} answered {response.status_code}:[/] {response.text}")
        raise typer.Exit(1)
    return response.json() if response.content else None


def _wait_for(client: httpx2.Client, url: str, address: str, balance: int) -> float:
    started_s = time.monotonic()
    while time.monotonic() - started_s < ARRIVAL_S:
        response = client.get(f"{url}/wallets/accounts/{address}/details")
        if response.is_success and response.json()["balance"] == balance:
            return time.monotonic() - started_s
        time.sleep(POLL_S)
    console.print(f"[red]Nothing arrived within {ARRIVAL_S:.0f} s[/]; see http://127.0.0.1:8081/health")
    raise typer.Exit(1)


def _history(entries: list[dict[str, Any]]) -> Table:
    table = Table(
        "account", "height", "type", "change (ATTO)", "balance (ATTO)", title="History, newest first"
    )
    for entry in entries:
        change = (entry["balance"] - entry["previousBalance"]) / RAW_PER_ATTO
        balance = entry["balance"] / RAW_PER_ATTO
        table.add_row(
            entry["address"][:10] + "…",
            str(entry["height"]),
            entry["blockType"],
            f"{change:+g}",
            f"{balance:g}",
        )
    return table
