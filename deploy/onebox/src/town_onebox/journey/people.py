"""The people of a trial, signing in as they would: a resident by card, staff by the directory, a vendor by client."""

import asyncio
import base64
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_onebox.assembly import Town
from town_onebox.core_systems import core_systems
from town_sandbox.core_system.linkage import ASSERTION_TYPE
from town_sandbox.jpki import JpkiTestAuthority, VirtualCard, number_link_file
from town_sandbox.jws import sign_hs256
from town_sandbox.main import open_card

CARDS = ("hanako", "taro", "fumi")
CODE_SECONDS = 60.0  # a mail that fails three times is still tried within them, on a machine that is busy starting
_CODE = re.compile(r"\b\d{6}\b")


class Refused(Exception):
    """The town answered otherwise than hoped; the text names call and status, never a value."""


@dataclass(frozen=True)
class SignedIn:
    """Somebody with an access token."""

    token: str
    expires_in: int
    person_id: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a call; every one gets an Idempotency-Key of its own."""
        return {"Authorization": f"Bearer {self.token}", "Idempotency-Key": str(new_id())}


def told(answer: httpx.Response, *expected: int) -> Any:
    """The body of an answer with one of the expected statuses (any 2xx by default)."""
    good = answer.status_code in expected if expected else answer.is_success
    if not good:
        slug = answer.json().get("type", "") if "json" in answer.headers.get("content-type", "") else ""
        raise Refused(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {slug}".strip())
    return answer.json() if answer.content else None


def _once() -> dict[str, str]:
    return {"Idempotency-Key": str(new_id())}


def card(town: Town, name: str) -> VirtualCard:
    """A demo card of the sandbox."""
    return open_card(town.place.sandbox, name)


async def resident(town: Town, client: httpx.AsyncClient, name: str) -> SignedIn:
    """Sign in with the 利用者証明用 certificate of a card, as the app does."""
    own = card(town, name)
    challenge = told(await client.post("/apps/kosodate/v1/login-challenges", json={}, headers=_once()))
    signature = own.sign_login(base64.b64decode(challenge["to_be_signed"]))
    session = told(
        await client.post(
            "/apps/kosodate/v1/sessions",
            json={
                "challenge_id": challenge["challenge_id"],
                "certificate": base64.b64encode(own.auth_der).decode(),
                "signature": base64.b64encode(signature).decode(),
                "device_name": "見本のスマートフォン",
            },
            headers=_once(),
        )
    )
    return SignedIn(session["access_token"], session["expires_in"], session["person_id"])


async def resident_by_partner(town: Town, client: httpx.AsyncClient, name: str) -> SignedIn:
    """Sign in with a card in the app of the sandbox's partner, which speaks to identity itself."""
    own = card(town, name)
    partner = json.loads((town.place.sandbox / "credentials.json").read_text())["partner"]["client_id"]
    body = {"client_id": partner}
    challenge = told(await client.post("/identity/v1/login-challenges", json=body, headers=_once()))
    answer = {
        "challenge_id": challenge["challenge_id"],
        "certificate": base64.b64encode(own.auth_der).decode(),
        "signature": base64.b64encode(own.sign_login(base64.b64decode(challenge["to_be_signed"]))).decode(),
        "device_name": "見本のスマートフォン",
    }
    session = told(await client.post("/identity/v1/resident-sessions", json=answer, headers=_once()))
    return SignedIn(session["access_token"], session["expires_in"], session["person_id"])


async def staff(client: httpx.AsyncClient, hint: str) -> SignedIn:
    """Sign in as a member of staff: to the directory with PKCE, as ``hint``, and back with its code."""
    begun = told(await client.post("/identity/v1/staff-authorizations"))
    answer = await client.get(f"{begun['authorization_url']}&login_hint={hint}")
    if answer.status_code != 302:
        raise Refused(f"the staff directory answered {answer.status_code}")
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    body = {"code": back["code"][0], "state": back["state"][0]}
    session = told(await client.post("/identity/v1/staff-sessions", json=body))
    return SignedIn(session["access_token"], session["expires_in"])


async def vendor(town: Town, client: httpx.AsyncClient, business_id: str) -> SignedIn:
    """The token of a core system's own client (client_secret_jwt)."""
    issued = json.loads((town.place.sandbox / "credentials.json").read_text())["core_systems"][business_id]
    now = int(SystemClock().now().timestamp())
    claims = {
        "iss": issued["client_id"],
        "sub": issued["client_id"],
        "aud": town.issuer,
        "jti": secrets.token_hex(16),
        "iat": now,
        "exp": now + 60,
    }
    form = {
        "grant_type": "client_credentials",
        "scope": core_systems()[business_id].scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": sign_hs256(claims, issued["client_secret"]),
    }
    granted = told(await client.post("/identity/v1/oauth/token", data=form))
    return SignedIn(granted["access_token"], granted["expires_in"])


async def link_numbers(town: Town, client: httpx.AsyncClient) -> None:
    """Import the 番号紐付 file of the demo cards, so that both certificates of a card belong to one person."""
    administrator = await staff(client, "administrator")
    headers = {**administrator.headers, "Content-Type": "text/csv"}
    authority = JpkiTestAuthority.load(town.place.sandbox / "jpki")
    content = number_link_file(authority, [card(town, name) for name in CARDS])
    preview = await client.post("/identity/v1/number-links", content=content, headers=headers)
    found = told(preview)
    apply = {**administrator.headers, "If-Match": preview.headers["etag"]}
    told(await client.post(f"/identity/v1/number-links/{found['id']}/apply", headers=apply))


async def can_be_reached(client: httpx.AsyncClient, own: SignedIn, *, device: str, address: str, mailbox: str) -> None:
    """Register a device for pushes and a mail address, which is confirmed with the code that arrives there."""
    body = {"push_token": device, "platform": "android", "app": "kosodate"}
    told(await client.post("/notifications/v1/devices", json=body, headers=own.headers))
    known = told(await client.get("/notifications/v1/contact-points", headers=own.headers))
    point = next((each for each in known if each["address"] == address and each["state"] != "bounced"), None)
    if point is None:
        added = await client.post("/notifications/v1/contact-points", json={"address": address}, headers=own.headers)
        point = told(added)
    if point["state"] == "pending":
        await _confirm(client, own, point["id"], address=address, mailbox=mailbox)


async def _confirm(client: httpx.AsyncClient, own: SignedIn, point: str, *, address: str, mailbox: str) -> None:
    tried: set[str] = set()
    give_up = time.monotonic() + CODE_SECONDS
    while time.monotonic() < give_up:
        mails = told(await client.get(f"{mailbox}/_received", params={"kind": "message"}))["entries"]
        codes = [found[0] for mail in mails if address in mail["recipients"] if (found := _CODE.search(mail["text"]))]
        for code in codes[-1:]:
            if code in tried:
                continue
            tried.add(code)
            path = f"/notifications/v1/contact-points/{point}/confirm"
            if told(await client.post(path, json={"code": code}, headers=own.headers))["state"] == "confirmed":
                return
        await asyncio.sleep(0.1)
    raise TimeoutError("the confirmation code did not arrive by mail")
