"""The hops of the journey: what happens at each, and how it is seen from outside."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import httpx

from town_onebox.assembly import Town
from town_onebox.journey.people import Refused, SignedIn, told

PROCEDURE = "CH-01"
PORTAL_PROCEDURE = "sandbox-jidoteate-nintei"
FOLDER = "child_allowance_claim"
BUSINESS = "027"
DEVICE = "demo-device-hanako"
EMAIL = "hanako@example.jp"
GRANTED = "application.approved"
POLL_SECONDS = 0.05
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass
class Traveller:
    """What is known of the journey so far."""

    town: Town
    client: httpx.AsyncClient
    outside: dict[str, str]
    resident: SignedIn
    clerk: SignedIn
    began_at: datetime
    receipt_no: str = ""
    application_id: str = ""
    reference: str = ""
    message_id: str = ""
    title: str = ""

    async def received(self, counterpart: str, kind: str) -> list[dict[str, Any]]:
        """What reached a counterpart of the sandbox, by kind of entry."""
        answer = await self.client.get(f"{self.outside[counterpart]}/_received", params={"kind": kind})
        found: list[dict[str, Any]] = told(answer)["entries"]
        return found

    async def application(self) -> dict[str, Any]:
        """The application as the clerk sees it."""
        path = f"/procedures/v1/applications/{self.application_id}"
        found: dict[str, Any] = told(await self.client.get(path, headers=self.clerk.headers))
        return found


Check = Callable[[], Awaitable[str | None]]


async def until(check: Check, seconds: float) -> str:
    """Wait until ``check`` answers with a detail; raises ``TimeoutError`` when it does not in time."""
    give_up = time.monotonic() + seconds
    while True:
        found = await check()
        if found is not None:
            return found
        if time.monotonic() > give_up:
            raise TimeoutError(f"nothing within {seconds:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Hop:
    """One hop: its names, what is done or waited for, and how long at most."""

    name: str
    title: str
    english: str
    go: Callable[[Traveller], Awaitable[str]]


async def submit(now: Traveller) -> str:
    """The citizen fills the form at the portal, signs with her card and sends."""
    sample = resources.files("town_procedures.catalogue").joinpath(FOLDER, "samples", "valid.json").read_text("utf-8")
    example = json.loads(sample)
    attachment = {"filename": "tsucho.pdf", "media_type": "application/pdf", "content": base64.b64encode(PDF).decode()}
    answer = await now.client.post(
        f"{now.outside['mynaportal']}/_citizen/applications",
        json={
            "procedure_id": PORTAL_PROCEDURE,
            "procedure_title": "児童手当 認定請求",
            "answers": example["answers"],
            "attachments": [{"kind": kind, **attachment} for kind in example["attachments"]],
            "card": "hanako",
        },
    )
    now.receipt_no = told(answer)["receipt_no"]
    return f"受付番号 {now.receipt_no}"


async def fetch(now: Traveller) -> str:
    """The connector hears "poll now", lists and fetches the package."""

    async def check() -> str | None:
        found = [e for e in await now.received("mynaportal", "fetched") if e["receipt_no"] == now.receipt_no]
        return "申請データを取得" if found else None

    return await until(check, 30)


async def intake(now: Traveller) -> str:
    """Procedures takes the package in; identity has verified the signature."""

    async def check() -> str | None:
        page = told(
            await now.client.get(
                "/procedures/v1/applications", params={"procedure_code": PROCEDURE}, headers=now.clerk.headers
            )
        )
        for item in page["items"]:
            if item["receipt_no"] == now.receipt_no and item["state"] in {"submitted", "accepted"}:
                now.application_id, now.reference = item["id"], item["reference"]
                return f"署名を検証し受領（{now.reference}）"
        await _quarantined(now)
        return None

    return await until(check, 30)


async def _quarantined(now: Traveller) -> None:
    answer = await now.client.get("/procedures/v1/quarantined-packages", headers=now.clerk.headers)
    if not answer.is_success:
        return
    for item in answer.json()["items"]:
        if item.get("receipt_no") == now.receipt_no:
            raise Refused(f"quarantined: {item.get('reason_code') or item.get('reason')}")


async def accept(now: Traveller) -> str:
    """受付: the folder of the procedure says that no clerk is needed; the 収受番号 is given."""

    async def numbered() -> str | None:
        application = await now.application()
        number = application["receipt_number"]
        return f"収受番号 {number}" if number and application["state"] != "submitted" else None

    return await until(numbered, 30)


async def pull(now: Traveller) -> str:
    """Standardization prepares the standard record; the core system pulls it and acknowledges."""

    async def check() -> str | None:
        for entry in await now.received("core_system", "acknowledged"):
            if (entry["business_id"], entry["key"]) == (BUSINESS, now.reference):
                return f"標準レコード {entry['key']}（履歴番号 {entry['history_number']}）"
        return None

    return await until(check, 30)


async def decide(now: Traveller) -> str:
    """The core system decides and posts the result back."""

    async def check() -> str | None:
        for entry in await now.received("core_system", "result_posted"):
            if (entry["business_id"], entry["key"]) == (BUSINESS, now.reference):
                return "基幹業務システムが決定を返送"
        return None

    return await until(check, 30)


async def complete(now: Traveller) -> str:
    """The decision arrives at the application."""

    async def check() -> str | None:
        seen = await now.application()
        return seen["state_label"] if seen["state"] in {"approved", "completed"} else None

    return await until(check, 30)


async def status(now: Traveller) -> str:
    """The portal shows the result to the citizen."""

    async def check() -> str | None:
        path = f"{now.outside['mynaportal']}/_citizen/applications/{now.receipt_no}"
        shown = told(await now.client.get(path))
        return f"ポータルの表示「{shown['label']}」" if shown["state"] in {"60", "90"} else None

    return await until(check, 30)


async def inbox(now: Traveller) -> str:
    """Her app shows that the claim was granted."""

    async def check() -> str | None:
        page = told(await now.client.get("/notifications/v1/messages", headers=now.resident.headers))
        for message in page["items"]:
            if message["application_id"] == now.application_id and message["kind"] == GRANTED:
                entries = told(await now.client.get("/apps/kosodate/v1/inbox", headers=now.resident.headers))
                now.message_id, now.title = message["id"], message["title"]
                return next((entry["title"] for entry in entries if entry["title"] == now.title), None)
        return None

    return await until(check, 30)


async def push(now: Traveller) -> str:
    """Her phone is told of that message."""

    async def check() -> str | None:
        for entry in await now.received("fcm", "message"):
            if entry["device"] == DEVICE and entry["message"]["data"]["message_id"] == now.message_id:
                return str(entry["message"]["notification"]["title"])
        return None

    return await until(check, 30)


async def mail(now: Traveller) -> str:
    """Her mail box gets it too."""

    async def check() -> str | None:
        for entry in await now.received("smtp_control", "message"):
            fresh = datetime.fromisoformat(entry["at"]) >= now.began_at
            if fresh and EMAIL in entry["recipients"] and entry["subject"] == now.title:
                return f"件名「{entry['subject']}」"
        return None

    return await until(check, 30)


HOPS: tuple[Hop, ...] = (
    Hop("submitted", "ぴったりサービスで申請（電子署名つき）", "submitted at Mynaportal, signed with the card", submit),
    Hop("fetched", "町のコネクタが取得", "fetched by the connector", fetch),
    Hop("received", "署名を検証して受領", "signature verified, received", intake),
    Hop("accepted", "手続の定めにより受付、収受番号", "accepted as its folder says, numbered", accept),
    Hop("pulled", "標準レコードを基幹業務システムが取得", "standard record pulled and acknowledged", pull),
    Hop("decided", "基幹業務システムが認定", "decided in the core system", decide),
    Hop("completed", "決定が申請に届く", "decision arrived at the application", complete),
    Hop("told", "マイナポータルに結果", "result at Mynaportal", status),
    Hop("inbox", "アプリのお知らせ", "message in her app", inbox),
    Hop("pushed", "スマートフォンに通知", "push notification", push),
    Hop("mailed", "メール", "mail", mail),
)
