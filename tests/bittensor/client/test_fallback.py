"""Over any sequence of failures no weight set is submitted twice, and a service that is away is made up for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from strongroom.bittensor.client.breaker import Breaker
from strongroom.bittensor.client.journal import Journal
from strongroom.bittensor.client.local import LocalWallet
from strongroom.bittensor.client.result import Fate, Result
from strongroom.bittensor.client.transport import NoAnswer, NotDelivered, ServiceResponse
from strongroom.bittensor.client.weights import Patience, Request, WeightSetter
from support.clock import ManualClock, SeededEntropy

ERA_S = (8 + 2) * 12
LATE_S = 100
POST_FAULTS = [
    "unreachable",
    "lost before it was taken",
    "lost after it was taken",
    "late",
    "not submitted",
    "proxy's 502",
    "refused",
]
JOB_FAULTS = ["none", "unreachable", "no answer", "still running", "in a block that cannot be read"]


@dataclass
class FlakyService:
    """A service that keeps its word (one signature a key) on a network that does not."""

    url: str = "http://service"
    probe_fault: bool = False
    post_faults: list[str] = field(default_factory=list)
    """What happens to the next requests, one after the other."""
    job_fault: str = "none"
    jobs: dict[str, list[int]] = field(default_factory=dict)
    late: list[tuple[float, str, list[int]]] = field(default_factory=list)
    """Requests that arrive when it is this second, however the network is then."""
    clock: ManualClock = field(default_factory=ManualClock)
    taken: Callable[[list[int]], None] = print

    def arrive(self) -> None:
        """What was late is signed, unless it was joined or overtaken."""
        due = [one for one in self.late if one[0] <= self.clock.monotonic_s()]
        self.late = [one for one in self.late if one not in due]
        for _, key, weights in due:
            if key not in self.jobs and all(other < weights for other in self.jobs.values()):
                self.jobs[key] = weights
                self.taken(weights)

    def probe(self) -> str | None:
        self.arrive()
        return "away" if self.probe_fault else None

    def submit(self, path: str, document: dict[str, Any], key: str, timeout_s: float) -> ServiceResponse:
        assert path == "/wallet/set_weights"
        assert timeout_s > 0
        self.arrive()
        fault = self.post_faults.pop(0) if self.post_faults else "none"
        match fault:
            case "unreachable":
                raise NotDelivered("refused")
            case "lost before it was taken":
                raise NoAnswer("reset")
            case "late":
                arrives_s = self.clock.monotonic_s() + LATE_S
                self.late.append((arrives_s, key, document["transaction_data"]["weights"]))
                raise NoAnswer("reset")
            case "not submitted":
                return ServiceResponse(503, {"submitted": False, "detail": "the chain is away"})
            case "proxy's 502":
                return ServiceResponse(502, {})
            case "refused":
                return ServiceResponse(403, {"detail": "not this wallet"})
        if key not in self.jobs:
            self.jobs[key] = document["transaction_data"]["weights"]
            self.taken(self.jobs[key])
        if fault == "lost after it was taken":
            raise NoAnswer("timed out")
        return ServiceResponse(200, {"success": True, "message": "done"})

    def job(self, key: str) -> ServiceResponse:
        self.arrive()
        match self.job_fault:
            case "unreachable":
                raise NotDelivered("refused")
            case "no answer":
                raise NoAnswer("reset")
        if key not in self.jobs:
            return ServiceResponse(404, {})
        if self.job_fault == "still running":
            return ServiceResponse(200, {"status": "running"})
        success = None if self.job_fault == "in a block that cannot be read" else True
        return ServiceResponse(200, {"status": "done", "result": {"success": success, "message": "done"}})


@dataclass
class Node:
    """A validator: it tries the same weights until it is told that they are set, as their loops do."""

    folder: Path
    service: FlakyService = field(default_factory=FlakyService)
    clock: ManualClock = field(default_factory=ManualClock)
    local_fault: bool = False
    local_sets: list[list[int]] = field(default_factory=list)
    included_until_s: dict[int, float] = field(default_factory=dict)
    """Until when a set may still be included, of those that were submitted."""
    twice: list[list[int]] = field(default_factory=list)
    local_wallet: bool = True

    def __post_init__(self) -> None:
        self.service.taken, self.service.clock = self.submitted, self.clock
        hotkey = self.folder / "validator" / "hotkeys" / "default"
        if self.local_wallet:
            hotkey.parent.mkdir(parents=True, exist_ok=True)
            hotkey.write_text("{}")
        self.restart()

    def restart(self) -> None:
        self.setter = WeightSetter(
            self.service,  # type: ignore[arg-type]  # the service's network, not its routes, is what is tried
            Journal(self.folder / "state"),
            Breaker(self.clock, cool_down_s=60, url=self.service.url),
            clock=self.clock,
            entropy=SeededEntropy(len(self.service.jobs)),
            patience=Patience(follow_s=3),
            pause=self.clock.advance,
        )

    def submitted(self, weights: list[int]) -> None:
        """Notes a submission; a second one while the first may be included is what must not happen."""
        if self.included_until_s.get(weights[0], -1.0) > self.clock.monotonic_s():
            self.twice.append(weights)
        self.included_until_s[weights[0]] = float("inf")

    def set_weights(self, weights: list[int]) -> Result:
        data = {"netuid": 2, "uids": [1], "weights": weights, "version_key": 0}
        wallet = SimpleNamespace(path=str(self.folder), name="validator", hotkey_str="default")
        local = LocalWallet(self._sdk, wallet)
        return self.setter.set_weights(
            Request(wallet_name="validator", hotkey_name="default", transaction_data=data, local=local)
        )

    def _sdk(
        self, wallet: Any, netuid: int, uids: list[int], weights: list[int], period: int
    ) -> tuple[bool, str]:
        assert wallet.name == "validator"
        assert (netuid, uids, period) == (2, [1], 8)
        self.local_sets.append(weights)
        self.submitted(weights)
        if self.local_fault:
            self.included_until_s[weights[0]] = self.clock.monotonic_s() + ERA_S
            raise TimeoutError("the chain did not answer")
        return True, "Successfully set weights."


@dataclass
class Moment:
    probe_fault: bool
    post_faults: list[str]
    job_fault: str
    local_fault: bool
    restart: bool
    seconds: int


MOMENTS = st.builds(
    Moment,
    probe_fault=st.booleans(),
    post_faults=st.lists(st.sampled_from(POST_FAULTS), max_size=3),
    job_fault=st.sampled_from(JOB_FAULTS),
    local_fault=st.booleans(),
    restart=st.booleans(),
    seconds=st.integers(0, 100),
)


@given(moments=st.lists(MOMENTS, max_size=8))
def test_no_weight_set_is_submitted_twice(tmp_path_factory: Any, moments: list[Moment]) -> None:
    node = Node(tmp_path_factory.mktemp("node"))
    epoch = 0
    for moment in moments:
        node.service.probe_fault, node.service.post_faults = moment.probe_fault, list(moment.post_faults)
        node.service.job_fault, node.local_fault = moment.job_fault, moment.local_fault
        if moment.restart:
            node.restart()
        if node.set_weights([epoch]).success:
            epoch += 1
        node.clock.advance(moment.seconds)
    node.clock.advance(LATE_S)
    node.service.arrive()
    assert node.twice == []


def test_what_is_asked_again_while_it_may_arrive_is_one_request(tmp_path: Path) -> None:
    """However often it is asked, lost and asked again: a copy that arrives late was the same request."""
    node = Node(tmp_path)
    node.service.post_faults = ["late", "unreachable"]
    assert node.set_weights([0]).fate is Fate.UNKNOWN
    node.clock.advance(LATE_S / 2)
    node.service.post_faults = ["lost before it was taken", "unreachable"]
    assert node.set_weights([0]).fate is Fate.UNKNOWN
    node.clock.advance(LATE_S / 2)
    assert node.set_weights([0]).fate is Fate.ACCEPTED
    assert list(node.service.jobs.values()) == [[0]]
    assert node.set_weights([0]).fate is Fate.ACCEPTED
    assert list(node.service.jobs.values()) == [[0], [0]], "what is asked after its end is set again"


def test_a_refusal_of_the_repeated_request_says_nothing_of_the_first(tmp_path: Path) -> None:
    """The first one is late: while it may arrive, the local wallet signs nothing for the slot."""
    node = Node(tmp_path)
    node.service.post_faults = ["late", "refused"]
    assert node.set_weights([0]).fate is Fate.REFUSED
    node.restart()
    node.service.probe_fault = True
    assert node.set_weights([0]).fate is Fate.NOT_SENT
    assert node.local_sets == []
    node.clock.advance(LATE_S)
    node.service.arrive()
    assert node.service.jobs
    assert node.twice == []
    node.clock.advance(Patience().arrival_s)
    node.service.probe_fault = False
    assert node.set_weights([0]).fate is Fate.ACCEPTED
    assert node.twice == []


def test_what_may_yet_arrive_is_not_set_by_the_local_wallet(tmp_path: Path) -> None:
    """The service does not know the request, and then it is away; the request is still on its way."""
    node = Node(tmp_path)
    node.service.post_faults = ["late", "not submitted"]
    assert node.set_weights([1]).fate is Fate.UNKNOWN
    node.service.probe_fault = True
    refused = node.set_weights([1])
    assert (refused.fate, node.local_sets) == (Fate.NOT_SENT, [])
    assert "may yet reach it" in refused.message
    node.restart()
    assert node.set_weights([1]).fate is Fate.NOT_SENT
    node.clock.advance(LATE_S)
    assert node.set_weights([1]).success
    assert list(node.service.jobs.values()) == [[1]]
    node.service.probe_fault = False
    node.clock.advance(180)
    node.service.probe_fault = True
    assert node.set_weights([2]).source == "local"


def test_it_falls_back_while_the_service_is_away_and_returns_to_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.service.probe_fault = True
    assert tuple(node.set_weights([1])) == (True, "Successfully set weights.")
    node.service.probe_fault = False
    assert node.set_weights([2]).source == "local"  # it was away a moment ago
    node.clock.advance(61)
    assert node.set_weights([3]).source == "service"
    assert node.set_weights([4]).source == "service"
    assert node.local_sets == [[1], [2]]


def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.service.post_faults = ["refused"]
    result = node.set_weights([1])
    assert (result.fate, result.success) == (Fate.REFUSED, False)
    assert "not this wallet" in result.message
    assert node.local_sets == []


def test_a_lost_answer_is_followed_and_the_request_not_made_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.service.post_faults, node.service.job_fault = ["lost after it was taken"], "unreachable"
    assert node.set_weights([1]).fate is Fate.UNKNOWN
    node.service.probe_fault = True
    node.restart()
    assert node.set_weights([1]).fate is Fate.UNKNOWN  # away, and yet no falling back
    node.service.probe_fault, node.service.job_fault = False, "none"
    assert node.set_weights([1]).success
    assert list(node.service.jobs.values()) == [[1]]
    assert node.local_sets == []


def test_without_a_local_wallet_it_says_so(tmp_path: Path) -> None:
    node = Node(tmp_path, local_wallet=False)
    node.service.probe_fault = True
    result = node.set_weights([1])
    assert result.fate is Fate.NOT_SENT
    assert "there is no local hotkey at" in result.message


def test_a_local_attempt_without_an_end_keeps_the_slot_until_its_era_is_over(tmp_path: Path) -> None:
    node = Node(tmp_path, local_fault=True)
    node.service.probe_fault = True
    assert node.set_weights([1]).fate is Fate.UNKNOWN
    node.service.probe_fault = False
    assert "may still be included" in node.set_weights([1]).message
    node.clock.advance(8 * 12 + 24)
    assert node.set_weights([1]).source == "service"


def test_weights_in_a_block_that_cannot_be_read_are_not_set_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.service.post_faults = ["lost after it was taken"]
    node.service.job_fault = "in a block that cannot be read"
    assert node.set_weights([1]).fate is Fate.UNKNOWN
    node.restart()
    assert node.set_weights([1]).fate is Fate.UNKNOWN
    assert list(node.service.jobs.values()) == [[1]]
    assert node.local_sets == []
    assert node.set_weights([2]).success
