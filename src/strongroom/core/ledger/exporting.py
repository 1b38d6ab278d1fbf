"""Asks a running service for a secret, for the commands that export one."""

from typing import Any

import httpx2
import typer

TIMEOUT_S = 60.0
UNAPPROVED = "approval_needed"


def fetch_secret(
    url: str, token: str | None, path: str, body: Any, *, what: str, reach: str, yes: bool
) -> Any:
    """The service's answer to an export. Ends the command where it refuses: status 3 while others must approve it.

    `what` is exported; `reach`: what somebody has who sees it.
    """
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"--url must begin with http:// or https://, not {url!r}")
    typer.echo(
        f"This shows {what}. Whoever sees it has {reach}, past every rule of this service and for good:"
        " no key that is changed here takes it back. The service shows it once for each approval.",
        err=True,
    )
    if not yes and not typer.confirm("Show it here?", err=True):
        raise typer.Exit(1)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
            response = client.post(path, json=body)
        answer = response.json()
    except (httpx2.HTTPError, ValueError) as error:
        typer.echo(f"strongroom: {url} does not answer ({type(error).__name__})", err=True)
        raise typer.Exit(1) from None
    if response.is_success:
        return answer
    words = answer if isinstance(answer, dict) else {}
    typer.echo(f"strongroom: {words.get('message') or words.get('detail') or words.get('error')}", err=True)
    raise typer.Exit(3 if words.get("code") == UNAPPROVED else 1)
