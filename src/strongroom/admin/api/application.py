"""The surface as one ASGI application: routes, documentation, errors."""

from typing import Any

from litestar import Litestar
from litestar.di import Provide

from strongroom.admin.api.access import Callers
from strongroom.admin.api.approvals import ApprovalsController, AskedController
from strongroom.admin.api.audit.proofs import ProofsController
from strongroom.admin.api.audit.rows import AuditController, audit_filter
from strongroom.admin.api.audit.verification import VerificationController
from strongroom.admin.api.documentation import DOCUMENTATION, openapi_config
from strongroom.admin.api.errors import ProblemAnswers
from strongroom.admin.api.freezes import EverythingController, FreezesController
from strongroom.admin.api.keys import EveryKeyController, KeysController
from strongroom.admin.api.ledgers import LedgersController
from strongroom.admin.api.overview import OverviewController
from strongroom.admin.api.payments.listing import (
    LedgerPaymentsController,
    PaymentsController,
    payment_filter,
)
from strongroom.admin.api.payments.lives import LivesController
from strongroom.admin.api.rules import RulesController
from strongroom.admin.api.tokens import TokensController
from strongroom.admin.api.uncached import Uncached
from strongroom.admin.api.wallets.listing import WalletsController
from strongroom.admin.api.wallets.one import WalletController
from strongroom.admin.api.webhooks.endpoints import WebhooksController
from strongroom.admin.estate import Estate
from strongroom.core.http.json_request import JsonRequest

MAX_BODY = 256 * 1024


def create_application(estate: Estate, *, callers: Callers, errors: ProblemAnswers) -> Uncached:
    application = Litestar(
        route_handlers=[
            LedgersController,
            OverviewController,
            TokensController,
            RulesController,
            ApprovalsController,
            AskedController,
            FreezesController,
            EverythingController,
            EveryKeyController,
            PaymentsController,
            WebhooksController,
            LedgerPaymentsController,
            LivesController,
            WalletsController,
            WalletController,
            AuditController,
            KeysController,
            ProofsController,
            VerificationController,
            *DOCUMENTATION.routes(),
        ],
        guards=[callers.admit],
        dependencies={
            "estate": _constant(estate),
            "authority": Provide(callers.authority, sync_to_thread=False),
            "caller": Provide(callers.principal, sync_to_thread=False),
            "wanted": Provide(payment_filter),
            "rows_wanted": Provide(audit_filter),
        },
        exception_handlers=errors.handlers(),
        openapi_config=openapi_config(),
        request_class=JsonRequest,
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    return Uncached(application)


def _constant(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
