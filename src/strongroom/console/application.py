"""The console as one ASGI application: pages, assets, errors."""

from typing import Any

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

from strongroom.admin.estate import Estate
from strongroom.console.access import Visitors
from strongroom.console.cookies import Cookies
from strongroom.console.files import asset_route, make_templates, read_assets
from strongroom.console.live.streams import Streams
from strongroom.console.live.watch import Watch
from strongroom.console.pages import (
    approvals,
    audit,
    freezes,
    keys,
    overview,
    payment,
    payments,
    verification,
    wallets,
    webhooks,
)
from strongroom.console.refusals import PageAnswers, explain_error
from strongroom.console.shield import Shielded
from strongroom.console.sign_in_pages import SignInPages, SignOutPages
from strongroom.console.sign_ins import OneTimeLinks, SignIns
from strongroom.console.viewer import Viewer

MAX_BODY = 64 * 1024
PAGES = (overview, payments, payment, wallets, approvals, webhooks, audit, verification, keys, freezes)
"""The modules of pages, in the order of the bar: each has SECTION, what the bar says of it, and CONTROLLERS."""


def create_application(
    estate: Estate,
    *,
    visitors: Visitors,
    sign_ins: SignIns,
    links: OneTimeLinks,
    cookies: Cookies,
    errors: PageAnswers,
    watch: Watch,
) -> Shielded:
    assets = read_assets()
    sections = tuple(page.SECTION for page in PAGES if page.SECTION is not None)

    async def viewer(request: Request[Any, Any, Any]) -> Viewer:
        return Viewer(request, estate, cookies, sections)

    application = Litestar(
        route_handlers=[
            SignInPages,
            SignOutPages,
            asset_route(assets),
            explain_error,
            Streams,
            *(controller for page in PAGES for controller in page.CONTROLLERS),
        ],
        guards=[visitors.admit],
        dependencies={
            "estate": _constant(estate),
            "visitors": _constant(visitors),
            "sign_ins": _constant(sign_ins),
            "links": _constant(links),
            "watch": _constant(watch),
            "jar": _constant(cookies),
            "viewer": Provide(viewer),
        },
        exception_handlers=errors.handlers(),
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(make_templates(assets))),
        openapi_config=None,
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    return Shielded(application)


def _constant(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
