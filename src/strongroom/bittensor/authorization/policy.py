"""The Bittensor ledger's policy: every signature is a use of a named key, within the limits of the caller's token."""

from dataclasses import dataclass

from strongroom.bittensor.authorization.limits import require_use
from strongroom.core.errors import Forbidden
from strongroom.core.security.policy import Policy, SignatureRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse(SignatureRequest):
    """A signature by a key of a wallet. `hotkey` is None when the coldkey signs for the wallet alone."""

    wallet: str
    hotkey: str | None
    netuid: int | None = None
    call: str | None = None
    """`Pallet.function`; None for a message."""
    coldkey: bool = False
    is_amount_known: bool = True
    """False: the call does not say what it takes from the coldkey."""


class KeyPolicy(Policy):
    def authorize(self, request: SignatureRequest) -> None:
        if not isinstance(request, KeyUse):
            raise Forbidden("A signature that does not say which key it uses is not made")
        require_use(
            request.principal,
            request.scope,
            wallet=request.wallet,
            hotkey=request.hotkey,
            netuid=request.netuid,
            call=request.call,
            coldkey=request.coldkey,
            amount_rao=request.amount_raw if request.is_amount_known else None,
            destination=request.destination,
        )
