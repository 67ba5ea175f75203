"""`rate_limit`: what somebody who guesses secrets costs everybody else (D-26: their p99 stays below twice its base).

Four web processes; 1,000 wrong secrets a minute against one limit of 300. The others read their applications, first
alone, then meanwhile.
"""

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx
from tests.load.box import CALLERS, GENEROUS, quiet_outside, under_load
from tests.load.measure import Measure, quantile
from tests.load.sending import Sender, open_loop, request

from town_kit.ids import new_id
from town_onebox.assembly import Town
from town_onebox.journey import people
from town_sandbox.jws import sign_hs256

WEB_PROCESSES = 4
LIMIT = {"quota": 300, "window": 60}
GUESSES_PER_SECOND = 1_000 / 60
SECONDS = 60.0
WARM_UP_SECONDS = 5.0
READS_PER_SECOND = 20.0
PATH = "/procedures/v1/applications"
TOKEN = "/identity/v1/oauth/token"
BUSINESS = "027"


async def run() -> list[Measure]:
    """The figure of a town of its own."""
    limits = {**dict.fromkeys(CALLERS, GENEROUS), "sign-in": LIMIT}
    found = await under_load(__name__, {"gateway": {"rate_limits": limits}})
    base, beside = (quantile(found[name], 0.99) for name in ("base_ms", "beside_ms"))
    return [
        Measure("rate_limit.others_p99_ratio", beside / base, "", None, None),
        Measure("rate_limit.others_p99", beside, "ms", base, beside / base),
    ]


async def load(town: Town) -> dict[str, Any]:
    """The others alone, then beside the guesser."""
    await quiet_outside(town)
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        resident = await people.resident(town, client, "hanako")
    read = request("GET", PATH, resident.token, b"")
    sender = Sender(town.public_url)
    await reads(sender, read, WARM_UP_SECONDS)
    base = await reads(sender, read, SECONDS)
    answers: list[int] = []
    guesser = asyncio.create_task(guess(town, answers))
    beside = await reads(sender, read, SECONDS)
    await guesser
    if not set(answers) <= {401, 429} or 429 not in answers:
        raise RuntimeError(f"the guesser was answered with {sorted(set(answers))}")
    return {"base_ms": base, "beside_ms": beside}


async def reads(sender: Sender, content: bytes, seconds: float) -> list[float]:
    """Milliseconds of each read, from the moment it was due."""
    times: list[float] = []

    async def one(due: float) -> None:
        answer = await sender.send(content)
        if answer.status != 200:
            raise RuntimeError(f"a reader was answered with {answer.status}")
        times.append((time.monotonic() - due) * 1000)

    await open_loop(READS_PER_SECOND, seconds, one)
    return times


async def guess(town: Town, answers: list[int]) -> None:
    """A thousand wrong secrets a minute."""
    client_id = json.loads((town.place.sandbox / "credentials.json").read_text())["core_systems"][BUSINESS]["client_id"]

    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:

        async def one(_: float) -> None:
            now = int(time.time())
            claims = {"iss": client_id, "sub": client_id, "aud": town.issuer, "jti": str(new_id()), "exp": now + 60}
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": sign_hs256(claims, "w" * 48),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answers.append((await client.post(TOKEN, content=urlencode(form), headers=headers)).status_code)

        await open_loop(GUESSES_PER_SECOND, SECONDS, one)
