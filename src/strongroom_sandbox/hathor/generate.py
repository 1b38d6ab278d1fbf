"""Chains made from a seed, with everything that may happen to one; the same seed gives the same events."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from strongroom.hathor.protocol.addresses import MAINNET, Address, AddressKind
from strongroom.hathor.protocol.scripts import Payment
from strongroom_sandbox.hathor.chain import GENESIS_VALUE, Chain
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.vertices import (
    BLOCK,
    TOKEN_CREATION,
    TRANSACTION,
    Nano,
    Outpoint,
    Output,
    Vertex,
)

START_S = 1_700_000_000
BLOCK_REWARD = 6_400
AUTHORITY = 0x80
BIG = 2**62
PAYMENTS_ONLY = {"pay": 70, "block": 25, "timelock": 5}
EVERYTHING = {
    "pay": 40,
    "block": 25,
    "timelock": 4,
    "create_token": 4,
    "mint": 6,
    "move_token": 8,
    "nano": 5,
    "double_spend": 3,
    "void": 3,
    "revive": 3,
    "remove": 2,
    "fork": 3,
}


@dataclass(slots=True, kw_only=True)
class Plan:
    """How often each kind of change happens (`weights`), and how deep reorganisations go."""

    weights: Mapping[str, int] = field(default_factory=lambda: dict(EVERYTHING))
    deepest_fork: int = 20
    reward_spend_min_blocks: int = 10
    new_address: float = 0.3
    """How often a payment goes to an address never used."""
    favourites: Sequence[Address] = ()
    """Addresses that get a share of the payments, for example those of a wallet."""
    now_s: int = START_S
    """The chain's time; timelocks lie around it."""


class Generator:
    def __init__(self, seed: int, plan: Plan | None = None, journal: Journal | None = None) -> None:
        self.plan = plan or Plan()
        self._random = random.Random(seed)
        self._count = 0
        self._addresses: list[Address] = []
        self._spendable: list[Outpoint] = []
        self._tokens: list[tuple[Outpoint, str]] = []
        self._authorities: list[tuple[Outpoint, str]] = []
        self._voided: list[str] = []
        self._side_tips: list[str] = []
        self._seqnums: dict[str, int] = {}
        self._time_s = self.plan.now_s
        self.chain = Chain(
            journal or Journal(),
            self._genesis(),
            reward_spend_min_blocks=self.plan.reward_spend_min_blocks,
        )
        self._happenings: dict[str, Callable[[], None]] = {
            "pay": self._pay,
            "block": self._mine,
            "timelock": self._timelock,
            "create_token": self._create_token,
            "mint": self._mint,
            "move_token": self._move_token,
            "nano": self._nano,
            "double_spend": self._double_spend,
            "void": self._void,
            "revive": self._revive,
            "remove": self._remove,
            "fork": self._fork,
        }

    def run(self, events: int) -> Journal:
        """Makes changes until there are at least this many events."""
        kinds = list(self.plan.weights)
        weights = list(self.plan.weights.values())
        journal = self.chain.journal
        while len(journal.events) < events:
            for kind in self._random.choices(kinds, weights, k=16):
                self._happenings[kind]()
        return journal

    def _genesis(self) -> list[Vertex]:
        first = self._vertex(BLOCK, [self._to(self._address(), GENESIS_VALUE)])
        self._spendable.append((first.hash, 0))
        return [first, self._vertex(TRANSACTION, []), self._vertex(TRANSACTION, [])]

    def _pay(self) -> None:
        spent = self._take(self._random.choice((1, 1, 2, 3)))
        if spent:
            self._send(spent, self._split(self._value(spent)))

    def _timelock(self) -> None:
        spent = self._take(1)
        if spent:
            offset_s = self._random.choice((-1000, -1, 0, 1, 1000, 10**7))
            self._send(spent, self._split(self._value(spent), timelock_s=self.plan.now_s + offset_s))

    def _create_token(self) -> None:
        spent = self._take(1)
        if not spent:
            return
        amount = self._random.choice((1, 100, 2**53 + 1, BIG, 2**63))
        outputs = [
            self._to(self._address(), amount, 1),
            self._to(self._address(), 1, 1 | AUTHORITY),
            self._to(self._address(), 2, 1 | AUTHORITY),
            *self._split(self._value(spent)),
        ]
        vertex = self._vertex(TOKEN_CREATION, outputs, spent)
        vertex.tokens = [vertex.hash]
        vertex.token_name, vertex.token_symbol = f"Token {self._count}", "TOK"
        self._add(vertex)

    def _mint(self) -> None:
        """Spends an authority: passes it on or destroys it, and mints if the authority allows it."""
        held = self._take_of(self._authorities)
        if held is None:
            return
        outpoint, token = held
        bits = self.chain.output(outpoint).value
        outputs = [self._to(self._address(), self._random.choice((5, BIG)), 1)] if bits & 1 else []
        copies = self._random.choice((0, 1, 1, 2))
        outputs += [self._to(self._address(), bits, 1 | AUTHORITY) for _ in range(copies)]
        self._send([outpoint], outputs, tokens=[token])

    def _move_token(self) -> None:
        held = self._take_of(self._tokens)
        if held is not None:
            outpoint, token = held
            value = self.chain.output(outpoint).value
            self._send([outpoint], self._split(value, token_data=1), tokens=[token])

    def _nano(self) -> None:
        spent = self._take(1)
        caller = self._address().encode(self.chain.network)
        self._seqnums[caller] = self._seqnums.get(caller, -1) + 1
        nano = Nano(
            contract_id=self._hash(),
            seqnum=self._seqnums[caller],
            method="call",
            address=caller,
            fails=self._random.random() < 0.25,  # noqa: PLR2004 - a quarter of the calls
            creates_token=self._hash() if self._random.random() < 0.3 else None,  # noqa: PLR2004 - some make tokens
        )
        vertex = self._vertex(TRANSACTION, self._split(self._value(spent)) if spent else [], spent)
        vertex.nano = nano
        self._add(vertex)

    def _double_spend(self) -> None:
        """Two spenders of one output; sometimes the later one wins, when the first is voided."""
        spent = self._take(1)
        if not spent:
            return
        first = self._send(spent, self._split(self._value(spent)))
        second = self._send(spent, self._split(self._value(spent)))
        self._voided.append(second.hash)
        if self._random.random() < 0.5 and first.live:  # noqa: PLR2004 - every other time
            self._voided += [vertex.hash for vertex in self.chain.void(first)]
            self.chain.revive(second)

    def _void(self) -> None:
        if self.chain.mempool:
            vertex = self.chain.vertices[self._random.choice(list(self.chain.mempool))]
            self._voided += [fallen.hash for fallen in self.chain.void(vertex)]

    def _revive(self) -> None:
        vertex = self._pick_voided()
        if vertex is not None and not self.chain.revive(vertex):
            self._voided.append(vertex.hash)

    def _remove(self) -> None:
        vertex = self._pick_voided()
        if vertex is not None and vertex.first_block is None:
            self.chain.remove(vertex)

    def _pick_voided(self) -> Vertex | None:
        if not self._voided:
            return None
        index = self._random.randrange(len(self._voided))
        vertex = self.chain.vertices.get(self._voided.pop(index))
        return vertex if vertex is not None and not vertex.live else None

    def _mine(self) -> None:
        self._block()

    def _block(self, previous: str | None = None) -> Vertex:
        outputs = [self._to(self._address(), BLOCK_REWARD)]
        if self._random.random() < 0.02:  # noqa: PLR2004 - a few miners name no address
            outputs = [Output(value=BLOCK_REWARD, token_data=0, script=b"")]
        block = self._vertex(BLOCK, outputs)
        block.previous = previous
        block.confirms = [tx_id for tx_id in self.chain.mempool if self._random.random() < 0.9]  # noqa: PLR2004 - some wait
        self._add(block)
        return block

    def _fork(self) -> None:
        """A branch from below the best block, or from an older branch; one that gets longer becomes the best."""
        depth = min(self._random.randint(1, self.plan.deepest_fork), self.chain.height - 1)
        if depth < 1:
            return
        if self._side_tips and self._random.random() < 0.3:  # noqa: PLR2004 - some branches come back
            tip = self.chain.vertices[self._side_tips.pop(self._random.randrange(len(self._side_tips)))]
            if self.chain.height - tip.height > self.plan.deepest_fork:
                return
        else:
            tip = self.chain.vertices[self.chain.best]
            for _ in range(depth):
                tip = self.chain.vertices[tip.previous or ""]
        goal = self.chain.height + self._random.choice((0, 1, 1))
        self._side_tips.append(self.chain.best)
        while tip.height < goal:
            tip = self._block(tip.hash)

    def _send(self, spent: list[Outpoint], outputs: list[Output], tokens: list[str] | None = None) -> Vertex:
        vertex = self._vertex(TRANSACTION, outputs, spent)
        vertex.tokens = tokens or []
        self._add(vertex)
        return vertex

    def _add(self, vertex: Vertex) -> None:
        if vertex.is_block:
            self.chain.add_block(vertex)
        else:
            self.chain.add_transaction(vertex)
        for index, output in enumerate(vertex.outputs):
            outpoint = (vertex.hash, index)
            if output.address is None:
                continue
            if output.token_data & AUTHORITY:
                self._authorities.append((outpoint, vertex.token_id(output.token_data)))
            elif output.token_data:
                self._tokens.append((outpoint, vertex.token_id(output.token_data)))
            else:
                self._spendable.append(outpoint)

    def _take(self, count: int) -> list[Outpoint]:
        """Takes outputs to spend, the oldest reward first; leaves those that cannot be spent yet."""
        taken: list[Outpoint] = []
        for _ in range(4 * count):
            if len(taken) == count or not self._spendable:
                break
            index = self._random.randrange(len(self._spendable))
            outpoint = self._spendable[index]
            self._spendable[index] = self._spendable[-1]
            self._spendable.pop()
            vertex = self.chain.vertices.get(outpoint[0])
            if vertex is None:
                continue
            if self.chain.is_spendable(outpoint, self.plan.now_s):
                taken.append(outpoint)
            elif self.chain.live_spender(outpoint) is None:
                self._spendable.append(outpoint)
        return taken

    def _take_of(self, held: list[tuple[Outpoint, str]]) -> tuple[Outpoint, str] | None:
        while held:
            outpoint, token = held.pop(self._random.randrange(len(held)))
            if outpoint[0] in self.chain.vertices and self.chain.is_spendable(outpoint, self.plan.now_s):
                return outpoint, token
        return None

    def _value(self, spent: list[Outpoint]) -> int:
        return sum(self.chain.output(outpoint).value for outpoint in spent)

    def _split(self, value: int, *, token_data: int = 0, timelock_s: int | None = None) -> list[Output]:
        parts = min(self._random.choice((1, 2, 2, 2, 3)), value)
        outputs: list[Output] = []
        for part in range(parts, 0, -1):
            share = value if part == 1 else self._random.randint(1, value - part + 1)
            value -= share
            outputs.append(self._to(self._address(), share, token_data, timelock_s))
        return outputs

    def _to(self, address: Address, value: int, token_data: int = 0, timelock_s: int | None = None) -> Output:
        return Output(
            value=value,
            token_data=token_data,
            script=Payment(address=address, timelock_s=timelock_s).encode(),
            address=address.encode(MAINNET),
            kind=address.kind.value,
            timelock_s=timelock_s,
        )

    def _address(self) -> Address:
        favourites = self.plan.favourites
        if favourites and self._random.random() < 0.4:  # noqa: PLR2004 - a good share of the payments
            return self._random.choice(favourites)
        if self._addresses and self._random.random() > self.plan.new_address:
            return self._random.choice(self._addresses)
        kind = AddressKind.MULTISIG if self._random.random() < 0.1 else AddressKind.P2PKH  # noqa: PLR2004 - some
        address = Address(kind=kind, hash=self._random.randbytes(20))
        self._addresses.append(address)
        return address

    def _vertex(self, version: int, outputs: list[Output], spent: list[Outpoint] | None = None) -> Vertex:
        self._time_s += 1
        return Vertex(
            hash=self._hash(),
            version=version,
            timestamp_s=self._time_s,
            inputs=list(spent or ()),
            outputs=outputs,
        )

    def _hash(self) -> str:
        self._count += 1
        return hashlib.sha256(b"%d" % self._count + self._random.randbytes(8)).hexdigest()
