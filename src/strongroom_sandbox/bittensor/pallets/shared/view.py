"""One pallet's storage, by the names of its items alone: `View` reads, `Pallet` also writes, and speaks in events."""

from collections.abc import Callable
from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.state.storage import Storage

SUBTENSOR: Final = "SubtensorModule"


class View:
    """Reads a pallet, of `SubtensorModule` when no other is named."""

    def __init__(self, storage: Storage, name: str = SUBTENSOR) -> None:
        self.storage = storage
        self.name = name
        self.stateful_epochs = storage.has_item(SUBTENSOR, "SubnetEpochIndex")
        """Runtime 424's ways: epochs are counted in storage, and what goes with that."""

    @property
    def block(self) -> int:
        return self.storage.block_number

    def has_item(self, item: str) -> bool:
        """Whether the runtime has it at all."""
        return self.storage.has_item(self.name, item)

    def get(self, item: str, *keys: Any) -> Any:
        """The value, or its default."""
        return self.storage.get(self.name, item, *keys)

    def get_or(self, default: Any, item: str, *keys: Any) -> Any:
        """The value, or `default` where the runtime does not have the item."""
        return self.get(item, *keys) if self.has_item(item) else default

    def contains(self, item: str, *keys: Any) -> bool:
        """Whether a value is stored."""
        return self.storage.contains(self.name, item, *keys)

    def entries(self, item: str, *keys: Any) -> list[tuple[tuple[Any, ...], Any]]:
        """(all keys, value) under the given first keys. A list: it may be changed meanwhile."""
        return list(self.storage.entries(self.name, item, *keys))

    def other(self, name: str) -> "View":
        return View(self.storage, name)

    def error(self, name: str) -> DispatchError:
        """To be raised: one of the pallet's errors."""
        return DispatchError.module(self.name, name)


class Pallet(View):
    """Writes a pallet within a call or a hook."""

    def __init__(self, ctx: Context, name: str = SUBTENSOR) -> None:
        super().__init__(ctx, name)
        self.ctx = ctx

    @property
    def signer(self) -> bytes:
        """Raises: DispatchError: BadOrigin."""
        return self.ctx.signer

    def put(self, item: str, *keys: Any, value: Any) -> None:
        self.ctx.put(self.name, item, *keys, value=value)

    def put_or_remove(self, item: str, *keys: Any, value: Any, empty: bool) -> None:
        """Stores a value, or nothing where the chain keeps none."""
        if empty:
            self.remove(item, *keys)
        else:
            self.put(item, *keys, value=value)

    def change(self, item: str, *keys: Any, by: Callable[[Any], Any]) -> Any:
        return self.ctx.change(self.name, item, *keys, by=by)

    def remove(self, item: str, *keys: Any) -> None:
        self.ctx.remove(self.name, item, *keys)

    def writing(self, name: str) -> "Pallet":
        """Another pallet."""
        return Pallet(self.ctx, name)

    def event(self, name: str, *content: Any) -> None:
        """Deposits an event with unnamed fields; one with names takes a dict."""
        self.ctx.deposit_event(
            self.name, name, content if len(content) > 1 else content[0] if content else None
        )

    def attempt(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Runs `act`, all or nothing; gives None, or the error as events carry it."""
        try:
            with self.ctx.savepoint():
                act(*arguments)
        except DispatchError as error:
            return error.value(self.ctx.runtime)
        return None
