"""Clients behind proxies are distinguished, and none can use another one's address."""

import pytest

from strongroom.core.http.forwarded import TrustedProxies, parse_proxies

NOBODY = TrustedProxies()
ONE = parse_proxies("1")
INSIDE = parse_proxies("10.0.0.0/8, fd00::/8,127.0.0.1")


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        (NOBODY, "198.51.100.7", [], "198.51.100.7"),
        (NOBODY, "198.51.100.7", ["1.1.1.1"], "198.51.100.7"),
        (ONE, "10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (ONE, "10.0.0.1", [], "10.0.0.1"),
        (parse_proxies("2"), "10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (parse_proxies("2"), "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (INSIDE, "10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (INSIDE, "10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        (INSIDE, "198.51.100.7", ["10.9.9.9"], "198.51.100.7"),
        (INSIDE, "10.0.0.1", ["10.0.0.5"], "10.0.0.5"),
        (INSIDE, "10.0.0.1", ["203.0.113.9, garbage"], "10.0.0.1"),
        (INSIDE, "10.0.0.1", ["203.0.113.9,"], "10.0.0.1"),
        (INSIDE, "127.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        (INSIDE, "fd00::1", ["[2001:db8:1:2:3:4:5:6]:4711"], "2001:db8:1:2::/64"),
        (INSIDE, "::ffff:10.0.0.1", ["2001:db8:1:2:9::"], "2001:db8:1:2::/64"),
        (INSIDE, "", ["1.1.1.1"], ""),
        (INSIDE, "10.0.0.1", [", ".join(["10.0.0.2"] * 10_000)], "10.0.0.2"),
    ],
)
def test_the_client(proxies: TrustedProxies, peer: str, forwarded: list[str], client: str) -> None:
    assert proxies.client(peer, forwarded) == client


@pytest.mark.parametrize("text", ["17", "10.0.0.1/8", "proxy.example", "-1"])
def test_mistakes_are_told(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_proxies(text)
