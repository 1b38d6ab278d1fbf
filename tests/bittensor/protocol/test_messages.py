"""Which messages may be signed: none that could be a transaction, or stand for one."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.bittensor.protocol.errors import RefusedMessage
from strongroom.bittensor.protocol.messages import MessageKind, parse_message

OWN = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
OTHER = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
UUID = "2f7a9a80-c6c1-11f0-9f2c-0242ac120002"
NONCE = "1763729464123456789"
BODY = hashlib.sha3_256(b"body").hexdigest()
DENDRITE = f"{NONCE}.{OWN}.{OTHER}.{UUID}.{BODY}"
AXON = f"{NONCE}.{OTHER}.{OWN}.{UUID}"
REQUEST = f"btauth/1\nsr25519\nPOST\n/a?b=c\n{BODY}\n{NONCE}\n{OWN}\n{OTHER}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1763729464123", MessageKind.TIMESTAMP),
        ("<Bytes>anything, über alles\nand more</Bytes>", MessageKind.WRAPPED),
        ("<Bytes></Bytes>", MessageKind.WRAPPED),
        (DENDRITE, MessageKind.DENDRITE),
        (DENDRITE.replace(OTHER, "None"), MessageKind.DENDRITE),
        (AXON, MessageKind.AXON),
        (REQUEST, MessageKind.REQUEST),
        (REQUEST.replace(OTHER, "-"), MessageKind.REQUEST),
    ],
)
def test_known_forms_are_signed_as_they_are(text: str, kind: MessageKind) -> None:
    message = parse_message(text, OWN)
    assert (message.kind, message.payload) == (kind, text.encode())


@pytest.mark.parametrize("text", [DENDRITE, AXON, REQUEST])
@pytest.mark.parametrize("any_text", [False, True])
def test_a_message_in_another_s_name_is_not_signed(text: str, any_text: bool) -> None:
    stranger = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"
    with pytest.raises(RefusedMessage, match="in the name of"):
        parse_message(text, stranger, any_text=any_text)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "176372946412x",
        "123456789",
        "1" * 21,
        "<Bytes>open",
        "<bytes>a</bytes>",
        "<Bytes>",
        DENDRITE + "\n",
        f"{DENDRITE}.more",
        "0x" + "00" * 40,
        "x" * 32,
    ],
)
def test_other_text_needs_to_be_allowed(text: str) -> None:
    with pytest.raises(RefusedMessage, match="Only messages of known forms"):
        parse_message(text, OWN)


def test_any_text_is_any_but_digests_and_hex() -> None:
    assert parse_message("I own this.", OWN, any_text=True).kind is MessageKind.TEXT
    with pytest.raises(RefusedMessage, match="digest"):
        parse_message("x" * 32, OWN, any_text=True)
    with pytest.raises(RefusedMessage, match="digest"):
        parse_message("ü" * 16, OWN, any_text=True)
    with pytest.raises(RefusedMessage, match="0x"):
        parse_message("0x0700", OWN, any_text=True)


@pytest.mark.parametrize("text", ["", "x" * 65_537, "\ud800"])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(RefusedMessage):
        parse_message(text, OWN, any_text=True)


@given(
    st.binary(max_size=200),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**24 - 1),
    st.binary(min_size=32, max_size=32),
    st.booleans(),
)
def test_no_payload_of_a_transaction_is_a_message(
    call: bytes, spec_version: int, transaction_version: int, block: bytes, wrapped: bool
) -> None:
    """Also in hands that may choose the call: `<Bytes>` as its first bytes, `</Bytes>` in the hash at its end."""
    versions = spec_version.to_bytes(4, "little") + transaction_version.to_bytes(4, "little")
    genesis = bytes([0x45]) * 32
    payload = call + bytes(3) + b"\x00" + versions + genesis + block + b"\x00"
    if wrapped:
        payload = b"<Bytes>" + call + b"\x01" + versions + genesis + block + b"\x01" + bytes(24) + b"</Bytes>"
    text = payload.decode("latin-1")
    with pytest.raises(RefusedMessage):
        parse_message(text, OWN, any_text=True)
    try:
        decoded = payload.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(RefusedMessage):
        parse_message(decoded, OWN, any_text=True)
