"""Puts the admin API on its port."""

from strongroom.admin.api.access import Callers
from strongroom.admin.api.application import create_application
from strongroom.admin.api.documentation import DOCUMENTATION
from strongroom.admin.api.errors import ProblemAnswers
from strongroom.admin.estate import Estate
from strongroom.admin.settings import SURFACE, AdminSettings
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Surface
from strongroom.core.http.timing import TimedApplication
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.attempts import Attempts


def admin_surface(
    settings: AdminSettings, estate: Estate, *, attempts: Attempts, metrics: Metrics
) -> Surface:
    errors = ProblemAnswers(metrics)
    application = create_application(
        estate,
        callers=Callers(estate, settings.trusted_proxies, attempts),
        errors=errors,
    )
    return Surface(
        name=SURFACE,
        application=TimedApplication(application, metrics),
        host=settings.host,
        port=settings.port,
        access=Access.TOKEN,
        has_door=True,
        dialect=errors.refused_at_door,
        pages=frozenset({DOCUMENTATION.page}),
        max_body=None,  # the application words its refusal
        proxies=settings.trusted_proxies,
    )
