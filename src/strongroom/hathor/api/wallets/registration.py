"""Registering a wallet, its tokens, and its authentication key: what needs signatures instead of a token."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Controller, post, put
from litestar.di import NamedDependency
from msgspec import Meta

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict
from strongroom.core.storage.database import Database
from strongroom.hathor.api.answers import Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, number, text
from strongroom.hathor.api.wallets.wallet import (
    CLOCK_SKEW_S,
    LIMITED,
    UNKNOWN,
    StatusAnswer,
    check_clock,
    wallet_status,
)
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.keys import first_address, wallet_id
from strongroom.hathor.protocol.messages import authentication_message, verify_message
from strongroom.hathor.wallets.jwt import Tokens
from strongroom.hathor.wallets.loading import WalletLoader
from strongroom.hathor.wallets.registry import (
    ERROR,
    READY,
    Wallet,
    WalletNotFound,
    key_address,
    new_wallet,
    read_wallet,
    register_wallet,
    replace_auth_key,
)

SHIELDED = ("scanXpriv", "spendXpub", "firstCtAddress", "spendXpubSignature", "ctAddressSignature")
TOKEN = Schema(
    keys={
        "ts": Key(check=number(positive=True), required=True),
        **{name: Key(check=text(), required=True) for name in ("xpub", "sign", "walletId")},
    }
)
READ_ONLY = Schema(keys={"xpubkey": Key(check=text(), required=True)})


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRules:
    network: Network
    max_gap: int
    max_retries: int
    """Loads of one wallet that may fail before a person has to look."""
    confirm_first_address: bool
    load_wait_s: float = 0.0
    """How long a registration waits for the load that it begins; 0: it begins none, another process does."""
    clock_skew_s: int = CLOCK_SKEW_S
    """From so many seconds on, a client's clock is too far from ours for what it signed."""


def registration_schema(rules: RegistrationRules) -> Schema:
    """The body of `wallet/init` and `wallet/auth`."""
    signed = ("xpubkey", "authXpubkey", "xpubkeySignature", "authXpubkeySignature")
    return Schema(
        keys={
            **{name: Key(check=text(), required=True) for name in signed},
            "timestamp": Key(check=number(positive=True), required=True),
            "firstAddress": Key(check=text(), required=rules.confirm_first_address),
            **{name: Key(check=text()) for name in SHIELDED},
        },
        together=(SHIELDED,),
    )


class TokenAnswer(Success, kw_only=True):
    token: Annotated[str, Meta(description="A JSON web token, good for half an hour")]


class Registration:
    """Registers wallets and issues tokens; `RegistrationController` has the routes."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tokens: Tokens,
        loader: WalletLoader,
        rules: RegistrationRules,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._loader = loader
        self.rules = rules
        self.schema = registration_schema(rules)

    async def load(self, body: dict[str, Any]) -> Wallet:
        wallet_key = wallet_id(body["xpubkey"])
        stored = await self._find(wallet_key)
        if stored is not None and stored.status != ERROR and not _takes_key(stored, body):
            self._check_may_load(stored)  # whatever the client's clock says: nothing that it signed is used
        self._check_time(body["timestamp"], "invalid-payload")
        if stored is not None:
            self._check_may_load(await self._adopt(stored, body))
        self._check_keys(body, wallet_key)
        wallet = self._new(body, wallet_key)
        try:
            registered = await register_wallet(self._database, wallet)
        except Conflict as error:  # another request came first: the answer is the same as a moment later
            existing = await self._find(wallet_key)
            status = wallet_status(existing) if existing else None
            raise Refusal(400, "wallet-already-loaded", status=status) from error
        await self._loader.load(registered.id, self.rules.load_wait_s)
        return await self._find(registered.id) or registered

    async def change_auth_key(self, body: dict[str, Any]) -> Wallet:
        self._check_time(body["timestamp"], "invalid-payload")
        wallet_key = wallet_id(body["xpubkey"])
        if await self._find(wallet_key) is None:
            raise WalletNotFound
        self._check_keys(body, wallet_key)
        return await replace_auth_key(self._database, wallet_key, body["authXpubkey"])

    async def issue_token(self, body: dict[str, Any]) -> str:
        wallet = await self._find(body["walletId"])
        if wallet is None:
            raise Refusal(400, "wallet-not-found")
        self._check_time(body["ts"], "invalid-auth-signature")
        if not hmac.compare_digest(wallet.auth_xpubkey.encode(), body["xpub"].encode()):
            message = "Provided auth_xpubkey does not match the stored auth_xpubkey"
            raise Refusal(400, "invalid-payload", details=[{"message": message}])
        address = key_address(wallet.auth_xpubkey, self.rules.network)
        try:
            verify_message(authentication_message(body["ts"], wallet.id, address), body["sign"], address)
        except ProtocolError as error:
            message = (
                f"The signature {body['sign']} does not match with the auth xpubkey {body['xpub']}"
                f" and the timestamp {body['ts']}"
            )
            raise Refusal(400, "invalid-auth-signature", details={"message": message}) from error
        return self._tokens.issue_full(
            signature=body["sign"], timestamp_s=body["ts"], address=address, wallet_id=wallet.id
        )

    async def issue_read_only_token(self, body: dict[str, Any]) -> str:
        wallet = await self._find(wallet_id(body["xpubkey"]))
        if wallet is None:
            raise Refusal(400, "wallet-not-found")
        if wallet.status != READY:
            raise Refusal(400, "wallet-not-ready")
        address = key_address(wallet.auth_xpubkey, self.rules.network)
        return self._tokens.issue_read_only(wallet_id=wallet.id, auth_address=address)

    async def _find(self, wallet_key: str) -> Wallet | None:
        return await read_wallet(self._database, wallet_key)

    def _check_time(self, timestamp_s: float, error: str) -> None:
        check_clock(self._clock.now_ms() // 1000, timestamp_s, self.rules.clock_skew_s, error)

    async def _adopt(self, stored: Wallet, body: dict[str, Any]) -> Wallet:
        if not _takes_key(stored, body):
            return stored
        self._check_keys(body, stored.id)
        return await replace_auth_key(self._database, stored.id, body["authXpubkey"])

    def _check_may_load(self, wallet: Wallet) -> None:
        if wallet.status != ERROR:
            raise Refusal(400, "wallet-already-loaded", status=wallet_status(wallet))
        if wallet.retry_count >= self.rules.max_retries:
            raise Refusal(400, "wallet-max-retries", status=wallet_status(wallet))

    def _check_keys(self, body: dict[str, Any], wallet_key: str) -> None:
        network = self.rules.network
        try:
            first = first_address(body["xpubkey"], network)
            check_first_address(self.rules, body["firstAddress"], first)
            own, auth = (key_address(body[name], network) for name in ("xpubkey", "authXpubkey"))
        except ProtocolError as error:
            raise invalid_payload([Problem(message=f"The xpub is not valid: {error}")]) from error
        try:
            for address, signature in ((own, "xpubkeySignature"), (auth, "authXpubkeySignature")):
                message = authentication_message(body["timestamp"], wallet_key, address)
                verify_message(message, body[signature], address)
        except ProtocolError as error:
            raise Refusal(403, None, details=[{"message": "Signatures are not valid"}]) from error
        if body[SHIELDED[0]] is not None:
            raise invalid_payload([Problem(message="Shielded wallets are not supported")])

    def _new(self, body: dict[str, Any], wallet_key: str) -> Wallet:
        return new_wallet(
            wallet_id=wallet_key,
            xpubkey=body["xpubkey"],
            auth_xpubkey=body["authXpubkey"],
            max_gap=self.rules.max_gap,
            created_at_s=self._clock.now_ms() // 1000,
        )


def check_first_address(rules: RegistrationRules, expected: str | None, first: str) -> None:
    """Raises: Refusal: where wallets have to name their first address, it is another one."""
    if rules.confirm_first_address and expected != first:
        message = f"Expected first address to be {expected} but it is {first}"
        raise Refusal(400, "invalid-payload", message=message)


def _takes_key(stored: Wallet, body: dict[str, Any]) -> bool:
    """A wallet of the first API has no authentication key of its own: its owner's signatures give it one."""
    return stored.auth_xpubkey == stored.xpubkey and stored.xpubkey != str(body["authXpubkey"])


SIGNED = {403: refused("Signatures are not valid"), **LIMITED}


class RegistrationController(Controller):
    tags = ("Registration",)

    @post(
        "/wallet/init",
        status_code=200,
        summary="Register a wallet and load it",
        opt=Terms(access=Access.PUBLIC, limited=True, body=registration_schema).opt,
        responses={
            400: refused("`invalid-payload`, `wallet-already-loaded` or `wallet-max-retries`"),
            **SIGNED,
        },
    )
    async def load(self, request: Request, registration: NamedDependency[Registration]) -> StatusAnswer:
        body = registration.schema.check(await read_body(request))
        return StatusAnswer(status=wallet_status(await registration.load(body)))

    @put(
        "/wallet/auth",
        summary="Change the authentication key; earlier tokens end",
        opt=Terms(access=Access.PUBLIC, limited=True, body=registration_schema).opt,
        responses={**UNKNOWN, **SIGNED},
    )
    async def change_auth_key(
        self, request: Request, registration: NamedDependency[Registration]
    ) -> StatusAnswer:
        body = registration.schema.check(await read_body(request))
        return StatusAnswer(status=wallet_status(await registration.change_auth_key(body)))

    @post(
        "/auth/token",
        status_code=200,
        summary="A full token, for a signature of the authentication key",
        opt=Terms(access=Access.PUBLIC, limited=True, body=TOKEN).opt,
        responses={
            400: refused("`invalid-payload`, `wallet-not-found` or `invalid-auth-signature`"),
            **LIMITED,
        },
    )
    async def issue_token(self, request: Request, registration: NamedDependency[Registration]) -> TokenAnswer:
        body = TOKEN.check(await read_body(request))
        return TokenAnswer(token=await registration.issue_token(body))

    @post(
        "/auth/token/readonly",
        status_code=200,
        summary="A read-only token, for anybody who knows the xpub",
        opt=Terms(access=Access.PUBLIC, limited=True, body=READ_ONLY).opt,
        responses={400: refused("`invalid-payload`, `wallet-not-found` or `wallet-not-ready`"), **LIMITED},
    )
    async def issue_read_only_token(
        self, request: Request, registration: NamedDependency[Registration]
    ) -> TokenAnswer:
        body = READ_ONLY.check(await read_body(request))
        return TokenAnswer(token=await registration.issue_read_only_token(body))
