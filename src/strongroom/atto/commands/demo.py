"""`strongroom demo`: makes a payment on the sandbox and shows each step."""

import os
import time
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from strongroom.atto.protocol import RAW_PER_ATTO

console = Console(highlight=False)

TIMEOUT_S = 60.0
ARRIVAL_S = 30.0
POLL_S = 0.05
FUNDS_RAW = 50 * RAW_PER_ATTO
PAYMENT_RAW = 10 * RAW_PER_ATTO


def demo(
    url: Annotated[
        str, typer.Option(help="A running `strongroom serve --sandbox`.")
    ] = f"http://127.0.0.1:{os.environ.get('ATTO_PORT') or 8080}",
    node: Annotated[
        str, typer.Option(help="Its sandbox node.")
    ] = f"http://127.0.0.1:{os.environ.get('SANDBOX_ATTO_NODE_PORT') or 9080}",
) -> None:
    """Create a wallet, fund it from the faucet, watch it arrive, send, list the history."""
    with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        try:
            _play(client, url, node)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            why = f"{url} or {node} does not answer ({type(error).__name__})"
            raise _failure(f"{why}; start the service first: scripts/run") from None


def format_atto(amount_raw: int) -> str:
    """Exact decimal ATTO, for example `-0.000000001` or `18000000000`."""
    whole, fraction = divmod(abs(amount_raw), RAW_PER_ATTO)
    digits = f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")
    return f"-{digits}" if amount_raw < 0 else digits


def _play(client: httpx2.Client, url: str, node: str) -> None:
    name = f"demo-{time.time_ns() // 1_000_000}"
    console.print(Panel.fit("[bold]Strongroom[/]: a payment on a local Atto network", border_style="cyan"))
    wallet = _call(client, "POST", f"{url}/wallets/{name}")
    words = wallet["mnemonic"].split()
    console.print(f"1. Wallet [bold]{name}[/], its mnemonic begins [dim]{' '.join(words[:3])} …[/]")
    alice = _call(client, "POST", f"{url}/wallets/{name}/accounts")
    bob = _call(client, "POST", f"{url}/wallets/{name}/accounts")
    console.print(f"2. Alice [cyan]{alice['address']}[/]")
    console.print(f"   Bob   [cyan]{bob['address']}[/]")
    _call(client, "POST", f"{node}/_faucet", {"address": alice["address"], "amount": FUNDS_RAW})
    waited_s = _wait_for(client, url, alice["address"], FUNDS_RAW)
    console.print(
        f"3. The faucet sent {format_atto(FUNDS_RAW)} ATTO to Alice, received by itself in {waited_s:.2f} s"
    )
    send = f"{url}/wallets/accounts/{alice['address']}/transactions/SEND"
    body = {"receiverAddress": bob["address"], "amount": PAYMENT_RAW}
    started_s = time.monotonic()
    entry = _call(client, "POST", send, body, {"Idempotency-Key": name})
    console.print(
        f"4. Alice sent {format_atto(PAYMENT_RAW)} ATTO to Bob in {time.monotonic() - started_s:.2f} s,"
        f" transaction [dim]{entry['hash'][:12]}…[/]"
    )
    waited_s = _wait_for(client, url, bob["address"], PAYMENT_RAW)
    console.print(f"5. Bob received it {waited_s:.2f} s later")
    if _call(client, "POST", send, body, {"Idempotency-Key": name}) != entry:
        raise _failure("The same request with its Idempotency-Key had another answer")
    console.print("6. The same request again, with its Idempotency-Key: the same transaction, paid once")
    console.print(_history(_call(client, "GET", f"{url}/wallets/{name}/entries")["entries"]))
    console.print(f"The API in a browser: [link={url}]{url}[/]")


def _call(
    client: httpx2.Client, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
) -> Any:
    response = client.request(method, url, json=body, headers=headers)
    if not response.is_success:
        raise _failure(f"{method} {url} answered {response.status_code}: {response.text}")
    return response.json() if response.content else None


def _wait_for(client: httpx2.Client, url: str, address: str, balance_raw: int) -> float:
    started_s = time.monotonic()
    while time.monotonic() - started_s < ARRIVAL_S:
        response = client.get(f"{url}/wallets/accounts/{address}/details")
        if response.is_success and response.json()["balance"] == balance_raw:
            return time.monotonic() - started_s
        time.sleep(POLL_S)
    raise _failure(f"Nothing arrived within {ARRIVAL_S:.0f} s; the service's /health may say why")


def _failure(why: str) -> typer.Exit:
    typer.echo(f"strongroom: {why}", err=True)
    return typer.Exit(1)


def _history(entries: list[dict[str, Any]]) -> Table:
    table = Table("account", "height", "type", title="History, newest first")
    for heading in ("change (ATTO)", "balance (ATTO)"):
        table.add_column(heading, justify="right")
    for entry in entries:
        change_raw = entry["balance"] - entry["previousBalance"]
        change = f"{'+' if change_raw > 0 else ''}{format_atto(change_raw)}"
        shown = f"{entry['address'][:10]}…"
        table.add_row(shown, str(entry["height"]), entry["blockType"], change, format_atto(entry["balance"]))
    return table
