"""`strongroom atto`: long scans of a running Atto service, with a progress bar."""

import threading
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
import msgspec
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from strongroom.atto.commands.reconcile import reconcile
from strongroom.atto.commands.wallet_keys import DEFAULT_URL, ApiToken, Url, export, rekey
from strongroom.core.json_decoder import decode_json

application = typer.Typer(
    help="Scans of a running Atto service; accounts beside the node's; wallets' keys.", no_args_is_help=True
)

application.command("reconcile")(reconcile)
application.command("rekey")(rekey)
application.command("export")(export)

POLL_S = 0.3
SCAN_TIMEOUT_S = 3600.0


@application.command()
def recover(
    wallet: str,
    gap_limit: Annotated[int, typer.Option(help="Unused indexes in a row that end the scan.")] = 20,
    url: Url = DEFAULT_URL,
    token: ApiToken = None,
) -> None:
    """Find the used accounts of a wallet."""
    result = _scan(
        url,
        token,
        wallet,
        lambda client, path: client.post(f"{path}/recoveries", json={"gapLimit": gap_limit}),
    )
    typer.echo(
        f"scanned {result['scannedCount']} indexes from {result['fromIndex']}: {result['recoveredCount']} accounts"
        f" recovered, {result['existingCount']} there already"
    )
    if result.get("limitReached"):
        typer.echo("stopped at ATTO_SCAN_LIMIT, and there may be more: repeat the command to go on")


@application.command("range")
def create_range(wallet: str, to_index: int, url: Url = DEFAULT_URL, token: ApiToken = None) -> None:
    """Create every account of a wallet from index 0 to TO_INDEX."""
    result = _scan(url, token, wallet, lambda client, path: client.post(f"{path}/accounts/ranges/{to_index}"))
    typer.echo(f"{len(result)} accounts")


def _scan(
    url: str, token: str | None, wallet: str, request: Callable[[httpx2.Client, str], httpx2.Response]
) -> Any:
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"--url must begin with http:// or https://, not {url!r}")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = f"/wallets/{quote(wallet, safe='')}"
    with httpx2.Client(base_url=url, headers=headers, timeout=SCAN_TIMEOUT_S, trust_env=False) as client:
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(client, path, ended))
        watcher.start()
        try:
            response = request(client, path)
        except httpx2.HTTPError as error:
            typer.echo(f"strongroom: {url} does not answer ({type(error).__name__})", err=True)
            raise typer.Exit(1) from None
        finally:
            ended.set()
            watcher.join()
    if not response.is_success:
        typer.echo(f"strongroom: {_reason(response)}", err=True)
        raise typer.Exit(1)
    return response.json()


def _reason(response: httpx2.Response) -> str:
    """The service's error message, or a note that another program answered."""
    try:
        return str(decode_json(response.content, _Refusal).message)
    except msgspec.MsgspecError:
        return f"{response.request.url} answered {response.status_code}; is that a Strongroom service?"


class _Refusal(msgspec.Struct):
    message: str


def _watch(client: httpx2.Client, path: str, ended: threading.Event) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scanning", total=None)
        while not ended.wait(POLL_S):
            try:
                scan = client.get(f"{path}/progress").json()
            except (httpx2.HTTPError, ValueError):
                continue
            if scan.get("running"):
                progress.update(
                    task,
                    completed=scan["done"],
                    total=scan["total"],
                    description=f"{scan['kind']}, {scan['found']} used",
                )
