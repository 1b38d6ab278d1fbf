"""bittensor 11.1.0: a validator's day."""

# mypy: ignore-errors
# The SDK is not in the environment that checks types.

from types import SimpleNamespace

from bittensor.sp_core import Keypair

import bittensor as bt
from neuron import BOB, COLDKEY, HOTKEY, NETUID, Report, remote_wallet

report = Report()


def local_wallet() -> SimpleNamespace:
    coldkey, hotkey = Keypair.create_from_uri(COLDKEY), Keypair.create_from_uri(HOTKEY)
    return SimpleNamespace(coldkey=coldkey, coldkeypub=coldkey, hotkey=hotkey)


remote = remote_wallet()
wallet = remote or local_wallet()
chain = bt.Subtensor(report.url)


def execute(intent: object) -> bool:
    return bool(chain.execute(intent, wallet).success)


def set_weights() -> list[object]:
    result = chain.execute(bt.SetWeights(netuid=NETUID, uids=[1, 2], weights=[0.25, 0.5]), wallet)
    return [result.success, result.events[0]["event_id"]]


def metagraph() -> list[object]:
    found = chain.subnets.metagraph(NETUID)
    return [len(found.neurons), [neuron.hotkey for neuron in found.neurons]]


report.step("set_weights", set_weights)
report.commit_reveal(on=True)
report.step("commit_weights", set_weights)
report.step("metagraph", metagraph)
report.step("serve_axon", lambda: execute(bt.ServeAxon(netuid=NETUID, ip="1.2.3.4", port=8091)))
report.step("transfer", lambda: execute(bt.Transfer(dest_ss58=BOB, amount_tao=1)))
report.step(
    "add_stake",
    lambda: execute(bt.AddStake(hotkey_ss58=wallet.hotkey.ss58_address, netuid=NETUID, amount_tao=10)),
)
if remote is None:
    unstake = bt.RemoveStake(hotkey_ss58=wallet.hotkey.ss58_address, netuid=NETUID, amount_alpha=1)
    report.step("unstake", lambda: execute(unstake))
report.end()
