"""Opens the wallet `validator` in a folder with the SDK and a password; prints what it finds."""

# mypy: ignore-errors
# The SDK is not in the environment that checks types.

import json
import sys

from bittensor_wallet import Wallet

wallet = Wallet(name="validator", hotkey="default", path=sys.argv[1])
found = {
    "hotkey": wallet.hotkey.ss58_address,
    "coldkeypub": wallet.coldkeypub.ss58_address,
    "is_encrypted": wallet.coldkey_file.is_encrypted(),
    "coldkey": wallet.coldkey_file.get_keypair(password=sys.argv[2]).ss58_address,
}
signature = wallet.hotkey.sign(b"opened")
found["signs"] = wallet.hotkey.verify(b"opened", signature)
print(json.dumps(found))  # noqa: T201 - the result
