"""The state by name: `storage.get("SubtensorModule", "Tempo", netuid)`."""

from collections.abc import Callable, Iterator
from typing import Any

from strongroom_sandbox.bittensor.codec.runtime import Runtime
from strongroom_sandbox.bittensor.state.state import State


class Storage:
    """Typed reading and writing under one runtime. Values are those of `type_codecs`: accounts and hashes are bytes.

    Every method raises ScaleError for an item that the runtime does not have; `has_item` asks first.
    """

    def __init__(self, runtime: Runtime, state: State) -> None:
        self.runtime = runtime
        self.state = state

    @property
    def block_number(self) -> int:
        """Of the block that is being built, or that this is the state of."""
        return int(self.get("System", "Number"))

    @property
    def now_ms(self) -> int:
        """The chain's clock: the timestamp of the block."""
        return int(self.get("Timestamp", "Now"))

    def has_item(self, pallet: str, item: str) -> bool:
        return self.runtime.has_item(pallet, item)

    def get(self, pallet: str, item: str, *keys: Any) -> Any:
        """The value, or the default that the metadata names; None for an optional item that is absent."""
        data = self.state.get(self.runtime.storage_key(pallet, item, *keys))
        if data is None:
            return self.runtime.default_value(pallet, item)
        return self.runtime.decode_value(pallet, item, data)

    def contains(self, pallet: str, item: str, *keys: Any) -> bool:
        """Whether a value is stored, be it the default or not."""
        return self.state.get(self.runtime.storage_key(pallet, item, *keys)) is not None

    def put(self, pallet: str, item: str, *keys: Any, value: Any) -> None:
        encoded = self.runtime.encode_value(pallet, item, value)
        self.state.put(self.runtime.storage_key(pallet, item, *keys), encoded)

    def change(self, pallet: str, item: str, *keys: Any, by: Callable[[Any], Any]) -> Any:
        """Stores what `by` makes of the value, and returns it: `change(..., by=lambda n: n + 1)`."""
        value = by(self.get(pallet, item, *keys))
        self.put(pallet, item, *keys, value=value)
        return value

    def remove(self, pallet: str, item: str, *keys: Any) -> None:
        self.state.remove(self.runtime.storage_key(pallet, item, *keys))

    def remove_under(self, pallet: str, item: str, *keys: Any) -> None:
        """Removes a map, or the part of it under the given first keys."""
        for key in self.state.keys(self.runtime.storage_key(pallet, item, *keys)):
            self.state.remove(key)

    def entries(self, pallet: str, item: str, *keys: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """(all keys, value) of what a map holds under the given first keys, in the order of the raw keys."""
        for key in self.state.keys(self.runtime.storage_key(pallet, item, *keys)):
            data = self.state.get(key)
            if data is not None:
                value = self.runtime.decode_value(pallet, item, data)
                yield self.runtime.split_storage_key(pallet, item, key), value

    def constant(self, pallet: str, name: str) -> Any:
        return self.runtime.constant(pallet, name)
