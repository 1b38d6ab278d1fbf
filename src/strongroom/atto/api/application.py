"""Builds the API as one ASGI application with its routes, documentation and error handlers."""

from dataclasses import dataclass

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from strongroom.atto.api.access import Callers
from strongroom.atto.api.accounts import AccountController
from strongroom.atto.api.documentation import DOCUMENTATION, openapi_config
from strongroom.atto.api.errors import ErrorMapper
from strongroom.atto.api.idempotent import IdempotentRequests
from strongroom.atto.api.transactions import TransactionController, noop
from strongroom.atto.api.wallets import WalletController
from strongroom.atto.history.queries import Queries
from strongroom.atto.history.store import History
from strongroom.atto.receiving.receiver import Receiver
from strongroom.atto.transactions.service import Transactions
from strongroom.atto.wallets.accounts import Accounts
from strongroom.atto.wallets.exports import Exports
from strongroom.atto.wallets.own_keys import OwnKeys
from strongroom.atto.wallets.recovery import Recoverer
from strongroom.atto.wallets.scan_progress import ScanProgress
from strongroom.atto.wallets.wallets import Wallets
from strongroom.core.coordination.idempotency import Idempotency
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.json_request import JsonRequest
from strongroom.core.http.listener import MAX_BODY
from strongroom.core.security.access import Principal
from strongroom.core.security.attempts import Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases behind the routes."""

    wallets: Wallets
    own_keys: OwnKeys
    exports: Exports
    accounts: Accounts
    recoverer: Recoverer
    transactions: Transactions
    queries: Queries
    history: History
    receiver: Receiver
    scan_progress: ScanProgress
    approvals: ApprovalAdministration


def create_application(
    services: Services,
    *,
    idempotency: Idempotency,
    gatekeeper: Identifier[Principal],
    errors: ErrorMapper,
    proxies: TrustedProxies,
) -> Litestar:
    idempotent = IdempotentRequests(idempotency, services.transactions, errors)
    dependencies = {
        "wallets": services.wallets,
        "own_keys": services.own_keys,
        "exports": services.exports,
        "accounts": services.accounts,
        "recoverer": services.recoverer,
        "transactions": services.transactions,
        "queries": services.queries,
        "history": services.history,
        "receiver": services.receiver,
        "scan_progress": services.scan_progress,
        "approvals": services.approvals,
        "idempotent": idempotent,
    }
    callers = Callers(gatekeeper, proxies)
    return Litestar(
        route_handlers=[
            WalletController,
            AccountController,
            TransactionController,
            noop,
            *DOCUMENTATION.routes(),
        ],
        guards=[callers.admit],
        dependencies={
            **{name: _constant(value) for name, value in dependencies.items()},
            "principal": Provide(callers.principal, sync_to_thread=False),
        },
        exception_handlers=errors.handlers(),
        openapi_config=openapi_config(),
        request_class=JsonRequest,
        request_max_body_size=MAX_BODY,
        logging_config=None,
        state=State(),
    )


def _constant(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
