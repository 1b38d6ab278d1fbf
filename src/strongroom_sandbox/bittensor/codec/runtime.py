"""A runtime, made from its real metadata: it encodes what is named, and decodes bytes to names."""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from strongroom.core.json_decoder import decode_json
from strongroom_sandbox.bittensor.codec.hashers import PREFIX_SIZE, storage_hash, twox_128
from strongroom_sandbox.bittensor.codec.metadata import Metadata, Method, Pallet, StorageItem, read_metadata
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError, compact
from strongroom_sandbox.bittensor.codec.type_codecs import Types

SPECS = (293, 424)
"""The runtimes whose metadata the package contains."""


class Call(NamedTuple):
    pallet: str
    function: str
    args: dict[str, Any]
    """The arguments by name, in the order of the metadata; values as in `type_codecs`."""


class Event(NamedTuple):
    pallet: str
    name: str
    content: Any
    """None, or the fields as for a struct: a dict, the value of a single unnamed field, or a tuple."""


@dataclass(frozen=True, slots=True)
class ModuleError:
    """An error of a pallet by its numbers, as a DispatchError contains it."""

    pallet: int
    error: int

    def encoded(self) -> dict[str, Any]:
        return {"index": self.pallet, "error": bytes([self.error, 0, 0, 0])}


class Runtime:
    """Everything the chain needs to know of one `spec_version`. Values are those of `type_codecs`."""

    def __init__(
        self, metadata_v15: bytes, metadata_v14: bytes, version: dict[str, Any], metadata_of: int
    ) -> None:
        self.metadata_v15, self.metadata_v14 = metadata_v15, metadata_v14
        self.metadata_of = metadata_of
        """The one of `SPECS` that the metadata belongs to."""
        self.version = version
        """The answer of `state_getRuntimeVersion`."""
        self.metadata: Metadata = read_metadata(metadata_v15)
        self.types = Types(self.metadata.types)
        self.pallets: dict[str, Pallet] = {pallet.name: pallet for pallet in self.metadata.pallets}
        self._calls = self.metadata.call_type
        self._prefixes: dict[tuple[str, str], bytes] = {}

    @property
    def spec_version(self) -> int:
        return int(self.version["specVersion"])

    @property
    def transaction_version(self) -> int:
        return int(self.version["transactionVersion"])

    def with_spec_version(self, spec_version: int) -> "Runtime":
        """Returns the same runtime under another number, as after an upgrade that changes no type."""
        version = self.version | {"specVersion": spec_version}
        return Runtime(self.metadata_v15, self.metadata_v14, version, self.metadata_of)

    # Storage

    def has_item(self, pallet: str, item: str) -> bool:
        return pallet in self.pallets and item in self.pallets[pallet].storage

    def item(self, pallet: str, item: str) -> StorageItem:
        """Returns a storage item. Raises: ScaleError: this runtime has no such item."""
        if not self.has_item(pallet, item):
            raise ScaleError(f"runtime {self.spec_version} has no storage {pallet}.{item}")
        return self.pallets[pallet].storage[item]

    def storage_key(self, pallet: str, item: str, *keys: Any) -> bytes:
        """Returns the key of a value; with fewer keys than the map has, the prefix of all values under them."""
        prefix = self._prefixes.get((pallet, item))
        if prefix is None:
            self.item(pallet, item)
            prefix = twox_128(self.pallets[pallet].prefix.encode()) + twox_128(item.encode())
            self._prefixes[pallet, item] = prefix
        if not keys:
            return prefix
        return prefix + b"".join(
            storage_hash(hasher, self.types.encode(key_type, key))
            for (hasher, key_type), key in zip(self.key_parts(pallet, item), keys, strict=False)
        )

    def split_storage_key(self, pallet: str, item: str, key: bytes) -> tuple[Any, ...]:
        """Returns the keys of a map from the storage key of one of its values."""
        reader = Reader(key, len(self.storage_key(pallet, item)))
        keys = []
        for hasher, key_type in self.key_parts(pallet, item):
            reader.take(PREFIX_SIZE[hasher])
            keys.append(self.types.codec(key_type).decode(reader))
        return tuple(keys)

    def key_parts(self, pallet: str, item: str) -> list[tuple[str, int]]:
        """(hasher, type id) of each key of a map."""
        found = self.item(pallet, item)
        if found.key is None:
            return []
        if len(found.hashers) == 1:
            return [(found.hashers[0], found.key)]
        return list(zip(found.hashers, self.types.types[found.key].content, strict=True))

    def decode_value(self, pallet: str, item: str, data: bytes) -> Any:
        return self.types.decode(self.item(pallet, item).value, data)

    def encode_value(self, pallet: str, item: str, value: Any) -> bytes:
        return self.types.encode(self.item(pallet, item).value, value)

    def default_value(self, pallet: str, item: str) -> Any:
        """Returns what an absent value stands for: None for optional items."""
        default = self.item(pallet, item).default
        return None if default is None else self.decode_value(pallet, item, default)

    def constant(self, pallet: str, name: str) -> Any:
        constant = self.pallets[pallet].constants[name]
        return self.types.decode(constant.type, constant.value)

    # Calls

    def has_call(self, pallet: str, function: str) -> bool:
        calls = self.pallets[pallet].calls if pallet in self.pallets else None
        return calls is not None and any(v.name == function for v in self.types.variants(calls))

    def decode_call(self, data: bytes) -> Call:
        """Raises: ScaleError: the bytes are no call of this runtime, or more than one."""
        return self.call_of(self.types.decode(self._calls, data))

    def encode_call(self, call: Call) -> bytes:
        content = self._bare(call)
        return self.types.encode(self._calls, (call.pallet, content))

    def call_of(self, value: Any) -> Call:
        """Returns the call in a decoded value, such as an argument of `Utility.batch`."""
        pallet, content = value
        function, fields = (content, {}) if isinstance(content, str) else content
        return Call(pallet, function, dict(fields))

    def value_of(self, call: Call) -> Any:
        """Returns the decoded value of a call, the reverse of `call_of`."""
        return (call.pallet, self._bare(call))

    @staticmethod
    def _bare(call: Call) -> Any:
        return (call.function, call.args) if call.args else call.function

    # Events and errors

    def encode_event(self, event: Event) -> bytes:
        """Without its phase.

        Raises:
            ScaleError: this runtime has no such event, or its content is another.
        """
        content = event.name if event.content is None else (event.name, event.content)
        return self.types.encode(self.metadata.event_type, (event.pallet, content))

    def encode_events(self, events: list[tuple[Any, Event]]) -> bytes:
        """`System.Events` out of (phase, event): `("ApplyExtrinsic", 1)`, "Finalization" or "Initialization"."""
        return compact(len(events)) + b"".join(
            _phase(phase) + self.encode_event(event) + b"\x00" for phase, event in events
        )

    def module_error(self, pallet: str, name: str) -> ModuleError:
        """Raises: ScaleError: the pallet has no such error."""
        found = self.pallets[pallet]
        if found.errors is not None:
            for variant in self.types.variants(found.errors):
                if variant.name == name:
                    return ModuleError(found.index, variant.index)
        raise ScaleError(f"runtime {self.spec_version} has no error {pallet}.{name}")

    # Runtime APIs

    def api(self, name: str) -> Method:
        """`name` as `state_call` takes it.

        Raises:
            ScaleError: the metadata does not tell of it.
        """
        if name not in self.metadata.apis:
            raise ScaleError(f"runtime {self.spec_version} has no API {name}")
        return self.metadata.apis[name]

    def decode_api_arguments(self, name: str, data: bytes) -> tuple[Any, ...]:
        reader = Reader(data)
        arguments = tuple(self.types.codec(kind).decode(reader) for _, kind in self.api(name).inputs)
        reader.end()
        return arguments

    def result_fields(self, name: str) -> tuple[str, ...]:
        """Returns the names of the fields of the struct, or optional struct, that an API returns."""
        found = self.types.types[self.api(name).output]
        if found.path == ("Option",):
            found = self.types.types[found.content[1].fields[0].type]
        return tuple(field.name or "" for field in found.content)

    def encode_api_result(self, name: str, value: Any) -> bytes:
        return self.types.encode(self.api(name).output, value)


def _phase(phase: Any) -> bytes:
    if phase == "Finalization":
        return b"\x01"
    if phase == "Initialization":
        return b"\x02"
    return b"\x00" + int(phase[1]).to_bytes(4, "little")


@cache
def shipped_runtime(spec_version: int) -> Runtime:
    """Returns the runtime of one of `SPECS`; a process reads it once."""
    folder = files("strongroom_sandbox.bittensor") / "runtimes"

    def read(version: int) -> bytes:
        return gzip.decompress((folder / f"{spec_version}.v{version}.scale.gz").read_bytes())

    version = decode_json((folder / f"{spec_version}.version.json").read_bytes())
    return Runtime(read(15), read(14), version, spec_version)
