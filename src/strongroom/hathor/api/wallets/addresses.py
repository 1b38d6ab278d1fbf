"""A wallet's addresses."""

import msgspec
from litestar import Controller, get, post
from msgspec import UNSET, UnsetType

from strongroom.hathor.api.answers import Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body, read_query
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import BASE58, Key, Schema, flag, number, text
from strongroom.hathor.api.wallets.wallet import NOT_READY
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.history import SHIELDED_ACCOUNT, Address, address_path

LEGACY = Key(check=flag(), default=True)
LIST = Schema(keys={"index": Key(check=number(low=0)), "legacy": LEGACY})
NEW = Schema(keys={"legacy": LEGACY})
INFO = Schema(
    keys={"address": Key(check=text(pattern=BASE58, least=34, most=35), required=True)}, first_only=True
)
MINE = Schema(
    keys={"addresses": Key(check=text(pattern=BASE58, least=34, most=34), required=True, items=True)}
)
MISSING = {**NOT_READY, 404: refused("`address-not-found` or `wallet-not-found`")}


class AddressEntry(msgspec.Struct, kw_only=True, rename="camel"):
    """`spendAddress`, with `legacy=false`: its form on the chain."""

    address: str
    index: int
    transactions: int
    seqnum: int
    spend_address: str | UnsetType = UNSET


class AddressesAnswer(Success, kw_only=True):
    addresses: list[AddressEntry]


class AddressInfoAnswer(Success, kw_only=True):
    data: AddressEntry


class NewAddress(msgspec.Struct, kw_only=True, rename="camel"):
    address: str
    index: int
    address_path: str


class NewAddressesAnswer(Success, kw_only=True, rename="camel"):
    """With `legacy=false` also the last two; `addresses` are the shielded ones then."""

    addresses: list[NewAddress]
    spend_addresses: list[NewAddress] | UnsetType = UNSET
    legacy_addresses: list[NewAddress] | UnsetType = UNSET


class MineAnswer(Success, kw_only=True):
    addresses: dict[str, bool]


class UsedBeyondFirstAnswer(Success, kw_only=True, rename="camel"):
    has_transactions: bool


class AddressController(Controller):
    path = "/wallet"
    tags = ("Addresses",)

    @get(
        "/addresses",
        summary="The wallet's addresses, or the one with an index",
        opt=Terms(access=Access.TOKEN, query=LIST).opt,
        responses=MISSING,
    )
    async def list_addresses(self, request: Request) -> AddressesAnswer:
        caller = request.caller
        wallet = await caller.ready_wallet()
        query = LIST.check(read_query(request), convert=True)
        index, database = query["index"], caller.database
        if not query["legacy"]:
            found = await histories.shielded_addresses(database, wallet.id, index)
        elif index is None:
            found = await histories.all_addresses(database, wallet.id)
        else:
            found = await histories.address_at(database, wallet.id, index)
        if index is not None and not found:
            raise Refusal(404, "address-not-found")
        return AddressesAnswer(addresses=[_entry(address) for address in found])

    @get(
        "/address/info",
        summary="One address of the wallet",
        opt=Terms(access=Access.TOKEN, query=INFO).opt,
        responses=MISSING,
    )
    async def info(self, request: Request) -> AddressInfoAnswer:
        caller = request.caller
        wallet = await caller.ready_wallet()
        name = INFO.check(read_query(request), convert=True)["address"]
        found = await histories.address_named(caller.database, wallet.id, name)
        if not found:
            raise Refusal(404, "address-not-found")
        return AddressInfoAnswer(data=_entry(found[0]))

    @get(
        "/addresses/new",
        summary="Unused addresses after the last used one",
        opt=Terms(access=Access.TOKEN, query=NEW).opt,
        responses=NOT_READY,
    )
    async def list_new(self, request: Request) -> NewAddressesAnswer:
        caller = request.caller
        legacy = NEW.check(read_query(request), convert=True)["legacy"]
        wallet, database = await caller.ready_wallet(), caller.database
        found = await histories.new_addresses(database, wallet.id, wallet.last_used_index, wallet.max_gap)
        ours = [_new(address) for address in found]
        if legacy:
            return NewAddressesAnswer(addresses=ours)
        last = -1 if wallet.last_used_shielded_index is None else wallet.last_used_shielded_index
        shielded = await histories.new_shielded_addresses(
            database, wallet.id, last, wallet.shielded_max_gap or 0
        )
        return NewAddressesAnswer(
            addresses=[_new_shielded(each, each.shielded or "") for each in shielded],
            spend_addresses=[_new_shielded(each, each.address) for each in shielded],
            legacy_addresses=ours,
        )

    @post(
        "/addresses/check_mine",
        status_code=200,
        summary="Which of some addresses are the wallet's",
        opt=Terms(access=Access.FULL, body=MINE).opt,
        responses=NOT_READY,
    )
    async def check_mine(self, request: Request) -> MineAnswer:
        owner = request.caller
        wallet = await owner.ready_wallet()
        asked = MINE.check(await read_body(request))["addresses"]
        mine = await histories.owned(owner.database, wallet.id, asked)
        return MineAnswer(addresses={address: address in mine for address in asked})

    @get(
        "/addresses/has-transactions-outside-first-address",
        summary="Whether another address than the first was used",
        opt=Terms(access=Access.TOKEN).opt,
        responses=NOT_READY,
    )
    async def used_beyond_first(self, request: Request) -> UsedBeyondFirstAnswer:
        caller = request.caller
        wallet = await caller.ready_wallet()
        used = await histories.used_beyond_first(caller.database, wallet.id)
        return UsedBeyondFirstAnswer(has_transactions=used)


def _entry(address: Address) -> AddressEntry:
    """What payers are told is the shielded form, where there is one."""
    return AddressEntry(
        address=address.shielded or address.address,
        index=address.index,
        transactions=address.transactions,
        seqnum=address.seqnum,
        spend_address=UNSET if address.shielded is None else address.address,
    )


def _new(address: Address) -> NewAddress:
    return NewAddress(address=address.address, index=address.index, address_path=address_path(address.index))


def _new_shielded(address: Address, form: str) -> NewAddress:
    path = address_path(address.index, SHIELDED_ACCOUNT)
    return NewAddress(address=form, index=address.index, address_path=path)
