"""Networks, as people write them and as clients come from them."""

import pytest

from strongroom.core.errors import InvalidInput
from strongroom.core.security.networks import MAX_NETWORKS, is_within, parse_networks


def test_networks_are_kept_once_in_their_shortest_form_and_in_order() -> None:
    given = ["2001:DB8:0::/48", " 192.0.2.9 ", "10.0.0.0/8", "192.0.2.9/32", "2001:db8::/48"]
    assert parse_networks(given) == ("10.0.0.0/8", "192.0.2.9/32", "2001:db8::/48")
    assert parse_networks([]) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.0.2.7/24", "has host bits set"),
        ("2001:db8::1/64", "has host bits set"),
        ("192.0.2.0/33", "is no network"),
        ("192.0.2.0/-1", "write an address, or"),
        ("192.0.2.0/", "write an address, or"),
        ("192.0.2.0/255.255.255.0", "write an address, or"),
        ("192.0.2.0/0.0.0.255", "write an address, or"),
        ("192.0.2.0/٢٤", "write an address, or"),
        ("192.0.2", "is no network"),
        ("192.000.002.000/24", "is no network"),
        ("3221225984", "is no network"),
        ("office", "is no network"),
        ("", "is no network"),
        ("fe80::%eth0/64", "write an address, or"),
        ("2001:db8::1", "a whole /64"),
        ("2001:db8::/65", "a whole /64"),
        ("::ffff:192.0.2.7", "as a network of IPv4"),
        ("::ffff:192.0.2.0/120", "as a network of IPv4"),
    ],
)
def test_what_is_no_network_of_clients_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as raised:
        parse_networks(["10.0.0.0/8", text])
    assert raised.value.instance_code == "network_invalid"


def test_there_are_not_too_many_networks() -> None:
    networks = [f"10.0.{number}.0/24" for number in range(MAX_NETWORKS)]
    assert len(parse_networks(networks)) == MAX_NETWORKS
    with pytest.raises(InvalidInput, match="at most 64 networks, not 65"):
        parse_networks([*networks, "192.0.2.1"])


@pytest.mark.parametrize(
    ("source", "networks", "within"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("192.0.3.7", ["192.0.2.0/24"], False),
        ("192.0.3.7", ["192.0.2.0/24", "192.0.3.7/32"], True),
        ("192.0.2.7", ["192.0.2.7"], True),
        ("192.0.2.7", [], False),
        ("192.0.2.7", ["0.0.0.0/0"], True),
        ("192.0.2.7", ["::/0"], False),
        ("2001:db8::/64", ["2001:db8::/48"], True),
        ("2001:db8::/64", ["2001:db8::/64"], True),
        ("2001:db8:1::/64", ["2001:db8::/48"], False),
        ("2001:db8::/64", ["2001:db8::/96"], False),
        ("2001:db8::/64", ["0.0.0.0/0"], False),
        ("2001:db8::/64", ["::/0"], True),
        ("", ["0.0.0.0/0", "::/0"], False),
        ("a-unix-socket", ["0.0.0.0/0", "::/0"], False),
    ],
)
def test_a_client_is_within_a_network_of_its_own_family(
    source: str, networks: list[str], within: bool
) -> None:
    assert is_within(source, networks) is within


def test_one_ipv6_client_s_network_is_the_narrowest() -> None:
    assert parse_networks(["2001:db8::/64"]) == ("2001:db8::/64",)
