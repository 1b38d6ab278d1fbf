"""What costs a validator money in silence, in metrics: by hotkey and subnet, for the keys that this service has.

One process reads it, all of one block. The netuids of a hotkey are those where it is registered, and those for which this service
has been asked for weights, so that a lost registration is seen. Weights are those of mechanism 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from strongroom.bittensor import tables
from strongroom.bittensor.gateway import Chain, Item
from strongroom.bittensor.keystore.names import KeyKind
from strongroom.bittensor.keystore.wallets import Wallets
from strongroom.bittensor.protocol.calls import SUBTENSOR
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.bittensor.weights.request import SET
from strongroom.core.json_decoder import decode_json
from strongroom.core.runtime.readings import Sample
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database

WATCH_S: Final = 30.0
SEARCH_PASSES: Final = 20
"""So many passes lie between two searches for subnets where a hotkey is registered."""
MAX_HOTKEYS: Final = 64
SUBNETS: Final = 256
"""Netuids that are searched; the chain gives the lowest free one to a new subnet, and has a limit below this."""
ROOT: Final = 0
WHOLE: Final = 2**64 - 1

OF_SUBNET: Final = (
    "NetworksAdded",
    "Tempo",
    "LastUpdate",
    "ValidatorPermit",
    "WeightsSetRateLimit",
    "ActivityCutoff",
    "ActivityCutoffFactorMilli",
    "RevealPeriodEpochs",
    "LastEpochBlock",
    "SubnetEpochIndex",
)


READINGS: Final = {
    "registered": "1 while the hotkey has a uid in the subnet; 0: it was lost.",
    "sets_weights": "1: this service was asked for weights of the hotkey in the subnet.",
    "validator_permit": "1 while the hotkey may set weights for others in the subnet.",
    "blocks_since_weights": "Blocks since the chain last took weights or a commit of the hotkey, or registered it.",
    "activity_cutoff_blocks": "After so many blocks without weights a validator of the subnet does not count.",
    "weights_rate_limit_blocks": "So many blocks must lie between two sets of weights.",
    "tempo_blocks": "Blocks of an epoch of the subnet.",
    "stake_rao": "The stake that counts for the hotkey in the subnet, in rao, with childkeys and root stake.",
    "stake_threshold_rao": "Below this stake, in rao, the chain takes no weights.",
    "unrevealed_commits": "Weights that are committed and not revealed.",
    "commit_blocks_left": "Blocks that are left to reveal the first of these; below 0: too late.",
}


class Pair(NamedTuple):
    """A hotkey in a subnet."""

    hotkey: str
    netuid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the chain says of a hotkey in a subnet, at one block."""

    block: int
    of_subnet: dict[str, Any]
    uid: int | None
    commits: Any
    stake: int | None
    threshold: int

    @property
    def since_weights(self) -> int | None:
        updates = self.of_subnet["LastUpdate"] or []
        if self.uid is None or self.uid >= len(updates):
            return None
        return max(0, self.block - int(updates[self.uid]))

    @property
    def has_permit(self) -> bool:
        permits = self.of_subnet["ValidatorPermit"] or []
        return self.uid is not None and self.uid < len(permits) and bool(permits[self.uid])

    @property
    def activity_cutoff(self) -> int:
        """After so many blocks without weights a validator does not count. Newer runtimes have it in thousandths of a tempo."""
        factor = self.of_subnet["ActivityCutoffFactorMilli"]
        if factor is not None:
            return max(1, int(factor) * int(self.of_subnet["Tempo"] or 0) // 1000)
        return int(self.of_subnet["ActivityCutoff"] or 0)

    def blocks_left(self) -> list[int]:
        """For each commit that waits to be revealed, how many blocks are left for that."""
        return [self._last_block(entry) - self.block for entry in self.commits or ()]

    def _last_block(self, entry: Any) -> int:
        """Of an entry of `WeightCommits`: (hash, block, first block, last block), or (hash, epoch, block, 0)."""
        _, epoch, _, last = entry
        index = self.of_subnet["SubnetEpochIndex"]
        if index is None:
            return int(last)
        epochs_left = int(epoch) + int(self.of_subnet["RevealPeriodEpochs"] or 0) - int(index) + 1
        return (
            int(self.of_subnet["LastEpochBlock"] or 0) + epochs_left * int(self.of_subnet["Tempo"] or 0) - 1
        )


class ValidatorWatch:
    """`read` is one pass of a collection."""

    def __init__(self, *, chain: Chain, wallets: Wallets, database: Database, metrics: Metrics) -> None:
        self._chain = chain
        self._wallets = wallets
        self._database = database
        self._readings = {
            name: metrics.reading(f"strongroom_bittensor_{name}", text, ("hotkey", "netuid"))
            for name, text in READINGS.items()
        }
        self._unwatched = metrics.reading(
            "strongroom_bittensor_hotkeys_unwatched",
            "Hotkeys that are not watched: one process watches the first 64 addresses.",
        )
        self._pairs: set[Pair] = set()
        """Those that were found registered, or that weights were asked for."""
        self._weighing: set[Pair] = set()
        self._passes = 0

    async def read(self) -> list[Sample]:
        """Raises: Unavailable: the chain or the database does not answer."""
        entries = [one for one in await self._wallets.list() if one.key.kind is KeyKind.HOTKEY]
        hotkeys = sorted({one.address for one in entries if one.address is not None})
        watched = hotkeys[:MAX_HOTKEYS]
        if self._passes % SEARCH_PASSES == 0:
            await self._search(watched)
        self._passes += 1
        samples = [Sample(self._unwatched, (), len(hotkeys) - len(watched))]
        pairs = sorted(pair for pair in self._pairs if pair.hotkey in watched)
        for pair, seen in (await self._look(pairs)).items():
            samples += self._samples(pair, seen)
        return samples

    async def _search(self, hotkeys: Sequence[str]) -> None:
        heads = await self._chain.heads()
        found = set[Pair]()
        for hotkey in hotkeys:
            key = decode_address(hotkey)
            items = [Item(SUBTENSOR, "Uids", (netuid, key)) for netuid in range(1, SUBNETS)]
            uids = await self._chain.read(items, heads.best.hash)
            found |= {Pair(hotkey, netuid) for netuid, uid in enumerate(uids, 1) if uid is not None}
        names = {str(one.key): one.address for one in await self._wallets.list()}
        asked = await self._database.read(_asked)
        self._weighing = {
            Pair(address, netuid) for name, netuid in asked if (address := names.get(name)) is not None
        }
        self._pairs |= found | self._weighing

    async def _look(self, pairs: Sequence[Pair]) -> dict[Pair, Seen]:
        if not pairs:
            return {}
        heads = await self._chain.heads()
        netuids = sorted({pair.netuid for pair in pairs})
        items = [Item(SUBTENSOR, "StakeThreshold"), Item(SUBTENSOR, "TaoWeight")]
        items += [Item(SUBTENSOR, name, (netuid,)) for netuid in netuids for name in OF_SUBNET]
        items += [item for pair in pairs for item in _items_of(pair)]
        values = dict(zip(items, await self._chain.read(items, heads.best.hash), strict=True))
        stakes = _Stakes(values)
        more = [item for pair in pairs for item in stakes.of_parents(pair)]
        if more:
            values |= dict(zip(more, await self._chain.read(more, heads.best.hash), strict=True))
        of_subnets = {
            netuid: {name: values[Item(SUBTENSOR, name, (netuid,))] for name in OF_SUBNET}
            for netuid in netuids
        }
        return {
            pair: Seen(
                block=heads.best.number,
                of_subnet=of_subnets[pair.netuid],
                uid=values[_uid(pair)],
                commits=values[_commits(pair)],
                stake=stakes.weight_of(pair),
                threshold=values[Item(SUBTENSOR, "StakeThreshold")] or 0,
            )
            for pair in pairs
        }

    def _samples(self, pair: Pair, seen: Seen) -> Iterator[Sample]:
        left = seen.blocks_left()
        values = {
            "registered": float(seen.uid is not None),
            "sets_weights": float(pair in self._weighing),
            "validator_permit": float(seen.has_permit),
            "blocks_since_weights": seen.since_weights,
            "activity_cutoff_blocks": seen.activity_cutoff,
            "weights_rate_limit_blocks": seen.of_subnet["WeightsSetRateLimit"] or 0,
            "tempo_blocks": seen.of_subnet["Tempo"] or 0,
            "stake_rao": seen.stake,
            "stake_threshold_rao": seen.threshold,
            "unrevealed_commits": len(left),
            "commit_blocks_left": min(left, default=None),
        }
        labels = (pair.hotkey, str(pair.netuid))
        for name, value in values.items():
            if value is not None:
                yield Sample(self._readings[name], labels, value)


class _Stakes:
    """Computes what counts as a hotkey's stake in a subnet, as subtensor's `get_stake_weights_for_hotkey_on_subnet` does."""

    def __init__(self, values: dict[Item, Any]) -> None:
        self._values = values

    def of_parents(self, pair: Pair) -> list[Item]:
        """The stakes that must be read before `weight_of`."""
        parents = [parent for _, parent in self._shares("ParentKeys", pair)]
        return [_stake(parent, netuid) for parent in parents for netuid in (pair.netuid, ROOT)]

    def weight_of(self, pair: Pair) -> int | None:
        """None: the chain keeps stakes in another way."""
        weight = self._values[Item(SUBTENSOR, "TaoWeight")]
        alpha, root = self._on(pair, pair.netuid), self._on(pair, ROOT)
        if weight is None or alpha is None or root is None:
            return None
        return int(alpha + root * Fraction(int(weight), WHOLE))

    def _on(self, pair: Pair, netuid: int) -> Fraction | None:
        stored = self._values[_stake(decode_address(pair.hotkey), netuid)]
        if stored is None:
            return None
        own = Fraction(int(stored))
        lent = sum((own * Fraction(share, WHOLE) for share, _ in self._shares("ChildKeys", pair)), Fraction())
        borrowed = sum(
            (
                int(self._values[_stake(parent, netuid)] or 0) * Fraction(share, WHOLE)
                for share, parent in self._shares("ParentKeys", pair)
            ),
            Fraction(),
        )
        return max(own - lent, Fraction()) + borrowed

    def _shares(self, name: str, pair: Pair) -> list[tuple[int, bytes]]:
        entries = self._values[_of_hotkey(name, pair)] or ()
        return [(int(share), _account(account)) for share, account in entries]


def _items_of(pair: Pair) -> list[Item]:
    key = decode_address(pair.hotkey)
    shares = [_of_hotkey(name, pair) for name in ("ChildKeys", "ParentKeys")]
    return [_uid(pair), _commits(pair), _stake(key, pair.netuid), _stake(key, ROOT), *shares]


def _uid(pair: Pair) -> Item:
    return Item(SUBTENSOR, "Uids", (pair.netuid, decode_address(pair.hotkey)))


def _commits(pair: Pair) -> Item:
    return Item(SUBTENSOR, "WeightCommits", (pair.netuid, decode_address(pair.hotkey)))


def _of_hotkey(name: str, pair: Pair) -> Item:
    return Item(SUBTENSOR, name, (decode_address(pair.hotkey), pair.netuid))


def _stake(hotkey: bytes, netuid: int) -> Item:
    return Item(SUBTENSOR, "TotalHotkeyAlpha", (hotkey, netuid))


def _account(value: str) -> bytes:
    """An account as the metadata's codec decodes it."""
    return bytes.fromhex(value[2:]) if value.startswith("0x") else decode_address(value)


def _asked(connection: Connection) -> list[tuple[str, int]]:
    """The names of hotkeys, as `WALLET/HOTKEY`, and the subnets that weights of them were asked for, as far as jobs are kept."""
    columns = tables.job.c
    newest = (
        select(columns.subject, func.max(columns.created_at_ms).label("at_ms"))
        .where(columns.kind == SET, columns.subject.is_not(None))
        .group_by(columns.subject)
        .subquery()
    )
    same = (columns.subject == newest.c.subject) & (columns.created_at_ms == newest.c.at_ms)
    found = connection.execute(select(columns.document).join(newest, same).where(columns.kind == SET))
    documents = [decode_json(text) for text in found.scalars()]
    return [(f"{one['wallet']}/{one['hotkey']}", one["netuid"]) for one in documents]
