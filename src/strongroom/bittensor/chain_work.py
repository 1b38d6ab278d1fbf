"""Assembles the parts of the ledger that speak to the chain: gateway, extrinsics, jobs, weights, calls."""

from typing import Final

from strongroom.bittensor.calls.approved import ApprovedCalls
from strongroom.bittensor.calls.remote_signing import RemoteSigning
from strongroom.bittensor.calls.service import Calls
from strongroom.bittensor.extrinsics.effects import ExtrinsicEffects, ExtrinsicResolver
from strongroom.bittensor.extrinsics.network import ExtrinsicNetwork
from strongroom.bittensor.extrinsics.proxy_watch import ProxyWatch
from strongroom.bittensor.extrinsics.signing import ExtrinsicSigning
from strongroom.bittensor.extrinsics.submitter import Submitter
from strongroom.bittensor.gateway.genesis_pin import GenesisPin
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.jobs.events import announced_jobs
from strongroom.bittensor.jobs.results import JobResults
from strongroom.bittensor.jobs.retention import PURGE_S, Retention
from strongroom.bittensor.jobs.runner import POLL_S, JobRunner
from strongroom.bittensor.jobs.tags import JobStore, JobTags
from strongroom.bittensor.jobs.waiting import OutcomeWaiter
from strongroom.bittensor.keystore.keyring import Keyring
from strongroom.bittensor.settings import BittensorSettings
from strongroom.bittensor.weights.request import REVEAL, SET
from strongroom.bittensor.weights.revealer import Reveals
from strongroom.bittensor.weights.setter import Weights
from strongroom.bittensor.weights.subnet import Subnets
from strongroom.core.coordination.loops import Loop
from strongroom.core.intents.resolver import Pace
from strongroom.core.intents.signing import Signing
from strongroom.core.ledger.base import LedgerBase
from strongroom.core.runtime.node_gauges import NodeGauges
from strongroom.core.security.policy import SigningGate

# The components of health.
CHAIN: Final = "bittensorChain"
EXTRINSICS: Final = "bittensorExtrinsics"
JOBS: Final = "bittensorJobs"
PURGE: Final = "bittensorPurge"
PROXIES: Final = "bittensorProxies"
RESOLVER_LEASE: Final = "resolver"
JOBS_LEASE: Final = "jobs"
CHECK_S: Final = 10.0
PROXIES_S: Final = 60.0
SWEEP_S: Final = 2.0
PACE: Final = Pace(noun="extrinsics", ledger="bittensor", pending_pause_s=0.5, worrying_age_s=900.0)


class ChainWork:
    """The parts that need the chain. Call `start`, later `drain` and `close`."""

    def __init__(self, ledger: LedgerBase[BittensorSettings], keyring: Keyring, gate: SigningGate) -> None:
        self._ledger = ledger
        self._keyring = keyring
        self._gate = gate
        self._assemble_submission()
        self._assemble_use_cases()

    def _assemble_submission(self) -> None:
        ledger = self._ledger
        settings, database, clock = ledger.settings, ledger.database, ledger.clock
        pin = GenesisPin(database, settings.network, clock)
        self.chain = NodeChain(
            settings.chain_endpoints, check_genesis=pin.check, clock=clock, entropy=ledger.entropy
        )
        self.outcomes = OutcomeWaiter(database, clock, ledger.background)
        self._resolver = ExtrinsicResolver(
            network=ExtrinsicNetwork(chain=self.chain, database=database, clock=clock),
            effects=ledger.payment_events.around(
                ExtrinsicEffects(on_resolved=announced_jobs(ledger.announcer), changed=self._changed)
            ),
            database=database,
            clock=clock,
            entropy=ledger.entropy,
            background=ledger.background,
            pace=PACE,
        )
        self._signing = ExtrinsicSigning(
            chain=self.chain,
            database=database,
            signing=Signing(
                ledger.definition.name,
                database=database,
                gate=self._gate,
                clock=clock,
                metrics=ledger.metrics,
            ),
            resolver=self._resolver,
            clock=clock,
            withdrawals=ledger.withdrawals,
        )
        self.submitter = Submitter(
            chain=self.chain,
            database=database,
            signing=self._signing,
            resolver=self._resolver,
            clock=clock,
            background=ledger.background,
        )

    def _assemble_use_cases(self) -> None:
        ledger, keyring = self._ledger, self._keyring
        settings, database = ledger.settings, ledger.database
        clock, entropy = ledger.clock, ledger.entropy
        subnets = Subnets(self.chain, ignore_max_weight=settings.ignore_max_weights_limit)
        results = JobResults(database, self.outcomes)
        self.calls = Calls(
            subnets=subnets,
            keyring=keyring,
            submitter=self.submitter,
            results=results,
            clock=clock,
            entropy=entropy,
        )
        self.remote_signing = RemoteSigning(
            chain=self.chain,
            subnets=subnets,
            keyring=keyring,
            signing=self._signing,
            resolver=self._resolver,
            clock=clock,
            entropy=entropy,
        )
        self.weights = Weights(
            subnets=subnets,
            jobs=JobStore(database=database, tags=JobTags(ledger.audit.key)),
            keyring=keyring,
            submitter=self.submitter,
            results=results,
            clock=clock,
            entropy=entropy,
        )
        self.reveals = Reveals(
            chain=self.chain,
            subnets=subnets,
            database=database,
            keyring=keyring,
            submitter=self.submitter,
        )
        self._runner = JobRunner(
            {SET: self.weights.carry_out, REVEAL: self.reveals.carry_out},
            database=database,
            withdrawals=ledger.withdrawals,
            clock=clock,
            entropy=entropy,
        )
        self._approved = ApprovedCalls(
            weights=self.weights, calls=self.calls, database=database, wake=self._runner.wake
        )
        self._proxies = ProxyWatch(self.chain, database)
        self._retention = Retention(days=settings.retention_days, database=database, clock=clock)

    def start(self, *beside: Loop) -> None:
        """Starts the loops, and `beside` those of the jobs what else one process does for all."""
        ledger, loops = self._ledger, self._ledger.loops
        ask = NodeGauges(ledger.definition.name, ledger.metrics, ledger.clock).asking(self._heights)
        loops.start(loops.every(CHAIN, CHECK_S, ask, down_after=1, max_pause_s=CHECK_S))
        loops.start(loops.every(PROXIES, PROXIES_S, self._proxies.look, part="look"))
        loops.check(PROXIES, self._proxies.check, part="relations")
        loops.check(EXTRINSICS, self._resolver.check, part="open")
        loops.check(JOBS, self._runner.check, part="tries")
        resolver, runner = self._resolver, self._runner
        sweep = loops.every(EXTRINSICS, SWEEP_S, resolver.sweep)
        ledger.under(RESOLVER_LEASE, [sweep])
        carry_out = loops.every(JOBS, POLL_S, runner.look, wake=runner.news, rest=runner.rest)
        purge = loops.every(PURGE, PURGE_S, self._retention.purge)
        ledger.under(JOBS_LEASE, [carry_out, purge, ledger.carrying_out(self._approved), *beside])

    def drain(self) -> None:
        self.submitter.drain()
        self.outcomes.drain()

    async def close(self) -> None:
        await self.chain.close()

    async def _heights(self) -> dict[str, int]:
        heads = await self.chain.heads()
        return {"best": heads.best.number, "final": heads.final.number}

    def _changed(self) -> None:
        self.outcomes.changed()
        self._runner.wake()
