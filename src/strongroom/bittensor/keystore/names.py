"""Names of wallets and hotkeys, and which key of a wallet signs. A name becomes part of a path, so it is checked."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from strongroom.core.errors import InvalidInput

_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.@+ -]{0,62}[A-Za-z0-9_.@+-])?")
DEFAULT_HOTKEY: Final = "default"


class KeyKind(enum.StrEnum):
    COLDKEY = "coldkey"
    HOTKEY = "hotkey"
    PROXY = "proxy"
    """Calls for the coldkey: the chain has named it the coldkey's proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyName:
    """One key. The coldkey of a wallet and its proxy have no names of their own."""

    wallet: str
    kind: KeyKind
    name: str = ""

    def __str__(self) -> str:
        if self.kind is KeyKind.PROXY:
            return f"{self.wallet}/(proxy)"  # no hotkey can have this name
        return f"{self.wallet}/{self.name or self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Which key of which wallet signs: the hotkey, or the coldkey."""

    wallet: str
    hotkey: str
    coldkey: bool

    @property
    def key(self) -> KeyName:
        """Raises: InvalidInput: no valid names."""
        checked = hotkey(self.wallet, self.hotkey)
        return coldkey(self.wallet) if self.coldkey else checked


@dataclass(frozen=True, slots=True, kw_only=True)
class HotkeyNames:
    """Hotkeys of one wallet, by their addresses."""

    names: Mapping[str, str] = field(default_factory=dict)
    is_complete: bool = True
    """False: the address of some hotkey of the wallet is not known without its password."""


def coldkey(wallet: str) -> KeyName:
    """Raises: InvalidInput: no name for a wallet."""
    _require(wallet, "wallet", "invalid_wallet_name")
    return KeyName(wallet=wallet, kind=KeyKind.COLDKEY)


def proxy(wallet: str) -> KeyName:
    """Raises: InvalidInput: no name for a wallet."""
    return replace(coldkey(wallet), kind=KeyKind.PROXY)


def hotkey(wallet: str, name: str) -> KeyName:
    """Raises: InvalidInput: no name for a wallet, or for a hotkey."""
    _require(wallet, "wallet", "invalid_wallet_name")
    _require(name, "hotkey", "invalid_hotkey_name")
    return KeyName(wallet=wallet, kind=KeyKind.HOTKEY, name=name)


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _require(text: str, what: str, code: str) -> None:
    if not is_name(text):
        raise InvalidInput(
            f"The name of a {what} has 1 to 64 letters, digits, spaces and any of _ . @ + -, begins with a letter,"
            " a digit or _, and ends with no space",
            code=code,
        )
