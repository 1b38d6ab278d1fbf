"""A blocking and an asyncio client of one SDK (9, 10 or 11) that stay open, and do what lines of JSON ask for.

It prints one line for each: `{"success": ..., "message": ...}`. With `together` the asyncio client does several at once.
"""

# mypy: ignore-errors
# The SDK is not in the environment that checks types.

import asyncio
import inspect
import json
import os
import sys
import threading
from importlib.metadata import version

OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the SDKs print, from their import on

import bittensor as bt  # noqa: E402
from strongroom.bittensor.client import WalletService  # noqa: E402

URL, LOCAL_URI = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
NETUID = 2
MAJOR = int(version("bittensor").partition(".")[0])


class Clients:
    """`wallet` has its keys in the service, `local` in this process."""

    def __init__(self) -> None:
        self.wallet = WalletService().wallet("validator")
        self.local = local_keypair()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.blocking = new_11() if MAJOR >= 11 else bt.Subtensor(network=URL)
        self.asyncio = self.run(self.open())

    async def open(self) -> object:
        client = new_11() if MAJOR >= 11 else bt.AsyncSubtensor(network=URL)
        return await client if MAJOR >= 11 else await client.__aenter__()

    def run(self, coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(150)

    def do(self, command: dict) -> object:
        if "together" in command:
            return self.run(self.together(command["together"]))
        act = ACTS[command.pop("act")]
        if command.pop("client") == "sync":
            return tried(lambda: act(self, self.blocking, **command))
        return self.run(self.awaited(act, command))

    async def together(self, commands: list) -> list:
        return await asyncio.gather(*(self.awaited(ACTS[one.pop("act")], one) for one in commands))

    async def awaited(self, act: object, command: dict) -> dict:
        try:
            return await act(self, self.asyncio, **command)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is an outcome to be judged
            return failed(error)


def new_11() -> object:
    """By default it gives up for good when the chain is away for some seconds, whoever signs."""
    return bt.Subtensor(URL, retry_forever=True)


def local_keypair() -> object:
    if LOCAL_URI is None:
        return None
    if MAJOR >= 11:
        from bittensor.sp_core import Keypair  # noqa: PLC0415
    else:
        from bittensor_wallet import Keypair  # noqa: PLC0415
    return Keypair.create_from_uri(LOCAL_URI)


def tried(act: object) -> dict:
    try:
        return act()
    except Exception as error:  # noqa: BLE001
        return failed(error)


def failed(error: Exception) -> dict:
    return {"success": False, "message": repr(error)}


def done(response: object) -> object:
    """Of whatever an SDK answers: a flag, a pair, an object; or of a coroutine that will answer it."""
    if inspect.isawaitable(response):
        return awaited_done(response)
    if isinstance(response, bool):
        return {"success": response, "message": ""}
    if isinstance(response, tuple):
        return {"success": response[0], "message": str(response[1])}
    return {"success": bool(response.success), "message": str(response.message)}


async def awaited_done(response: object) -> dict:
    return done(await response)


def transfer(clients: Clients, chain: object, amount: int, dest: str = BOB) -> object:
    if MAJOR >= 11:
        intent = bt.Transfer(dest_ss58=dest, amount_tao=amount / 1e9)
        return done(chain.execute(intent, clients.wallet))
    named = {"dest": dest} if MAJOR == 9 else {"destination_ss58": dest}
    amount = bt.Balance.from_rao(amount)
    return done(chain.transfer(wallet=clients.wallet, amount=amount, **named))


def set_weights(clients: Clients, chain: object, weights: list) -> object:
    uids = list(range(1, 1 + len(weights)))
    if MAJOR >= 11:
        return done(chain.execute(bt.SetWeights(netuid=NETUID, uids=uids, weights=weights), clients.wallet))
    return done(
        chain.set_weights(
            wallet=clients.wallet,
            netuid=NETUID,
            uids=uids,
            weights=weights,
            wait_for_inclusion=True,
            wait_for_finalization=False,
        )
    )


def fee(clients: Clients, chain: object, amount: int) -> object:
    """Of the same transfer, for the remote coldkey and for the same key in this process."""
    keys = (clients.wallet.coldkeypub, clients.local)
    if inspect.iscoroutinefunction(getattr(getattr(chain, "substrate", None), "get_payment_info", None)):
        return fees_async(chain, keys, amount)
    if MAJOR >= 11:
        return fees_11(clients, chain, amount)
    call = chain.substrate.compose_call("Balances", "transfer_keep_alive", {"dest": BOB, "value": amount})
    infos = [chain.substrate.get_payment_info(call, key) for key in keys]
    return {"success": True, "message": "", "fees": [info["partial_fee"] for info in infos]}


async def fees_async(chain: object, keys: tuple, amount: int) -> dict:
    arguments = {"dest": BOB, "value": amount}
    call = await chain.substrate.compose_call("Balances", "transfer_keep_alive", arguments)
    infos = [await chain.substrate.get_payment_info(call, key) for key in keys]
    return {"success": True, "message": "", "fees": [info["partial_fee"] for info in infos]}


def fees_11(clients: Clients, chain: object, amount: int) -> object:
    from types import SimpleNamespace  # noqa: PLC0415

    intent = bt.Transfer(dest_ss58=BOB, amount_tao=amount / 1e9)
    key = clients.local
    local = SimpleNamespace(coldkey=key, coldkeypub=key, hotkey=key)
    plans = [chain.plan(intent, wallet) for wallet in (clients.wallet, local)]
    if any(inspect.isawaitable(plan) for plan in plans):
        return planned(plans)
    return told(plans)


async def planned(plans: list) -> dict:
    return told([await plan for plan in plans])


def told(plans: list) -> dict:
    warnings = [warning for plan in plans for warning in plan.warnings if "estimate" in warning]
    fees = [None if plan.fee is None else plan.fee.rao for plan in plans]
    return {"success": not warnings, "message": " ".join(warnings), "fees": fees}


ACTS = {"transfer": transfer, "set_weights": set_weights, "fee": fee}

clients = Clients()
print("ready", file=OUT, flush=True)
for line in sys.stdin:
    print(json.dumps(clients.do(json.loads(line))), file=OUT, flush=True)
