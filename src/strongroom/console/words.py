"""How pages write amounts, times, ids and states."""

from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from strongroom.core.clock import iso_instant, parse_instant
from strongroom.core.ledger.contract import Coin

HEAD: Final = 8
TAIL: Final = 6
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
TONES: Final = {
    "UP": "good",
    "DEGRADED": "warn",
    "SEALED": "warn",
    "DOWN": "bad",
    "OPEN": "warn",
    "ACCEPTED": "good",
    "REJECTED": "bad",
    "FAILED": "bad",
    "UNKNOWN": "warn",
}
SAID: Final = {
    "UP": "up",
    "DEGRADED": "degraded",
    "SEALED": "sealed",
    "DOWN": "down",
    "OPEN": "in flight",
    "ACCEPTED": "confirmed",
    "REJECTED": "without effect",
    "FAILED": "failed on the ledger",
    "UNKNOWN": "effect unknown",
}


def amount(raw: str | int | None, coin: Coin, asset: str = "") -> Markup:
    """Of the smallest unit, as people write it: `1,250.5 ATTO`. Of another asset than the coin: as it is, with the asset's id."""
    if raw is None:
        return Markup('<span class="muted">—</span>')
    digits = str(raw)
    if asset:
        return Markup("{} {}").format(_grouped(digits), short(asset))
    if not digits.isdigit():
        return Markup("{}").format(digits)
    whole, part = divmod(int(digits), 10**coin.decimals)
    decimals = f"{part:0{coin.decimals}d}".rstrip("0") if coin.decimals else ""
    if decimals and len(decimals) < 2 <= coin.decimals:  # noqa: PLR2004 - as money is written
        decimals = decimals.ljust(2, "0")
    number = _grouped(str(whole)) + (f".{decimals}" if decimals else "")
    return Markup('{} <span class="unit">{}</span>').format(number, coin.symbol)


def units(raw: str | None, unit: str, decimals: int) -> Markup:
    """Of the smallest unit, as people write it, with its sign; of any asset, whose name anybody may have chosen."""
    if raw is None:
        return Markup('<span class="muted">—</span>')
    value = int(raw)
    sign = "-" if value < 0 else ""
    return Markup("{}{}").format(sign, amount(abs(value), Coin(symbol=unit, decimals=decimals)))


def short(text: str | None) -> Markup:
    """An id whose middle is not shown; whoever copies it, or has it read out, gets all of it."""
    if not text:
        return Markup('<span class="muted">—</span>')
    if len(text) <= HEAD + TAIL + 4:
        return Markup('<span class="id">{}</span>').format(text)
    head, middle, tail = text[:HEAD], text[HEAD:-TAIL], text[-TAIL:]
    return Markup('<span class="id" title="{}">{}<span class="middle">{}</span>{}</span>').format(
        text, head, middle, tail
    )


def kind(name: str) -> Markup:
    """A kind of payment without the module that its call is in: `SubtensorModule.add_stake` is `add_stake`."""
    last = name.rpartition(".")[2]
    return (
        Markup('<span title="{}">{}</span>').format(name, last)
        if last and last != name
        else Markup("{}").format(name)
    )


def when(moment: str | int | None, now_ms: int) -> Markup:
    """A moment, as long as it is ago or to come; exact for whoever points at it."""
    if moment is None:
        return Markup('<span class="muted">—</span>')
    at_ms = parse_instant(moment) if isinstance(moment, str) else moment
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        iso_instant(at_ms), exact(at_ms), distance(at_ms, now_ms)
    )


def exact(moment: str | int) -> str:
    """`2026-11-21 08:57:00.123 UTC`."""
    text = moment if isinstance(moment, str) else iso_instant(moment)
    return text.replace("T", " ").replace("Z", " UTC")


def clock_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%H:%M UTC")


def distance(at_ms: int, now_ms: int) -> str:
    apart = abs(now_ms - at_ms)
    if apart < SECOND_MS:
        return "now"
    length = duration(apart)
    return f"{length} ago" if at_ms < now_ms else f"in {length}"


def duration(length_ms: int) -> str:
    for unit_ms, unit in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")):
        if length_ms >= unit_ms:
            return f"{length_ms // unit_ms} {unit}"
    return f"{length_ms} ms"


def count(number: int, one: str, many: str = "") -> str:
    """`1 payment`, `2 payments`, `no payments`."""
    many = many or f"{one}s"
    if not number:
        return f"no {many}"
    return f"{number:,} {one if number == 1 else many}"


def state(word: str, said: str = "") -> Markup:
    """A dot and a word, never colour alone."""
    return Markup('<span class="state {}">{}</span>').format(
        TONES.get(word, "plain"), said or SAID.get(word, word.lower())
    )


def _grouped(digits: str) -> str:
    return f"{int(digits):,}" if digits.isdigit() else digits


FILTERS: Final = {
    "amount": amount,
    "units": units,
    "short": short,
    "kind": kind,
    "when": when,
    "exact": exact,
    "clock": clock_time,
    "duration": duration,
    "count": count,
    "state": state,
}
