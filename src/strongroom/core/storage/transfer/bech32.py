"""Bech32 (BIP 173): text with a checksum, in which age writes its keys."""

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
CHECKSUM = 6
KEY_BYTES = 32


def decode_bech32(prefix: str, text: str) -> bytes:
    """The 32 bytes of a key.

    Raises:
        ValueError: the text has another prefix, or a mistake. The message does not show it: it may be a secret.
    """
    lowered = text.strip().lower()
    begin, _, rest = lowered.rpartition("1")
    values = [ALPHABET.find(one) for one in rest]
    if begin != prefix or -1 in values or _polymod(_spread(prefix) + values) != 1:
        raise ValueError("it is no key of age, or has a mistake in it")
    number = 0
    for value in values[:-CHECKSUM]:
        number = number << 5 | value
    spare = 5 * (len(values) - CHECKSUM) - 8 * KEY_BYTES
    if not 0 <= spare < 5:  # noqa: PLR2004 - bits of a letter
        raise ValueError("it is no key of age: its length is another one")
    return (number >> spare).to_bytes(KEY_BYTES)


def _spread(prefix: str) -> list[int]:
    return [ord(one) >> 5 for one in prefix] + [0] + [ord(one) & 31 for one in prefix]


def _polymod(values: list[int]) -> int:
    total = 1
    for value in values:
        top = total >> 25
        total = (total & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATOR):
            total ^= generator if top >> bit & 1 else 0
    return total
