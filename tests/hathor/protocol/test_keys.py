import base64
import itertools
from typing import Any

import pytest
from coincurve import PrivateKey

from strongroom.hathor.protocol.addresses import (
    MAINNET,
    NETWORKS,
    TESTNET,
    Address,
    parse_address,
    public_key_address,
)
from strongroom.hathor.protocol.errors import ProtocolError, SignatureError
from strongroom.hathor.protocol.keys import address_chain, first_address, parse_xpub, wallet_id
from strongroom.hathor.protocol.messages import (
    authentication_message,
    message_digest,
    sign_message,
    verify_message,
)


def test_addresses_of_the_wallet(vectors: dict[str, Any]) -> None:
    wallet = vectors["wallet"]
    chain = address_chain(wallet["acct_xpub"])
    for network in (MAINNET, TESTNET):
        expected = wallet[f"addr_{network.name}"]
        assert [chain.child_address(i).encode(network) for i in range(len(expected))] == expected
        assert [chain.child(i).address().encode(network) for i in range(3)] == expected[:3]


def test_change_level_key_and_round_trip(vectors: dict[str, Any]) -> None:
    wallet = vectors["wallet"]
    assert address_chain(wallet["acct_xpub"]).encode() == wallet["change_xpub"]
    assert parse_xpub(wallet["auth_xpub"]).encode() == wallet["auth_xpub"]


def test_wallet_id_and_first_address_do_not_depend_on_depth(vectors: dict[str, Any]) -> None:
    assert wallet_id(vectors["wallet"]["acct_xpub"]) == vectors["wallet"]["wallet_id"]
    seed = vectors["wallet_id_from_seed_document"]
    assert wallet_id(seed["xpubkey"]) == seed["walletId"]
    expected = seed["first_addresses_service_derivation_xpub/0/i"]
    assert first_address(seed["xpubkey"], MAINNET) == expected[0]
    chain = address_chain(seed["xpubkey"])
    assert [chain.child_address(i).encode(MAINNET) for i in range(len(expected))] == expected


def test_signed_messages(vectors: dict[str, Any]) -> None:
    signed = vectors["signed_messages"]
    for name in ("sig_xpub_mainnet", "sig_auth_mainnet", "sig_xpub_testnet", "sig_auth_testnet"):
        case = signed[name]
        message = authentication_message(signed["timestamp"], vectors["wallet"]["wallet_id"], case["address"])
        assert message == case["message"]
        assert message_digest(message).hex() == case["message_sha256d"]
        verify_message(message, case["signature"], case["address"])
        with pytest.raises(SignatureError):
            verify_message(message + "0", case["signature"], case["address"])


def test_base64_of_every_kind(vectors: dict[str, Any]) -> None:
    """The original's decoder takes them all."""
    signed = vectors["signed_messages"]["sig_auth_mainnet"]
    signature: str = signed["signature"]
    url_safe = signature.replace("+", "-").replace("/", "_")
    for written in (
        signature.rstrip("="),
        url_safe,
        url_safe.rstrip("="),
        f"{signature[:40]}\n{signature[40:]}",
    ):
        verify_message(signed["message"], written, signed["address"])
    with pytest.raises(SignatureError):
        verify_message(signed["message"], signature[:-2], signed["address"])


def test_auth_address_is_the_keys_own(vectors: dict[str, Any]) -> None:
    xpub = parse_xpub(vectors["wallet"]["auth_xpub"])
    assert xpub.address().encode(MAINNET) == vectors["signed_messages"]["sig_auth_mainnet"]["address"]


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!", "A" * 88])
def test_malformed_message_signatures_are_refused(signature: str) -> None:
    with pytest.raises(SignatureError):
        verify_message("text", signature, "HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62")


def test_signatures_may_lack_leading_zeros() -> None:
    """bitcore leaves them out; the first is a registration of wallet-lib 4.1.0, which failed by that."""
    xpub = parse_xpub(
        "xpub6CY5J71aybeg99AXsi9aanuNV5DCvUt8C2dKmDcLABkJGRnHaNwkeS3FHFinHdYs8rTWgRPj7XrZnAjm6MzXUDsWW5XaUyaQVHjbeapwLwb"
    )
    address = xpub.address().encode(TESTNET)
    message = authentication_message(1795280625, wallet_id(xpub.encode()), address)
    signature = "IFff02wMn0DwKwSFe0i9UFRA51/uhvyLcgJsBefX15NOR40UfAX90F/KvO+KcocEptbup3Jh1Ug33DVCMTbQGA=="
    verify_message(message, signature, address)
    with pytest.raises(SignatureError):
        verify_message(message + "0", signature, address)


@pytest.mark.parametrize("place", [1, 33])
def test_either_number_of_a_signature_may_be_short(place: int) -> None:
    key = b"\x07" * 32
    address = public_key_address(PrivateKey(key).public_key.format()).encode(MAINNET)
    signed = ((number, base64.b64decode(sign_message(str(number), key))) for number in itertools.count())
    number, whole = next((number, whole) for number, whole in signed if whole[place] == 0)
    short = base64.b64encode(whole[:place] + whole[place + 1 :]).decode()
    verify_message(str(number), short, address)
    with pytest.raises(SignatureError, match="another key"):
        verify_message(str(number + 1), short, address)


def test_long_messages_sign_and_verify() -> None:
    key = (1).to_bytes(32)
    address = public_key_address(PrivateKey(key).public_key.format()).encode(MAINNET)
    for size in (0, 252, 253, 70_000):
        signature = sign_message("x" * size, key)
        verify_message("x" * size, signature, address)
        with pytest.raises(SignatureError, match="another key"):
            verify_message("x" * (size + 1), signature, address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xpub", "Invalid checksum"),
        ("0OIl", "'0' is not a base58 letter"),
        ("HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62", "An extended key has 78 bytes"),
    ],
)
def test_malformed_xpubs_are_refused(text: str, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        parse_xpub(text)


def test_private_keys_are_refused(vectors: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="Invalid network version"):
        parse_xpub(vectors["wallet"]["acct_xpriv"])


def test_address_of_another_network_is_refused(vectors: dict[str, Any]) -> None:
    text = vectors["wallet"]["addr_mainnet"][0]
    assert parse_address(text, MAINNET).encode(MAINNET) == text
    assert isinstance(parse_address(text, MAINNET), Address)
    with pytest.raises(ProtocolError, match="not of testnet"):
        parse_address(text, TESTNET)
    assert set(NETWORKS) == {"mainnet", "testnet", "privatenet"}
