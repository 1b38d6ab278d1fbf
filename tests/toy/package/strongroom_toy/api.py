"""The surface: it parses a request, finds the caller, calls a use case and shows its answer."""

from typing import Annotated

import msgspec
from litestar import Controller, Litestar, Request, get, post, put
from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import FromPath

from strongroom.core.http.client import credentials_of
from strongroom.core.http.errors import ErrorAnswers
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.json_request import JsonRequest
from strongroom.core.intents.intent import Intent
from strongroom.core.security.access import Principal
from strongroom.core.security.authentication import Gatekeeper
from strongroom_toy.accounts import Accounts
from strongroom_toy.payments import Payments, Wish

MAX_BODY = 10_000


class NewAccount(msgspec.Struct):
    address: str


class PaymentRequest(msgspec.Struct, forbid_unknown_fields=True):
    receiver: str
    amount: Annotated[int, msgspec.Meta(gt=0)]


class PaymentView(msgspec.Struct):
    transfer: str
    outcome: str
    reason: str | None


class ToyController(Controller):
    path = "/accounts"

    @post(status_code=201)
    async def create(self, principal: Principal, accounts: Accounts) -> NewAccount:
        return NewAccount(address=await accounts.create(principal))

    @put("/{address:str}/payments/{reference:str}", status_code=200)
    async def pay(
        self,
        principal: Principal,
        payments: Payments,
        address: FromPath[str],
        reference: FromPath[str],
        data: PaymentRequest,
    ) -> PaymentView:
        wish = Wish(account=address, reference=reference, receiver=data.receiver, amount=data.amount)
        return _view(await payments.pay(principal, wish))

    @get("/{address:str}/payments/{reference:str}")
    async def read(
        self, principal: Principal, payments: Payments, address: FromPath[str], reference: FromPath[str]
    ) -> PaymentView:
        return _view(await payments.find(principal, address, reference))


def create_application(
    accounts: Accounts, payments: Payments, gatekeeper: Gatekeeper, errors: ErrorAnswers
) -> Litestar:
    async def principal(request: Request[object, object, State]) -> Principal:
        return await gatekeeper.identify(credentials_of(request, TrustedProxies()))

    return Litestar(
        [ToyController],
        dependencies={
            "principal": Provide(principal),
            "accounts": Provide(lambda: accounts, sync_to_thread=False),
            "payments": Provide(lambda: payments, sync_to_thread=False),
        },
        exception_handlers=errors.handlers(),
        request_class=JsonRequest,
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
    )


def _view(intent: Intent) -> PaymentView:
    return PaymentView(transfer=intent.id.hex(), outcome=intent.outcome.value, reason=intent.reason)
