"""Makes block 0: the first balances, and the two subnets with which every chain begins."""

from dataclasses import dataclass, field

from strongroom_sandbox.bittensor.chain.blocks import Block, genesis_block
from strongroom_sandbox.bittensor.chain.chain import Chain
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.codec.runtime import shipped_runtime
from strongroom_sandbox.bittensor.execution.accounts import NEW_LOGIC_FLAG
from strongroom_sandbox.bittensor.state.state import State
from strongroom_sandbox.bittensor.state.storage import Storage

GENESIS_HASH = b"\x45" * 32
"""The genesis hash of the chain that the recorded extrinsics were signed for."""
RAO = 10**9
RICH, MODEST = 1_000_000 * RAO, 2_000 * RAO
BALANCES = {
    **dict.fromkeys(("//Alice", "//Bob", "//Charlie"), RICH),
    **dict.fromkeys(("//Dave", "//Eve", "//Ferdie", "//One", "//Two"), MODEST),
}
SUDO = "//Alice"
FIRST_SUBNET_RAO = 10 * RAO


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What a new chain begins with."""

    spec_version: int = 293
    hash: bytes = GENESIS_HASH
    balances: dict[str, int] = field(default_factory=lambda: dict(BALANCES))
    """The balances in rao, by development URI."""
    now_ms: int = 1

    def chain(self) -> Chain:
        """Makes a new chain that no file keeps."""
        return Chain(self.block())

    def block(self) -> Block:
        """Block 0, with its state.

        Raises:
            FileNotFoundError: no metadata of this runtime is shipped.
        """
        runtime = shipped_runtime(self.spec_version)
        state = State()
        storage = Storage(runtime, state)
        storage.put("System", "Number", value=0)
        storage.put("System", "BlockHash", 0, value=self.hash)
        storage.put("Timestamp", "Now", value=self.now_ms)
        self._endow(storage)
        storage.put("Sudo", "Key", value=development_pair(SUDO)[0])
        _found_root(storage)
        _found_first_subnet(storage)
        storage.put("SubtensorModule", "TotalNetworks", value=2)
        storage.put("SubtensorModule", "TotalIssuance", value=0)
        return genesis_block(self.hash, runtime, state.snapshot())

    def _endow(self, storage: Storage) -> None:
        for uri, amount in self.balances.items():
            data = {"free": amount, "reserved": 0, "frozen": 0, "flags": NEW_LOGIC_FLAG}
            record = {"nonce": 0, "consumers": 0, "providers": 1, "sufficients": 0, "data": data}
            storage.put("System", "Account", development_pair(uri)[0], value=record)
        storage.put("Balances", "TotalIssuance", value=sum(self.balances.values()))


def _found_root(storage: Storage) -> None:
    _put_each(
        storage,
        0,
        {
            "NetworksAdded": True,
            "SubnetworkN": 0,
            "Tempo": 100,
            "MaxAllowedUids": 64,
            "MaxAllowedValidators": 64,
            "MinAllowedWeights": 0,
            "MaxWeightsLimit": 65535,
            "TargetRegistrationsPerInterval": 1,
            "MaxRegistrationsPerBlock": 10,
            "NetworkRegistrationAllowed": True,
            "SubtokenEnabled": True,
        },
    )


def _found_first_subnet(storage: Storage) -> None:
    nobody = bytes(32)
    vectors = (
        *("Rank", "Trust", "Emission", "Consensus", "Incentive"),
        *("Dividends", "LastUpdate", "PruningScores", "ValidatorTrust"),
    )
    zeros: dict[str, object] = {item: [0] for item in vectors}
    _put_each(
        storage,
        1,
        {
            "NetworksAdded": True,
            "SubnetworkN": 1,
            "Tempo": 100,
            "MaxAllowedUids": 4096,
            "MinAllowedWeights": 1024,
            "MaxWeightsLimit": 1000,
            "SubnetMechanism": 1,
            "SubnetTAO": FIRST_SUBNET_RAO,
            "SubnetAlphaIn": FIRST_SUBNET_RAO,
            "SubnetAlphaOut": 0,
            "SubnetOwner": nobody,
            "SubnetOwnerHotkey": nobody,
            "NetworkRegistrationAllowed": True,
            "TokenSymbol": b"\xce\xb1",
            "Active": [True],
            "ValidatorPermit": [False],
            **zeros,
        },
    )
    storage.put("SubtensorModule", "Keys", 1, 0, value=nobody)
    storage.put("SubtensorModule", "Uids", 1, nobody, value=0)
    storage.put("SubtensorModule", "IsNetworkMember", nobody, 1, value=True)
    storage.put("SubtensorModule", "BlockAtRegistration", 1, 0, value=0)


def _put_each(storage: Storage, netuid: int, values: dict[str, object]) -> None:
    for item, value in values.items():
        if storage.has_item("SubtensorModule", item):
            storage.put("SubtensorModule", item, netuid, value=value)
