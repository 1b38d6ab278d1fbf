"""Bittensor in the world of intents: its submitter, signing, network, effects and jobs as they are, before the sandbox's chain."""

import asyncio
import copy
import shutil
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from strongroom.bittensor import tables
from strongroom.bittensor.authorization.key_use import call_use
from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.definition import REVISIONS
from strongroom.bittensor.extrinsics.drafting import ExtrinsicDraft, ExtrinsicRequest, SigningContext
from strongroom.bittensor.extrinsics.effects import Change, ExtrinsicEffects
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic, State
from strongroom.bittensor.extrinsics.network import ExtrinsicNetwork
from strongroom.bittensor.extrinsics.nonces import MAX_NONCE, slot_of
from strongroom.bittensor.extrinsics.signing import ExtrinsicSigning
from strongroom.bittensor.extrinsics.store import load_many
from strongroom.bittensor.extrinsics.submitter import Submitter
from strongroom.bittensor.gateway.connection import Connection as NodeConnection
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.gateway.runtime import MetadataRuntime
from strongroom.bittensor.jobs.job import Job, WaitFor
from strongroom.bittensor.jobs.store import find_job, on_resolved, require_new, stored_with
from strongroom.bittensor.keystore.names import HotkeyNames, Signer
from strongroom.bittensor.protocol.account_calls import remove_stake, transfer
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected
from strongroom.core.intents.network import Effects
from strongroom.core.intents.network import Network as IntentNetwork
from strongroom.core.intents.resolver import Pace
from strongroom.core.intents.signing import Unsigned
from strongroom.core.intents.store import list_intents, load_open_slots
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom_sandbox.bittensor.chain.genesis import GENESIS_HASH
from strongroom_sandbox.bittensor.codec.runtime import shipped_runtime
from support.clock import SeededEntropy
from support.intents.bittensor_chain import SPEC, SPECS, BittensorChain, SidedConnection
from support.intents.signing_model import SigningModel
from support.intents.world import Died, Replica, Side
from support.trail import open_trail

CALLER = Principal(name="shop", scopes=frozenset({SUBMIT}))
SIGNER = Signer(wallet="shop", hotkey="default", coldkey=True)
URIS = ("//Alice", "//Bob")
STRANGER = Keypair.from_uri("//Charlie").public_key
MUCH = 10**9
LENT_OF_8 = 3
"""Of eight amounts, the one whose extrinsic is signed for an SDK."""
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Lent:
    """A draft whose extrinsic a client submits."""

    draft: ExtrinsicDraft

    def prepare(self, connection: Connection) -> Unsigned:
        return replace(self.draft.prepare(connection), attempts=0)

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        self.draft.on_signed(connection, intent)


class WatchedEffects(ExtrinsicEffects):
    def __init__(self, chain: BittensorChain, **more: Any) -> None:
        super().__init__(**more)
        self._chain = chain

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: Change) -> None:
        if intent.outcome is Outcome.REJECTED and self._chain.may_still_be(intent.id):
            self._chain.wrong.append(f"{intent.stage}, and may still be included")
        super().applied(intent, verdict, effect)


class BittensorModel(SigningModel):
    pace = Pace(noun="extrinsics", pending_pause_s=0.5)

    def __init__(self) -> None:
        self._template = _template()
        self.chain = BittensorChain()
        self._keys = {key.address: (uri, key) for uri in URIS for key in [Keypair.from_uri(uri)]}
        self.accounts: Sequence[str] = list(self._keys)
        self._nodes: dict[int, NodeChain] = {}
        self._submitters: dict[int, Submitter] = {}
        self._not_submitted: set[int] = set()
        """Amounts of which a client was told that nothing was submitted."""

    async def new_database(self, folder: Path) -> URL:
        path = folder / "bittensor.sqlite3"
        shutil.copy(self._template, path)
        return sqlite_url(str(path))

    def connect(self, side: Side, database: Database) -> tuple[IntentNetwork, Effects[Any]]:
        self.chain.begin(side.clock)
        self._submitters.pop(id(side), None)
        node = self._nodes[id(side)] = _node_chain(side, self.chain)
        network = ExtrinsicNetwork(chain=node, database=database, clock=side.clock)
        return network, WatchedEffects(self.chain, on_resolved=on_resolved, changed=lambda: None)

    def request(
        self, replica: Replica, account: str, amount: int, *, is_refused: bool
    ) -> Coroutine[Any, Any, None]:
        _, key = self._keys[account]
        call = remove_stake(1, STRANGER, amount * MUCH) if is_refused else transfer(STRANGER, amount)
        job = Job(
            id=f"{amount:032x}",
            principal=CALLER.name,
            key=None,
            fingerprint=amount.to_bytes(32, "big"),
            kind=call.function,
            subject=None,
            document={},
            in_background=False,
            wait_for=WaitFor.FINAL,
            created_at_ms=replica.side.clock.now_ms(),
        )
        wanted = ExtrinsicRequest(
            use=call_use(CALLER, SUBMIT, SIGNER, call, names=HotkeyNames()),
            key=key,
            call=call,
            job=job.id,
            check=lambda connection: require_new(connection, job),
            store=partial(self._store, job=job, withdrawals=_withdrawals(replica)),
        )
        return self._lend(replica, wanted) if amount % 8 == LENT_OF_8 else self._ask(replica, wanted, amount)

    def _store(self, connection: Connection, intent: Intent, job: Job, withdrawals: Withdrawals) -> None:
        stored_with(job, withdrawals)(connection, intent)
        key = decode_address(intent.account)
        its = load_open_slots(connection, slot_of(key, 0), slot_of(key, MAX_NONCE))
        if sum(one.stage == State.SIGNED for one in its) > 1:
            self.chain.wrong.append("two extrinsics of an account wait for a pool's first answer")

    async def _lend(self, replica: Replica, wanted: ExtrinsicRequest) -> None:
        """As for an SDK."""
        node = self._nodes[id(replica.side)]
        signing = self._signing(replica)

        async def draft() -> Lent:
            context = SigningContext(
                runtime=await node.runtime(fresh=True),
                heads=await node.heads(),
                next_nonce=await node.next_nonce(wanted.key.address),
                call=(await node.runtime()).encode(wanted.call),
            )
            return Lent(ExtrinsicDraft(request=wanted, context=context))

        try:
            intent = await signing.sign(wanted.key, draft, replica.side.clock.monotonic_s() + PATIENCE_S)
        except StrongroomError:
            return
        replica.resolver.resolve(intent)
        self.chain.lend(intent.payload)

    async def _ask(self, replica: Replica, wanted: ExtrinsicRequest, amount: int) -> None:
        self._not_submitted.discard(amount)
        try:
            extrinsic = await self._submitter(replica).submit(wanted)
            resolution = await replica.resolver.wait(extrinsic.hash)
        except Died:
            return  # nobody is told
        except Unavailable:
            self._not_submitted.add(amount)
            return
        except StrongroomError:
            return
        assert resolution is not None
        replica.told.append((amount, resolution.intent))

    def take_next_place(self, account: str) -> None:
        uri, key = self._keys[account]
        self.chain.take_next_nonce(uri, key.public_key)

    def disturb(self, what: int) -> None:
        disturb = (
            self.chain.fork,
            self.chain.forget_pool,
            self.chain.stall_finality,
            self.chain.upgrade,
            self.chain.submit_lent,
        )
        disturb[what % len(disturb)]()

    def amounts_on_chain(self, account: str) -> list[int]:
        _, key = self._keys[account]
        return [
            extrinsic.call.args["value"]
            for _, extrinsic in self.chain.included().values()
            if extrinsic.signer == key.public_key and extrinsic.call.pallet == "Balances"
        ]

    def is_on_chain(self, intent: Intent) -> bool:
        return intent.id in self.chain.included()

    def may_still_be(self, intent: Intent) -> bool:
        return self.chain.may_still_be(intent.id)

    def offered(self) -> list[bytes]:
        return self.chain.offered

    async def books_are_right(self, database: Database, account: str) -> bool:
        """The account's nonce, the receipts and the jobs say what the chain says."""
        assert not self.chain.wrong
        assert not self._not_submitted & set(self.amounts_on_chain(account))
        extrinsics, jobs = await database.read(partial(_stored, account=account))
        blocks = {extrinsic: block for extrinsic, (block, _) in self.chain.included().items()}
        assert all(_is_told_right(one, blocks.get(one.hash), jobs[one.hash]) for one in extrinsics)
        _, key = self._keys[account]
        query = select(tables.account).where(tables.account.c.public_key == key.public_key)
        row = await database.fetch_one(query)
        finals = [one for one in extrinsics if one.state is State.FINAL]
        lowest = max((one.nonce + 1 for one in finals), default=0)
        newest = max((one.inclusion.number for one in finals if one.inclusion), default=None)
        return row is None or (row.lowest_nonce, row.final_number) == (lowest, newest)

    def _submitter(self, replica: Replica) -> Submitter:
        found = self._submitters.get(id(replica.side))
        if found is None:
            found = self._submitters[id(replica.side)] = Submitter(
                chain=self._nodes[id(replica.side)],
                database=replica.database,
                signing=self._signing(replica),
                resolver=replica.resolver,
                clock=replica.side.clock,
                background=replica.background,
            )
        return found

    def _signing(self, replica: Replica) -> ExtrinsicSigning:
        return ExtrinsicSigning(
            chain=self._nodes[id(replica.side)],
            database=replica.database,
            signing=replica.signing,
            resolver=replica.resolver,
            clock=replica.side.clock,
            withdrawals=_withdrawals(replica),
        )


def _withdrawals(replica: Replica) -> Withdrawals:
    clock = replica.side.clock
    return Withdrawals("bittensor", Audit(clock, open_trail()), clock)


def _stored(connection: Connection, account: str) -> tuple[list[Extrinsic], dict[bytes, Job | None]]:
    intents = list_intents(connection, account=account, limit=10_000)
    extrinsics = load_many(connection, [one.id for one in intents])
    assert all((one.outcome is Outcome.REJECTED) is (one.slot is None) for one in intents)
    return extrinsics, {one.hash: find_job(connection, CALLER.name, one.job) for one in extrinsics}


def _is_told_right(extrinsic: Extrinsic, block: bytes | None, job: Job | None) -> bool:
    """Its receipt, and the result of its job, if that did not get another extrinsic."""
    inclusion = extrinsic.inclusion
    if (inclusion.hash if inclusion else None) != block:
        return False
    if (inclusion is None) is (extrinsic.failure is None):
        return False
    if job is None or job.extrinsic != extrinsic.hash:
        return extrinsic.state.is_dead
    assert job.result is not None
    return job.result["success"] is (inclusion is not None and inclusion.success)


def _node_chain(side: Side, chain: BittensorChain) -> NodeChain:
    """A gateway as it is after its greeting."""

    async def check_genesis(_genesis: bytes) -> None:
        await asyncio.sleep(0)

    node = NodeChain(["ws://node"], check_genesis=check_genesis, clock=side.clock, entropy=SeededEntropy())
    node._connection = cast("NodeConnection", SidedConnection(side, chain))
    node._genesis = GENESIS_HASH
    node._runtimes = dict(_runtimes())
    return node


@cache
def _runtimes() -> dict[int, MetadataRuntime]:
    """They differ in their number alone."""
    shipped = shipped_runtime(SPEC)
    found = {}
    first = MetadataRuntime(
        shipped.metadata_v15,
        spec_version=SPEC,
        transaction_version=int(shipped.version["transactionVersion"]),
        genesis_hash=GENESIS_HASH,
    )
    for spec in SPECS:
        found[spec] = copy.copy(first)
        found[spec].spec_version = spec
    return found


@cache
def _template() -> Path:
    """Made once."""
    path = Path(mkdtemp(prefix="strongroom-bittensor-")) / "template.sqlite3"

    async def make() -> None:
        database = Database(sqlite_url(str(path)))
        await migrate(database, [REVISIONS])
        await database.close()

    with asyncio.Runner() as runner:
        runner.run(make())
    return path
