"""The Bittensor ledger's policy: every signature is a use of a named key, within the limits of the caller's token."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from strongroom.bittensor.authorization.limits import require_use
from strongroom.core.errors import Forbidden
from strongroom.core.security.policy import Allowed, Policy, SignatureRequest, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse(SignatureRequest):
    """A signature by a key of a wallet. `hotkey` is None when the coldkey signs for the wallet alone."""

    wallet: str
    hotkey: str | None
    netuids: tuple[int, ...] = ()
    """Every subnet that the call names: to move stake names two."""
    call: str | None = None
    """`Pallet.function`; None for a message."""
    coldkey: bool = False

    @property
    def terms(self) -> Mapping[str, Term]:
        """What rules may ask: the subnets, the call and the hotkey, whatever the audit row says besides."""
        return {"netuid": self.netuids, "call": self.call, "hotkey": self.hotkey}


class KeyPolicy:
    """The token's limits, then the rules and freezes of every ledger."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def authorize(self, connection: Connection, request: SignatureRequest) -> Allowed:
        """Raises: Forbidden: the first thing that is not allowed; its code says which."""
        _require_token(request)
        return self._policy.authorize(connection, request)

    def ask(self, connection: Connection, request: SignatureRequest) -> Allowed:
        _require_token(request)
        return self._policy.ask(connection, request)


def _require_token(request: SignatureRequest) -> None:
    if not isinstance(request, KeyUse):
        raise Forbidden("A signature that does not say which key it uses is not made")
    for netuid in request.netuids or (None,):
        require_use(
            request.principal,
            request.scope,
            wallet=request.wallet,
            hotkey=request.hotkey,
            netuid=netuid,
            call=request.call,
            coldkey=request.coldkey,
            amount_rao=request.amount_raw if request.is_amount_known else None,
            destination=request.destination,
        )
