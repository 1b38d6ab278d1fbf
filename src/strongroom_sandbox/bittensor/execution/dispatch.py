"""The interface between the chain and its pallets: what a pallet's code gets, and how it registers itself.

    @call("SubtensorModule", "set_weights", ref_time=22_060_000_000, pays_fee=False)
    def set_weights(ctx: Context, netuid: int, dests: list[int], weights: list[int], version_key: int) -> None:
        uid = ctx.get("SubtensorModule", "Uids", netuid, ctx.signer)
        if uid is None:
            raise DispatchError.module("SubtensorModule", "HotKeyNotRegisteredInSubNet")
        ctx.put("SubtensorModule", "Weights", netuid, uid, value=list(zip(dests, weights, strict=True)))
        ctx.deposit_event("SubtensorModule", "WeightsSet", (netuid, uid))

    @validates("SubtensorModule", "set_weights")
    def has_stake(ctx: Context, netuid: int, **_others: object) -> int | None: ...

    @runtime_api("NeuronInfoRuntimeApi_get_neurons_lite")
    def get_neurons_lite(storage: Storage, netuid: int) -> list[dict[str, Any]]: ...

    @on_initialize
    def run_epochs(ctx: Context) -> None: ...

Importing `strongroom_sandbox.bittensor.pallets` and `.apis` must be enough to register all of theirs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from strongroom_sandbox.bittensor.codec.runtime import Call, Event, Runtime
from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.execution.failures import DispatchError, PoolRefusal
from strongroom_sandbox.bittensor.state.state import State
from strongroom_sandbox.bittensor.state.storage import Storage


class PanicError(Exception):
    """A defect in a pallet or an API, where a real runtime would trap. It changed nothing."""


@contextmanager
def panics() -> Iterator[None]:
    """Whatever is no word of the chain's becomes a panic, so that one faulty call stops neither blocks nor connections.

    Raises:
        PanicError
    """
    try:
        yield
    except (DispatchError, PoolRefusal, PanicError):
        raise
    except Exception as error:
        raise PanicError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Origin:
    """Who calls: an account, root, or nobody (an inherent)."""

    account: bytes | None = None
    is_root: bool = False
    filters: tuple[Callable[[Call], bool], ...] = ()
    """Each must let a call through, also those inside others: a proxy calls under the filter of its type."""


ROOT = Origin(is_root=True)
NOBODY = Origin()


class Weight(NamedTuple):
    """What a call costs before it runs; the base of an extrinsic is not in it."""

    ref_time: int
    proof_size: int = 0
    pays_fee: bool = True
    dispatch_class: str = "Normal"


class Post(NamedTuple):
    """What a call may return to correct its weight afterwards; None leaves it."""

    ref_time: int | None = None
    pays_fee: bool | None = None
    proof_size: int | None = None


class Context(Storage):
    """The state as a call may use it, with its events and its origin."""

    def __init__(self, runtime: Runtime, state: State, origin: Origin = NOBODY) -> None:
        super().__init__(runtime, state)
        self.origin = origin
        self.events: list[Event] = []

    @property
    def signer(self) -> bytes:
        """Raises: DispatchError: BadOrigin, no account signed this."""
        if self.origin.account is None:
            raise DispatchError.bad_origin()
        return self.origin.account

    def ensure_root(self) -> None:
        """Raises: DispatchError: BadOrigin."""
        if not self.origin.is_root:
            raise DispatchError.bad_origin()

    def ensure_none(self) -> None:
        """Raises: DispatchError: BadOrigin, this is for inherents."""
        if self.origin != NOBODY:
            raise DispatchError.bad_origin()

    def deposit_event(self, pallet: str, name: str, content: Any = None) -> None:
        """`content` is a dict, a tuple, or what the event's one unnamed field holds.

        Raises:
            ScaleError: the runtime has no such event, or it holds something else; found here, not in the block.
        """
        event = Event(pallet, name, content)
        self.runtime.encode_event(event)
        self.events.append(event)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """State and events as before, when an exception leaves it."""
        count = len(self.events)
        try:
            with self.state.savepoint():
                yield
        except BaseException:
            del self.events[count:]
            raise

    def dispatch(self, inner: Call, origin: Origin) -> Post | None:
        """Runs a call under an origin: all of it, or nothing.

        Raises:
            DispatchError: it failed and changed nothing.
        """
        if not all(lets(inner) for lets in origin.filters):
            raise DispatchError.module("System", "CallFiltered")
        rule = CALLS.get((inner.pallet, inner.function))
        if rule is None or not self.runtime.has_call(inner.pallet, inner.function):
            raise DispatchError("Other")
        outer, self.origin = self.origin, origin
        try:
            with self.savepoint():
                guard = GUARDS.get((inner.pallet, inner.function))
                if guard is not None:
                    guard(self, **inner.args)
                return rule.run(self, **inner.args)
        finally:
            self.origin = outer

    def weight_of(self, inner: Call) -> Weight:
        rule = CALLS.get((inner.pallet, inner.function))
        if rule is None:
            return Weight(0)
        return rule.weight(self, inner.args) if callable(rule.weight) else rule.weight


Handler = Callable[..., Post | None]
WeightRule = Weight | Callable[[Context, dict[str, Any]], Weight]


class CallRule(NamedTuple):
    run: Handler
    weight: WeightRule


CALLS: dict[tuple[str, str], CallRule] = {}
GUARDS: dict[tuple[str, str], Callable[..., None]] = {}
VALIDATIONS: dict[tuple[str, str], Callable[..., int | None]] = {}
APIS: dict[str, Callable[..., Any]] = {}
ON_INITIALIZE: list[Callable[[Context], None]] = []
ON_FINALIZE: list[Callable[[Context], None]] = []


def call(
    pallet: str,
    function: str,
    *,
    ref_time: int = 0,
    proof_size: int = 0,
    pays_fee: bool = True,
    dispatch_class: str = "Normal",
    weight: WeightRule | None = None,
) -> Callable[[Handler], Handler]:
    """Registers what carries a call out; it is given the call's arguments by their names in the metadata.

    `ref_time`, `proof_size`, `pays_fee` and `dispatch_class` are the declared weight, which the fee is made of. `weight`
    stands instead of them for wrappers, whose weight depends on what they wrap.
    """

    def register(handler: Handler) -> Handler:
        declared = weight or Weight(ref_time, proof_size, pays_fee, dispatch_class)
        CALLS[pallet, function] = CallRule(handler, declared)
        return handler

    return register


def validates(pallet: str, function: str) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Registers what the pool checks before it takes such a call: `PoolRefusal`, or the priority (None: the highest).

    It runs again when the block is built, and it is not asked for calls inside wrappers.
    """

    def register(check: Callable[..., int | None]) -> Callable[..., int | None]:
        VALIDATIONS[pallet, function] = check
        return check

    return register


Answer = TypeVar("Answer", bound=Callable[..., Any])


def guards(pallet: str, function: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers what is checked before a call is carried out, also inside wrappers: it raises `DispatchError`."""

    def register(check: Callable[..., None]) -> Callable[..., None]:
        GUARDS[pallet, function] = check
        return check

    return register


def runtime_api(name: str) -> Callable[[Answer], Answer]:
    """Registers the answer to `state_call`: a function of (Storage, *arguments), which returns the decoded result."""

    def register(answer: Answer) -> Answer:
        APIS[name] = answer
        return answer

    return register


def on_initialize(hook: Callable[[Context], None]) -> Callable[[Context], None]:
    """Registers what happens at the start of every block, before its extrinsics. Its events have that phase."""
    ON_INITIALIZE.append(hook)
    return hook


def on_finalize(hook: Callable[[Context], None]) -> Callable[[Context], None]:
    """Registers what happens at the end of every block."""
    ON_FINALIZE.append(hook)
    return hook


def call_api(storage: Storage, name: str, data: bytes) -> bytes:
    """Answers `state_call`.

    Raises:
        ScaleError: the runtime or this chain has no such API, or the arguments are not its arguments.
        PanicError: the answer is faulty.
    """
    arguments = storage.runtime.decode_api_arguments(name, data)
    if name not in APIS:
        raise ScaleError(f"the sandbox does not answer {name}")
    with panics():
        return storage.runtime.encode_api_result(name, APIS[name](storage, *arguments))
