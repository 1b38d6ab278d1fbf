"""How wallets, their accounts and their histories stand on a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from strongroom.core.ledger.browsing.documents import amount_text
from strongroom.core.ledger.browsing.records import EventRecord, Fact, Holding, PartRecord, WalletRecord
from strongroom.core.terminal import minute, print_table

NOT_KNOWN = "?"
"""In place of an amount that this service does not know."""


def show_wallets(found: Sequence[tuple[str, WalletRecord]]) -> None:
    table = Table("ledger", "wallet", "keys", "accounts", "holds", "made", "")
    for name, one in found:
        words = [one.id, one.keys.value, _count(one), _holdings(one.holdings, has_more=one.has_more_holdings)]
        table.add_row(name, *map(Text, [*words, minute(one.created_at_ms), _facts(one.facts)]))
    print_table(table)


def show_wallet(ledger: str, one: WalletRecord) -> None:
    table = Table("", "", box=None, show_header=False)
    rows = [
        ("ledger", ledger),
        ("wallet", one.id),
        ("keys", one.keys.value),
        ("accounts", _count(one)),
        ("holds", _holdings(one.holdings, has_more=one.has_more_holdings)),
        ("made", minute(one.created_at_ms)),
        *one.facts,
    ]
    for name, value in rows:
        table.add_row(name, Text(value))
    print_table(table)


def show_parts(found: Sequence[PartRecord]) -> None:
    table = Table("kind", "index", "id", "label", "holds", "waits for", "")
    for one in found:
        index = "" if one.index is None else str(one.index)
        holds = _holdings(one.holdings, has_more=one.has_more_holdings)
        words = [one.kind, index, one.id, one.label or "", holds, one.waits_for or "", _facts(one.facts)]
        table.add_row(*map(Text, words))
    print_table(table)


def show_events(found: Sequence[EventRecord]) -> None:
    table = Table("when", "kind", "amount", "with", "account", "state", "id", "")
    for one in found:
        amount = (
            NOT_KNOWN if one.amount_raw is None else f"{amount_text(one.amount_raw, one.decimals)} {one.unit}"
        )
        words = [
            minute(one.at_ms),
            one.kind,
            amount,
            one.counterparty or "",
            one.part or "",
            one.state,
            one.id,
        ]
        table.add_row(*map(Text, [*words, _facts(one.facts)]))
    print_table(table)


def _count(one: WalletRecord) -> str:
    return f"more than {one.parts}" if one.has_more_parts else str(one.parts)


def _holdings(holdings: Sequence[Holding] | None, *, has_more: bool) -> str:
    if holdings is None:
        return NOT_KNOWN
    return ", ".join([*map(_holding, holdings), *(["and more"] if has_more else [])])


def _holding(one: Holding) -> str:
    text = f"{amount_text(one.available_raw, one.decimals)} {one.unit or one.asset}"
    if one.locked_raw:
        until = "" if one.locked_until_ms is None else f" until {minute(one.locked_until_ms)}"
        text += f" (and {amount_text(one.locked_raw, one.decimals)} locked{until})"
    if one.incoming_raw:
        text += f" (and {amount_text(one.incoming_raw, one.decimals)} to receive)"
    return text


def _facts(facts: Sequence[Fact]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts)
