"""One version of the chain's runtime, read from its metadata. It encodes and decodes calls, storage and events."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import xxhash
from scalecodec.base import RuntimeConfigurationObject, ScaleBytes  # type: ignore[attr-defined] # it is not in its stubs
from scalecodec.exceptions import InvalidScaleTypeValueException, RemainingScaleBytesNotEmptyException
from scalecodec.type_registry import load_type_registry_preset

from strongroom.bittensor.gateway import PROXY_EXECUTED, CallUnknown, Event, InvalidNodeResponse, Item
from strongroom.bittensor.gateway.call_form import NUMBERS, CallForm
from strongroom.bittensor.gateway.carriers import endless
from strongroom.bittensor.gateway.proxy_form import FUNCTION, PALLET, ProxyForm
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.proxies import Delegation
from strongroom.bittensor.protocol.ss58 import PREFIX

EVENTS: Final = Item("System", "Events")
SIGNED_EXTENSIONS: Final = (
    {"CheckSpecVersion"},
    {"CheckTxVersion"},
    {"CheckGenesis"},
    {"CheckMortality", "CheckEra"},
    {"CheckNonce"},
    {"ChargeTransactionPayment", "ChargeTransactionPaymentWrapper"},
    {"CheckMetadataHash"},
)
"""The extensions whose bytes `protocol.extrinsics` writes, in its order. Some have had more than one name."""
BLOCK_S: Final = 12.0
"""The time between blocks if the runtime does not say it."""
_MAGIC: Final = b"meta"
_CODEC_ERRORS: Final = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError),
    *(RemainingScaleBytesNotEmptyException, InvalidScaleTypeValueException, RecursionError),
)
"""The codec raises these for bytes or values that do not fit the type."""


class MetadataRuntime:
    """Immutable. Making one takes half a second of processor time, so make it in a thread."""

    def __init__(
        self, metadata: bytes, *, spec_version: int, transaction_version: int, genesis_hash: bytes
    ) -> None:
        """From metadata of version 14 or 15.

        Raises:
            InvalidNodeResponse: it is none.
        """
        if not metadata.startswith(_MAGIC):
            raise InvalidNodeResponse("The node's metadata is none")
        self.spec_version = spec_version
        self.transaction_version = transaction_version
        self.genesis_hash = genesis_hash
        self._types: Any = RuntimeConfigurationObject(ss58_format=PREFIX)
        self._types.clear_type_registry()
        self._types.update_type_registry(load_type_registry_preset(name="core") or {})
        try:
            self._metadata: Any = self._types.create_scale_object(
                "MetadataVersioned", data=ScaleBytes(metadata)
            )
            self._metadata.decode()
            self._types.implements_scale_info = True
            self._types.add_portable_registry(self._metadata)
        except _CODEC_ERRORS as error:
            raise InvalidNodeResponse(
                f"The node's metadata cannot be read ({type(error).__name__})"
            ) from error
        self._calls = {
            (pallet.name, call.name): CallForm.of(pallet.value["index"], call.value, self._primitive)
            for pallet in self._metadata.pallets
            for call in pallet.calls or ()
        }
        self._names = {
            bytes([pallet.value["index"], call.value["index"]]): f"{pallet.name}.{call.name}"
            for pallet in self._metadata.pallets
            for call in pallet.calls or ()
        }
        self._carriers = self._calls_that_carry()
        self._items = {
            (pallet.name, item.name): item
            for pallet in self._metadata.pallets
            if pallet.storage is not None
            for item in pallet.storage
        }
        self._proxy_form = self._form_of_proxies()
        self._require_known_extensions()
        self.block_s = self._read_block_s()

    def has(self, pallet: str, function: str) -> bool:
        return (pallet, function) in self._calls

    def encode(self, call: Call) -> bytes:
        if not self.has(call.pallet, call.function):
            raise CallUnknown(f"Runtime {self.spec_version} has no call {call.name}")
        form = self._calls[call.pallet, call.function]
        if form.fields is not None:
            return form.encode(call)
        document = {
            "call_module": call.pallet,
            "call_function": call.function,
            "call_args": {name: _plain(value) for name, value in call.arguments.items()},
        }
        try:
            return bytes(
                self._types.create_scale_object("Call", metadata=self._metadata).encode(document).data
            )
        except _CODEC_ERRORS as error:
            raise CallUnknown(
                f"Runtime {self.spec_version} takes other arguments of {call.name} ({error})"
            ) from error

    def proxied(self, delegation: Delegation, call: bytes) -> bytes:
        return self._proxy_form.encode(delegation, call)

    def unwrapped(self, delegation: Delegation, data: bytes) -> bytes:
        prefix = self._proxy_form.encode(delegation, b"")
        if not data.startswith(prefix):
            raise CallUnknown(f"This is no call of the {delegation}, with its type named")
        return data[len(prefix) :]

    def call_name(self, data: bytes) -> str:
        name = self._names.get(data[:2])
        if name is None:
            raise CallUnknown(f"These bytes are no call of runtime {self.spec_version}")
        return name

    def decode_call(self, data: bytes) -> Call:
        if (
            name := self.call_name(data)
        ) in self._carriers:  # the codec crashes on calls that are nested deep enough
            raise CallUnknown(f"{name} carries other calls, which are not read")
        try:
            found = self._types.create_scale_object("Call", data=ScaleBytes(data), metadata=self._metadata)
            document = found.decode()
            arguments = {one["name"]: one["value"] for one in document["call_args"]}
            call = Call(
                pallet=document["call_module"], function=document["call_function"], arguments=arguments
            )
        except _CODEC_ERRORS as error:
            raise CallUnknown(f"These bytes are no call of runtime {self.spec_version}") from error
        if self.encode(call) != data:
            raise CallUnknown("The call is not in its canonical form")
        return call

    def storage_key(self, item: Item) -> bytes:
        """Raises: InvalidNodeResponse: the runtime has no such item."""
        found = self._item(item)
        prefix = self._metadata.get_metadata_pallet(item.pallet).value["storage"]["prefix"]
        key = _twox_128(prefix) + _twox_128(item.name)
        types = found.get_params_type_string()
        if len(types) != len(item.keys):
            raise InvalidNodeResponse(
                f"Storage {item.pallet}.{item.name} has {len(types)} keys in this runtime"
            )
        hashers = (
            found.get_param_hashers() if types else ()
        )  # the codec names a hasher also for a value without keys
        for value, type_name, hasher in zip(item.keys, types, hashers, strict=True):
            encoded = bytes(self._types.create_scale_object(type_name).encode(_plain(value)).data)
            key += _hashed(hasher, encoded)
        return key

    def decode_value(self, item: Item, raw: bytes | None) -> Any:
        """Decodes a stored value; None: the item has no value and no default."""
        found = self._item(item)
        if raw is None:
            if found.modifier != "Default":
                return None
            raw = bytes(found.value_object["default"].value_object)
        return self._decode(found.get_value_type_string(), raw)

    def has_item(self, pallet: str, name: str) -> bool:
        return (pallet, name) in self._items

    def decode_events(self, raw: bytes | None) -> list[Event]:
        if raw is None:
            return []
        return [
            self._event(record) for record in self._decode(self._item(EVENTS).get_value_type_string(), raw)
        ]

    def failure(self, error: Any) -> Failure:
        """Makes the failure of a decoded DispatchError."""
        if isinstance(error, str):
            return Failure(type=error, name=error)
        kind, detail = next(iter(error.items()))
        if kind != "Module":
            return Failure(type=kind, name=str(detail))
        number = int(detail["error"][2:4], 16)
        found = self._metadata.get_module_error(detail["index"], number)
        if found is None:
            return Failure(type=kind, name=f"{detail['index']}.{number}", code=number)
        return Failure(type=kind, name=found.name, docs=" ".join(found.docs).strip(), code=number)

    def _form_of_proxies(self) -> ProxyForm:
        for pallet in self._metadata.pallets:
            for call in pallet.calls or ():
                if (pallet.name, call.name) == (PALLET, FUNCTION):
                    types = self._metadata.portable_registry.value["types"]
                    return ProxyForm.of(pallet.value["index"], call.value, types)
        return ProxyForm()

    def _calls_that_carry(self) -> frozenset[str]:
        types = endless(self._metadata.portable_registry.value["types"])
        return frozenset(
            f"{pallet.name}.{call.name}"
            for pallet in self._metadata.pallets
            for call in pallet.calls or ()
            if any(field["type"] in types for field in call.value["fields"])
        )

    def _require_known_extensions(self) -> None:
        """Refuses a runtime with an unknown extension that adds bytes to what is signed: every payload would be wrong."""
        names = [
            name
            for name, types in self._metadata.get_signed_extensions().items()
            if not all(self._is_empty(types[part]) for part in ("extrinsic", "additional_signed"))
        ]
        for name in names:
            if not any(name in known for known in SIGNED_EXTENSIONS):
                raise InvalidNodeResponse(
                    f"Runtime {self.spec_version} signs {name}, which this version does not know"
                )
        in_order = len(names) == len(SIGNED_EXTENSIONS) and all(
            name in known for name, known in zip(names, SIGNED_EXTENSIONS, strict=True)
        )
        if not in_order:
            raise InvalidNodeResponse(
                f"Runtime {self.spec_version} signs in an order that this version does not know: {', '.join(names)}"
            )

    def _read_block_s(self) -> float:
        """Returns the seconds between blocks: twice the minimum that the runtime names (polkadot-sdk, `pallet_timestamp`)."""
        for pallet in self._metadata.pallets:
            for constant in pallet.constants or ():
                if (pallet.name, constant.name) == ("Timestamp", "MinimumPeriod"):
                    period_ms: int = self._decode(constant.type, bytes(constant.constant_value))
                    return 2 * period_ms / 1000
        return BLOCK_S

    def _is_empty(self, type_name: str) -> bool:
        try:
            self._types.create_scale_object(type_name, data=ScaleBytes(b"")).decode()
        except _CODEC_ERRORS:
            return False
        return True

    def _event(self, record: dict[str, Any]) -> Event:
        content = record["attributes"]
        pallet, name = record["module_id"], record["event_id"]
        error: Any = None
        if (pallet, name) == ("System", "ExtrinsicFailed"):
            error = content["dispatch_error"]
        elif (pallet, name) == PROXY_EXECUTED:
            error = content["result"].get("Err")
        return Event(
            extrinsic=record["extrinsic_idx"],
            pallet=pallet,
            name=name,
            content=content,
            failure=None if error is None else self.failure(error),
        )

    def _item(self, item: Item) -> Any:
        found = self._items.get((item.pallet, item.name))
        if found is None:
            raise InvalidNodeResponse(f"Runtime {self.spec_version} has no storage {item.pallet}.{item.name}")
        return found

    def _primitive(self, type_id: int) -> str | None:
        """Returns `u16` for a number, `[u16]` for a list of numbers, None for any other type."""
        definition = self._types.create_scale_object(f"scale_info::{type_id}").scale_info_type.value["def"]
        if "primitive" in definition:
            return str(definition["primitive"])
        if "sequence" in definition:
            inner = self._primitive(definition["sequence"]["type"])
            return f"[{inner}]" if inner in NUMBERS else None
        return None

    def _decode(self, type_name: str, raw: bytes) -> Any:
        try:
            found = self._types.create_scale_object(type_name, data=ScaleBytes(raw), metadata=self._metadata)
            return found.decode()
        except _CODEC_ERRORS as error:
            raise InvalidNodeResponse(
                f"The node sent what is no {type_name} ({type(error).__name__})"
            ) from error


def read_option(raw: bytes) -> bytes | None:
    """Returns the bytes in an `Option<Vec<u8>>`, as the runtime's metadata API wraps them; None: there are none."""
    if len(raw) < 2 or raw[0] == 0:  # noqa: PLR2004 - the option's byte, and the first of the size
        return None
    mode = raw[1] & 3
    size = {0: 1, 1: 2, 2: 4}.get(mode, (raw[1] >> 2) + 5)
    return raw[1 + size :]


def _plain(value: Any) -> Any:
    """Turns bytes into hex, which the codec takes."""
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def _hashed(hasher: str, encoded: bytes) -> bytes:
    match hasher:
        case "Identity":
            return encoded
        case "Twox64Concat":
            return xxhash.xxh64_intdigest(encoded, 0).to_bytes(8, "little") + encoded
        case "Blake2_128Concat":
            return hashlib.blake2b(encoded, digest_size=16).digest() + encoded
        case other:
            raise InvalidNodeResponse(f"The hasher {other} is not known")


@lru_cache(maxsize=256)
def _twox_128(text: str) -> bytes:
    raw = text.encode()
    return b"".join(xxhash.xxh64_intdigest(raw, seed).to_bytes(8, "little") for seed in (0, 1))
