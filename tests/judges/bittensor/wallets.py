"""Makes the wallets `validator` and `miner` with the SDK, in a folder; prints each hotkey's and coldkey's address."""

# mypy: ignore-errors
# The SDK is not in the environment that checks types.

import json
import sys

from bittensor_wallet import Wallet

made = {}
for name in ("validator", "miner"):
    wallet = Wallet(name=name, hotkey="default", path=sys.argv[1])
    wallet.create_new_coldkey(use_password=False, suppress=True)
    wallet.create_new_hotkey(use_password=False, suppress=True)
    made[name] = [wallet.hotkey.ss58_address, wallet.coldkeypub.ss58_address]
print(json.dumps(made))  # noqa: T201 - the result
