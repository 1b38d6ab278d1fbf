"""A URL that somebody gives leads to public addresses alone, whatever its name resolves to next."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from strongroom.core.errors import InvalidInput
from strongroom.core.http.outbound.client import HttpClient, NotConnected, TargetRefused
from strongroom.core.http.outbound.resolver import ThreadResolver
from strongroom.core.http.outbound.targets import Reach, parse_reach_networks, parse_url, shown_place
from support.callback_listener import listening

pytestmark = pytest.mark.anyio

PUBLIC = ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1", "192.0.1.1",
          "198.17.255.255", "198.20.0.1", "223.255.255.255", "126.255.255.255", "128.0.0.1", "11.0.0.1", "9.255.255.255",
          "192.167.255.255", "192.169.0.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2003::1", "2001:4860:4860::8888",
          "3ffe::1"]  # fmt: skip
CLOSED = ["0.0.0.1", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
          "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1",
          "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255",
          "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
          "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b::7f00:1",
          "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "fc00::1",
          "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "5f00::1", "4000::1", "1fff::1"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_admitted(address: str) -> None:
    assert Reach().admits(ip_address(address))


@pytest.mark.parametrize("address", CLOSED)
def test_other_addresses_are_not(address: str) -> None:
    assert not Reach().admits(ip_address(address))
    allowed = Reach(networks=parse_reach_networks([address]))
    assert allowed.admits(ip_address(address)), "the operator may allow each"


def test_an_allowed_network_allows_nothing_beside_it() -> None:
    reach = Reach(networks=parse_reach_networks(["10.1.0.0/16", "fd00::/64"]))
    assert reach.admits(ip_address("10.1.255.255"))
    assert not reach.admits(ip_address("10.2.0.0"))
    assert reach.admits(ip_address("fd00::ff"))
    assert not reach.admits(ip_address("fd00:0:0:1::1"))
    assert not reach.admits(ip_address("::ffff:10.1.0.1")), "mapped addresses are not unwrapped"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/hook?x=1",
        "http://hooks.example.co.uk:80/",
        "https://xn--bcher-kva.example/",
        "https://under_score.example./a",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]:443/x",
        "HTTPS://EXAMPLE.COM/",
    ],
)
def test_such_urls_are_read(url: str) -> None:
    assert parse_url(url).text == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://example.com/",
        "unix:///run/docker.sock",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com/#fragment",
        "https://example.com/#",
        "https://example.com/a b",
        "https://example.com/\t",
        "https://example.com\\@127.0.0.1/",
        "https://exam\nple.com/",
        "https://bücher.example/",
        "https://exampl\u0435.com/",
        "https://\u2460\u2461\u2462.example/",
        "https://127。0。0。1/",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:1023/",
        "https://example.com:65536/",
        "https://example.com:-1/",
        "https://example.com:x/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://127.0.0.0x1/",
        "https://256.1.1.1/",
        "https://1.2.3.4.5/",
        "https://[::1",
        "https://[::1%25lo]/",
        "https://[v1.x]/",
        "https://[127.0.0.1]/",
        "https://-example.com/",
        "https://example..com/",
        "https://.example.com/",
        "https://exa$mple.com/",
        "https://exa%6dple.com/",
        "https://" + "a" * 64 + ".example/",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Reach(allows_http=True).check_url(url)
    assert not url or url not in refused.value.message


def test_http_is_for_those_who_allow_it() -> None:
    with pytest.raises(InvalidInput):
        Reach().check_url("http://example.com/")
    assert Reach(allows_http=True).check_url("http://example.com/").scheme == "http"


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:1.1.1.1]"])
def test_an_address_that_is_not_public_is_refused_when_the_url_is_given(host: str) -> None:
    with pytest.raises(InvalidInput, match="not public") as refused:
        Reach().check_url(f"https://{host}/secret")
    assert "secret" not in refused.value.message


def test_a_url_is_shown_without_its_path() -> None:
    assert parse_url("https://example.com/secret?key=1").shown == "https://example.com/…"
    assert parse_url("https://[2606:4700::1]:8443/secret").shown == "https://[2606:4700::1]:8443/…"


class Names:
    """A name server that answers as the test says, each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [_info(address, port) for address in addresses]


def _info(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


async def asked(reach: Reach, names: Names, url: str) -> int:
    client = HttpClient(check=reach.check, resolver=ThreadResolver(names))
    try:
        return (await client.ask("POST", url, data=b"{}", reads_content=False, timeout_s=5)).status
    finally:
        await client.close()


async def test_a_name_that_leads_inside_is_not_connected() -> None:
    async with listening() as receiver:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises(TargetRefused):
            await asked(Reach(), Names(["127.0.0.1"]), f"http://public.example:{port}/")
        with pytest.raises(TargetRefused):
            await asked(Reach(), Names(["::ffff:127.0.0.1", "127.0.0.1"]), f"http://public.example:{port}/")
        assert receiver.requests == []


async def test_a_literal_address_is_checked_at_the_connection_too() -> None:
    async with listening() as receiver:
        with pytest.raises(TargetRefused):
            await asked(Reach(), Names(["1.1.1.1"]), receiver.url)
        assert receiver.requests == []


async def test_each_connection_is_checked_anew() -> None:
    """A name server that says a good address first, and then another."""
    reach = Reach(networks=(ip_network("127.0.0.1/32"),))
    async with listening() as receiver:
        port = receiver.url.rpartition(":")[2]
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        assert await asked(reach, names, f"http://public.example:{port}/") == 200
        with pytest.raises(TargetRefused):
            await asked(reach, names, f"http://public.example:{port}/")
        assert len(receiver.requests) == 1


async def test_of_several_addresses_only_the_good_ones_are_tried() -> None:
    reach = Reach(networks=(ip_network("127.0.0.1/32"),))
    async with listening() as receiver:
        port = receiver.url.rpartition(":")[2]
        names = Names(["10.0.0.1", "127.0.0.1", "169.254.169.254"])
        assert await asked(reach, names, f"http://public.example:{port}/") == 200


async def test_a_redirect_is_an_answer_and_no_order() -> None:
    reach = Reach(networks=(ip_network("127.0.0.0/8"),))
    async with listening() as receiver:
        receiver.status = lambda _: 307
        assert await asked(reach, Names(["127.0.0.1"]), receiver.url) == 307
        assert len(receiver.requests) == 1


async def test_a_name_that_does_not_resolve_is_no_connection() -> None:
    def nothing(_host: str, _port: int) -> Sequence[tuple[Any, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    client = HttpClient(check=Reach().check, resolver=ThreadResolver(nothing))
    with pytest.raises(NotConnected):
        await client.ask("POST", "https://nowhere.example/", data=b"")
    await client.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://node:8080", "http://node:8080"),
        ("http://node/", "http://node"),
        ("http://user:canary@node:80", "http://node:80"),
        ("wss://[::1]:9944/canary", "wss://[::1]:9944/…"),
        ("http://node?key=canary", "http://node/…"),
    ],
)
def test_of_a_node_s_url_no_secret_is_shown(url: str, shown: str) -> None:
    assert shown_place(url) == shown
