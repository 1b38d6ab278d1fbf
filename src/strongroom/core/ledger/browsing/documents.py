"""Wallets for programs: amounts are text in the smallest unit, moments are RFC 3339. And amounts for people."""

from collections.abc import Sequence
from typing import Any

from strongroom.core.clock import iso_instant
from strongroom.core.ledger.browsing.records import EventRecord, Fact, Holding, PartRecord, WalletRecord


def wallet_document(ledger: str, one: WalletRecord) -> dict[str, Any]:
    return {
        "ledger": ledger,
        "id": one.id,
        "title": one.title,
        "keys": one.keys.value,
        "accounts": one.parts,
        "moreAccounts": one.has_more_parts,
        "createdAt": _moment(one.created_at_ms),
        **_held(one.holdings, has_more=one.has_more_holdings),
        "facts": _facts(one.facts),
    }


def part_document(one: PartRecord) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "index": one.index,
        "label": one.label,
        **_held(one.holdings, has_more=one.has_more_holdings),
        "waitsFor": one.waits_for,
        "facts": _facts(one.facts),
    }


def event_document(one: EventRecord) -> dict[str, Any]:
    return {
        "at": iso_instant(one.at_ms),
        "kind": one.kind,
        "amountRaw": None if one.amount_raw is None else str(one.amount_raw),
        "asset": one.asset,
        "unit": one.unit,
        "decimals": one.decimals,
        "account": one.part,
        "counterparty": one.counterparty,
        "id": one.id,
        "state": one.state,
        "facts": _facts(one.facts),
    }


def amount_text(raw: int, decimals: int) -> str:
    """For people, with all digits: `-0.000000001`, and `5` for 5000000000 of 9 decimals."""
    whole, part = divmod(abs(raw), 10**decimals)
    text = f"{whole}.{part:0{decimals}d}".rstrip("0") if part else str(whole)
    return f"-{text}" if raw < 0 else text


def _held(holdings: Sequence[Holding] | None, *, has_more: bool) -> dict[str, Any]:
    found = None if holdings is None else [_holding_document(one) for one in holdings]
    return {"balances": found, "moreBalances": has_more}


def _holding_document(one: Holding) -> dict[str, Any]:
    return {
        "asset": one.asset,
        "unit": one.unit,
        "decimals": one.decimals,
        "availableRaw": str(one.available_raw),
        "lockedRaw": str(one.locked_raw),
        "lockedUntil": _moment(one.locked_until_ms),
        "incomingRaw": None if one.incoming_raw is None else str(one.incoming_raw),
    }


def _facts(facts: Sequence[Fact]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in facts]


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_instant(at_ms)
