"""Asking identity over a real socket: one connection, one more try, and 503 for whatever is not a verdict."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from town_kit.problems import DependencyUnavailable, SignatureInvalid
from town_procedures.signatures import IdentitySignatures

PAGE = "<html>502 Bad Gateway</html>"


class Tokens:
    async def headers(self) -> dict[str, str]:
        return {"Authorization": "Bearer x"}


class Identity:
    """Answers what it is told to: (status, text, media type)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str, str]] = []
        self.peers: list[Any] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        status, text, media_type = self.answers.pop(0)
        return web.Response(status=status, text=text, content_type=media_type)


@pytest.fixture
async def identity() -> AsyncIterator[Identity]:
    made = Identity()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def signatures(identity: Identity) -> AsyncIterator[IdentitySignatures]:
    made = IdentitySignatures(identity.url, Tokens())  # type: ignore[arg-type]
    async with made.identity.running():
        yield made


async def recheck(signatures: IdentitySignatures) -> str:
    received_at = datetime(2027, 1, 4, tzinfo=UTC)
    return await signatures.recheck("00000000-0000-4000-8000-000000000000", received_at=received_at)


GOOD = (200, '{"revocation": "good", "revoked_later": false}', "application/json")


async def test_calls_share_a_connection_and_one_that_fails_is_tried_once_more(
    identity: Identity, signatures: IdentitySignatures
) -> None:
    identity.answers = [GOOD, (503, "", "text/plain"), GOOD]
    assert (await recheck(signatures)).revocation == "good"
    assert (await recheck(signatures)).revocation == "good"
    assert len(identity.peers) == 3
    assert identity.peers[0] == identity.peers[1]


@pytest.mark.parametrize(
    "answer",
    [
        (502, PAGE, "text/html"),
        (404, PAGE, "text/html"),
        (200, PAGE, "text/html"),
        (200, "[]", "application/json"),
        (422, "[]", "application/json"),
        (200, "{}", "application/json"),
    ],
)
async def test_what_is_no_verdict_is_503_that_says_when_to_come_again(
    answer: tuple[int, str, str], identity: Identity, signatures: IdentitySignatures
) -> None:
    identity.answers = [answer] * 2
    with pytest.raises(DependencyUnavailable) as refused:
        await recheck(signatures)
    assert int(refused.value.headers["Retry-After"]) > 0


async def test_identitys_own_refusal_reaches_the_caller(identity: Identity, signatures: IdentitySignatures) -> None:
    problem = '{"type": "urn:town:problem:signature-invalid", "detail": "署名をやり直してください。"}'
    identity.answers = [(422, problem, "application/problem+json")]
    with pytest.raises(SignatureInvalid) as refused:
        await recheck(signatures)
    assert refused.value.detail == "署名をやり直してください。"
