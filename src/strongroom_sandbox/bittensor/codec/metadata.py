"""Reads metadata of version 15: what a runtime has, by name, and the registry of its types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError

MAGIC = b"meta"
VERSION = 15
PRIMITIVES = (
    *("bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256"),
    *("i8", "i16", "i32", "i64", "i128", "i256"),
)
HASHERS = (
    *("blake2_128", "blake2_256", "blake2_128_concat"),
    *("twox_128", "twox_256", "twox_64_concat", "identity"),
)


@dataclass(frozen=True, slots=True)
class Field:
    name: str | None
    type: int


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    fields: tuple[Field, ...]
    index: int
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """`kind` is composite, variant, sequence, array, tuple, primitive, compact or bits; `content` belongs to it."""

    path: tuple[str, ...]
    kind: str
    content: Any


@dataclass(frozen=True, slots=True)
class StorageItem:
    name: str
    hashers: tuple[str, ...]
    key: int | None
    value: int
    default: bytes | None
    """None: the item is optional, and an absent value has no default."""


@dataclass(frozen=True, slots=True)
class Constant:
    type: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Pallet:
    name: str
    index: int
    prefix: str
    storage: dict[str, StorageItem]
    calls: int | None
    events: int | None
    errors: int | None
    constants: dict[str, Constant]


@dataclass(frozen=True, slots=True)
class Method:
    """The types of a runtime API: those of its arguments by name, in order, and that of its answer."""

    inputs: tuple[tuple[str, int], ...]
    output: int


@dataclass(frozen=True, slots=True)
class Metadata:
    types: tuple[Type, ...]
    pallets: tuple[Pallet, ...]
    extensions: tuple[tuple[str, int, int], ...]
    """The name, the type in the extrinsic, and the type that is only signed."""
    call_type: int
    event_type: int
    apis: dict[str, Method]
    """The APIs by the name that `state_call` takes, for example `Core_version`."""


def read_metadata(data: bytes) -> Metadata:
    """Reads metadata from its magic number on.

    Raises:
        ScaleError: it is not metadata of version 15.
    """
    reader = Reader(data)
    if reader.take(4) != MAGIC or reader.integer(1) != VERSION:
        raise ScaleError(f"not metadata of version {VERSION}")
    types = tuple(_type(reader) for _ in range(reader.compact()))
    pallets = tuple(_pallet(reader) for _ in range(reader.compact()))
    reader.take(1)  # version of the extrinsic
    _address, call_type, _signature, _extra = (reader.compact() for _ in range(4))
    extensions = tuple((_text(reader), reader.compact(), reader.compact()) for _ in range(reader.compact()))
    reader.compact()  # the runtime itself
    apis = dict(method for _ in range(reader.compact()) for method in _api(reader))
    _calls, event_type = reader.compact(), reader.compact()
    return Metadata(types, pallets, extensions, call_type, event_type, apis)


def _text(reader: Reader) -> str:
    return reader.sized().decode()


def _texts(reader: Reader) -> tuple[str, ...]:
    return tuple(_text(reader) for _ in range(reader.compact()))


def _type(reader: Reader) -> Type:
    reader.compact()  # its own id, which is its place
    path = _texts(reader)
    for _ in range(reader.compact()):  # type parameters
        _text(reader)
        if reader.integer(1):
            reader.compact()
    kind, content = _definition(reader)
    _texts(reader)
    return Type(path, kind, content)


def _definition(reader: Reader) -> tuple[str, Any]:
    kind = reader.integer(1)
    if kind >= len(DEFINITIONS):
        raise ScaleError(f"unknown kind of type {kind}")
    name, read = DEFINITIONS[kind]
    return name, read(reader)


def _fields(reader: Reader) -> tuple[Field, ...]:
    fields: list[Field] = []
    for _ in range(reader.compact()):
        name = _text(reader) if reader.integer(1) else None
        fields.append(Field(name, reader.compact()))
        if reader.integer(1):
            _text(reader)  # the type's name in the source
        _texts(reader)
    return tuple(fields)


def _variant(reader: Reader) -> Variant:
    return Variant(_text(reader), _fields(reader), reader.integer(1), _texts(reader))


def _pallet(reader: Reader) -> Pallet:
    name = _text(reader)
    prefix, storage = name, dict[str, StorageItem]()
    if reader.integer(1):
        prefix = _text(reader)
        items = [_storage_item(reader) for _ in range(reader.compact())]
        storage = {item.name: item for item in items}
    calls, events = _optional_type(reader), _optional_type(reader)
    constants = dict(_constant(reader) for _ in range(reader.compact()))
    errors = _optional_type(reader)
    index = reader.integer(1)
    _texts(reader)
    return Pallet(name, index, prefix, storage, calls, events, errors, constants)


def _optional_type(reader: Reader) -> int | None:
    return reader.compact() if reader.integer(1) else None


def _storage_item(reader: Reader) -> StorageItem:
    name = _text(reader)
    optional = reader.integer(1) == 0
    hashers: tuple[str, ...] = ()
    key = None
    if reader.integer(1):
        hashers = tuple(HASHERS[reader.integer(1)] for _ in range(reader.compact()))
        key = reader.compact()
    value = reader.compact()
    default = reader.sized()
    _texts(reader)
    return StorageItem(name, hashers, key, value, None if optional else default)


def _constant(reader: Reader) -> tuple[str, Constant]:
    name, constant = _text(reader), Constant(reader.compact(), reader.sized())
    _texts(reader)
    return name, constant


def _api(reader: Reader) -> list[tuple[str, Method]]:
    name = _text(reader)
    methods = [_method(reader, name) for _ in range(reader.compact())]
    _texts(reader)
    return methods


def _method(reader: Reader, api: str) -> tuple[str, Method]:
    name = f"{api}_{_text(reader)}"
    inputs = tuple((_text(reader), reader.compact()) for _ in range(reader.compact()))
    method = Method(inputs, reader.compact())
    _texts(reader)
    return name, method


DEFINITIONS: tuple[tuple[str, Callable[[Reader], Any]], ...] = (
    ("composite", _fields),
    ("variant", lambda reader: tuple(_variant(reader) for _ in range(reader.compact()))),
    ("sequence", Reader.compact),
    ("array", lambda reader: (reader.integer(4), reader.compact())),
    ("tuple", lambda reader: tuple(reader.compact() for _ in range(reader.compact()))),
    ("primitive", lambda reader: PRIMITIVES[reader.integer(1)]),
    ("compact", Reader.compact),
    ("bits", lambda reader: (reader.compact(), reader.compact())),
)
"""The kinds of types by their number, with the reader of what belongs to each."""
