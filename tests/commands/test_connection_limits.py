"""The limits of connections on every surface of a running service."""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from support.ports import own_ports
from support.processes import strongroom

PATIENCE_S = 30.0
SURFACES = ("atto", "hathor", "hathor-ws", "bittensor", "management")
OF_A_PEER = 24
MEGABYTES = b"y" * 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    ports: dict[str, int]

    def ask(self, surface: str, request: bytes) -> tuple[int, Any]:
        """The status and the JSON of what comes until the service closes; 0 without an answer."""
        with socket.create_connection(("127.0.0.1", self.ports[surface]), PATIENCE_S) as peer:
            with contextlib.suppress(OSError):  # it need not be read to its end
                peer.sendall(request)
            return read(peer)

    def refused(self, surface: str, reason: str) -> float:
        url = f"http://127.0.0.1:{self.ports['management']}/prometheus"
        wanted = f'strongroom_connections_refused_total{{reason="{reason}",surface="{surface}"}} '
        lines = httpx2.get(url, trust_env=False).text.splitlines()
        return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)


def read(peer: socket.socket) -> tuple[int, Any]:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while more := peer.recv(65_536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)) if head else (0, None)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    variables = {
        "STRONGROOM_DATA": str(tmp_path_factory.mktemp("limits")),
        "STRONGROOM_HEAD_TIMEOUT_S": "1",
        "STRONGROOM_BODY_TIMEOUT_S": "1",
        "STRONGROOM_CONNECTIONS_A_PEER": str(OF_A_PEER),
        "STRONGROOM_SOCKET_MESSAGES_A_MINUTE": "20",
        **own_ports(),
    }
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        names = {surface: f"{surface.upper().replace('-', '_')}_PORT" for surface in SURFACES}
        yield House(ports={surface: int(variables[name]) for surface, name in names.items()})


def code_of(surface: str, answer: Any) -> str:
    """Where each surface has the stable code of a refusal."""
    if surface.startswith("hathor"):
        assert answer["success"] is False
        assert answer["details"][0]["message"]
        return str(answer["error"]).replace("-", "_")
    assert answer["detail" if surface == "bittensor" else "message"]
    return str(answer["code"])


POST = b"POST /wallets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
REQUESTS = {
    "head_too_large": (431, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000),
    "line_too_long": (414, b"GET /" + b"y" * 200_000),
    "framing": (431, POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"y" * 200_000),
    "head_timeout": (408, b"GET / HTTP/1.1\r\nHost: "),
    "malformed": (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("reason", REQUESTS)
def test_every_surface_refuses_in_its_own_words(house: House, surface: str, reason: str) -> None:
    status, request = REQUESTS[reason]
    before = house.refused(surface, reason)
    answered, answer = house.ask(surface, request)
    if reason == "framing" and answered != status:
        assert answered in {
            0,
            403,
            404,
            405,
            426,
        }  # answered before the body's end; then the rest is not read
    else:
        assert answered == status
        assert code_of(surface, answer) == reason
    assert house.refused(surface, reason) == before + 1


# Bittensor's answers 401 before it reads any body.
READING = {
    "atto": b"POST /wallets/accounts/entries HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
    "hathor": b"POST /wallet/init HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
}
TOO_MUCH = {
    "with a length": b"Content-Length: 3000000\r\n\r\n" + MEGABYTES,
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n2dc6c0\r\n" + MEGABYTES + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("surface", READING)
def test_a_body_that_does_not_come_is_given_up(house: House, surface: str) -> None:
    request = READING[surface] + b'Content-Length: 100000\r\n\r\n{"'
    status, answer = house.ask(surface, request)
    assert status == 408
    assert code_of(surface, answer) == "body_timeout"


@pytest.mark.parametrize("how", TOO_MUCH)
@pytest.mark.parametrize("surface", READING)
def test_a_body_that_is_too_large_is_refused(house: House, surface: str, how: str) -> None:
    status, _ = house.ask(surface, READING[surface] + b"Connection: close\r\n" + TOO_MUCH[how])
    assert status == 413


@pytest.mark.parametrize("surface", SURFACES)
def test_a_peer_has_so_many_connections(house: House, surface: str) -> None:
    peers = [
        socket.create_connection(("127.0.0.1", house.ports[surface]), PATIENCE_S)
        for _ in range(OF_A_PEER + 8)
    ]
    try:
        status, answer = read(peers[-1])
        assert (status, code_of(surface, answer)) == (503, "peer_connections")
    finally:
        for peer in peers:
            peer.close()


def test_a_web_socket_may_say_so_much(house: House) -> None:
    with connect(f"ws://127.0.0.1:{house.ports['hathor-ws']}") as peer:
        for _ in range(21):
            peer.ping()
        with pytest.raises(ConnectionClosed) as closed:
            peer.recv(PATIENCE_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_others_are_answered_beside_a_flood(house: House) -> None:
    peers = []
    for _ in range(OF_A_PEER):
        peer = socket.create_connection(("127.0.0.1", house.ports["atto"]), PATIENCE_S)
        peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.send(b"GET /wallets HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000)
        peers.append(peer)
    answer = httpx2.get(
        f"http://127.0.0.1:{house.ports['management']}/health", trust_env=False, timeout=PATIENCE_S
    )
    assert answer.status_code == 200
    for peer in peers:
        peer.close()
