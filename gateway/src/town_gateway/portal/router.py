"""The pages of the gateway: no framework, no outside address, a strict content policy."""

import gzip
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from town_gateway.ports import ports_of
from town_kit.openapi import describe
from town_kit.routing import TownRouter

PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/reference": ("reference.html", "text/html; charset=utf-8"),
    "/portal/style.css": ("style.css", "text/css; charset=utf-8"),
    "/portal/index.js": ("index.js", "text/javascript; charset=utf-8"),
    "/portal/reference.js": ("reference.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
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


async def _openapi(request: Request) -> Response:
    document = await ports_of(request).description.document(describe(request.app))
    return JSONResponse(document, headers={"Cache-Control": "no-cache"})


async def _journey(request: Request) -> Response:
    wired = ports_of(request)
    state = await wired.showcase.state()
    return JSONResponse({"municipality": wired.municipality, **state}, headers={"Cache-Control": "no-store"})


async def _test_tokens(request: Request) -> Response:
    return JSONResponse(await ports_of(request).showcase.tokens(), headers={"Cache-Control": "no-store"})


def _pages() -> TownRouter:
    pages = TownRouter()
    for path, (name, media_type) in PAGES.items():
        pages.add_route(path, _page(name, media_type), include_in_schema=False)
    pages.add_route("/openapi.json", _openapi, include_in_schema=False)
    pages.add_route("/portal/journey", _journey, include_in_schema=False)
    pages.add_route("/portal/test-tokens", _test_tokens, include_in_schema=False)
    return pages


router = _pages()
