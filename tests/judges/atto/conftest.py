"""The official client, and our service for it to deal with: the same network and service as in `tests/atto`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from atto.conftest import network, shared_database_url, shared_network, shared_service
from strongroom.atto.protocol import Mnemonic
from strongroom_sandbox.atto import GENESIS_ADDRESS
from support.atto_network import AttoNetwork
from support.js_atto import JsAtto, JsWallet, installed

__all__ = ["network", "shared_database_url", "shared_network", "shared_service"]

StartJsWallet = Callable[..., AbstractAsyncContextManager[JsWallet]]


@pytest.fixture(scope="session")
def js_atto() -> JsAtto:
    """The official JavaScript client."""
    return installed()


@pytest.fixture(name="js_wallet")
def start_js_wallet(js_atto: JsAtto, network: AttoNetwork) -> StartJsWallet:
    """Starts an official wallet at the test's network; `phrase` is its mnemonic, or it makes one."""

    def wallet(phrase: str = "", *, receives: bool = True) -> AbstractAsyncContextManager[JsWallet]:
        return js_atto.wallet(
            node_url=network.node_url,
            work_url=network.work_url,
            mnemonic=Mnemonic.parse(phrase) if phrase else None,
            representative=GENESIS_ADDRESS if receives else None,
        )

    return wallet
