"""What the chain says of a hotkey in a subnet, read at one block, and which call sets its weights there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from strongroom.bittensor import timelock
from strongroom.bittensor.gateway import CallUnknown, Chain, Item, Runtime
from strongroom.bittensor.protocol import calls
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.weights import WeightSet, commit_hash, mechanism_index
from strongroom.core.clock import Entropy

EPOCHS: Final = (
    "Tempo",
    "RevealPeriodEpochs",
    "LastEpochBlock",
    "PendingEpochAt",
    "SubnetEpochIndex",
    "BlocksSinceLastStep",
)
TIMELOCK_VERSION: Final = 4
SALT_NUMBERS: Final = 8
LONGEST_TEMPO: Final = 50_400
"""Beyond it an epoch is run whatever the subnet's own count says (subtensor, `should_run_epoch`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """At block `block`."""

    block: int
    runtime: Runtime
    netuid: int
    mechid: int
    exists: bool
    uid: int | None
    """Of the hotkey; None: it is not registered there."""
    commit_reveal: bool
    rate_limit: int
    last_update: int
    version_key: int
    epochs: dict[str, int]
    counts_epochs: bool
    """Whether the chain keeps a number of the epoch; before runtime 400 or so it followed from the block's."""
    timelock_version: int
    mechanisms: int | None
    """How many the subnet has; None: the runtime knows none."""

    @property
    def index(self) -> int:
        return mechanism_index(self.netuid, self.mechid)

    @property
    def blocks_to_wait(self) -> int:
        """Until the next block may hold weights of the hotkey. The chain wants `>=`, at the block that holds them."""
        if not self.last_update:
            return 0
        return max(0, self.rate_limit - (self.block + 1 - self.last_update))

    @property
    def next_epoch(self) -> int:
        """The number of the epoch that the next block belongs to, where the chain keeps one."""
        pending, since = self.epochs["PendingEpochAt"], self.block + 1 - self.epochs["LastEpochBlock"]
        tempo, is_overdue = self.epochs["Tempo"], self.epochs["BlocksSinceLastStep"] > LONGEST_TEMPO
        is_due = tempo > 0 and (0 < pending <= self.block + 1 or is_overdue or since >= tempo)
        return self.epochs["SubnetEpochIndex"] + is_due

    def obstacle(self, weights: WeightSet) -> Failure | None:
        """What the chain would refuse for certain: then nothing needs to be signed."""
        if not self.exists:
            return _failure("SubNetworkDoesNotExist", "The subnet does not exist.")
        if self.netuid == 0:
            return _failure("CanNotSetRootNetworkWeights", "The root network takes no weights.")
        if self.mechanisms is not None and self.mechid >= self.mechanisms:
            return _failure(
                "MechanismDoesNotExist", f"The subnet has {self.mechanisms} mechanisms, from 0 on."
            )
        if self.uid is None:
            return _failure(
                "HotKeyNotRegisteredInSubNet", "The hotkey is not registered in the subnet (or is a coldkey)."
            )
        if self.version_key and weights.version_key < self.version_key:
            return _failure(
                "IncorrectWeightVersionKey", f"The subnet asks for version key {self.version_key} or above."
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The call, and what must be stored before it is sent when it has to be revealed later."""

    call: Call
    salt: list[int] | None = None
    commit: bytes | None = None


async def look(chain: Chain, netuid: int, mechid: int, public_key: bytes) -> Subnet:
    """Reads everything at the best block.

    Raises:
        Unavailable: the chain does not answer.
    """
    runtime, heads = await chain.runtime(), await chain.heads()
    index = mechanism_index(netuid, mechid)
    items = [
        Item(SUBTENSOR, "NetworksAdded", (netuid,)),
        Item(SUBTENSOR, "Uids", (netuid, public_key)),
        Item(SUBTENSOR, "CommitRevealWeightsEnabled", (netuid,)),
        Item(SUBTENSOR, "WeightsSetRateLimit", (netuid,)),
        Item(SUBTENSOR, "LastUpdate", (index,)),
        Item(SUBTENSOR, "WeightsVersionKey", (netuid,)),
        Item(SUBTENSOR, "CommitRevealWeightsVersion"),
        Item(SUBTENSOR, "MechanismCountCurrent", (netuid,)),
        *(Item(SUBTENSOR, name, (netuid,)) for name in EPOCHS),
    ]
    found: list[Any] = await chain.read(items, heads.best.hash)
    exists, uid, commit_reveal, rate_limit, updates, version_key, timelock_version, mechanisms, *epochs = (
        found
    )
    known = updates or []
    return Subnet(
        block=heads.best.number,
        runtime=runtime,
        netuid=netuid,
        mechid=mechid,
        exists=bool(exists),
        uid=uid,
        commit_reveal=bool(commit_reveal),
        rate_limit=rate_limit or 0,
        last_update=known[uid] if uid is not None and uid < len(known) else 0,
        version_key=version_key or 0,
        counts_epochs=epochs[EPOCHS.index("SubnetEpochIndex")] is not None,
        epochs={name: value or 0 for name, value in zip(EPOCHS, epochs, strict=True)},
        timelock_version=timelock_version or TIMELOCK_VERSION,
        mechanisms=mechanisms,
    )


async def read_uids(chain: Chain, netuid: int, hotkeys: Sequence[bytes]) -> list[int | None]:
    """The hotkeys' uids at the best block; None: not registered there."""
    heads = await chain.heads()
    items = [Item(SUBTENSOR, "Uids", (netuid, hotkey)) for hotkey in hotkeys]
    return await chain.read(items, heads.best.hash)


def plan(subnet: Subnet, weights: WeightSet, public_key: bytes, entropy: Entropy) -> Plan:
    """The call that the chain's runtime has for this subnet as it is now.

    Raises:
        CallUnknown: the runtime has none that this service can make.
        Unavailable: the weights cannot be sealed.
    """
    if subnet.commit_reveal:
        return _commit(subnet, weights, public_key, entropy)
    if subnet.runtime.has(SUBTENSOR, "set_mechanism_weights"):
        return Plan(call=calls.set_mechanism_weights(subnet.netuid, subnet.mechid, weights))
    if subnet.mechid == 0:
        return Plan(call=calls.set_weights(subnet.netuid, weights))
    raise CallUnknown("The chain knows no mechanisms")


def _commit(subnet: Subnet, weights: WeightSet, public_key: bytes, entropy: Entropy) -> Plan:
    runtime, netuid, mechid = subnet.runtime, subnet.netuid, subnet.mechid
    if runtime.has(SUBTENSOR, "commit_timelocked_mechanism_weights"):
        sealed, round_number = timelock.seal(
            weights, public_key, subnet.epochs, subnet.block, runtime.block_s
        )
        version = subnet.timelock_version
        return Plan(
            call=calls.commit_timelocked_mechanism_weights(netuid, mechid, sealed, round_number, version)
        )
    raw = entropy.token(2 * SALT_NUMBERS)
    salt = [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]
    digest = commit_hash(public_key, subnet.index, weights, salt)
    if runtime.has(SUBTENSOR, "commit_mechanism_weights"):
        call = calls.commit_mechanism_weights(netuid, mechid, digest)
    elif mechid == 0:
        call = calls.commit_weights(netuid, digest)
    else:
        raise CallUnknown("The chain knows no mechanisms")
    return Plan(call=call, salt=salt, commit=digest)


def _failure(name: str, docs: str) -> Failure:
    return Failure(type="Module", name=name, docs=docs)
