"""The Idempotency-Key header of SEND and CHANGE."""

import hashlib
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from litestar import Response

from strongroom.atto.api.errors import ErrorMapper, status_of
from strongroom.atto.history.views import EntryView, entry_view
from strongroom.atto.protocol import AccountEntry
from strongroom.atto.transactions.blocks import BlockRejected, RejectionCause, unknown_outcome
from strongroom.atto.transactions.service import Transactions
from strongroom.core.coordination.idempotency import Attempt, Idempotency, Replay, Resume
from strongroom.core.errors import Forbidden, IdempotencyMismatch, OutcomeUnknown, StrongroomError
from strongroom.core.security.access import Principal

log = structlog.get_logger(__name__)

SERVER_ERROR = 500

Run = Callable[[Attempt | None], Awaitable[AccountEntry]]


class IdempotentRequests:
    """Runs a request once per key.

    An answer below 500 is final and is stored, but for 403: what is forbidden now, by a freeze or a limit, may be allowed to
    the next repetition. Nor is any refusal stored under a key under which a request waits for approval, or did: the key is
    that request's. From 500 on, nothing was signed or the outcome is open, so the request may be repeated.
    """

    def __init__(self, idempotency: Idempotency, transactions: Transactions, errors: ErrorMapper) -> None:
        self._idempotency = idempotency
        self._transactions = transactions
        self._errors = errors

    async def run(
        self, principal: Principal, key: str | None, path: str, body: msgspec.Struct, run: Run
    ) -> Response[EntryView]:
        """Answers from the stored answer, by resuming the signed block, or by running the request.

        The fingerprint of path and body makes sure that a key is used for one request only.
        """
        if key is None:
            return Response(entry_view(await run(None)), status_code=200)
        scope = "atto:" + hashlib.sha256(principal.name.encode()).hexdigest()
        fingerprint = hashlib.sha256(
            path.encode() + b"\n" + msgspec.json.encode(body, order="sorted")
        ).digest()
        claim = await self._idempotency.begin(scope, key, fingerprint)
        if isinstance(claim, Replay):
            return _raw(claim.body, claim.status)
        try:
            return await self._answer(principal, claim, path, run)
        finally:
            self._idempotency.let_go(claim)

    async def _answer(
        self, principal: Principal, claim: Attempt | Resume, path: str, run: Run
    ) -> Response[EntryView]:
        try:
            entry = await (self._resume(claim, run) if isinstance(claim, Resume) else run(claim))
        except OutcomeUnknown:
            raise  # the key keeps its reference to the block: the next repetition asks for the outcome again
        except (Forbidden, IdempotencyMismatch):  # what waits for approval keeps its key
            if not isinstance(claim, Resume):
                await self._forget(claim)
            raise
        except StrongroomError as error:
            if status_of(error) >= SERVER_ERROR:
                if isinstance(
                    claim, Resume
                ):  # this time nothing was signed, but the earlier block may still pay
                    raise unknown_outcome(bytes.fromhex(claim.reference)) from error
                await self._forget(claim)
                raise
            if isinstance(claim, Attempt) and await self._transactions.has_waited(principal, claim.key):
                await self._forget(claim)
                raise
            refusal = self._errors.of(path, error)
            return await self._finish(claim, refusal.status, refusal)
        return await self._finish(claim, 200, entry_view(entry))

    async def _resume(self, claim: Resume, run: Run) -> AccountEntry:
        """Waits for the block that an earlier request signed. If it lost its slot to another block, the request runs again."""
        try:
            return await self._transactions.resume(bytes.fromhex(claim.reference))
        except BlockRejected as rejected:
            if rejected.cause is not RejectionCause.SLOT_TAKEN:
                raise
        return await run(
            Attempt(
                scope=claim.scope,
                key=claim.key,
                replaces=claim.reference,
                fingerprint=claim.fingerprint,
            )
        )

    async def _finish(
        self, claim: Attempt | Resume, status: int, body: msgspec.Struct
    ) -> Response[EntryView]:
        """Stores the answer under the key and returns it.

        If it cannot be stored, the client still gets it: a repetition finds the signed block, or that none was signed.
        """
        text = msgspec.json.encode(body).decode()
        try:
            await self._idempotency.finish(claim, status, text)
        except StrongroomError as error:
            log.warning("an answer is not stored under its Idempotency-Key", why=error.message)
        return _raw(text, status)

    async def _forget(self, claim: Attempt) -> None:
        try:
            await self._idempotency.forget(claim)
        except StrongroomError as error:  # harmless: the next request with this key takes the claim over
            log.warning("an Idempotency-Key is not free yet", why=error.message)


def _raw(body: str, status: int) -> Response[EntryView]:
    # The answer is the stored text, byte for byte. The annotated type is for the OpenAPI document.
    return Response(body.encode(), status_code=status, media_type="application/json")  # type: ignore[arg-type]
