"""Wallets to begin with, where service and sandbox start together: a validator and a miner, registered on the subnet."""

from strongroom.bittensor.keystore.names import KeyName, coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey, Wallets
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.clock import Entropy
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor import changes
from strongroom_sandbox.bittensor.chain.genesis import RAO
from strongroom_sandbox.bittensor.changes import Neuron
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.sandbox import STAKE_RAO

NETUID = 2
HOTKEY = "default"
STAKES = {"validator": STAKE_RAO, "miner": 0}
"""Stake by wallet; a wallet with a stake gets a validator's permit."""
BALANCE_RAO = 1_000 * RAO
SEED_BYTES = 32


async def seed_wallets(node: Node, wallets: Wallets, entropy: Entropy) -> None:
    """Makes the wallets that the service does not have yet, and registers on subnet 2 the hotkeys that are not."""
    for name, stake in STAKES.items():
        owner, key = coldkey(name), hotkey(name, HOTKEY)
        addresses = await _addresses(wallets)
        if key not in addresses:
            await wallets.import_(OPERATOR, [_new(one, entropy) for one in (owner, key)])
            addresses = await _addresses(wallets)
        public = decode_address(addresses[key])
        if node.chain.storage.get("SubtensorModule", "Uids", NETUID, public) is not None:
            continue
        owner_public = decode_address(addresses.get(owner, addresses[key]))
        neuron = Neuron(
            netuid=NETUID, hotkey=public, coldkey=owner_public, stake=stake, permit=stake > 0 or None
        )
        node.produce(changes.add_neuron(neuron))
        node.produce(changes.fund(owner_public, BALANCE_RAO))


async def _addresses(wallets: Wallets) -> dict[KeyName, str]:
    return {entry.key: entry.address for entry in await wallets.list() if entry.address is not None}


def _new(key: KeyName, entropy: Entropy) -> NewKey:
    """A key that nobody knows: its data folder may be used for more than a sandbox one day."""
    pair = Keypair.from_seed(entropy.token(SEED_BYTES))
    return NewKey(key=key, public_key=pair.public_key, keypair=pair)
