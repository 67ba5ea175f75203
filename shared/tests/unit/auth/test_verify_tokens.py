"""A service's own check of tokens, while its clock goes wrong and while the issuer changes its key."""

import json
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from town_kit.auth import Role, TokenVerifier, key_source, tokens
from town_kit.auth.jose import generate_signing_key, jwks
from town_kit.clock import FixedClock, SystemClock
from town_kit.problems import DependencyUnavailable, InvalidToken
from town_kit.testing.auth import ISSUER, Issuer

MINUTES = timedelta(minutes=5)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


def verifier(issuer: Issuer, *, off: timedelta = timedelta()) -> TokenVerifier:
    clock = FixedClock((SystemClock().now() + off).isoformat())
    return TokenVerifier(issuer=ISSUER, source=key_source(str(issuer.jwks_file)), clock=clock)


async def accepted(check: TokenVerifier, token: str) -> bool:
    tokens._verified.clear()  # what another check remembers is not this one's
    try:
        await check.verify(token)
    except InvalidToken:
        return False
    return True


@pytest.mark.case("D-37")
@pytest.mark.parametrize(
    ("off", "lives", "holds"),
    [
        (timedelta(), 60, True),
        (MINUTES, 600, True),  # a token of ten minutes has five left
        (MINUTES, 60, False),
        (MINUTES, 289, False),
        (-MINUTES, 600, False),  # issued in what this clock calls the future
        (-timedelta(seconds=8), 600, True),
        (-timedelta(seconds=13), 600, False),
    ],
)
async def test_a_wrong_clock_moves_the_limits_by_no_more_than_itself(
    issuer: Issuer, off: timedelta, lives: int, holds: bool
) -> None:
    now = int(SystemClock().now().timestamp())
    token = issuer.token(Role.STAFF, "a:b", iat=now, nbf=now, exp=now + lives)
    assert await accepted(verifier(issuer, off=off), token) is holds


@pytest.mark.case("D-37")
async def test_what_was_remembered_ends_with_the_token_when_the_clock_jumps(issuer: Issuer) -> None:
    check = verifier(issuer)
    token = issuer.token(Role.STAFF, "a:b", exp=int(SystemClock().now().timestamp()) + 60)
    await check.verify(token)
    check.clock = FixedClock((SystemClock().now() + MINUTES).isoformat())
    with pytest.raises(InvalidToken):
        await check.verify(token)


@pytest.mark.case("D-40")
async def test_tokens_of_both_keys_hold_during_a_change_and_of_the_new_one_after(issuer: Issuer) -> None:
    old, new = issuer.key, generate_signing_key()
    publish = [[old, new], [old, new], [new, generate_signing_key()]]  # announced, active, the old one destroyed
    old_token = issuer.token(Role.STAFF, "a:b")
    issuer.key = new
    new_token = issuer.token(Role.STAFF, "a:b")
    held = []
    for keys in publish:
        issuer.jwks_file.write_text(json.dumps(jwks([key.public for key in keys])))
        check = verifier(issuer)
        held.append((await accepted(check, old_token), await accepted(check, new_token)))
    assert held == [(True, True), (True, True), (False, True)]


@pytest.mark.case("D-40")
async def test_a_running_service_finds_an_unannounced_key_and_forgets_a_destroyed_one(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, old_token = verifier(issuer), issuer.token(Role.STAFF, "a:b")
    assert await accepted(check, old_token)
    issuer.key = generate_signing_key()
    issuer.jwks_file.write_text(json.dumps(jwks([issuer.key.public])))
    monkeypatch.setattr(tokens, "REFETCH_SECONDS", 0.0)
    assert await accepted(check, issuer.token(Role.STAFF, "a:b"))
    assert not await accepted(check, old_token)


@pytest.mark.runbook("identity")
async def test_while_the_issuer_is_away_its_tokens_hold_and_nobody_elses(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keys(_: web.Request) -> web.Response:
        return web.Response(body=issuer.jwks_file.read_bytes(), content_type="application/json")

    app = web.Application()
    app.router.add_get("/.well-known/jwks.json", keys)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    source = key_source(f"http://127.0.0.1:{runner.addresses[0][1]}")
    check = TokenVerifier(issuer=ISSUER, source=source)
    assert await accepted(check, issuer.token(Role.STAFF, "a:b"))
    await runner.cleanup()
    monkeypatch.setattr(tokens, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(tokens, "REFETCH_SECONDS", 0.0)
    with pytest.raises(httpx.HTTPError):
        await source.fetch()
    assert await accepted(check, issuer.token(Role.STAFF, "a:b"))
    issuer.key = generate_signing_key()
    assert not await accepted(check, issuer.token(Role.STAFF, "a:b"))
    with pytest.raises(DependencyUnavailable):
        await TokenVerifier(issuer=ISSUER, source=source).verify(issuer.token(Role.STAFF, "a:b"))
