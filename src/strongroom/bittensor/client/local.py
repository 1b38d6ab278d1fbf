"""Sets weights with the node's own wallet while the service is away."""

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strongroom.bittensor.client.result import Fate, Result

log = logging.getLogger(__name__)

SetWeights = Callable[..., Any]

LOCAL_PERIOD_BLOCKS = 8
"""How long an extrinsic of the local wallet stays valid, where the SDK lets us say: short, for it is in the way."""
BLOCK_S = 12
NO_ATTEMPT = ("no attempt", "not registered", "too soon")


class LocalWallet:
    """Sets weights with the SDK and a key file on this machine.

    `set_weights` is the SDK's own (`subtensor.set_weights`), `wallet` a wallet of the SDK.
    """

    def __init__(self, set_weights: SetWeights, wallet: Any) -> None:
        self._set_weights = set_weights
        self._wallet = wallet

    def missing(self) -> str | None:
        """Returns why there is no local wallet to fall back to; None when there is one."""
        path = self.hotkey_path(self._wallet)
        if path is None:
            return "no local wallet was given"
        return None if path.is_file() else f"there is no local hotkey at {path}"

    @staticmethod
    def hotkey_path(wallet: Any) -> Path | None:
        """Returns the file in which the SDK keeps this wallet's hotkey."""
        path, name = getattr(wallet, "path", None), getattr(wallet, "name", None)
        hotkey = getattr(wallet, "hotkey_str", None)
        if not (path and name and hotkey):
            return None
        return Path(path).expanduser() / str(name) / "hotkeys" / str(hotkey)

    def set_weights(self, arguments: dict[str, Any]) -> Result:
        """Sets weights. The fate is UNKNOWN unless the SDK says that it worked, or that it did not try."""
        try:
            success, message, *_ = self._set_weights(wallet=self._wallet, **self._accepted(arguments))
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, the node gets an answer
            return self._result(False, f"{type(error).__name__}: {error}")
        return self._result(success is True, "" if message is None else str(message), untried=message is None)

    def _accepted(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments that this version of the SDK knows."""
        known = inspect.signature(self._set_weights).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            return arguments
        return {name: value for name, value in arguments.items() if name in known}

    @staticmethod
    def _result(success: bool, message: str, *, untried: bool = False) -> Result:
        untried = untried or any(words in message.lower() for words in NO_ATTEMPT)
        fate = Fate.ACCEPTED if success else Fate.REFUSED if untried else Fate.UNKNOWN
        said = message or ("set by the local wallet" if success else "the local wallet made no attempt")
        return Result(success=success, message=said, fate=fate, source="local")
