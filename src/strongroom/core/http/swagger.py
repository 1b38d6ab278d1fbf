"""Serves Swagger UI from our own files. The page needs no other host, and its Content-Security-Policy allows none."""

import importlib.resources
from typing import Any

from litestar import MediaType, Response, get
from litestar.static_files import create_static_files_router

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/swagger-ui/swagger-ui.css">
<link rel="icon" type="image/png" href="/swagger-ui/favicon-32x32.png">
</head>
<body><div id="swagger-ui"></div>
<script src="/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/swagger-ui-start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({{url: "{document}", dom_id: "#swagger-ui", deepLinking: true, displayRequestDuration: true}});
"""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def swagger_routes(*, page: str, title: str, document: str, marks: dict[str, Any] | None = None) -> list[Any]:
    """The routes of the page at the path `page`, which shows the OpenAPI document at `document`, and of the page's files.

    `marks` become the `opt` of every route.
    """
    marks = marks or {}

    @get(page, include_in_schema=False, media_type=MediaType.HTML, opt=marks)
    async def show() -> Response[str]:
        return Response(PAGE.format(title=title), headers=SECURITY_HEADERS, media_type=MediaType.HTML)

    @get("/swagger-ui-start.js", include_in_schema=False, opt=marks)
    async def start() -> Response[str]:
        return Response(START.format(document=document), media_type="text/javascript")

    assets = importlib.resources.files("swagger_ui") / "static"
    files = create_static_files_router(
        path="/swagger-ui", directories=[str(assets)], include_in_schema=False, opt=marks
    )
    return [show, start, files]
