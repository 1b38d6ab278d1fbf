"""The door: which requests reach a surface where reaching it is the permission."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from strongroom import server
from strongroom.core.clock import SystemClock
from strongroom.core.environment import Environment, SettingsError
from strongroom.core.http.connections.admission import Gate
from strongroom.core.http.door import AllowedCallers, DoorRules, read_allowed_callers
from strongroom.core.http.exposure import Access
from strongroom.core.http.hosts import Authority, Origin, is_loopback
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.http.tls.certificates import Certificates
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.settings import read_settings

pytestmark = pytest.mark.anyio

JSON = "Content-Type: application/json"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a network surface is what is under test
FORM = "Content-Type: application/x-www-form-urlencoded"
OK = 200


class House:
    """A surface whose application counts what reaches it, spoken to in bytes."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, str, bytes]] = []
        self.port = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            self.reached.append(("WEBSOCKET", scope["path"], b""))
            await receive()
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            await send({"type": "websocket.close", "code": 1000, "reason": None})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.reached.append((scope["method"], scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"reached"})

    async def speak(self, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer. `{port}` in a line is the surface's own."""
        head = "\r\n".join(line.replace("{port}", str(self.port)) for line in (*lines, "Connection: close"))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.encode("latin-1") + b"\r\n\r\n" + body)
        answer, _, content = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        first, *rest = answer.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return int(first.split()[1]), headers, content

    async def post(self, *headers: str, body: bytes = b"{}", host: str = "localhost:{port}") -> int:
        length = f"Content-Length: {len(body)}"
        status, _, _ = await self.speak("POST /x HTTP/1.1", f"Host: {host}", length, *headers, body=body)
        return status

    async def get(self, *headers: str, host: str = "localhost:{port}", path: str = "/x") -> int:
        status, _, _ = await self.speak(f"GET {path} HTTP/1.1", f"Host: {host}", *headers)
        return status


@asynccontextmanager
async def house(
    access: Access = Access.REACH, host: str = "127.0.0.1", allowed: AllowedCallers | None = None, **more: Any
) -> AsyncIterator[House]:
    application = House()
    surface = Surface(name="test", application=application, host=host, port=0, access=access, **more)
    listener = Listener(surface, allowed or AllowedCallers())
    application.port = listener.port
    task = asyncio.create_task(listener.serve())
    await listener.started()
    try:
        yield application
    finally:
        listener.stop()
        await task


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", OK),
        ("localhost:{port}", OK),
        ("LocalHost:{port}", OK),
        ("localhost.:{port}", OK),
        ("127.0.0.1", OK),
        ("127.9.8.7:{port}", OK),
        ("[::1]:{port}", OK),
        ("[::1]", OK),
        ("[::ffff:127.0.0.1]", OK),
        ("localhost:9", OK),
        ("rebound.example", 403),
        ("rebound.example:{port}", 403),
        ("127.0.0.1.rebound.example", 403),
        ("localhost.rebound.example:{port}", 403),
        ("localhost..", 403),
        ("evil.localhost", 403),
        ("0.0.0.0:{port}", 403),
        ("10.0.0.1", 403),
        ("[::]:{port}", 403),
        ("[fe80::1]", 403),
        ("", 400),
        (":{port}", 400),
        ("localhost, rebound.example", 400),
        ("rebound.example@localhost", 400),
        ("localhost@rebound.example", 400),
        ("localhost/rebound.example", 400),
        ("localhost:99999", 400),
        ("localhost:{port}:{port}", 400),
        ("[localhost]", 400),
        ("[::1", 400),
        ("[1.2:3]", 400),
        ("::1", 400),
    ],
)
async def test_on_loopback_the_host_must_name_this_machine(host: str, status: int) -> None:
    async with house() as application:
        assert await application.get(host=host) == status
        assert await application.post(JSON, host=host) == status
        assert len(application.reached) == (2 if status == OK else 0)


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /x HTTP/1.1",),
        ("GET /x HTTP/1.1", "Host: localhost", "Host: localhost"),
        ("GET /x HTTP/1.1", "Host: localhost", "Host: rebound.example"),
        ("GET /x HTTP/1.1", "Host: rebound.example", "host: localhost"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE])
async def test_a_request_has_one_host(lines: tuple[str, ...], host: str) -> None:
    async with house(host=host) as application:
        assert (await application.speak(*lines))[0] == 400
        assert application.reached == []


async def test_the_host_in_an_absolute_target_replaces_the_host_header() -> None:
    async with house() as application:
        for target, host, status in (
            ("http://rebound.example/x", "localhost", 403),
            ("http://localhost/x", "rebound.example", OK),
            ("http://localhost:{port}/x?y=http://rebound.example", "localhost", OK),
            ("http://rebound.example?x", "localhost", 400),
            ("http://localhost@rebound.example/x", "localhost", 400),
            ("/http://rebound.example", "localhost", OK),
            ("/x?http://rebound.example", "localhost", OK),
        ):
            got, _, _ = await application.speak(f"GET {target} HTTP/1.1", f"Host: {host}")
            assert got == status, target
        two = ("Host: localhost", "Host: localhost")
        assert (await application.speak("GET http://localhost/x HTTP/1.1", *two))[0] == 400


async def test_a_request_of_the_old_protocol_without_a_host_only_reads_where_hosts_are_checked() -> None:
    """As HAProxy asks for a process's health, unless it is told otherwise."""
    async with house() as application:
        assert (await application.speak("GET /x HTTP/1.0"))[0] == OK
        assert (await application.speak("GET /x HTTP/1.0", "Sec-Fetch-Site: cross-site"))[0] == 403
        assert (await application.speak("POST /x HTTP/1.0", "Content-Length: 0"))[0] == 403
        assert (await application.speak("GET /x HTTP/1.0", "Host: 127.0.0.1"))[0] == OK
    async with house(host=EVERYWHERE) as application:
        assert (await application.speak("GET /x HTTP/1.0"))[0] == OK


async def test_the_operator_names_further_hosts() -> None:
    allowed = AllowedCallers(
        hosts=frozenset({Authority("wallet.example", None), Authority("one.example", 99)})
    )
    async with house(allowed=allowed) as application:
        for host in ("wallet.example", "wallet.example:5", "WALLET.example.", "one.example:99", "localhost"):
            assert await application.get(host=host) == OK, host
        for host in ("one.example", "one.example:98", "a.wallet.example", "10.0.0.1", "rebound.example"):
            assert await application.get(host=host) == 403, host


async def test_a_network_surface_is_called_by_any_name_until_names_are_configured() -> None:
    async with house(host=EVERYWHERE) as application:
        for host in ("strongroom", "strongroom.wallets.svc.cluster.local:8080", "10.1.2.3:{port}"):
            assert await application.post(JSON, host=host) == OK, host
            assert await application.post(JSON, "Origin: http://elsewhere.example", host=host) == 403, host
    named = AllowedCallers(hosts=frozenset({Authority("strongroom", None)}))
    async with house(host=EVERYWHERE, allowed=named) as application:
        for host in (
            "strongroom:8080",
            "localhost",
            "127.0.0.1:{port}",
        ):  # the last: a probe's, by the address
            assert await application.get(host=host) == OK, host
        for host in ("rebound.example", "10.1.2.3:{port}"):
            assert await application.get(host=host) == 403, host


@pytest.mark.parametrize(
    ("own", "host", "comes_in"),
    [
        ("10.1.2.3", "10.1.2.3:8081", True),
        ("::ffff:10.1.2.3", "10.1.2.3:8081", True),  # a socket for both protocols
        ("fd00::5", "[fd00:0::5]:8081", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("10.1.2.3", "10.1.2.3.rebound.example", False),
        ("", "rebound.example", False),
    ],
)
def test_a_probe_calls_a_pod_by_its_address(own: str, host: str, comes_in: bool) -> None:
    """The socket's own address is accepted: an attacker cannot point an address at this machine."""
    named = AllowedCallers(hosts=frozenset({Authority("strongroom", None)}))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/health",
        "headers": [(b"host", host.encode())],
        "server": (own, 8081),
    }
    for bound_to in (EVERYWHERE, "::"):
        assert (DoorRules(bound_to=bound_to, allowed=named).caller(scope) is None) is comes_in
    assert DoorRules(bound_to="127.0.0.1", allowed=named).caller(scope) is not None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), OK),
        (("Origin: http://localhost:{port}",), OK),
        (("Origin: https://localhost:{port}",), OK),  # a proxy before it added TLS
        (("Origin: http://LOCALHOST:{port}", "Sec-Fetch-Site: same-origin"), OK),
        (("Sec-Fetch-Site: none",), OK),
        (("Origin: http://localhost:1",), 403),
        (("Origin: http://localhost",), 403),
        (("Origin: http://127.0.0.1:{port}",), 403),
        (("Origin: http://localhost.elsewhere.example:{port}",), 403),
        (("Origin: http://elsewhere.example",), 403),
        (("Origin: http://localhost:{port}@elsewhere.example",), 403),
        (("Origin: http://localhost:{port}/",), 403),
        (("Origin: http://localhost:{port} http://elsewhere.example",), 403),
        (("Origin: http://localhost:{port}", "Origin: http://elsewhere.example"), 403),
        (("Origin: null",), 403),
        (("Origin: file://",), 403),
        (("Origin: ",), 403),
        (("Origin: chrome-extension://abcdef",), 403),
        (("Origin: ftp://localhost:{port}",), 403),
        (("Sec-Fetch-Site: cross-site",), 403),
        (("Sec-Fetch-Site: same-site",), 403),
        (("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), 403),
        (("Origin: http://localhost:{port}", "Sec-Fetch-Site: cross-site"), 403),
        (("Origin: http://localhost:1", "Sec-Fetch-Site: same-site"), 403),
    ],
)
async def test_no_page_but_its_own_comes_in(headers: tuple[str, ...], status: int) -> None:
    """To change, to read, and to do without a body."""
    async with house() as application:
        assert await application.post(JSON, *headers) == status
        assert await application.post(*headers, body=b"") == status
        assert await application.get(*headers) == status
        for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            got, _, _ = await application.speak(f"{method} /x HTTP/1.1", "Host: localhost:{port}", *headers)
            assert got == status, method
        assert len(application.reached) == (8 if status == OK else 0)


async def test_pages_that_the_operator_names_come_in_and_may_read_the_answer() -> None:
    allowed = AllowedCallers(origins=frozenset({Origin("https", "shop.example", 443)}))
    origin = "Origin: https://shop.example"
    async with house(allowed=allowed) as application:
        status, headers, _ = await application.speak(
            "GET /x HTTP/1.1", "Host: localhost", origin, "Sec-Fetch-Site: cross-site"
        )
        assert (status, headers["access-control-allow-origin"]) == (OK, "https://shop.example")
        assert headers["vary"] == "Origin"
        asked = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
        status, headers, _ = await application.speak("OPTIONS /x HTTP/1.1", "Host: localhost", origin, *asked)
        assert status == 204
        assert "Content-Type" in headers["access-control-allow-headers"]
        assert "access-control-allow-private-network" not in headers
        assert application.reached == [("GET", "/x", b"")]
        assert await application.post("Origin: https://shop.example:8443", JSON) == 403
        assert await application.post("Origin: http://shop.example", JSON) == 403
        assert await application.post(origin, FORM) == 415
        assert await application.get(origin, host="rebound.example") == 403


async def test_a_preflight_opens_nothing() -> None:
    async with house() as application:
        for origin in ("http://elsewhere.example", "null", "http://localhost:1"):
            status, headers, _ = await application.speak(
                "OPTIONS /x HTTP/1.1",
                "Host: localhost:{port}",
                f"Origin: {origin}",
                "Access-Control-Request-Method: POST",
                "Access-Control-Request-Private-Network: true",
            )
            assert status == 403
            assert not [name for name in headers if name.startswith("access-control")]
        assert application.reached == []


async def test_a_link_leads_to_a_page_that_holds_nothing() -> None:
    link = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    async with house(pages=frozenset({"/"})) as application:
        assert await application.get(*link, path="/") == OK
        assert await application.get(*link, path="/wallets") == 403
        assert await application.get(*link, path="/", host="rebound.example") == 403
        assert await application.get(link[0], link[1], "Sec-Fetch-Dest: iframe", path="/") == 403
        assert await application.get(link[0], "Sec-Fetch-Mode: no-cors", link[2], path="/") == 403
        status, _, _ = await application.speak("POST / HTTP/1.1", "Host: localhost", *link)
        assert status == 403


@pytest.mark.parametrize("access", [Access.REACH, Access.TOKEN])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((JSON,), OK),
        (("content-type: APPLICATION/JSON; charset=utf-8",), OK),
        (("Content-Type: application/problem+json",), OK),
        ((), 415),
        ((FORM,), 415),
        (("Content-Type: text/plain",), 415),
        (("Content-Type: text/plain; application/json",), 415),
        (("Content-Type: text/plain, application/json",), 415),
        (("Content-Type: application/json, text/plain",), 415),
        (("Content-Type: application/x, application/json",), 415),
        (("Content-Type: text/json",), 415),
        (("Content-Type: multipart/form-data; boundary=x",), 415),
        (("Content-Type: application/octet-stream",), 415),
        (("Content-Type: application/x-ndjson",), 415),
        (("Content-Type: application/notjson",), 415),
        (("Content-Type: ",), 415),
        ((JSON, FORM), 415),
        ((FORM, JSON), 415),
    ],
)
async def test_a_body_is_json(access: Access, headers: tuple[str, ...], status: int) -> None:
    async with house(access, json_only=True) as application:
        assert await application.post(*headers) == status
        chunked = b"2\r\n{}\r\n0\r\n\r\n"
        start = ("POST /x HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked")
        assert (await application.speak(*start, *headers, body=chunked))[0] == status
        assert application.reached == ([("POST", "/x", b"{}")] * 2 if status == OK else [])


async def test_no_body_needs_no_type() -> None:
    async with house() as application:
        assert await application.post(body=b"") == OK
        assert await application.post(FORM, body=b"") == OK
        empty = ("POST /x HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked")
        assert (await application.speak(*empty, body=b"0\r\n\r\n"))[0] == OK
        assert application.reached == [("POST", "/x", b"")] * 3


async def test_a_refusal_is_json_that_says_what_to_do() -> None:
    async with house() as application:
        status, headers, body = await application.speak("GET /x HTTP/1.1", "Host: rebound.example")
    assert (status, headers["content-type"]) == (403, "application/json")
    assert json.loads(body) == {
        "status": 403,
        "error": "Forbidden",
        "message": "The service does not answer to the host 'rebound.example'. STRONGROOM_ALLOWED_HOSTS names further ones",
        "code": "host_not_allowed",
    }


async def test_a_websocket_comes_through_the_same_door() -> None:
    upgrade = (
        "GET /x HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    async with house() as application:
        for lines in (
            ("Host: localhost:{port}", "Origin: http://elsewhere.example"),
            ("Host: rebound.example",),
            ("Host: localhost:{port}", "Sec-Fetch-Site: cross-site"),
        ):
            assert (await application.speak(*upgrade, *lines))[0] == 403
        assert application.reached == []


async def test_surfaces_with_tokens_and_public_ones_have_no_such_door() -> None:
    for access in (Access.TOKEN, Access.PUBLIC):
        async with house(access) as application:
            assert await application.post("Origin: https://wallet.example", FORM) == OK
            assert await application.get(host="wallet.example") == OK


async def test_a_surface_that_is_missing_in_the_exposures_is_not_opened(tmp_path: Path) -> None:
    """Whichever ledger adds it: the surfaces themselves are asked before they are bound."""
    variables = {
        "NETWORK": "LOCAL",
        "NODE_BASE_URL": "http://node",
        "STRONGROOM_DATA": str(tmp_path),
        "STRONGROOM_HOST": EVERYWHERE,
        "STRONGROOM_ALLOW_UNAUTHENTICATED": "atto,management",
    }
    settings = read_settings(variables, ("atto",))
    metrics = Metrics("test")
    certificates = Certificates({}, SystemClock(), Health(), metrics)
    for access in (Access.REACH, Access.PUBLIC):
        later = Surface(name="console", application=House(), host=EVERYWHERE, port=0, access=access)
        with pytest.raises(SettingsError, match="would let the network reach the console surface"):
            server._bind([later], settings, Gate(settings.connections, metrics), certificates)


def test_the_variables_are_read() -> None:
    environment = Environment(
        {
            "STRONGROOM_ALLOWED_HOSTS": "wallet.example, WALLET.local:8080 ,[fd00::1]",
            "STRONGROOM_ALLOWED_ORIGINS": "https://shop.example,http://shop.example:8000",
        }
    )
    callers = read_allowed_callers(environment)
    assert environment.mistakes == []
    assert callers.hosts == {("wallet.example", None), ("wallet.local", 8080), ("fd00::1", None)}
    assert callers.origins == {("https", "shop.example", 443), ("http", "shop.example", 8000)}
    assert read_allowed_callers(Environment({})) == AllowedCallers()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("STRONGROOM_ALLOWED_HOSTS", "http://wallet.example"),
        ("STRONGROOM_ALLOWED_HOSTS", "*"),
        ("STRONGROOM_ALLOWED_HOSTS", "wallet.example/x"),
        ("STRONGROOM_ALLOWED_ORIGINS", "null"),
        ("STRONGROOM_ALLOWED_ORIGINS", "*"),
        ("STRONGROOM_ALLOWED_ORIGINS", "shop.example"),
        ("STRONGROOM_ALLOWED_ORIGINS", "https://shop.example/"),
        ("STRONGROOM_ALLOWED_ORIGINS", "https://*.example"),
    ],
)
def test_a_wrong_value_is_a_mistake(variable: str, text: str) -> None:
    environment = Environment({variable: text})
    read_allowed_callers(environment)
    (mistake,) = environment.mistakes
    assert mistake.startswith(f"{variable}: must be ")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("::", False),
        ("10.0.0.1", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_only_this_machine_counts_as_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("path", ["/_fault", "//_fault", "/%5ffault", "/_fault/", "/x/_fault"])
async def test_the_controls_of_a_public_surface_have_the_door(path: str) -> None:
    """Programs use them with any kind of body, pages of others and rebound names do not."""
    async with house(Access.PUBLIC, controls="/_") as service:

        async def post(path: str, *headers: str, host: str = "localhost") -> int:
            status, _, _ = await service.speak(
                f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Length: 2", *headers, body=b"{}"
            )
            return status

        assert await post(path, FORM) == OK
        assert await post(path, FORM, "Origin: null") == 403
        assert await post(path, FORM, "Origin: http://evil.example") == 403
        assert await post(path, JSON, "Sec-Fetch-Site: cross-site") == 403
        assert await post(path, JSON, host="rebound.example") == 403
        assert len(service.reached) == 1
        assert await post("/node", FORM, "Origin: http://evil.example", host="rebound.example") == OK
