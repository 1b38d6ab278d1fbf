"""The WebSocket for wallets, with real clients."""

import asyncio
import socket
from functools import partial

import httpx2
import pytest
from sqlalchemy import Connection, delete, update
from websockets.exceptions import InvalidStatus

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import Secret
from strongroom.core.messaging.outbox import Event
from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.protocol.addresses import MAINNET, parse_address
from strongroom.hathor.protocol.keys import parse_xpub
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.wallets.jwt import LIFETIME_S, Tokens
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.vertices import Output, read_output
from support.clock import ManualClock
from support.hathor.busy_wallets import AUTH_XPUB
from support.hathor.scenes import Scene
from support.hathor.sockets import OUTBOX, RULES, TOKENS, Sockets, ask, ending, hear, house, join, tell
from support.hathor.wallets import WALLET, XPUB, wallet_addresses
from support.waiting import eventually

pytestmark = pytest.mark.anyio

INVALID = {"type": "error", "message": "Invalid parameters"}


def own(index: int, value: int) -> Output:
    address = parse_address(wallet_addresses(20)[index], MAINNET)
    return read_output(value, 0, Payment(address=address).encode(), MAINNET)


async def test_what_is_asked_and_answered(database: Database) -> None:
    async with house(database) as sockets, sockets.client("/any/path") as client:
        assert await ask(client, {"action": "ping"}) == {"type": "pong", "message": "pong"}
        await join(client, WALLET)
        await join(client, WALLET)
        wrong_requests: list[object] = [
            {"action": "join", "id": "0" * 64},
            {"action": "join", "id": WALLET, "foo": 1},
            {"action": "join", "id": 7},
            {"action": "join"},
            {"action": "leave", "id": WALLET},
            {"id": WALLET},
            [],
            "no JSON",
            b"\xff\xfe",
            '{"action":"join","id":"\\ud800"}',
        ]
        for wrong in wrong_requests:
            assert await ask(client, wrong) == INVALID, wrong
        assert await ask(client, b'{"action":"ping"}') == {"type": "pong", "message": "pong"}
        assert (
            sockets.value("strongroom_hathor_ws_connections")
            == sockets.value("strongroom_hathor_ws_subscriptions")
            == 1
        )
        assert sockets.value("strongroom_hathor_ws_refused_total", reason="invalid-parameters") == 10
    await eventually(lambda: sockets.value("strongroom_hathor_ws_connections") == 0)
    assert sockets.value("strongroom_hathor_ws_subscriptions") == 0


async def test_a_transaction_is_told_when_it_comes_and_when_it_changes(database: Database) -> None:
    async with house(database) as sockets, sockets.client() as client, sockets.client() as stranger:
        await load_wallet(database, SystemClock(), MAINNET, WALLET)
        scene = Scene(database)
        for _ in range(4):
            scene.block()
        await scene.sync()
        await join(client, WALLET)
        await ask(stranger, {"action": "ping"})
        paid = scene.send([scene.genesis], [own(0, 1_000)])
        await scene.sync()
        first = await hear(client)
        assert (first["type"], first["data"]["tx_id"], first["data"]["voided"]) == (
            "new-tx",
            paid.hash,
            False,
        )
        assert first["data"]["outputs"][0]["script"] == {
            "type": "Buffer",
            "data": list(paid.outputs[0].script),
        }
        scene.block()
        scene.chain.void(paid)
        for _ in range(2):
            await scene.sync()
        confirmed_or_voided = await hear(client)
        assert confirmed_or_voided["type"] == "update-tx"
        assert confirmed_or_voided["data"].keys() == first["data"].keys()
        assert await ask(stranger, {"action": "ping"}) == {"type": "pong", "message": "pong"}


async def test_word_of_the_bus_is_enough_and_order_is_kept(database: Database) -> None:
    async with house(database) as sockets, sockets.client() as client:
        await join(client, WALLET)
        for number in (1, 2):
            await tell(database, number, f'{{"number":{number}}}')
        events = [
            Event(
                stream=WALLET if number % 2 else "0" * 64, sequence=number, payload=f'{{"number":{number}}}'
            )
            for number in range(3, 1_201)  # more than two pages
        ]
        await database.write(partial(OUTBOX.append, destination=DESTINATION, events=events))
        sockets.bus.publish(DESTINATION)
        heard = [(await hear(client))["number"] for _ in range(601)]
        assert heard == [1, 2, *range(3, 1_201, 2)]
        assert sockets.value("strongroom_hathor_ws_delivered_total") == 602  # and the answer to the join


async def test_amounts_take_the_form_of_the_service(database: Database) -> None:
    async with house(database, amounts=AmountForm.SAFE) as sockets, sockets.client() as client:
        await join(client, WALLET)
        await tell(database, 1, '{"value":9007199254740993,"nonce":9007199254740993,"total":5}')
        assert await hear(client) == {"value": "9007199254740993", "nonce": 9007199254740993, "total": 5}


async def test_a_slow_reader_is_closed_and_delays_nobody(database: Database) -> None:
    async with house(database) as sockets, sockets.client() as good:
        slow = await raw_client(sockets)
        await join(good, WALLET)
        slow.sendall(masked(b'{"action":"join","id":"' + WALLET.encode() + b'"}'))
        await eventually(lambda: sockets.value("strongroom_hathor_ws_subscriptions") == 2)
        for number in range(1, 400):
            await tell(database, number, f'{{"number":{number},"filling":"{"x" * 100_000}"}}')
            sockets.bus.publish(DESTINATION)
            assert (await hear(good))["number"] == number
            if sockets.value("strongroom_hathor_ws_slow_connections_total"):
                break
        assert sockets.value("strongroom_hathor_ws_slow_connections_total") == 1
        await asyncio.to_thread(read_until, slow, b"\x03\xf5reads too slowly")  # close frame, code 1013
        await eventually(lambda: sockets.value("strongroom_hathor_ws_connections") == 1)
        assert await ask(good, {"action": "ping"}) == {"type": "pong", "message": "pong"}


async def test_who_never_reads_is_cut_off(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.core.http.connections.websockets.LINGER_S", 0.2)
    async with house(database) as sockets:
        slow = await raw_client(sockets)
        slow.sendall(masked(b'{"action":"join","id":"' + WALLET.encode() + b'"}'))
        await eventually(lambda: sockets.value("strongroom_hathor_ws_subscriptions") == 1)
        filling = '{"filling":"' + "x" * 1_000_000 + '"}'
        for number in range(1, 40):
            await tell(database, number, filling)
        sockets.bus.publish(DESTINATION)
        await eventually(lambda: sockets.transports == 0)
        slow.close()


async def test_who_asks_and_never_reads_is_cut_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.core.http.connections.websockets.LINGER_S", 0.2)
    async with house(database, messages_a_minute=10**9) as sockets:
        for flood in (ping_frame(), masked(b'{"action":"ping"}')):
            peer = await raw_client(sockets)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                await asyncio.to_thread(write_on, peer, flood * 1_000)
            await eventually(lambda: sockets.value("strongroom_hathor_ws_connections") == 0)


async def test_a_dead_peer_is_noticed(database: Database) -> None:
    async with house(database, ping_s=0.1) as sockets:
        silent = await raw_client(sockets)  # never answers a ping
        async with sockets.client() as alive:
            await eventually(lambda: sockets.value("strongroom_hathor_ws_connections") == 2)
            await eventually(lambda: sockets.value("strongroom_hathor_ws_connections") == 1)
            await asyncio.to_thread(read_until, silent, b"\x03\xf3keepalive ping timeout")
            assert await ask(alive, {"action": "ping"}) == {"type": "pong", "message": "pong"}


async def test_limits(database: Database) -> None:
    rules = RULES.__class__(require_token=False, max_connections=2, max_subscriptions=1)
    async with house(database, rules=rules) as sockets:
        await database.write(partial(another_wallet, name="1" * 64))
        async with sockets.client() as client, sockets.client() as other:
            await join(client, WALLET)
            refused = {"type": "error", "message": "Too many subscriptions"}
            assert await ask(client, {"action": "join", "id": "1" * 64}) == refused
            await join(client, WALLET)
            with pytest.raises(InvalidStatus) as too_many:
                await sockets.client()
            assert too_many.value.response.status_code == 503
            await other.send("x" * 9_000)
            assert (await ending(other))[0] == 1009
        async with httpx2.AsyncClient() as plain:
            assert (await plain.get(sockets.listener.url)).status_code == 426


async def test_tokens_where_they_are_required(database: Database) -> None:
    rules = RULES.__class__(require_token=True, max_connections=9, max_subscriptions=1)
    address = parse_xpub(XPUB).address().encode(MAINNET)
    token = TOKENS.issue_read_only(wallet_id=WALLET, auth_address=address)
    others = TOKENS.issue_read_only(wallet_id="1" * 64, auth_address=address)
    changed = TOKENS.issue_read_only(wallet_id=WALLET, auth_address=wallet_addresses(1)[0])
    unauthorized = {"type": "error", "message": "Unauthorized"}
    request = {"action": "join", "id": WALLET}
    async with house(database, rules=rules) as sockets:
        await database.write(partial(another_wallet, name="1" * 64))
        async with sockets.client() as client:
            assert await ask(client, request) == unauthorized
            for wrong in ("", "x.y.z", others, changed):
                expected = unauthorized if wrong else INVALID
                assert await ask(client, request | {"token": wrong}) == expected
            assert (await ask(client, request | {"token": token}))["type"] == "join-success"
        async with sockets.client(f"/?token={token}") as client:
            await join(client, WALLET)


async def test_a_connection_ends_with_the_token_that_it_was_joined_with(database: Database) -> None:
    rules = RULES.__class__(require_token=True, max_connections=9, max_subscriptions=2)
    clock = ManualClock()
    tokens = Tokens([Secret("foobar")], clock, SystemEntropy())
    address = parse_xpub(XPUB).address().encode(MAINNET)

    def token() -> str:
        return tokens.issue_read_only(wallet_id=WALLET, auth_address=address)

    async with house(database, tokens=tokens, rules=rules, times=clock) as sockets:
        request = {"action": "join", "id": WALLET, "token": token()}
        async with sockets.client() as one, sockets.client() as renewed, sockets.client() as idle:
            for client in (one, renewed):
                assert (await ask(client, request))["type"] == "join-success"
            clock.advance(LIFETIME_S - 1)
            assert (await ask(renewed, request | {"token": token()}))["type"] == "join-success"
            await sockets.rights.end_outdated()
            assert await ask(one, {"action": "ping"}) == {"type": "pong", "message": "pong"}
            clock.advance(1)
            await sockets.rights.end_outdated()
            assert await ending(one) == (1008, "the token has ended")
            for client in (renewed, idle):
                assert (await ask(client, {"action": "ping"}))["type"] == "pong"
            clock.advance(LIFETIME_S)
            await sockets.rights.end_outdated()
            assert await ending(renewed) == (1008, "the token has ended")
            assert await ask(idle, request) == {"type": "error", "message": "Unauthorized"}


async def test_a_connection_ends_when_the_wallet_s_authentication_key_changes(database: Database) -> None:
    rules = RULES.__class__(require_token=True, max_connections=9, max_subscriptions=2)
    other = "1" * 64
    address = parse_xpub(XPUB).address().encode(MAINNET)
    async with house(database, rules=rules) as sockets:
        await database.write(partial(another_wallet, name=other))
        async with sockets.client() as changed, sockets.client() as kept:
            for client, wallet in ((changed, WALLET), (kept, other)):
                token = TOKENS.issue_read_only(wallet_id=wallet, auth_address=address)
                request = {"action": "join", "id": wallet, "token": token}
                assert (await ask(client, request))["type"] == "join-success"
            await sockets.rights.end_outdated()
            assert (await ask(changed, {"action": "ping"}))["type"] == "pong"
            rekeyed = update(tables.wallet).where(tables.wallet.c.id == WALLET).values(auth_xpubkey=AUTH_XPUB)
            await database.write(lambda connection: connection.execute(rekeyed))
            await sockets.rights.end_outdated()
            assert await ending(changed) == (1008, "the token has ended")
            assert (await ask(kept, {"action": "ping"}))["type"] == "pong"
            gone = delete(tables.wallet).where(tables.wallet.c.id == other)
            await database.write(lambda connection: connection.execute(gone))
            await sockets.rights.end_outdated()
            assert await ending(kept) == (1008, "the token has ended")
            await eventually(lambda: sockets.value("strongroom_hathor_ws_subscriptions") == 0)


async def test_a_stop_says_that_it_is_a_restart(database: Database) -> None:
    async with house(database) as sockets, sockets.client() as client:
        await join(client, WALLET)
        sockets.listener.stop()
        assert (await ending(client))[0] == 1012


def another_wallet(connection: Connection, name: str) -> None:
    row = {"id": name, "xpubkey": XPUB, "auth_xpubkey": XPUB, "status": "ready", "created_at": 1}
    connection.execute(tables.wallet.insert(), row)


async def raw_client(sockets: Sockets) -> socket.socket:
    """A peer that has shaken hands, with a small buffer, and only does what the test does."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.to_thread(peer.connect, ("127.0.0.1", sockets.listener.port))
    peer.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    answer = await asyncio.to_thread(peer.recv, 1024)
    assert answer.startswith(b"HTTP/1.1 101")
    return peer


def masked(text: bytes) -> bytes:
    """A client's frame of up to 125 bytes; its mask is zero."""
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


def ping_frame() -> bytes:
    return bytes((0x89, 0x80 | 125, 0, 0, 0, 0)) + bytes(125)


def write_on(peer: socket.socket, frames: bytes) -> None:
    """Up to 100 MB; what is not taken for 20 seconds is a failure too."""
    peer.settimeout(20)
    with peer:
        for _ in range(100_000_000 // len(frames)):
            peer.sendall(frames)


def read_until(peer: socket.socket, end: bytes) -> None:
    """Fails when the connection ends with anything else."""
    peer.settimeout(20)
    received = b""
    while not received.endswith(end):
        chunk = peer.recv(1_000_000)
        assert chunk, received
        received = (received + chunk)[-1_000:]
    peer.close()
