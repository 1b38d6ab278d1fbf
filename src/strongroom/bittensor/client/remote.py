"""Wallets and keys whose private half is in the service. They have what the SDK needs, and nothing more."""

import asyncio
from collections.abc import Awaitable
from typing import Any, NamedTuple

from strongroom.bittensor.client.signing import MessageSigner

SR25519 = 1
SS58_PREFIX = 42
SIGNATURE_BYTES = 64
PERIOD_BLOCKS = 16
"""The longest era of an extrinsic; the SDK's own are longer, or none at all."""


class RemoteKeypair:
    """Looks like the SDK's `Keypair`; signs by asking the service.

    Messages are signed by `sign`, extrinsics by `sign_call`: see `chain.teach`.
    """

    crypto_type = SR25519
    ss58_format = SS58_PREFIX
    private_key = None
    seed_hex = None
    mnemonic = None

    def __init__(
        self,
        signer: MessageSigner,
        *,
        wallet_name: str,
        hotkey_name: str,
        ss58_address: str,
        role: str,
        allow_all_zero_weights: bool = False,
    ) -> None:
        self._signer = signer
        self._service = signer.service
        self.wallet_name = wallet_name
        self.hotkey_name = hotkey_name
        self.ss58_address = ss58_address
        self.role = role
        """`hotkey` or `coldkey`."""
        self.public_key = public_key(ss58_address)
        self._allow_all_zero_weights = allow_all_zero_weights

    def sign(self, data: str | bytes | Any) -> bytes:
        """Signature of a message, 64 bytes.

        Raises:
            ServiceError: the service is away, or refuses (it signs no extrinsic this way).
        """
        kind = "general" if self.role == "hotkey" else "coldkey"
        return self._signer.sign(self, _text(data), kind)

    def delegate(self) -> "Delegate | None":
        """Who signs the calls of a coldkey that is not in the service; None: the key itself.

        Raises:
            ServiceError: the service is away.
        """
        if self.role != "coldkey":
            return None
        found = self._service.info(self.wallet_name, self.hotkey_name).get("coldkey_proxy")
        if not found:
            return None
        key = RemoteKeypair(
            self._signer,
            wallet_name=self.wallet_name,
            hotkey_name=self.hotkey_name,
            ss58_address=found["address"],
            role=self.role,
        )
        return Delegate(key, found["type"])

    def sign_call(self, call: bytes, era: bytes, nonce: int, tip: int = 0) -> bytes:
        """Signature of an extrinsic: the service reads the call and builds the payload itself.

        Raises:
            ServiceError: the service is away, the token may not make this call, or the nonce is not the next one.
        """
        document = {
            "wallet_name": self.wallet_name,
            "hotkey_name": self.hotkey_name,
            "signer": self.role,
            "call": f"0x{call.hex()}",
            "era": f"0x{era.hex()}",
            "nonce": nonce,
            "tip": tip,
        }
        if self._allow_all_zero_weights:
            document["allow_all_zero_weights"] = True
        return bytes.fromhex(self._service.post("/wallet/extrinsics/sign", document)["signature"])

    def sign_extrinsic_payload(self, payload: dict[str, Any]) -> dict[str, str] | Awaitable[dict[str, str]]:
        """Signs a payload in the JSON form of browser wallets, as SDK 11 asks; answers `{"signature": "0x01..."}`.

        In an event loop the answer is to be awaited: the loop may have to submit what the service waits for.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._sign_payload(payload)
        return asyncio.to_thread(self._sign_payload, payload)

    def _sign_payload(self, payload: dict[str, Any]) -> dict[str, str]:
        signature = self.sign_call(
            bytes.fromhex(payload["method"].removeprefix("0x")),
            bytes.fromhex(payload["era"].removeprefix("0x")),
            int(payload["nonce"], 16),
            int(payload.get("tip") or "0x0", 16),
        )
        return {"signature": f"0x{SR25519:02x}{signature.hex()}"}

    def verify(self, data: str | bytes | Any, signature: bytes | str) -> bool:
        text = signature.hex() if isinstance(signature, bytes) else signature.removeprefix("0x")
        return self._service.verify(self.wallet_name, self.hotkey_name, _text(data), text)

    def __repr__(self) -> str:
        return f"RemoteKeypair({self.role} {self.ss58_address} at {self._service.url})"


class Delegate(NamedTuple):
    """The key that the chain lets call for a coldkey, and as what."""

    key: RemoteKeypair
    proxy_type: str


class RemoteWallet:
    """Looks like the SDK's `Wallet`, and enough like its hotkey for the dendrite, which takes either.

    It is not a complete keypair, because SDK 11 would then sign with it what the coldkey should sign.
    """

    path = ""

    def __init__(
        self,
        signer: MessageSigner,
        name: str = "default",
        hotkey: str = "default",
        *,
        allow_all_zero_weights: bool = False,
    ) -> None:
        """Asks the service for the wallet's addresses.

        Raises:
            ServiceError: it does not know the wallet, or the token may not use it.
        """
        info = signer.service.info(name, hotkey)
        self.name = name
        self.hotkey_str = hotkey
        self._signer = signer
        self._allow_all_zero_weights = allow_all_zero_weights
        self.hotkey = self._key("hotkey", info["hotkey_address"])
        self.hotkeypub = self.hotkey
        coldkey = info.get("coldkey_address")
        self.coldkey = self._key("coldkey", coldkey) if coldkey else None
        self.coldkeypub = self.coldkey

    @property
    def ss58_address(self) -> str:
        return self.hotkey.ss58_address

    def sign(self, data: str | bytes) -> bytes:
        return self.hotkey.sign(data)

    def verify(self, data: str | bytes, signature: bytes | str) -> bool:
        return self.hotkey.verify(data, signature)

    def unlock_hotkey(self) -> RemoteKeypair:
        """Returns the hotkey; only the service unlocks keys."""
        return self.hotkey

    def unlock_coldkey(self) -> RemoteKeypair | None:
        return self.coldkey

    def get_hotkey(self, password: str | None = None) -> RemoteKeypair:  # noqa: ARG002 - the SDK's signature
        return self.hotkey

    def get_coldkeypub(self) -> RemoteKeypair | None:
        return self.coldkeypub

    def __repr__(self) -> str:
        return f"RemoteWallet({self.name}/{self.hotkey_str} at {self._signer.service.url})"

    def _key(self, role: str, address: str) -> RemoteKeypair:
        return RemoteKeypair(
            self._signer,
            wallet_name=self.name,
            hotkey_name=self.hotkey_str,
            ss58_address=address,
            role=role,
            allow_all_zero_weights=self._allow_all_zero_weights,
        )


ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ADDRESS_BYTES = 35


def public_key(ss58_address: str) -> bytes:
    """The 32 bytes in an SS58 address with a one-byte prefix. The checksum is not verified, because the service made the address."""
    number = 0
    for letter in ss58_address:
        number = number * 58 + ALPHABET.index(letter)
    return number.to_bytes(ADDRESS_BYTES, "big")[1:33]


def _text(data: Any) -> str:
    """Reads data as the SDK's keypair does: text stands for its UTF-8 bytes, and `0x...` for the bytes in hex."""
    if isinstance(data, str):
        return data
    raw = bytes(getattr(data, "data", data))
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
    return f"0x{raw.hex()}" if text.startswith("0x") else text
