"""Applications behind TLS that asks for client certificates, on a port of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from strongroom.core.clock import SystemClock
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.http.tls.files import TlsFiles
from strongroom.core.http.tls.settings import ClientCertificates, TlsSettings
from support.certificates import Authority
from support.serving import Serve


def serving_tls(authority: Authority) -> Serve:
    """As `support.serving.serving`, with a certificate of the authority, and for its clients' certificates."""
    server = authority.issue("server")
    settings = TlsSettings(
        certificate=server.path,
        key=server.key,
        client_ca=authority.own.path,
        clients=ClientCertificates.OPTIONAL,
    )

    @asynccontextmanager
    async def serve(application: Any) -> AsyncIterator[str]:
        surface = Surface(
            name="test",
            application=application,
            host="127.0.0.1",
            port=0,
            access=Access.PUBLIC,
            max_body=None,
        )
        listener = Listener(surface, tls=TlsFiles("test", settings, SystemClock()))
        task = asyncio.create_task(listener.serve())
        await listener.started()
        try:
            yield listener.url
        finally:
            listener.stop()
            await task

    return serve
