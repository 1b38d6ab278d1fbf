"""Reading and writing the numbers of the transaction format (big-endian throughout)."""

from strongroom.hathor.protocol.errors import ProtocolError

MAX_VALUE = 2**63
MAX_SHORT_VALUE = 2**31 - 1


class Cursor:
    """Takes bytes off the front of a buffer."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def at_end(self) -> bool:
        return self.position == len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            ProtocolError: there are fewer.
        """
        start, self.position = self.position, self.position + size
        if self.position > len(self._data):
            raise ProtocolError("The transaction ends early")
        return self._data[start : self.position]

    def since(self, start: int) -> bytes:
        """The bytes taken from `start` on."""
        return self._data[start : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def sized(self, size_of_length: int) -> bytes:
        """Bytes with their length in front of them."""
        return self.take(self.number(size_of_length))

    def value(self) -> int:
        """An amount: 4 bytes, or 8 bytes negated when the first bit is set."""
        start = self.position
        if self.number(1) & 0x80:
            self.position = start
            value = -int.from_bytes(self.take(8), signed=True)
            if value <= MAX_SHORT_VALUE:
                raise ProtocolError("A small amount was written in the long form")
        else:
            self.position = start
            value = self.number(4)
        if value == 0:
            raise ProtocolError("An amount is never zero")
        return value

    def leb128(self) -> int:
        """An unsigned number of 7 bits a byte, least significant first."""
        number, shift = 0, 0
        while True:
            byte = self.number(1)
            number |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return number
            shift += 7


def encode_value(value: int) -> bytes:
    if not 0 < value <= MAX_VALUE:
        raise ProtocolError(f"An amount is from 1 to 2^63, not {value}")
    return value.to_bytes(4) if value <= MAX_SHORT_VALUE else (-value).to_bytes(8, signed=True)


def encode_leb128(number: int) -> bytes:
    encoded = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        encoded.append(low | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def encode_sized(data: bytes, size_of_length: int) -> bytes:
    return len(data).to_bytes(size_of_length) + data
