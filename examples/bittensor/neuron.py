"""What miner and validator share: arguments, chain, wallet, and the wallet service in place of a key."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import bittensor as bt
from strongroom.bittensor.client import ServiceError, WalletService, add_arguments

log = logging.getLogger("neuron")

ENDPOINTS = {
    "local": "ws://127.0.0.1:9944",
    "test": "wss://test.finney.opentensor.ai:443",
    "finney": "wss://entrypoint-finney.opentensor.ai:443",
}


LOCAL_ADDRESS = "127.0.0.2"
"""Loopback as a local chain takes it: it refuses neurons at 127.0.0.1."""


def is_local(endpoint: str) -> bool:
    return urlsplit(endpoint).hostname in {"127.0.0.1", "localhost"}


def arguments(role: str, environment: Mapping[str, str] = os.environ) -> argparse.ArgumentParser:
    """Every argument of a neuron; `network`, `netuid` and `chain_endpoint` come from the environment too."""
    network = environment.get("network", "local")
    parser = argparse.ArgumentParser(description=f"A {role} without a private key")
    parser.add_argument("--netuid", type=int, default=int(environment.get("netuid", "2")))
    parser.add_argument(
        "--subtensor.chain_endpoint",
        dest="endpoint",
        default=environment.get("chain_endpoint") or ENDPOINTS.get(network, network),
        help="WebSocket of the chain",
    )
    parser.add_argument("--wallet.name", dest="wallet_name", default=environment.get("wallet_name", role))
    parser.add_argument(
        "--wallet.hotkey", dest="hotkey_name", default=environment.get("hotkey_name", "default")
    )
    parser.add_argument(
        "--wallet.path", dest="wallet_path", default="~/.bittensor/wallets", help="of the local wallet"
    )
    add_arguments(parser)
    return parser


class Neuron:
    """A connection to the chain, and a wallet that the service keeps.

    When the service is away at the start, the local wallet is used, if there is one. Without chain or wallet the program ends
    with a sentence.
    """

    def __init__(self, config: argparse.Namespace) -> None:
        self.config = config
        self.netuid: int = config.netuid
        if is_local(config.endpoint):  # the SDK asks hosts of the Internet for this machine's address
            bt.utils.networking.get_external_ip = lambda: LOCAL_ADDRESS
        try:
            self.subtensor = bt.Subtensor(network=config.endpoint)
        except OSError as error:
            sys.exit(
                f"no chain answers at {config.endpoint} ({error}); a local one comes with the wallet service"
            )
        local = bt.Wallet(name=config.wallet_name, hotkey=config.hotkey_name, path=config.wallet_path)
        self.service = WalletService.from_config(config, local=self.subtensor.set_weights, local_wallet=local)
        try:
            self.wallet: Any = self.service.wallet_or_local(config.wallet_name, config.hotkey_name)
        except ServiceError as error:
            sys.exit(str(error))
        self.hotkey: str = self.wallet.hotkey.ss58_address
        log.info("hotkey %s by %s, chain %s", self.hotkey, type(self.wallet).__name__, config.endpoint)

    def uid(self) -> int:
        """This neuron's number in the subnet; ends the program with a sentence where it has none."""
        uid = self.subtensor.get_uid_for_hotkey_on_subnet(self.hotkey, self.netuid)
        if uid is None:
            sys.exit(f"hotkey {self.hotkey} is not registered on subnet {self.netuid}")
        return int(uid)


def until_stopped() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def start_log() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
