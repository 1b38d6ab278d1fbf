"""`strongroom health`: for supervisors and images that have no other program to ask with."""

import http.client
import os
import ssl
from typing import Annotated

import typer

from strongroom.core.environment import Environment

READINESS = "/health/readiness"
LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared


def health(
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1, max=60)] = 5,
) -> None:
    """Ask the service on this machine whether it is ready. Status 0: it is; 1: it is not, or does not answer."""
    environment = Environment(os.environ)
    port = environment.port("MANAGEMENT_PORT", 8081)
    host = environment.text("STRONGROOM_HOST", LOOPBACK)
    environment.raise_mistakes()
    at = LOOPBACK if host in EVERY_ADDRESS else host
    try:
        status, body = _ask(at, port, timeout)
    except (OSError, http.client.HTTPException) as error:
        typer.echo(f"not ready: the management port {port} does not answer: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(body, err=status != http.client.OK)
    raise typer.Exit(0 if status == http.client.OK else 1)


def _ask(host: str, port: int, timeout_s: float) -> tuple[int, str]:
    """Plain HTTP first, then TLS: the port speaks one of them, and says so by ending the other.

    The certificate is not checked: whose it is does not matter to a process that asks its own machine whether it is ready.
    """
    try:
        return _answer(http.client.HTTPConnection(host, port, timeout=timeout_s))
    except (http.client.BadStatusLine, ConnectionResetError):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return _answer(http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context))


def _answer(connection: http.client.HTTPConnection) -> tuple[int, str]:
    try:
        connection.request("GET", READINESS)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
