"""Running the journey: prepare the people, go through the hops, print each with its time, keep the page fed."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from town_kit.clock import SystemClock
from town_onebox import serving
from town_onebox.assembly import Town
from town_onebox.journey import people
from town_onebox.journey.events import Watcher, watching
from town_onebox.journey.hops import DEVICE, EMAIL, HOPS, Hop, Traveller
from town_onebox.journey.people import Refused, SignedIn
from town_onebox.journey.showcase import ShowcaseFiles

READY_SECONDS = 120.0
RENEW_SECONDS = 240.0
FAILURES = (Refused, TimeoutError, httpx.HTTPError, KeyError, IndexError)
FAILED = "この工程が答えませんでした。端末の表示と {logs} の記録を確かめてください。"


def journey(town: Town, console: Console, *, once: bool, mode: str = "onebox") -> int:
    """Go through all hops; 0 when each answered, else 1. Without ``once``, renew the test tokens until a signal."""
    result = [1]

    async def body(stop: asyncio.Event) -> None:
        result[0] = await _travel(town, console, stop, once=once, mode=mode)

    serving.run(body)
    return result[0]


async def _travel(town: Town, console: Console, stop: asyncio.Event, *, once: bool, mode: str) -> int:
    files = ShowcaseFiles(town.place.showcase)
    files.begin(mode, [(hop.name, hop.title, hop.english) for hop in HOPS])
    async with httpx.AsyncClient(base_url=town.public_url, timeout=20, trust_env=False) as client:
        began = time.monotonic()
        try:
            await _ready(town, client)
            console.print(f"\n[bold]{town.public_url}[/]  the town answers", highlight=False)
            traveller = await _prepare(town, client)
        except FAILURES as failure:
            console.print(f"[red]✗[/] preparation: {type(failure).__name__}: {failure}", highlight=False)
            files.end(ok=False)
            return await _stay(town, client, files, stop, once=once, code=1)
        console.print(f"[dim]  ready after {time.monotonic() - began:.1f} s[/]\n", highlight=False)
        if not once:
            await _renew(town, client, files)
        async with watching(town) as watcher:
            ok = await _hops(traveller, watcher, console, files)
        files.end(ok=ok)
        _urls(town, console)
        return await _stay(town, client, files, stop, once=once, code=0 if ok else 1)


async def _ready(town: Town, client: httpx.AsyncClient) -> None:
    """Wait until everything that serves says it is ready: database, schema, event log."""
    give_up = time.monotonic() + READY_SECONDS
    here = [town.public_url, *(town.vault_url for _ in town.entries(vault=True))]
    for url in town.service_urls.values() or here:
        while not await _is_ready(client, url):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{url}/readyz; see {town.place.logs}")
            await asyncio.sleep(0.1)


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).is_success
    except httpx.HTTPError:
        return False


async def _prepare(town: Town, client: httpx.AsyncClient) -> Traveller:
    """Everything a journey needs beforehand: linked cards, people signed in, her device and address registered."""
    await people.link_numbers(town, client)
    resident = await people.resident(town, client, "hanako")
    clerk = await people.staff(client, "clerk")
    outside = town.sandbox_addresses()
    await people.can_be_reached(client, resident, device=DEVICE, address=EMAIL, mailbox=outside["smtp_control"])
    return Traveller(town, client, outside, resident, clerk, SystemClock().now())


async def _hops(traveller: Traveller, watcher: Watcher, console: Console, files: ShowcaseFiles) -> bool:
    began = time.monotonic()
    for number, hop in enumerate(HOPS, start=1):
        started, cause = time.monotonic(), ""
        try:
            detail, ok = await hop.go(traveller), True
        except FAILURES as failure:
            detail, ok, cause = (
                FAILED.format(logs=traveller.town.place.logs),
                False,
                f"{type(failure).__name__}: {failure}",
            )
        now = time.monotonic()
        _print(console, number, hop, detail if ok else f"{detail} {cause}", ok=ok, took=now - started)
        for seen in watcher.news(traveller.application_id, traveller.receipt_no):
            console.print(f"               [dim]{escape(seen.place())}[/]", highlight=False, soft_wrap=True)
        files.hop(
            hop.name,
            hop.title,
            hop.english,
            at=SystemClock().now(),
            ms=(now - began) * 1000,
            detail=detail,
            ok=ok,
        )
        if not ok:
            console.print(f"\n[red]the journey ended at hop {number}: {hop.name}[/]")
            return False
    console.print(f"\n[green]all {len(HOPS)} hops answered[/] in {time.monotonic() - began:.2f} s\n", highlight=False)
    return True


def _print(console: Console, number: int, hop: Hop, detail: str, *, ok: bool, took: float) -> None:
    mark = "[green]✓[/]" if ok else "[red]✗[/]"
    console.print(
        f"{mark} {number:>2} {took:>7.3f} s  {hop.title}  [dim]{hop.english}[/]", highlight=False, soft_wrap=True
    )
    console.print(f"               [cyan]{detail}[/]", highlight=False, soft_wrap=True)


def _urls(town: Town, console: Console) -> None:
    for url, what in (
        (town.public_url, "この町の入口 — the journey live, test tokens, curl lines"),
        (f"{town.public_url}/reference", "API reference"),
        (f"{town.public_url}/openapi.json", "OpenAPI 3.1"),
        (town.vault_url, "庁内データ連携 — standardization's own listener"),
        (town.sandbox_addresses()["mynaportal"], "sandbox: Mynaportal"),
    ):
        console.print(f"  {url:<40} {what}", highlight=False, soft_wrap=True)


async def _stay(
    town: Town, client: httpx.AsyncClient, files: ShowcaseFiles, stop: asyncio.Event, *, once: bool, code: int
) -> int:
    """Keep test tokens on the page until the town stops."""
    while not once and not stop.is_set():
        await _renew(town, client, files)
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
    return code


async def _renew(town: Town, client: httpx.AsyncClient, files: ShowcaseFiles) -> None:
    """Fresh test tokens for the first page; none while somebody cannot sign in."""
    try:
        files.tokens(await _accounts(town, client))
    except FAILURES:
        files.tokens([])


async def _accounts(town: Town, client: httpx.AsyncClient) -> list[dict[str, Any]]:
    resident = await people.resident(town, client, "hanako")
    clerk = await people.staff(client, "clerk")
    vendor = await people.vendor(town, client, "027")
    bearer = 'curl -H "Authorization: Bearer {token}"'
    return [
        _account(
            "resident",
            "能登 花子（見本）",
            resident,
            [
                ("わたしの申請", f"{bearer} {{origin}}/apps/kosodate/v1/applications"),
                ("お知らせ", f"{bearer} {{origin}}/apps/kosodate/v1/inbox"),
            ],
        ),
        _account(
            "staff",
            "窓口 花子（見本）",
            clerk,
            [
                ("処理待ち一覧", f"{bearer} {{origin}}/procedures/v1/work-queue"),
                ("件数", f"{bearer} {{origin}}/procedures/v1/work-queue/counts"),
            ],
        ),
        _account(
            "vendor",
            "児童手当システム（見本）",
            vendor,
            [
                ("標準レコードの取得", f"{bearer} {town.vault_url}/v1/data-linkage/027/records"),
            ],
        ),
    ]


def _account(role: str, who: str, signed_in: SignedIn, lines: list[tuple[str, str]]) -> dict[str, Any]:
    expires = SystemClock().now() + timedelta(seconds=signed_in.expires_in)
    return {
        "role": role,
        "who": who,
        "token": signed_in.token,
        "expires_at": expires.isoformat(timespec="seconds"),
        "try": [{"title": title, "curl": curl} for title, curl in lines],
    }
