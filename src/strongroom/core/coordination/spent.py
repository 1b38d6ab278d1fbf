"""What passed within a rolling window of time: signatures and amounts, in buckets. Nothing here reads or writes anything.

A window has 60 buckets. What is in a bucket counts until the window's length after the bucket's end, so no stretch of that
length ever holds more than the limit; it may hold up to a sixtieth less.

A window is stored as text: the sums, the newest bucket, then the others, the oldest first, as in `3 70|29 1 20|27 1 40|28 1 10|`.
So a signature reads no bucket but the newest and those that count no more.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

BUCKETS: Final = 60
_END: Final = "|"


class Bucket(NamedTuple):
    number: int
    """Counted from 1970 in widths of the window's buckets."""
    signatures: int
    amount: int


class Spent(NamedTuple):
    """What a window holds."""

    signatures: int
    amount: int
    newest: Bucket
    others: str
    """All buckets but the newest as text, the oldest first."""

    @property
    def oldest(self) -> int:
        """The number of the oldest bucket."""
        return _bucket(self.others.partition(_END)[0]).number if self.others else self.newest.number

    def buckets(self) -> list[Bucket]:
        """The oldest first."""
        return [*(_bucket(each) for each in self.others.split(_END)[:-1]), self.newest]

    def since(self, first: int) -> "Spent":
        """Without the buckets before the one of this number: they count no more."""
        if self.oldest >= first:
            return self
        if self.newest.number < first:
            return NOTHING
        signatures, amount, _, others = self
        while others:
            text, _, later = others.partition(_END)
            oldest = _bucket(text)
            if oldest.number >= first:
                break
            signatures, amount, others = signatures - oldest.signatures, amount - oldest.amount, later
        return Spent(signatures, amount, self.newest, others)

    def plus(self, number: int, amount: int) -> "Spent":
        """With one signature more in one bucket, which is made if it is not there."""
        newest, others = self.newest, self.others
        if number < newest.number:  # the clock was set back
            by_number = {each.number: each for each in self.buckets()}
            before = by_number.get(number, Bucket(number, 0, 0))
            by_number[number] = Bucket(number, before.signatures + 1, before.amount + amount)
            return _spent(by_number.values())
        if number > newest.number:
            newest, others = Bucket(number, 0, 0), others + ("" if self == NOTHING else _text(newest))
        newest = Bucket(number, newest.signatures + 1, newest.amount + amount)
        return Spent(self.signatures + 1, self.amount + amount, newest, others)

    def minus(self, number: int, amount: int) -> "Spent":
        """With one signature less in one bucket, but never less than nothing; unchanged if the bucket counts no more."""
        return _spent(_less(each, amount) if each.number == number else each for each in self.buckets())


def encode_spent(spent: Spent) -> str:
    return f"{spent.signatures} {spent.amount}{_END}{_text(spent.newest)}{spent.others}"


def decode_spent(text: str) -> Spent:
    sums, newest, others = text.split(_END, 2)
    signatures, amount = sums.split(" ")
    return Spent(int(signatures), int(amount), _bucket(newest), others)


def bucket_width_ms(seconds: int) -> int:
    return -(-seconds * 1000 // BUCKETS)


def _spent(buckets: Iterable[Bucket]) -> Spent:
    held = sorted(buckets)
    others = "".join(_text(each) for each in held[:-1])
    return Spent(sum(each.signatures for each in held), sum(each.amount for each in held), held[-1], others)


def _less(bucket: Bucket, amount: int) -> Bucket:
    return Bucket(bucket.number, max(0, bucket.signatures - 1), max(0, bucket.amount - amount))


def _bucket(text: str) -> Bucket:
    number, signatures, amount = text.split(" ")
    return Bucket(int(number), int(signatures), int(amount))


def _text(bucket: Bucket) -> str:
    return f"{bucket.number} {bucket.signatures} {bucket.amount}{_END}"


NOTHING: Final = Spent(0, 0, Bucket(0, 0, 0), "")
