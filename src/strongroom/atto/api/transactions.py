"""Routes of SEND, CHANGE and entries: routes 15 to 18 of the original server, and our queries of the stored history."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.atto import scopes
from strongroom.atto.api.accounts import NO_ACCOUNT
from strongroom.atto.api.errors import refusal
from strongroom.atto.api.idempotent import IdempotentRequests
from strongroom.atto.api.parameters import Cursor, IdempotencyKey, Limit
from strongroom.atto.api.responses import empty
from strongroom.atto.api.wire import (
    ApprovalStatus,
    ChangeRequest,
    EntryPage,
    HeightSearch,
    ReceivableView,
    SendRequest,
    TransactionStatus,
    approval_status,
    entry_page,
    parse_address,
    parse_amount,
    parse_hash,
    parse_unsigned,
    receivable_view,
    transaction_status,
)
from strongroom.atto.history.queries import Queries
from strongroom.atto.history.store import History
from strongroom.atto.history.views import EntryView, entry_view
from strongroom.atto.protocol import AccountEntry
from strongroom.atto.records import AccountRecord
from strongroom.atto.transactions.service import Transactions
from strongroom.core.coordination.idempotency import Attempt
from strongroom.core.errors import InvalidInput
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.http.route_access import PUBLIC, needs
from strongroom.core.security.access import Principal

NDJSON = "application/x-ndjson"
COMPLETE_TIMEOUT_S = 20.0

FAILURES = {
    400: refusal("The wallet is locked, or a value is invalid; nothing was signed"),
    403: refusal(
        "The token, a rule or a freeze does not let it be signed, or not yet: with the code approval_needed it waits"
        " as `approvalId` until people approve it, and is signed then"
    ),
    404: refusal("The account is unknown or not open yet; nothing was signed"),
    409: refusal("lastHeight is not the account's height, or a request with the same key is running"),
    422: refusal("The node rejected the block, or the key was used for another request"),
    503: refusal("The node, the work or the request's turn did not come in time; nothing was signed"),
    504: refusal("The block is signed and submitted; its outcome is not known yet"),
}


class TransactionController(Controller):
    path = "/wallets"
    tags = ("Accounts",)

    @post(
        "/accounts/{address:str}/transactions/SEND",
        status_code=200,
        summary="Send",
        responses=FAILURES,
        opt=needs(scopes.SEND),
    )
    async def send(
        self,
        request: Request[Any, Any, Any],
        address: FromPath[str],
        data: Annotated[SendRequest, Body()],
        transactions: NamedDependency[Transactions],
        idempotent: NamedDependency[IdempotentRequests],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[EntryView]:
        """Sends `amount` raw and answers when the network has confirmed the block.

        Concurrent sends of one account wait for each other. With `lastHeight`, the send is refused unless the account has
        exactly this height.
        """
        sender, receiver = parse_address(address), parse_address(data.receiver_address)
        amount_raw = parse_amount(data.amount)
        last_height = None if data.last_height is None else parse_unsigned(data.last_height, "lastHeight")

        async def run(attempt: Attempt | None) -> AccountEntry:
            return await transactions.send(
                principal,
                address=sender,
                receiver=receiver,
                amount_raw=amount_raw,
                last_height=last_height,
                attempt=attempt,
            )

        return await idempotent.run(principal, idempotency_key, request.url.path, data, run)

    @post(
        "/accounts/{address:str}/transactions/CHANGE",
        status_code=200,
        summary="Change the representative",
        responses=FAILURES,
        opt=needs(scopes.CHANGE),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        address: FromPath[str],
        data: Annotated[ChangeRequest, Body()],
        transactions: NamedDependency[Transactions],
        idempotent: NamedDependency[IdempotentRequests],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[EntryView]:
        """Changes the account's representative and answers when the network has confirmed the block."""
        account, representative = parse_address(address), parse_address(data.representative_address)

        async def run(attempt: Attempt | None) -> AccountEntry:
            return await transactions.change(
                principal, address=account, representative=representative, attempt=attempt
            )

        return await idempotent.run(principal, idempotency_key, request.url.path, data, run)

    @get(
        "/accounts/transactions/{transactionHash:str}",
        summary="Get a transaction by hash",
        responses={404: refusal("No account of this service has such a transaction")},
        opt=needs(scopes.READ),
    )
    async def get_transaction(
        self,
        transactionHash: FromPath[str],
        transactions: NamedDependency[Transactions],
    ) -> TransactionStatus:
        """The state of one of our transactions. A client asks this after a timeout."""
        return transaction_status(await transactions.find(parse_hash(transactionHash)))

    @get(
        "/accounts/transactions/approvals/{approvalId:str}",
        summary="Get a request that waits for approvals",
        opt=needs(scopes.READ),
        responses={404: refusal("No request waits or waited under this id")},
    )
    async def get_approval(
        self,
        approvalId: FromPath[str],
        approvals: NamedDependency[ApprovalAdministration],
    ) -> ApprovalStatus:
        """What became of a request whose answer was 403 with the code approval_needed and this `approvalId`."""
        return approval_status(await approvals.show(approvalId))

    @post("/accounts/entries", status_code=200, summary="Search account entries", opt=needs(scopes.READ))
    async def search_entries(
        self,
        request: Request[Any, Any, Any],
        queries: NamedDependency[Queries],
        history: NamedDependency[History],
        data: Annotated[HeightSearch | None, Body()] = None,
    ) -> Response[list[EntryView]]:
        """Entries of the searched accounts, or of all enabled open accounts from height 1; JSON, or NDJSON if accepted."""
        opened = await queries.opened(enabled_only=data is None)
        firsts = {account.address: [1] for account in opened} if data is None else _firsts(data)
        wanted = [account for account in opened if account.address in firsts]
        await _complete(history, wanted)
        ranges = [
            (account.address, first, account.height)
            for account in wanted
            for first in firsts[account.address]
            if first <= account.height
        ]
        views = [entry_view(entry) for entry in await queries.entries_between(ranges)]
        if NDJSON in request.headers.get("accept", ""):
            lines = b"".join(msgspec.json.encode(view) + b"\n" for view in views)
            return Response(lines, media_type=NDJSON, status_code=200)  # type: ignore[arg-type]  # the same documents
        return Response(views, status_code=200)

    @get(
        "/accounts/{address:str}/entries",
        summary="Page through an account's history",
        responses=NO_ACCOUNT,
        opt=needs(scopes.READ),
    )
    async def account_entries(
        self,
        address: FromPath[str],
        queries: NamedDependency[Queries],
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> EntryPage:
        """Entries of one account, newest first, from the stored history."""
        return entry_page(await queries.account_page(parse_address(address), cursor, limit))

    @get(
        "/accounts/{address:str}/receivables",
        summary="List what an account could receive",
        responses=NO_ACCOUNT,
        opt=needs(scopes.READ),
    )
    async def account_receivables(
        self, address: FromPath[str], queries: NamedDependency[Queries]
    ) -> list[ReceivableView]:
        """Amounts that were sent to the account and not received yet, oldest first."""
        return [receivable_view(one) for one in await queries.waiting(parse_address(address))]


@post("/noop", status_code=200, include_in_schema=False, opt=PUBLIC)
async def noop() -> Response[None]:
    """Accepts callbacks and does nothing, as the same route of the original server."""
    return empty()


def _firsts(data: HeightSearch) -> dict[Any, list[int]]:
    """First heights by address. `toHeight` is accepted and ignored, as in the original server."""
    firsts: dict[Any, list[int]] = {}
    for one in data.search:
        first = parse_unsigned(one.from_height, "fromHeight")
        if first == 0:
            raise InvalidInput("fromHeight must be greater than 0", code="invalid_number")
        firsts.setdefault(parse_address(one.address), []).append(first)
    return firsts


async def _complete(history: History, accounts: list[AccountRecord]) -> None:
    """Fetches missing entries from the node first, because the original server answers with the node's whole history."""
    missing = [account.address for account in accounts if account.entry_height < account.height]
    if missing:
        await history.complete(missing, COMPLETE_TIMEOUT_S)
