"""What the programs of all SDKs share. They run in environments of their own: nothing here but the standard library."""

import json
import os
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from typing import Any

COLDKEY, HOTKEY, NEWCOMER = "//Alice", "//Alice//hk0", "//Alice//newcomer"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
NETUID = 2


def remote_wallet() -> Any | None:
    """A wallet whose keys lie in the wallet service, where the test has one; then there is no key in this process."""
    if "WALLET_SERVICE_URL" not in os.environ:
        return None
    from strongroom.bittensor.client import WalletService  # noqa: PLC0415 - not on the path of the other tests

    return WalletService().wallet("validator")


class Report:
    """Carries out steps and prints what became of each, as one line of JSON at the end."""

    def __init__(self) -> None:
        self.url = sys.argv[1]
        """WebSocket of the chain."""
        self._outcomes: dict[str, Any] = {}

    def step(self, name: str, act: Callable[[], Any]) -> None:
        started_s = time.monotonic()
        try:
            outcome = act()
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is an outcome to be judged
            traceback.print_exc()
            outcome = repr(error)
        self._outcomes[name] = outcome
        sys.stderr.write(f"{name}: {outcome} after {time.monotonic() - started_s:.2f} s\n")

    def commit_reveal(self, *, on: bool) -> None:
        """Changes the subnet's setting by the sandbox's own route."""
        body = {"netuid": NETUID, "settings": {"CommitRevealWeightsEnabled": on}}
        url = self.url.replace("ws", "http", 1) + "/_subnet"
        urllib.request.urlopen(url, json.dumps(body).encode()).read()  # noqa: S310 - the sandbox's

    def end(self) -> None:
        """Ends the process at once: SDKs leave threads behind that would keep it."""
        sys.stdout.write(json.dumps(self._outcomes) + "\n")
        sys.stdout.flush()
        os._exit(0)
