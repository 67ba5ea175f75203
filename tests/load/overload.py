"""`overload`: three times as many applications as the town can take.

The maximum is measured first, with callers who each wait for their answer. Then applications come at three times that
rate whatever becomes of them, and meanwhile an emergency message is sent twice a second: it is timed from the call of
the API until the push sandbox has it for the last device. Afterwards a fifth of the maximum goes on until its answers
are as they were before, and the maximum is measured a second time: the machine is not as fast in one half minute as in
the next, and the mean of before and after is what it could do in between. Times count from the moment a call was due,
so nothing the generator is late with is left out.
"""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

import httpx
from tests.load.box import quiet_outside, under_load
from tests.load.lifecycle import sample
from tests.load.measure import Measure, quantile
from tests.load.sending import Answer, Cut, Sender, closed_loop, open_loop, request

from town_kit.ids import new_id
from town_notifications.emergency_messages.domain import Content, Status
from town_onebox.assembly import Town
from town_onebox.journey import people

CALLERS = 32
CONNECTIONS = 200
WARM_UP_SECONDS = 4.0
MAXIMUM_SECONDS = 12.0
PAUSE_SECONDS = 2.0
TIMES = 3
OVERLOAD_SECONDS = 25.0
LIGHT = 0.2
LIGHT_SECONDS = 6.0
RECOVERY_SECONDS = 40.0
NORMAL_WINDOW = 5.0
NORMAL_FACTOR = 2.0
ALERT_EVERY = 0.5
QUIET_ALERTS = 12
PATH = "/procedures/v1/applications"
ALERTS = "/notifications/v1/emergency-messages"


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    found = await under_load(__name__)
    good, (before, after) = found["goodput"], found["maxima"]
    best = (before + after) / 2
    return [
        Measure("overload.maximum", best, "applications/s", before, after / before),
        Measure("overload.goodput_per_second", good, "applications/s", best, good / best),
        Measure("overload.goodput_ratio", good / best, "of the maximum", 1.0, good / best),
        _time("overload.served_p99", found["served_ms"], found["light_ms"]),
        _time("overload.shed_p99", found["shed_ms"], found["light_ms"]),
        _time("overload.alert_path_p50", found["alerts_ms"], found["quiet_alerts_ms"], 0.50),
        _time("overload.alert_path_p99", found["alerts_ms"], found["quiet_alerts_ms"]),
        Measure("overload.unexplained", found["unexplained"], "answers", 0, None),
        Measure("overload.recovery_s", found["recovery_s"], "s", OVERLOAD_SECONDS, None),
    ]


def _time(name: str, times: list[float], reference: list[float], share: float = 0.99) -> Measure:
    value, beside = quantile(times, share), quantile(reference, share)
    return Measure(name, value, "ms", beside, value / beside)


@dataclass
class Seen:
    """What callers were answered: due (monotonic, seconds) and time (ms) of each call, by what became of it."""

    served: list[tuple[float, float]] = field(default_factory=list)
    shed: list[tuple[float, float]] = field(default_factory=list)
    unexplained: Counter[str] = field(default_factory=Counter)

    def within(self, until: float) -> list[float]:
        """Times of the applications that were taken by ``until``, as the maximum is counted."""
        return [took for due, took in self.served if due + took / 1000 <= until]

    def note(self, due: float, answer: Answer | None) -> bool:
        """Sort an answer; True when the application was taken."""
        took = (time.monotonic() - due) * 1000
        if answer is None:
            self.unexplained["cut"] += 1
        elif answer.status < 300:
            self.served.append((due, took))
            return True
        elif answer.status in (429, 503) and answer.header("retry-after"):
            self.shed.append((due, took))
        else:
            self.unexplained[str(answer.status)] += 1
        return False


class Applicants:
    """Files applications; each with a key of its own."""

    def __init__(self, town: Town, tokens: list[str]) -> None:
        self._sender = Sender(town.public_url, connections=CONNECTIONS)
        self._tokens = cycle(tokens)
        self._body = json.dumps({"procedure_code": "LC-01", "answers": sample()}, ensure_ascii=False).encode()

    async def file(self, seen: Seen, due: float | None = None) -> bool:
        """One application."""
        due = due if due is not None else time.monotonic()
        content = request("POST", PATH, next(self._tokens), self._body, Idempotency_Key=str(new_id()))
        try:
            return seen.note(due, await self._sender.send(content))
        except Cut:
            return seen.note(due, None)

    async def come(self, rate: float, seconds: float) -> Seen:
        """So many a second, whatever becomes of them."""
        seen = Seen()

        async def one(due: float) -> None:
            await self.file(seen, due)

        await open_loop(rate, seconds, one)
        return seen


async def load(town: Town) -> dict[str, Any]:
    """The phases, one after the other."""
    await quiet_outside(town)
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        residents = [await people.resident(town, client, name) for name in people.CARDS]
        for number, resident in enumerate(residents):
            device = {"push_token": f"bench-device-{number}", "platform": "android", "app": "kosodate"}
            people.told(await client.post("/notifications/v1/devices", json=device, headers=resident.headers))
        officer = await people.staff(client, "administrator")
    applicants = Applicants(town, [resident.token for resident in residents])
    alerts = Alerts(town, officer.token, devices=len(residents))
    ignored = Seen()
    await closed_loop(CALLERS, WARM_UP_SECONDS, lambda: applicants.file(ignored))
    maximum = await closed_loop(CALLERS, MAXIMUM_SECONDS, lambda: applicants.file(ignored))
    await asyncio.sleep(PAUSE_SECONDS)
    light = await applicants.come(maximum * LIGHT, LIGHT_SECONDS)
    quiet_alerts = await alerts.send(QUIET_ALERTS)
    warned = asyncio.create_task(alerts.send(round(OVERLOAD_SECONDS / ALERT_EVERY)))
    over_at = time.monotonic() + OVERLOAD_SECONDS
    seen = await applicants.come(maximum * TIMES, OVERLOAD_SECONDS)
    after = await applicants.come(maximum * LIGHT, RECOVERY_SECONDS)
    await asyncio.sleep(PAUSE_SECONDS)
    again = await closed_loop(CALLERS, MAXIMUM_SECONDS, lambda: applicants.file(ignored))
    return {
        "maxima": (maximum, again),
        "goodput": len(seen.within(over_at)) / OVERLOAD_SECONDS,
        "served_ms": [took for _, took in seen.served],
        "shed_ms": [took for _, took in seen.shed],
        "light_ms": [took for _, took in light.served],
        "quiet_alerts_ms": await alerts.times(quiet_alerts),
        "alerts_ms": await alerts.times(await warned),
        "unexplained": sum(sum(each.unexplained.values()) for each in (ignored, light, seen, after)),
        "recovery_s": recovery(after, over_at, quantile([took for _, took in light.served], 0.99)),
    }


def recovery(after: Seen, over_at: float, before_ms: float) -> float:
    """Seconds from the end of the overload to the first ``NORMAL_WINDOW`` without a refusal or slow answers.

    Slow: its p99 is more than ``NORMAL_FACTOR`` times what it was under the same light load before.
    """
    for second in range(round(RECOVERY_SECONDS - NORMAL_WINDOW)):
        begin, end = over_at + second, over_at + second + NORMAL_WINDOW
        times = [took for due, took in after.served if begin <= due < end]
        shed = any(begin <= due < end for due, _ in after.shed)
        if len(times) > 1 and not shed and quantile(times, 0.99) <= before_ms * NORMAL_FACTOR:
            return second
    return RECOVERY_SECONDS


class Alerts:
    """Sends emergency messages and looks up in the sandbox's ledger when the last device had each."""

    def __init__(self, town: Town, token: str, *, devices: int) -> None:
        self._sender = Sender(town.public_url)
        self._ledger = town.place.sandbox / "fcm.jsonl"
        self._token, self._devices = token, devices

    async def send(self, count: int) -> dict[str, float]:
        """So many, ``ALERT_EVERY`` seconds apart; title → when it was due (wall clock, seconds)."""
        sent: dict[str, float] = {}
        began = time.monotonic()
        for number in range(count):
            due = began + number * ALERT_EVERY
            await asyncio.sleep(max(due - time.monotonic(), 0))
            title = f"訓練ではありません {new_id()}"
            text = {"ja": {"title": title, "body": "高台へ逃げてください。"}}
            content = {"texts": text, "status": "actual", "valid_hours": 1}
            digest = Content(text, Status.ACTUAL, 1).digest
            body = json.dumps({**content, "confirmed_digest": digest}, ensure_ascii=False).encode()
            sent[title] = time.time() - (time.monotonic() - due)  # a call that is late is late from when it was due
            answer = await self._sender.send(request("POST", ALERTS, self._token, body, Idempotency_Key=str(new_id())))
            if answer.status != 202:
                raise RuntimeError(f"an emergency message was answered with {answer.status}")
        return sent

    async def times(self, sent: dict[str, float], at_most: float = 30.0) -> list[float]:
        """Milliseconds from the call until the push service had the message for the last device.

        Raises:
            RuntimeError: a device has not got one.
        """
        give_up = time.monotonic() + at_most
        while True:
            had: dict[str, list[float]] = {title: [] for title in sent}
            for line in self._ledger.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                title = entry.get("message", {}).get("notification", {}).get("title")
                if title in had:
                    had[title].append(datetime.fromisoformat(entry["at"]).timestamp())
            if all(len(moments) >= self._devices for moments in had.values()):
                return [(max(moments) - sent[title]) * 1000 for title, moments in had.items()]
            if time.monotonic() > give_up:
                raise RuntimeError("an emergency message did not reach every device")
            await asyncio.sleep(0.2)
