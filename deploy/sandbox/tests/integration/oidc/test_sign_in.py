"""Staff sign in by authorization code with PKCE; joserfc judges the ID token."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

REDIRECT = "http://127.0.0.1/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def browser(sandbox: Any) -> Any:
    sandbox.configure(oidc_redirect_uris=[REDIRECT])
    with sandbox.client("oidc") as client:
        yield client


def authorize(sandbox: Any, browser: httpx.Client, **changes: str) -> httpx.Response:
    asked = {
        "response_type": "code",
        "client_id": sandbox.credentials.oidc.client_id,
        "redirect_uri": REDIRECT,
        "scope": "openid profile",
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": "approver",
    }
    return browser.get("/authorize", params=asked | changes)


def redeem(sandbox: Any, browser: httpx.Client, code: str, verifier: str = VERIFIER) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": verifier}
    client = sandbox.credentials.oidc
    return browser.post("/token", data=form, auth=(client.client_id, client.client_secret))


def code_of(answer: httpx.Response) -> str:
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def test_an_approver_gets_an_id_token_that_the_published_key_verifies(sandbox: Any, browser: httpx.Client) -> None:
    answer = redeem(sandbox, browser, code_of(authorize(sandbox, browser)))
    metadata = browser.get("/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(browser.get(metadata["jwks_uri"]).json())
    claims = jwt.decode(answer.json()["id_token"], keys, algorithms=["ES256"]).claims
    assert claims["iss"] == metadata["issuer"] == sandbox.addresses["oidc"]
    assert (claims["aud"], claims["nonce"]) == (sandbox.credentials.oidc.client_id, "n")
    assert "approver" in claims["groups"]
    assert "mfa" in claims["amr"]


def test_a_code_serves_once_and_only_with_its_verifier(sandbox: Any, browser: httpx.Client) -> None:
    code = code_of(authorize(sandbox, browser))
    assert redeem(sandbox, browser, code).status_code == 200
    assert redeem(sandbox, browser, code).status_code == 400
    assert redeem(sandbox, browser, code_of(authorize(sandbox, browser)), "w" * 43).status_code == 400


def test_an_address_that_is_not_registered_gets_no_redirect(sandbox: Any, browser: httpx.Client) -> None:
    answer = authorize(sandbox, browser, redirect_uri="http://elsewhere.invalid/")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


def test_a_request_without_pkce_is_sent_back_with_an_error(sandbox: Any, browser: httpx.Client) -> None:
    answer = authorize(sandbox, browser, code_challenge_method="plain")
    assert "error=invalid_request" in answer.headers["location"]
