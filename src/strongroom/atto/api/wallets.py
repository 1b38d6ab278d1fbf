"""Routes of wallets: routes 1 to 6 of the original server, and our queries over a whole wallet."""

from http import HTTPStatus
from typing import Annotated

from litestar import Controller, Response, get, post, put, route
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.atto import scopes
from strongroom.atto.api.errors import empty_refusal, refusal
from strongroom.atto.api.parameters import Cursor, Limit
from strongroom.atto.api.responses import empty
from strongroom.atto.api.wire import (
    EntryPage,
    ReceivableView,
    WalletCreationResponse,
    WalletExportResponse,
    WalletImportRequest,
    WalletKeyRequest,
    WalletState,
    WalletTotals,
    WalletUnlockRequest,
    entry_page,
    receivable_view,
    wallet_state,
    wallet_totals,
)
from strongroom.atto.history.queries import Queries
from strongroom.atto.protocol import Mnemonic, ProtocolError
from strongroom.atto.receiving.receiver import Receiver
from strongroom.atto.wallets.exports import Exports
from strongroom.atto.wallets.own_keys import OwnKeys, Proof
from strongroom.atto.wallets.rows import require_name
from strongroom.atto.wallets.wallets import NewWallet, Wallets
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal

NOT_FOUND = {404: refusal("The wallet does not exist")}
EXISTS = {409: refusal("A wallet with this name exists")}
NOT_IMPORTED = {
    400: empty_refusal(
        "The mnemonic is invalid (the body is empty), or another value is (the body is an error document)"
    )
}
INVALID = {400: refusal("A value of the request is invalid")}
UNAPPROVED = {403: refusal("The token does not name the scope, or nobody else has approved it yet")}
SLOWED = {429: refusal("Too many wrong keys; Retry-After says for how many seconds the key is not looked at")}


class WalletController(Controller):
    path = "/wallets"
    tags = ("Wallets",)

    @get(summary="List wallets", opt=needs(scopes.READ))
    async def list_wallets(self, wallets: NamedDependency[Wallets]) -> list[WalletState]:
        """All wallets, and whether each is locked."""
        return [wallet_state(wallet) for wallet in await wallets.list()]

    @get("/{name:str}", summary="Get a wallet", responses=NOT_FOUND, opt=needs(scopes.READ))
    async def get_wallet(self, name: FromPath[str], wallets: NamedDependency[Wallets]) -> WalletState:
        """One wallet and whether it is locked."""
        return wallet_state(await wallets.get(name))

    @post(
        "/{name:str}",
        status_code=200,
        summary="Create a wallet",
        responses=INVALID | EXISTS,
        opt=needs(scopes.WALLET),
    )
    async def create_wallet(
        self, name: FromPath[str], wallets: NamedDependency[Wallets], principal: NamedDependency[Principal]
    ) -> WalletCreationResponse:
        """Creates a wallet with a new mnemonic. Keep the mnemonic and the encryption key: no other answer shows them."""
        return _creation(await wallets.create(principal, name))

    @put("/{name:str}", summary="Import a wallet", responses=NOT_IMPORTED | EXISTS, opt=needs(scopes.WALLET))
    async def import_wallet(
        self,
        name: FromPath[str],
        data: Annotated[WalletImportRequest, Body()],
        wallets: NamedDependency[Wallets],
        principal: NamedDependency[Principal],
    ) -> Response[WalletCreationResponse]:
        """Creates a wallet from an existing mnemonic of 24 words. If the mnemonic is invalid, the 400 has an empty body."""
        try:
            mnemonic = Mnemonic.parse(data.mnemonic)
        except ProtocolError:
            return empty(HTTPStatus.BAD_REQUEST)
        return Response(_creation(await wallets.import_(principal, name, mnemonic, data.encryption_key)))

    @get("/accounts", include_in_schema=False, opt=needs(scopes.READ))
    async def read_reserved(self) -> None:
        """Refuses the reserved name with a reason; without this route, the framework would answer that there is no route."""
        require_name("accounts")

    @route("/accounts", http_method=["POST", "PUT"], include_in_schema=False, opt=needs(scopes.WALLET))
    async def make_reserved(self) -> None:
        """Refuses the reserved name, as `read_reserved`."""
        require_name("accounts")

    @put("/{name:str}/locks/LOCKED", summary="Lock a wallet", responses=NOT_FOUND, opt=needs(scopes.WALLET))
    async def lock_wallet(
        self, name: FromPath[str], wallets: NamedDependency[Wallets], principal: NamedDependency[Principal]
    ) -> Response[None]:
        """Removes the wallet's key. Its accounts stay readable, and it signs nothing until it is unlocked."""
        await wallets.lock(principal, name)
        return empty()

    @put(
        "/{name:str}/locks/UNLOCKED",
        summary="Unlock a wallet",
        responses=NOT_FOUND | INVALID | SLOWED,
        opt=needs(scopes.WALLET),
    )
    async def unlock_wallet(
        self,
        name: FromPath[str],
        data: Annotated[WalletUnlockRequest, Body()],
        wallets: NamedDependency[Wallets],
        receiver: NamedDependency[Receiver],
        principal: NamedDependency[Principal],
    ) -> Response[None]:
        """Checks the encryption key and stores it, sealed under the key-encryption key, until the wallet is locked."""
        await wallets.unlock(principal, name, data.encryption_key)
        receiver.wake()
        return empty()

    @put(
        "/{name:str}/encryptionKey",
        summary="Change a wallet's key",
        responses=NOT_FOUND | INVALID | SLOWED,
        opt=needs(scopes.WALLET),
    )
    async def change_key(
        self,
        name: FromPath[str],
        data: Annotated[WalletKeyRequest, Body()],
        own_keys: NamedDependency[OwnKeys],
        principal: NamedDependency[Principal],
    ) -> Response[None]:
        """Seals the wallet under a new key. The old one unlocks nothing any more; a locked wallet stays locked."""
        proof = Proof(encryption_key=data.encryption_key)
        await own_keys.change(principal, name, proof, data.new_encryption_key)
        return empty()

    @post(
        "/{name:str}/exports",
        status_code=200,
        summary="Export a wallet's mnemonic",
        responses=NOT_FOUND | INVALID | UNAPPROVED,
        opt=needs(scopes.EXPORT),
    )
    async def export_mnemonic(
        self, name: FromPath[str], exports: NamedDependency[Exports], principal: NamedDependency[Principal]
    ) -> Response[WalletExportResponse]:
        """The mnemonic of an unlocked wallet, once for each approval of somebody else. Whoever sees it has the wallet's money."""
        mnemonic = await exports.export(principal, name)
        return Response(WalletExportResponse(mnemonic=mnemonic.phrase), headers={"Cache-Control": "no-store"})

    @get(
        "/{walletName:str}/totals", summary="Totals of a wallet", responses=NOT_FOUND, opt=needs(scopes.READ)
    )
    async def totals(
        self,
        walletName: FromPath[str],
        queries: NamedDependency[Queries],
    ) -> WalletTotals:
        """The number of accounts, the balance and the receivable amount of the whole wallet."""
        return wallet_totals(await queries.totals(walletName))

    @get(
        "/{walletName:str}/entries",
        summary="Page through a wallet's history",
        responses=NOT_FOUND,
        opt=needs(scopes.READ),
    )
    async def wallet_entries(
        self,
        walletName: FromPath[str],
        queries: NamedDependency[Queries],
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> EntryPage:
        """Entries of all accounts of a wallet, newest first, from the stored history."""
        return entry_page(await queries.wallet_page(walletName, cursor, limit))

    @get(
        "/{walletName:str}/receivables",
        summary="List what a wallet could receive",
        responses=NOT_FOUND,
        opt=needs(scopes.READ),
    )
    async def wallet_receivables(
        self,
        walletName: FromPath[str],
        queries: NamedDependency[Queries],
    ) -> list[ReceivableView]:
        """Amounts that were sent to the wallet's accounts and not received yet, oldest first."""
        return [receivable_view(one) for one in await queries.waiting_of_wallet(walletName)]


def _creation(wallet: NewWallet) -> WalletCreationResponse:
    return WalletCreationResponse(mnemonic=wallet.mnemonic.phrase, encryption_key=wallet.encryption_key)
