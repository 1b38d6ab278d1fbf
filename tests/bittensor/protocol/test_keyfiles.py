"""Key files: every form that btwallet and the releases before it wrote."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.bittensor.protocol.errors import KeyFileError, PasswordNeeded, ProtocolError, WrongPassword
from strongroom.bittensor.protocol.keyfiles import (
    Encryption,
    encryption_of,
    nacl_file,
    password_variable,
    read_key,
    read_public,
    reveal_password,
)
from strongroom.bittensor.protocol.keyfiles.writing import key_file, public_file
from strongroom.bittensor.protocol.keys import Keypair, verify

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "bittensor" / "keyfiles.json").read_text()
)
WALLETS = VECTORS["wallets"]
FILES = [
    pytest.param(wallet, name, id=f"{wallet['name']}-{name}")
    for wallet in WALLETS
    for name in wallet["files"]
]
SECRET = {name: wallet for wallet in WALLETS for name in [wallet["name"]]}
ALICE = Keypair.from_uri("//Alice")
ALICE_SECRET = "0x" + ALICE.secret().hex()
BOB = Keypair.from_uri("//Bob")


def content(wallet: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(wallet["files"][name]["base64"])


def file(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(("wallet", "name"), FILES)
def test_every_vector_is_read(wallet: dict[str, Any], name: str) -> None:
    expected, data = wallet["expected"], content(wallet, name)
    if name == "coldkeypub.txt":
        public = read_public(data)
        assert (public.address, public.public_key.hex()) == (expected["ss58"], expected["public_key"][2:])
        with pytest.raises(KeyFileError, match="holds no secret"):
            read_key(data)
        return
    keypair = read_key(data, wallet.get("coldkey_password"))
    assert (keypair.address, keypair.public_key.hex()) == (expected["ss58"], expected["public_key"][2:])
    assert verify(keypair.public_key, b"message", keypair.sign(b"message"))


@pytest.mark.parametrize(
    ("name", "encryption"),
    [
        ("mnemonic_12", Encryption.NACL),
        ("legacy_ansible_vault", Encryption.ANSIBLE_VAULT),
        ("legacy_fernet", Encryption.FERNET),
    ],
)
def test_a_wrong_password_is_told_from_damage_and_from_none(name: str, encryption: Encryption) -> None:
    data = content(SECRET[name], "coldkey")
    assert encryption_of(data) is encryption
    with pytest.raises(WrongPassword):
        read_key(data, "not the password")
    with pytest.raises(PasswordNeeded):
        read_key(data)
    with pytest.raises(PasswordNeeded):
        read_public(data)


@pytest.mark.parametrize(
    "data",
    [nacl_file.MAGIC, nacl_file.MAGIC + bytes(39), b"$ANSIBLE_VAULT;1.1;AES256\nzz", b"$ANSIBLE_VAULT;9\n00"],
)
def test_a_damaged_encrypted_file_is_an_error_of_its_own(data: bytes) -> None:
    with pytest.raises(KeyFileError) as raised:
        read_key(data, "password")
    assert not isinstance(raised.value, WrongPassword)


@given(
    seed=st.binary(min_size=32, max_size=32),
    kept=st.sets(st.sampled_from(["privateKey", "secretSeed"]), min_size=1),
    public=st.sets(st.sampled_from(["publicKey", "accountId", "ss58Address", "cryptoType"])),
    order=st.randoms(),
    empty=st.booleans(),
)
@settings(deadline=None)
def test_fields_in_any_order_and_number_give_the_same_key(
    seed: bytes, kept: set[str], public: set[str], order: Any, empty: bool
) -> None:
    keypair = Keypair.from_seed(seed)
    every: dict[str, object] = {
        "privateKey": "0x" + keypair.secret().hex(),
        "secretSeed": seed.hex(),
        "publicKey": "0x" + keypair.public_key.hex(),
        "accountId": "0x" + keypair.public_key.hex(),
        "ss58Address": keypair.address,
        "cryptoType": 1,
    }
    fields = [(name, every[name]) for name in sorted(kept | public)] + (
        [("secretPhrase", None)] if empty else []
    )
    order.shuffle(fields)
    data = json.dumps(dict(fields)).encode()
    assert read_key(data).secret() == keypair.secret()
    assert read_public(data).public_key == keypair.public_key


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (file(privateKey=ALICE_SECRET, ss58Address=BOB.address), "not that of its secret"),
        (file(privateKey=ALICE_SECRET, secretSeed="0x" + "11" * 32), "belong to different keys"),
        (file(publicKey="0x" + ALICE.public_key.hex(), ss58Address=BOB.address), "belong to different keys"),
        (file(privateKey=ALICE_SECRET, ss58Address="5Gxx"), "damaged"),
        (file(privateKey=ALICE_SECRET, cryptoType=0), "ed25519"),
        (file(privateKey=ALICE_SECRET, cryptoType=7), "unknown cryptoType"),
        (file(privateKey="0xzz"), "privateKey of the key file is not hex"),
        (file(privateKey="0x" + "ff" * 64), "damaged"),
        (file(secretSeed="0x1122"), "damaged"),
        (file(secretPhrase="one two three"), "damaged"),
        (file(ss58Address=ALICE.address), "holds no secret"),
        (file(publicKey="0x11"), "has not 32 bytes"),
        (b"[]", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_without_its_secrets(data: bytes, reason: str) -> None:
    with pytest.raises(KeyFileError, match=reason) as raised:
        read_key(data)
    assert ALICE_SECRET[2:] not in str(raised.value)
    assert "one two" not in str(raised.value)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for read in (read_key, read_public):
        with pytest.raises(ProtocolError):
            read(data)


def test_the_password_variable_of_btwallet() -> None:
    vector = VECTORS["password_env"]
    assert password_variable(vector["path"]) == vector["name"]
    assert reveal_password(vector["name"], vector["value"]) == vector["password"]
    with pytest.raises(KeyFileError, match=vector["name"]) as raised:
        reveal_password(vector["name"], "open sesame")
    assert "sesame" not in str(raised.value)


def test_what_is_written_is_read_again() -> None:
    keypair = Keypair.from_uri("//Written")
    assert read_key(key_file(keypair, None, b"")).secret() == keypair.secret()
    sealed = key_file(keypair, "a password", bytes(24))
    assert read_key(sealed, "a password").secret() == keypair.secret()
    assert keypair.secret().hex().encode() not in sealed
    with pytest.raises(WrongPassword):
        read_key(sealed, "another")
    assert read_public(public_file(keypair.public_key)).address == keypair.address
