"""A client whose requests have ids, as those through a listener of the service."""

from typing import Any

import httpx2

from strongroom.core.http.requests.naming import NamedRequests
from support.clock import SeededEntropy


def naming(application: Any, like: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """A client of the application with the base URL and the headers of another client."""
    transport = httpx2.ASGITransport(app=NamedRequests(application, SeededEntropy()))
    return httpx2.AsyncClient(verify=False, transport=transport, base_url=like.base_url, headers=like.headers)
