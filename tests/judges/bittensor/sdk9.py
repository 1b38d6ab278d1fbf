"""bittensor 9.8.3: a validator's day."""

# mypy: ignore-errors
# The SDK is not in the environment that checks types.

import tempfile

from bittensor_wallet import Keypair, Wallet

import bittensor as bt
from neuron import BOB, COLDKEY, HOTKEY, NETUID, NEWCOMER, Report, remote_wallet

report = Report()


def local_wallet() -> Wallet:
    made = Wallet(name="validator", hotkey="default", path=tempfile.mkdtemp())
    made.set_coldkey(Keypair.create_from_uri(COLDKEY), encrypt=False)
    made.set_coldkeypub(Keypair.create_from_uri(COLDKEY), encrypt=False)
    made.set_hotkey(Keypair.create_from_uri(HOTKEY), encrypt=False)
    return made


remote = remote_wallet()
wallet = remote or local_wallet()
chain = bt.Subtensor(network=report.url)


def set_weights(*, waits: bool) -> list[object]:
    success, message = chain.set_weights(
        wallet=wallet,
        netuid=NETUID,
        uids=[1, 2],
        weights=[0.25, 0.5],
        wait_for_inclusion=waits,
        wait_for_finalization=waits,
    )
    return [success, message]


def metagraph() -> list[object]:
    found = chain.metagraph(NETUID)
    return [int(found.n), list(found.hotkeys)]


def serve_axon() -> bool:
    axon = bt.axon(wallet=wallet, port=8091, ip="1.2.3.4", external_ip="1.2.3.4")
    return bool(chain.serve_axon(netuid=NETUID, axon=axon))


def add_stake() -> bool:
    amount = bt.Balance.from_tao(10)
    return bool(
        chain.add_stake(wallet=wallet, netuid=NETUID, hotkey_ss58=wallet.hotkey.ss58_address, amount=amount)
    )


def unstake() -> bool:
    amount, hotkey = bt.Balance.from_tao(1).set_unit(NETUID), wallet.hotkey.ss58_address
    return bool(chain.unstake(wallet=wallet, netuid=NETUID, hotkey_ss58=hotkey, amount=amount))


def burned_register() -> bool:
    newcomer = Wallet(name="validator", hotkey="newcomer", path=wallet.path)
    newcomer.set_hotkey(Keypair.create_from_uri(NEWCOMER), encrypt=False)
    return bool(chain.burned_register(wallet=newcomer, netuid=NETUID))


report.step("set_weights", lambda: set_weights(waits=True))
report.step("set_weights_at_once", lambda: set_weights(waits=True))
report.step("metagraph", metagraph)
report.step("serve_axon", serve_axon)
report.step("transfer", lambda: chain.transfer(wallet=wallet, dest=BOB, amount=bt.Balance.from_tao(1)))
report.step("add_stake", add_stake)
report.step("set_weights_unwaited", lambda: set_weights(waits=False))
if remote is None:
    report.step("unstake", unstake)
    report.step("burned_register", burned_register)
report.step("tempo", lambda: chain.get_subnet_hyperparameters(NETUID).tempo)
report.step("weights", lambda: chain.weights(NETUID))
report.end()
