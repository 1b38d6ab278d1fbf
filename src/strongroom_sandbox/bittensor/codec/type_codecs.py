"""Encodes and decodes values of a runtime's types. It is no client's codec, so that their mistakes do not hide here.

| type | value |
|---|---|
| numbers, bool, str | int, bool, str |
| sequences and arrays of u8 (account ids and hashes too) | bytes |
| other sequences and arrays, maps | list |
| Compact and structs of one unnamed field (`NetUid`, `H256`, `BoundedVec`) | what is inside |
| structs | dict; with unnamed fields tuple |
| tuples | tuple |
| Option | None or what is inside |
| enums | the variant's name; with fields (name, content), content as in a struct |
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from strongroom_sandbox.bittensor.codec.metadata import Field, Type, Variant
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError, compact, sized

Values = TypeVar("Values", bytes, list[Any], tuple[Any, ...])


class Codec(NamedTuple):
    encode: Callable[[Any], bytes]
    decode: Callable[[Reader], Any]


class Types:
    """The codecs of the registry's types by id. Each is built when it is first used."""

    def __init__(self, types: tuple[Type, ...]) -> None:
        self.types = types
        self._codecs: dict[int, Codec] = {}

    def decode(self, type_id: int, data: bytes) -> Any:
        """Raises: ScaleError: the bytes are no such value, or there are more of them."""
        reader = Reader(data)
        value = self.codec(type_id).decode(reader)
        reader.end()
        return value

    def encode(self, type_id: int, value: Any) -> bytes:
        """Raises: ScaleError: the value is not of this type."""
        try:
            return self.codec(type_id).encode(value)
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            path = "::".join(self.types[type_id].path) or self.types[type_id].kind
            raise ScaleError(f"{value!r} is no {path}: {error}") from error

    def variants(self, type_id: int) -> tuple[Variant, ...]:
        content = self.types[type_id].content
        if self.types[type_id].kind != "variant":
            raise ScaleError(f"type {type_id} is no enum")
        return tuple(content)

    def codec(self, type_id: int) -> Codec:
        codec = self._codecs.get(type_id)
        if codec is None:
            # A type may contain itself (a call within a call): until it is done, others get one that looks here later.
            self._codecs[type_id] = self._later(type_id)
            codec = self._codecs[type_id] = self._build(self.types[type_id])
        return codec

    def _later(self, type_id: int) -> Codec:
        def encode(value: Any) -> bytes:
            return self._codecs[type_id].encode(value)

        def decode(reader: Reader) -> Any:
            with reader.deeper():
                return self._codecs[type_id].decode(reader)

        return Codec(encode, decode)

    def _build(self, type_: Type) -> Codec:
        builders: dict[str, Callable[[], Codec]] = {
            "primitive": lambda: _primitive(type_.content),
            "compact": lambda: Codec(compact, Reader.compact),
            "composite": lambda: self._fields(type_.content),
            "tuple": lambda: self._tuple(type_.content),
            "sequence": lambda: self._sequence(type_.content),
            "array": lambda: self._array(*type_.content),
            "variant": lambda: self._variant(type_),
        }
        if type_.kind not in builders:
            raise ScaleError(f"values of kind {type_.kind} are not supported")
        return builders[type_.kind]()

    def _is_byte(self, type_id: int) -> bool:
        return self.types[type_id] == Type((), "primitive", "u8")

    def _sequence(self, member: int) -> Codec:
        if self._is_byte(member):
            return Codec(lambda value: sized(bytes(value)), Reader.sized)
        codec = self.codec(member)
        return Codec(
            lambda values: compact(len(values)) + b"".join(codec.encode(value) for value in values),
            lambda reader: [codec.decode(reader) for _ in range(reader.compact())],
        )

    def _array(self, length: int, member: int) -> Codec:
        if self._is_byte(member):
            return Codec(lambda value: _exactly(bytes(value), length), lambda reader: reader.take(length))
        codec = self.codec(member)
        return Codec(
            lambda values: b"".join(codec.encode(value) for value in _exactly(values, length)),
            lambda reader: [codec.decode(reader) for _ in range(length)],
        )

    def _fields(self, fields: tuple[Field, ...]) -> Codec:
        if len(fields) == 1 and fields[0].name is None:
            return self.codec(fields[0].type)
        if fields and fields[0].name is not None:
            return _struct([field.name or "" for field in fields], [self.codec(f.type) for f in fields])
        return self._tuple(tuple(field.type for field in fields))

    def _tuple(self, members: tuple[int, ...]) -> Codec:
        codecs = [self.codec(member) for member in members]

        def encode(values: Any) -> bytes:
            pairs = zip(codecs, _exactly(tuple(values), len(codecs)), strict=True)
            return b"".join(codec.encode(value) for codec, value in pairs)

        return Codec(encode, lambda reader: tuple(codec.decode(reader) for codec in codecs))

    def _variant(self, type_: Type) -> Codec:
        variants: tuple[Variant, ...] = type_.content
        if type_.path == ("Option",):
            return _option(self._fields(variants[1].fields))
        by_index = {
            variant.index: (variant.name, self._fields(variant.fields) if variant.fields else None)
            for variant in variants
        }
        by_name = {name: (bytes([index]), codec) for index, (name, codec) in by_index.items()}
        return _enum(by_index, by_name)


def _exactly(values: Values, length: int) -> Values:
    if len(values) != length:
        raise ScaleError(f"{len(values)} values where there must be {length}")
    return values


def _primitive(name: str) -> Codec:
    if name == "bool":
        return Codec(lambda value: bytes([bool(value)]), _read_bool)
    if name == "str":
        return Codec(lambda value: sized(value.encode()), lambda reader: reader.sized().decode())
    size, signed = int(name[1:]) // 8, name[0] == "i"
    return Codec(
        lambda value: int.to_bytes(value, size, "little", signed=signed),
        lambda reader: reader.integer(size, signed=signed),
    )


def _read_bool(reader: Reader) -> bool:
    value = reader.integer(1)
    if value > 1:
        raise ScaleError(f"{value} is no bool")
    return value == 1


def _struct(names: list[str], codecs: list[Codec]) -> Codec:
    pairs = list(zip(names, codecs, strict=True))

    def encode(value: Any) -> bytes:
        if len(value) != len(pairs):
            raise ScaleError(f"fields {sorted(value)} where there must be {names}")
        return b"".join(codec.encode(value[name]) for name, codec in pairs)

    return Codec(encode, lambda reader: {name: codec.decode(reader) for name, codec in pairs})


def _option(inner: Codec) -> Codec:
    return Codec(
        lambda value: b"\x00" if value is None else b"\x01" + inner.encode(value),
        lambda reader: inner.decode(reader) if _read_bool(reader) else None,
    )


def _enum(
    by_index: dict[int, tuple[str, Codec | None]], by_name: dict[str, tuple[bytes, Codec | None]]
) -> Codec:
    def encode(value: Any) -> bytes:
        name, content = (value, None) if isinstance(value, str) else value
        index, codec = by_name[name]
        return index + codec.encode(content) if codec else index

    def decode(reader: Reader) -> Any:
        index = reader.integer(1)
        if index not in by_index:
            raise ScaleError(f"no variant {index}")
        name, codec = by_index[index]
        return (name, codec.decode(reader)) if codec else name

    return Codec(encode, decode)
