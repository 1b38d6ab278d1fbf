"""Reads what the chain says of a hotkey in a subnet, at one block, and chooses the call that sets its weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from strongroom.bittensor.gateway import CallUnknown, Chain, Item, Runtime
from strongroom.bittensor.protocol import calls
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.bittensor.protocol.weight_calls import weights_in
from strongroom.bittensor.protocol.weights import (
    MAX_U16,
    WeightSet,
    commit_hash,
    exceeds_share,
    is_self_weight,
    mechanism_index,
)
from strongroom.bittensor.weights import timelock
from strongroom.core.clock import Entropy

LIMITS: Final = (
    "SubnetworkN",
    "ValidatorPermit",
    "SubnetOwnerHotkey",
    "MinAllowedWeights",
    "MaxWeightsLimit",
)
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
MAX_TEMPO: Final = 50_400
"""After so many blocks the chain runs an epoch, whatever the subnet's own count says (subtensor, `should_run_epoch`)."""


Check = tuple[bool, str, str]
"""Whether the chain refuses, the name of its error, and what to say of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A hotkey in a subnet, at block `block`."""

    block: int
    runtime: Runtime
    netuid: int
    mechid: int
    exists: bool
    uid: int | None
    """The uid of the hotkey; None: it is not registered there."""
    commit_reveal: bool
    rate_limit: int
    last_update: int
    version_key: int
    epochs: dict[str, int]
    counts_epochs: bool
    """True: the chain stores the epoch's number. Before runtime 400 or so it followed from the block's number."""
    timelock_version: int
    mechanisms: int | None
    """How many mechanisms the subnet has; None: the runtime has no mechanisms."""
    neurons: int
    has_permit: bool
    """True: the hotkey may set weights for others than itself, or may be allowed to when a commit is revealed."""
    min_weights: int
    max_weight: int
    """How much of the sum one weight may have, in 65535ths."""

    @property
    def index(self) -> int:
        return mechanism_index(self.netuid, self.mechid)

    @property
    def blocks_to_wait(self) -> int:
        """How many blocks until the next block may hold weights of the hotkey. The chain compares with `>=`, at the block that holds them."""
        if not self.last_update:
            return 0
        return max(0, self.rate_limit - (self.block + 1 - self.last_update))

    @property
    def next_epoch(self) -> int:
        """The number of the epoch that the next block belongs to, where the chain keeps one."""
        pending, since = self.epochs["PendingEpochAt"], self.block + 1 - self.epochs["LastEpochBlock"]
        tempo, is_overdue = self.epochs["Tempo"], self.epochs["BlocksSinceLastStep"] > MAX_TEMPO
        is_due = tempo > 0 and (0 < pending <= self.block + 1 or is_overdue or since >= tempo)
        return self.epochs["SubnetEpochIndex"] + is_due

    def obstacle(self, weights: WeightSet | None) -> Failure | None:
        """Returns why the chain would surely refuse these weights, so that nothing is signed. `weights` None: they are hidden."""
        refusals = (check for checks in (self._of_hotkey(), self._of_weights(weights)) for check in checks)
        return next((_failure(name, docs) for is_refused, name, docs in refusals if is_refused), None)

    def _of_hotkey(self) -> Iterator[Check]:
        yield not self.exists, "SubNetworkDoesNotExist", "The subnet does not exist."
        yield self.netuid == 0, "CanNotSetRootNetworkWeights", "The root network takes no weights."
        if self.mechanisms is not None and self.mechid >= self.mechanisms:
            yield True, "MechanismDoesNotExist", f"The subnet has {self.mechanisms} mechanisms, from 0 on."
        docs = "The hotkey is not registered in the subnet (or is a coldkey)."
        yield self.uid is None, "HotKeyNotRegisteredInSubNet", docs

    def _of_weights(self, weights: WeightSet | None) -> Iterator[Check]:
        """Runs the checks in the order of the chain's own."""
        if weights is None or self.uid is None:
            return
        docs = f"The subnet asks for version key {self.version_key} or above."
        yield weights.version_key < self.version_key, "IncorrectWeightVersionKey", docs
        count, alone = len(weights.uids), is_self_weight(self.uid, weights)
        docs = f"The subnet has {self.neurons} neurons, and these are {count}."
        yield count > self.neurons, "UidsLengthExceedUidsInSubNet", docs
        docs = f"The hotkey, uid {self.uid}, has no permit: it may set a weight for itself alone."
        yield not (alone or self.has_permit), "NeuronNoValidatorPermit", docs
        docs = f"The subnet has the uids 0 to {self.neurons - 1}, and not {max(weights.uids)}."
        yield max(weights.uids) >= self.neurons, "UidVecContainInvalidOne", docs
        if alone:
            return
        docs = f"The subnet asks for {self.min_weights} weights or more, not {count}."
        yield count < min(self.neurons, self.min_weights), "WeightVecLengthIsLow", docs
        docs = (
            f"One weight may have {self.max_weight / MAX_U16:.4f} of the sum (the chain's MaxWeightsLimit is"
            f" {self.max_weight}). BITTENSOR_IGNORE_MAX_WEIGHTS_LIMIT leaves that to the chain."
        )
        is_too_large = self.max_weight != MAX_U16 and exceeds_share(weights.values, self.max_weight)
        yield is_too_large, "MaxWeightExceeded", docs


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The call, and what must be stored first if it is revealed later."""

    call: Call
    salt: list[int] | None = None
    commit: bytes | None = None


class Subnets:
    """Reads subnets. `ignore_max_weight`: do not check the limit that the chain stores for the share of one weight."""

    def __init__(self, chain: Chain, *, ignore_max_weight: bool = False) -> None:
        self._chain = chain
        self._ignore_max_weight = ignore_max_weight

    async def look(self, netuid: int, mechid: int, public_key: bytes) -> Subnet:
        """Reads everything at the best block.

        Raises:
            Unavailable: the chain does not answer.
        """
        found = await _look(self._chain, netuid, mechid, public_key)
        return replace(found, max_weight=MAX_U16) if self._ignore_max_weight else found

    async def obstacle_to(self, call: Call, public_key: bytes, *, may_be_zero: bool) -> Failure | None:
        """Returns what `Subnet.obstacle` says of a call that sets, commits or reveals weights; None for every other call.

        Raises:
            AllZero, ProtocolError: of `weights_in`.
            Unavailable: the chain does not answer.
        """
        for part in weights_in(call, may_be_zero=may_be_zero):
            subnet = await self.look(part.netuid, part.mechid, public_key)
            failure = subnet.obstacle(part.weights)
            if failure is None and subnet.commit_reveal == part.is_plain:
                name = "CommitRevealEnabled" if part.is_plain else "CommitRevealDisabled"
                failure = _failure(name, f"The subnet has commit-reveal {'on' if part.is_plain else 'off'}.")
            if failure is not None:
                return failure
        return None

    async def uids(self, netuid: int, hotkeys: Sequence[bytes]) -> list[int | None]:
        """Reads the hotkeys' uids at the best block; None: the hotkey is not registered there."""
        heads = await self._chain.heads()
        items = [Item(SUBTENSOR, "Uids", (netuid, hotkey)) for hotkey in hotkeys]
        return await self._chain.read(items, heads.best.hash)


async def _look(chain: Chain, netuid: int, mechid: int, public_key: bytes) -> Subnet:
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
        *(Item(SUBTENSOR, name, (netuid,)) for name in LIMITS),
        *(Item(SUBTENSOR, name, (netuid,)) for name in EPOCHS),
    ]
    found: list[Any] = await chain.read(items, heads.best.hash)
    exists, uid, commit_reveal, rate_limit, updates, version_key, timelock_version, mechanisms, *more = found
    (neurons, permits, owner, min_weights, max_weight), epochs = more[: len(LIMITS)], more[len(LIMITS) :]
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
        neurons=neurons or 0,
        # A permit comes with an epoch: it may be there when a commit is revealed. Runtimes since 2026 ask the hotkey of
        # the subnet's owner for none.
        has_permit=bool(commit_reveal)
        or (uid is not None and bool(permits) and uid < len(permits) and bool(permits[uid]))
        or _is_account(owner, public_key),
        min_weights=min_weights or 0,
        max_weight=MAX_U16 if max_weight is None else max_weight,
    )


def plan(subnet: Subnet, weights: WeightSet, public_key: bytes, entropy: Entropy) -> Plan:
    """Chooses the call that the chain's runtime has for this subnet as it is now.

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


def _is_account(value: Any, public_key: bytes) -> bool:
    """Compares an account, as the metadata's codec decodes it, with a public key."""
    return isinstance(value, str) and value in {encode_address(public_key), f"0x{public_key.hex()}"}


def _failure(name: str, docs: str) -> Failure:
    return Failure(type="Module", name=name, docs=docs)
