"""Asks the chain whether it lets our proxies call, and whether they can pay for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from strongroom.bittensor.gateway import Chain, Item
from strongroom.bittensor.keystore.names import KeyKind
from strongroom.bittensor.keystore.vault_keys import StoredKey, load_keys
from strongroom.bittensor.protocol.proxies import Delegation
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.storage.database import Database

LEAST_RAO: Final = 10_000_000
"""0.01 TAO: the fees of the five dearest calls or of fifty others. With less, the proxy is soon silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxies in the vault, and what is wrong with them on the chain."""

    wallets: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    with_coldkey: tuple[str, ...] = field(default=())
    """Wallets whose coldkey's secret is in the vault all the same."""


class ProxyWatch:
    """Looks at the proxies now and then, for health."""

    def __init__(self, chain: Chain, database: Database) -> None:
        self._chain = chain
        self._database = database
        self._found = Proxies()

    async def look(self) -> None:
        """While no node answers, the last answers hold: that the chain is away is said elsewhere."""
        try:
            self._found = await find_proxies(self._chain, self._database)
        except Unavailable:
            return

    def check(self) -> ComponentHealth:
        if self._found.problems:
            return ComponentHealth(status=Status.DEGRADED, detail="; ".join(self._found.problems))
        return ComponentHealth(status=Status.UP)


async def find_proxies(chain: Chain, database: Database) -> Proxies:
    """Raises: Unavailable: the database or the chain does not answer."""
    keys = await database.read(load_keys)
    held = [(one, one.delegation) for one in keys if one.delegation is not None]
    if not held:
        return Proxies()
    block = (await chain.heads()).best.hash
    problems = [await _problem(chain, stored, delegation, block) for stored, delegation in held]
    wallets = tuple(stored.key.wallet for stored, _ in held)
    with_coldkey = tuple(
        one.key.wallet
        for one in keys
        if one.key.kind is KeyKind.COLDKEY and one.sealed_secret is not None and one.key.wallet in wallets
    )
    return Proxies(
        wallets=wallets,
        problems=tuple(problem for problem in problems if problem is not None),
        with_coldkey=with_coldkey,
    )


async def _problem(chain: Chain, stored: StoredKey, delegation: Delegation, block: bytes) -> str | None:
    real, own = delegation.real, stored.public_key
    known, account, pays = await chain.read(
        [
            Item("Proxy", "Proxies", (real,)),
            Item("System", "Account", (own,)),
            Item("Proxy", "RealPaysFee", (real, own)),
        ],
        block,
    )
    what = f"{stored.key.wallet}: {stored.public.address}"
    problem = _relation_problem(known[0], stored.public.address, delegation)
    if problem is not None:
        return f"{what} {problem}"
    free = int(account["data"]["free"])
    if free < LEAST_RAO and pays is None:
        return f"{what} has {free} rao to pay fees with, and should have {LEAST_RAO}"
    return None


def _relation_problem(known: Sequence[Any], address: str, delegation: Delegation) -> str | None:
    relations = [one for one in known if one["delegate"] == address]
    own = [one for one in relations if one["proxy_type"] == delegation.proxy_type]
    if any(not one["delay"] for one in own):
        return None
    if own:
        blocks = min(int(one["delay"]) for one in own)
        return f"is a {delegation} with a delay of {blocks} blocks, and so cannot call: it needs one without"
    others = ", ".join(sorted({str(one["proxy_type"]) for one in relations}))
    if others:
        return f"is no {delegation} on the chain, but of the type {others}"
    return f"is no {delegation} on the chain: the coldkey has to add it"
