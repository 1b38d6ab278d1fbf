"""Calls pallets on a sandbox chain without signatures: what a call does, and what the pool would say to it."""

from typing import Any

from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.codec.runtime import Call, Event
from strongroom_sandbox.bittensor.execution.dispatch import (
    ON_INITIALIZE,
    ROOT,
    VALIDATIONS,
    Context,
    Origin,
    call_api,
)
from strongroom_sandbox.bittensor.execution.failures import DispatchError, PoolRefusal
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.pallets.shared.view import View
from support.clock import ManualClock

RAO = 10**9
OWNER, VALIDATOR = "//Alice", "//Alice//hk0"
NETUID = 2
TEMPO = 10


class Trial:
    """A chain with subnet 2: `VALIDATOR` is its owner's hotkey and uid 0, hk1 and hk2 are uids 1 and 2."""

    def __init__(self, spec_version: int) -> None:
        self.spec_version = spec_version
        self.node = Node(Genesis(spec_version=spec_version).chain(), ManualClock())
        self.node.produce()
        self.admin("network_rate_limit", 0)
        self.run(OWNER, "register_network", hotkey=key(VALIDATOR))
        self.admin("tempo", TEMPO, netuid=NETUID)
        self.admin("commit_reveal_weights_enabled", value=False, netuid=NETUID)
        self.admin("target_registrations_per_interval", 100, netuid=NETUID)
        for hotkey in ("//Alice//hk1", "//Alice//hk2"):
            self.run(OWNER, "burned_register", netuid=NETUID, hotkey=key(hotkey))
        self.admin("weights_set_rate_limit", 0, netuid=NETUID)
        self.admin("subtoken_enabled", value=True, netuid=NETUID)

    @property
    def view(self) -> View:
        return View(self.node.chain.storage)

    @property
    def block(self) -> int:
        return self.node.chain.head.number

    def get(self, item: str, *keys: Any, pallet: str = "SubtensorModule") -> Any:
        return self.node.chain.storage.get(pallet, item, *keys)

    def empower(self) -> None:
        """Gives the validator stake, and with an epoch a permit."""
        self.run(OWNER, "add_stake", hotkey=key(VALIDATOR), netuid=NETUID, amount_staked=100 * RAO)
        self.blocks(TEMPO + 1)
        assert self.get("ValidatorPermit", NETUID)[0]

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.node.produce(empty=True)

    def run(self, uri: str, function: str, pallet: str = "SubtensorModule", /, **args: Any) -> list[Event]:
        """A block with this call; gives its events.

        Raises:
            DispatchError: it failed, and there is no block.
        """
        return self.dispatch(Call(pallet, function, args), Origin(account=key(uri)))

    def admin(self, name: str, value: Any, netuid: int | None = None) -> list[Event]:
        """Sets a parameter as root."""
        return self.dispatch(self.setting(name, value, netuid), ROOT)

    def setting(self, name: str, value: Any, netuid: int | None = None) -> Call:
        runtime = self.node.chain.runtime
        calls = runtime.pallets["AdminUtils"].calls
        assert calls is not None
        function = f"sudo_set_{name}"
        (fields,) = [variant.fields for variant in runtime.types.variants(calls) if variant.name == function]
        values = [value] if netuid is None else [netuid, value]
        names = [field.name or "" for field in fields]
        return Call("AdminUtils", function, dict(zip(names, values, strict=True)))

    def dispatch(self, call: Call, origin: Origin) -> list[Event]:
        events: list[Event] = []

        def change(ctx: Context) -> None:
            before = len(ctx.events)
            ctx.dispatch(call, origin)
            events.extend(ctx.events[before:])

        self.node.produce(change, empty=True)
        return events

    def failure(self, uri: str, function: str, pallet: str = "SubtensorModule", /, **args: Any) -> str | None:
        """The error's name, or None; the chain stays as it was."""
        try:
            with self.node.chain.state.trial():
                ctx = self.node.chain.next_block()
                for hook in ON_INITIALIZE:
                    hook(ctx)
                ctx.dispatch(Call(pallet, function, args), Origin(account=key(uri)))
        except DispatchError as error:
            return str(error.detail[1]) if error.kind == "Module" else str(error.detail or error.kind)
        return None

    def refusal(self, uri: str, function: str, /, **args: Any) -> int | str | None:
        """What the pool would say, or None."""
        try:
            self.priority(uri, function, **args)
        except PoolRefusal as refusal:
            return refusal.reason
        return None

    def priority(self, uri: str, function: str, /, **args: Any) -> int | None:
        """Which place the pool would give it; None: the first.

        Raises:
            PoolRefusal: none.
        """
        check = VALIDATIONS.get(("SubtensorModule", function))
        with self.node.chain.state.trial():
            ctx = self.node.chain.next_block()
            ctx.origin = Origin(account=key(uri))
            return None if check is None else check(ctx, **args)

    def api(self, name: str, *arguments: Any) -> Any:
        """The answer of a runtime API, through its bytes."""
        runtime = self.node.chain.runtime
        method = runtime.api(name)
        data = b"".join(
            runtime.types.encode(kind, value)
            for (_, kind), value in zip(method.inputs, arguments, strict=True)
        )
        return runtime.types.decode(method.output, call_api(self.node.chain.storage, name, data))


def key(uri: str) -> bytes:
    return development_pair(uri)[0]


def names(events: list[Event]) -> list[str]:
    return [f"{event.pallet}.{event.name}" for event in events]
