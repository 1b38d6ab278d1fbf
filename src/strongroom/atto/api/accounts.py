"""Routes of accounts and their labels: routes 7 to 14 of the original server, and ours."""

import re
from http import HTTPStatus
from typing import Annotated

from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.atto import scopes
from strongroom.atto.api.errors import empty_refusal, refusal
from strongroom.atto.api.responses import empty
from strongroom.atto.api.wire import (
    Account,
    AccountCreationResponse,
    AccountDetails,
    AccountRecoveryRequest,
    AccountRecoveryResponse,
    Label,
    LabelRequest,
    account_creation,
    account_details,
    account_row,
    label_of,
    parse_address,
    parse_unsigned,
    recovery_response,
)
from strongroom.atto.history.queries import Queries
from strongroom.atto.protocol import MAX_KEY_INDEX
from strongroom.atto.wallets.accounts import Accounts
from strongroom.atto.wallets.recovery import Recoverer
from strongroom.atto.wallets.scan_progress import Progress, ScanProgress
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal

MAX_INDEX = 2**32 - 1
INTEGER = re.compile(r"-?[0-9]{1,20}")
NO_ACCOUNT = {404: refusal("This service has no account with this address")}
NO_ROW = {404: empty_refusal("This service has no account with this address; the body is empty")}
NO_WALLET = {404: refusal("The wallet does not exist")}
LOCKED = {400: refusal("The wallet is locked, or a value is invalid")}
MISMATCH = {
    409: refusal(
        "A stored account does not come from the mnemonic, or belongs to another wallet, or no index is left"
    )
}
NODE_AWAY = {503: refusal("The node does not answer; nothing was changed")}


class AccountController(Controller):
    path = "/wallets"
    tags = ("Accounts",)

    @post(
        "/{walletName:str}/accounts",
        status_code=200,
        summary="Create the next account",
        responses=NO_WALLET | LOCKED | MISMATCH,
        opt=needs(scopes.ACCOUNT),
    )
    async def create_account(
        self,
        walletName: FromPath[str],
        accounts: NamedDependency[Accounts],
        principal: NamedDependency[Principal],
    ) -> AccountCreationResponse:
        """Creates the account after the wallet's highest index. The account opens when it first receives an amount."""
        return account_creation(await accounts.create(principal, walletName))

    @post(
        "/{walletName:str}/accounts/ranges/{toIndex:str}",
        status_code=200,
        summary="Create accounts through an index",
        responses=NO_WALLET | LOCKED | MISMATCH,
        opt=needs(scopes.ACCOUNT),
    )
    async def create_range(
        self,
        walletName: FromPath[str],
        toIndex: FromPath[str],
        accounts: NamedDependency[Accounts],
        principal: NamedDependency[Principal],
    ) -> list[AccountCreationResponse]:
        """Creates every missing account from index 0 to `toIndex`, and returns all accounts of this range."""
        created = await accounts.create_range(principal, walletName, _index(toIndex))
        return [account_creation(one) for one in created]

    @post(
        "/{walletName:str}/recoveries",
        status_code=200,
        summary="Recover accounts",
        responses=NO_WALLET | LOCKED | MISMATCH | NODE_AWAY,
        opt=needs(scopes.ACCOUNT),
    )
    async def recover(
        self,
        walletName: FromPath[str],
        data: Annotated[AccountRecoveryRequest, Body()],
        recoverer: NamedDependency[Recoverer],
        principal: NamedDependency[Principal],
    ) -> AccountRecoveryResponse:
        """Scans upwards from the wallet's highest known index until `gapLimit` indexes in a row are unused.

        An account counts as used when it is open or has a receivable.
        """
        gap_limit = _bounded("gapLimit", data.gap_limit, low=1)
        return recovery_response(await recoverer.recover(principal, walletName, gap_limit))

    @get(
        "/{walletName:str}/progress",
        summary="Progress of a range or recovery",
        responses=NO_WALLET,
        opt=needs(scopes.READ),
    )
    async def progress(
        self,
        walletName: FromPath[str],
        scan_progress: NamedDependency[ScanProgress],
    ) -> Progress:
        """How far the wallet's latest range or recovery has come. Each process knows only its own."""
        scan = scan_progress.of(walletName)
        if scan is None:
            raise NotFound(f"Wallet {walletName} has no range or recovery", code="no_progress")
        return scan

    @get("/{walletName:str}/accounts", summary="List a wallet's accounts", opt=needs(scopes.READ))
    async def list_accounts(
        self,
        walletName: FromPath[str],
        accounts: NamedDependency[Accounts],
    ) -> list[Account]:
        """The wallet's account rows, ordered by index; an empty list if the wallet does not exist."""
        return [account_row(row) for row in await accounts.rows(walletName)]

    @get("/accounts/{address:str}", summary="Get an account row", responses=NO_ROW, opt=needs(scopes.READ))
    async def get_account(
        self,
        address: FromPath[str],
        accounts: NamedDependency[Accounts],
    ) -> Response[Account]:
        """The account row. The body of a 404 is empty."""
        row = await accounts.row(parse_address(address).path)
        return empty(HTTPStatus.NOT_FOUND) if row is None else Response(account_row(row))

    @get(
        "/accounts/{address:str}/details",
        summary="Get an account's chain state",
        responses=NO_ROW,
        opt=needs(scopes.READ),
    )
    async def get_details(
        self,
        address: FromPath[str],
        accounts: NamedDependency[Accounts],
    ) -> Response[AccountDetails]:
        """Height, balance and representative after the last confirmed block. The body of a 404 is empty."""
        try:
            state = (await accounts.get(parse_address(address))).state
        except NotFound:
            state = None
        return empty(HTTPStatus.NOT_FOUND) if state is None else Response(account_details(state))

    @post(
        "/accounts/{address:str}/states/DISABLED",
        status_code=200,
        summary="Disable an account",
        responses=NO_ACCOUNT,
        opt=needs(scopes.ACCOUNT),
    )
    async def disable(
        self,
        address: FromPath[str],
        accounts: NamedDependency[Accounts],
        principal: NamedDependency[Principal],
    ) -> Response[None]:
        """Stops automatic receive for the account. The account can still send."""
        await accounts.set_disabled(principal, parse_address(address), disabled=True)
        return empty()

    @post(
        "/accounts/{address:str}/states/ENABLED",
        status_code=200,
        summary="Enable an account",
        responses=NO_ACCOUNT,
        opt=needs(scopes.ACCOUNT),
    )
    async def enable(
        self,
        address: FromPath[str],
        accounts: NamedDependency[Accounts],
        principal: NamedDependency[Principal],
    ) -> Response[None]:
        """Starts automatic receive again, also for what arrived meanwhile."""
        await accounts.set_disabled(principal, parse_address(address), disabled=False)
        return empty()

    @get(
        "/{walletName:str}/labels",
        summary="List a wallet's labels",
        responses=NO_WALLET,
        opt=needs(scopes.READ),
    )
    async def labels(
        self,
        walletName: FromPath[str],
        queries: NamedDependency[Queries],
    ) -> list[Label]:
        """Every account of the wallet with its label, ordered by index."""
        return [label_of(account) for account in await queries.labels(walletName)]

    @put(
        "/accounts/{address:str}/label",
        summary="Label an account",
        responses=NO_ACCOUNT | LOCKED,
        opt=needs(scopes.ACCOUNT),
    )
    async def set_label(
        self,
        address: FromPath[str],
        data: Annotated[LabelRequest, Body()],
        accounts: NamedDependency[Accounts],
        principal: NamedDependency[Principal],
    ) -> Label:
        """Sets the account's label, for example a customer's number; null removes it."""
        parsed = parse_address(address)
        await accounts.set_label(principal, parsed, data.label)
        return label_of(await accounts.get(parsed))


def _index(text: str) -> int:
    if not INTEGER.fullmatch(text):
        raise InvalidInput("toIndex must be an integer", code="invalid_number")
    index = _bounded("toIndex", int(text), low=0)
    if index > MAX_KEY_INDEX:
        raise InvalidInput(f"toIndex must be less than or equal to {MAX_KEY_INDEX}", code="invalid_number")
    return index


def _bounded(name: str, value: float | str, *, low: int) -> int:
    number = value if isinstance(value, int) else parse_unsigned(value, name)
    if number < low:
        bound = "greater than 0" if low else "greater than or equal to 0"
        raise InvalidInput(f"{name} must be {bound}", code="invalid_number")
    if number > MAX_INDEX:
        raise InvalidInput(f"{name} must be less than or equal to {MAX_INDEX}", code="invalid_number")
    return number
