"""The pages of the gateway: no framework, no outside address, a strict content policy."""

import gzip
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from town_gateway.portal.showcase import Showcase
from town_kit.routing import TownRouter

PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/reference": ("reference.html", "text/html; charset=utf-8"),
    "/portal/style.css": ("style.css", "text/css; charset=utf-8"),
    "/portal/index.js": ("index.js", "text/javascript; charset=utf-8"),
    "/portal/reference.js": ("reference.js", "text/javascript; charset=utf-8"),
}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
Endpoint = Callable[[Request], Awaitable[Response]]


@cache
def _file(name: str) -> tuple[bytes, bytes]:
    content = resources.files(__package__).joinpath("static", name).read_bytes()
    return content, gzip.compress(content, 9, mtime=0)


def _page(name: str, media_type: str) -> Endpoint:
    async def page(request: Request) -> Response:
        plain, packed = _file(name)
        headers = {**HEADERS, "Content-Type": media_type}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(plain, headers=headers)

    return page


def portal_router(
    showcase: Showcase, *, municipality: str, describe: Callable[[], Awaitable[dict[str, Any]]]
) -> TownRouter:
    """The pages, and the three documents they read.

    Args:
        showcase: the journey and the test tokens of a trial; empty in production.
        municipality: the town's name, as the page shows it.
        describe: the merged OpenAPI description.
    """
    router = TownRouter()
    for path, (name, media_type) in PAGES.items():
        router.add_route(path, _page(name, media_type), include_in_schema=False)

    async def openapi(_: Request) -> Response:
        return JSONResponse(await describe(), headers={"Cache-Control": "no-cache"})

    async def journey(_: Request) -> Response:
        state = await showcase.state()
        return JSONResponse({"municipality": municipality, **state}, headers={"Cache-Control": "no-store"})

    async def tokens(_: Request) -> Response:
        return JSONResponse(await showcase.tokens(), headers={"Cache-Control": "no-store"})

    router.add_route("/openapi.json", openapi, include_in_schema=False)
    router.add_route("/portal/journey", journey, include_in_schema=False)
    if showcase.folder is not None:
        router.add_route("/portal/test-tokens", tokens, include_in_schema=False)
    return router
