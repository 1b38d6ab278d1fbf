"""The client for miners and validators, in a blocking and in an asyncio form."""

import asyncio
import logging
from typing import Any, Self

from strongroom.bittensor.client.breaker import Breaker
from strongroom.bittensor.client.chain import teach
from strongroom.bittensor.client.journal import Journal
from strongroom.bittensor.client.local import LocalWallet, SetWeights
from strongroom.bittensor.client.remote import RemoteWallet
from strongroom.bittensor.client.result import Result, not_sent
from strongroom.bittensor.client.service import Service, ServiceError
from strongroom.bittensor.client.settings import ServiceSettings, read_settings
from strongroom.bittensor.client.signing import MessageSigner
from strongroom.bittensor.client.transport import Transport
from strongroom.bittensor.client.weights import Patience, Request, WeightSetter
from strongroom.core.clock import Clock, Entropy, SystemClock, SystemEntropy

log = logging.getLogger(__name__)


class WalletService:
    """A wallet service, and the local wallet for when it is away. Thread-safe."""

    def __init__(
        self,
        settings: ServiceSettings | None = None,
        *,
        local: SetWeights | None = None,
        local_wallet: Any = None,
        patience: Patience | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        """`local` is the SDK's own `subtensor.set_weights`; without it the client has no fallback.

        `local_wallet`: the SDK's wallet whose hotkey lies on this machine; the one given to `set_weights` when None.
        """
        settings = settings or read_settings()
        clock = clock or SystemClock()
        self.service = Service(Transport(settings.url, settings.token))
        self._local = local
        self._local_wallet = local_wallet
        self._breaker = Breaker(clock, settings.cool_down_s, self.service.url)
        self._setter = WeightSetter(
            self.service,
            Journal(settings.state),
            self._breaker,
            clock=clock,
            entropy=entropy or SystemEntropy(),
            patience=patience or Patience(),
        )

    @classmethod
    def from_config(
        cls, config: Any = None, *, local: SetWeights | None = None, local_wallet: Any = None
    ) -> Self:
        """From the arguments of `add_arguments` and the environment."""
        return cls(read_settings(config), local=local, local_wallet=local_wallet)

    def wallet(
        self, name: str = "default", hotkey: str = "default", *, allow_all_zero_weights: bool = False
    ) -> RemoteWallet:
        """A wallet for the SDK, whose keys the service holds. Its messages are signed locally while that is away.

        `allow_all_zero_weights`: the SDK may set weights with it that are all zero.

        Raises:
            ServiceError: the service is away, or does not know the wallet, or the token may not use it.
        """
        teach()
        return RemoteWallet(
            MessageSigner(self.service, self._breaker, self._local_wallet),
            name,
            hotkey,
            allow_all_zero_weights=allow_all_zero_weights,
        )

    def wallet_or_local(self, name: str = "default", hotkey: str = "default") -> Any:
        """Returns the service's wallet or, while the service is away, the local wallet if its hotkey is on this machine.

        Raises:
            ServiceError: there is neither; or the service refuses, which is no reason to fall back.
        """
        try:
            return self.wallet(name, hotkey)
        except ServiceError as error:
            path = LocalWallet.hotkey_path(self._local_wallet)
            if not error.away or path is None or not path.is_file():
                raise
            log.warning("%s: falling back to the local wallet at %s", error, path)
            return self._local_wallet

    def set_weights(
        self,
        wallet: Any,
        netuid: int,
        uids: Any,
        weights: Any,
        *,
        mechid: int = 0,
        version_key: int = 0,
        wait_for_inclusion: bool = False,
        wait_for_finalization: bool = False,
        allow_all_zero_weights: bool = False,
        **_others: Any,
    ) -> Result:
        """Asks the service to set weights. It takes the arguments of the SDK's method of this name.

        Args:
            wallet: of the SDK, a `RemoteWallet`, or the names `"wallet/hotkey"`.
            netuid: subnet.
            uids: neurons; a list, array or tensor.
            weights: integers 0 to 65535, which pass unchanged, or floats, which the service normalises.
            mechid: mechanism of the subnet.
            version_key: of the subnet's code.
            wait_for_inclusion: answer when it is in a block.
            wait_for_finalization: answer when that block is final.
            allow_all_zero_weights: weights that are all zero take away all that the hotkey has set; only if this says so.
            _others: what other versions of the SDK take (period, max_attempts, block_time ...); the service decides these.
        """
        name, hotkey = _names(wallet)
        values = _plain(weights)
        if not (
            any(values) or allow_all_zero_weights
        ):  # nor by the local wallet, whatever the SDK makes of it
            return not_sent("all weights are zero: where that is meant, say allow_all_zero_weights=True")
        data = {
            "netuid": int(netuid),
            "uids": [int(uid) for uid in _plain(uids)],
            "weights": values,
            "version_key": int(version_key),
            "wait_for_finalization": bool(wait_for_finalization),
            "wait_for_inclusion": bool(wait_for_inclusion),
        }
        if mechid:
            data["mechid"] = int(mechid)
        if allow_all_zero_weights:
            data["allow_all_zero_weights"] = True
        request = Request(
            wallet_name=name, hotkey_name=hotkey, transaction_data=data, local=self._fallback(wallet)
        )
        return self._setter.set_weights(request)

    def _fallback(self, wallet: Any) -> LocalWallet | None:
        own = self._local_wallet if self._local_wallet is not None else wallet
        return LocalWallet(self._local, own) if self._local is not None else None


class AsyncWalletService:
    """The same for asyncio: each call runs in a thread, for the SDK's local fallback blocks too."""

    def __init__(self, blocking: WalletService) -> None:
        self.blocking = blocking

    @classmethod
    def from_config(
        cls, config: Any = None, *, local: SetWeights | None = None, local_wallet: Any = None
    ) -> Self:
        return cls(WalletService.from_config(config, local=local, local_wallet=local_wallet))

    async def wallet(self, name: str = "default", hotkey: str = "default") -> RemoteWallet:
        return await asyncio.to_thread(self.blocking.wallet, name, hotkey)

    async def set_weights(
        self, wallet: Any, netuid: int, uids: Any, weights: Any, **arguments: Any
    ) -> Result:
        """As `WalletService.set_weights`."""
        return await asyncio.to_thread(self.blocking.set_weights, wallet, netuid, uids, weights, **arguments)


def _names(wallet: Any) -> tuple[str, str]:
    if isinstance(wallet, str):
        name, _, hotkey = wallet.partition("/")
        return name, hotkey or "default"
    return str(wallet.name), str(getattr(wallet, "hotkey_str", None) or "default")


def _plain(values: Any) -> list[Any]:
    """Turns a list, a numpy array or a tensor into a list of Python numbers."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [value.item() if hasattr(value, "item") else value for value in listed]
