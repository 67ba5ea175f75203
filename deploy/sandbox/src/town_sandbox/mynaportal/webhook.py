"""The portal tells the town that something waits: a signed webhook (Standard Webhooks) without personal data."""

import asyncio
import json

import httpx
from standardwebhooks import Webhook

from town_kit.clock import Clock
from town_kit.ids import new_id
from town_sandbox.configuration import Place
from town_sandbox.ledger import Ledger
from town_sandbox.mynaportal.profile import Profile

RETRY_AFTER_SECONDS = (0, 1, 5, 30)  # the standard's schedule goes on for days; a sandbox gives up earlier


class Announcer:
    """Sends one webhook for each new application, when the town gave an address."""

    def __init__(self, place: Place, profile: Profile, ledger: Ledger, clock: Clock) -> None:
        self._place = place
        self._profile = profile
        self._ledger = ledger
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()

    def announce(self, receipt_no: str) -> None:
        """Send in the background; a citizen does not wait for the town."""
        if self._place.config.webhook_url:
            task = asyncio.create_task(self._send(receipt_no))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def sign(self, receipt_no: str, *, message_id: str | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body of one webhook; the same ``message_id`` again is a repeat."""
        message_id = message_id or f"msg_{new_id()}"
        moment = self._clock.now()
        body = json.dumps(
            {
                "type": self._profile.webhook["type"],
                "timestamp": moment.isoformat(),
                "data": {self._profile.list.item["receipt_no"]: receipt_no},
            }
        )
        signature = Webhook(self._place.credentials.portal.webhook_secret).sign(message_id, moment, body)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature,
            "content-type": "application/json",
        }
        return headers, body.encode()

    async def _send(self, receipt_no: str) -> None:
        message_id = f"msg_{new_id()}"
        for seconds in RETRY_AFTER_SECONDS:
            await asyncio.sleep(seconds)
            url = self._place.config.webhook_url
            if url is None:
                return
            headers, body = self.sign(receipt_no, message_id=message_id)
            try:
                async with httpx.AsyncClient(timeout=15, trust_env=False) as client:
                    status = (await client.post(url, content=body, headers=headers)).status_code
            except httpx.HTTPError:
                status = 0
            await self._ledger.append("webhook_sent", receipt_no=receipt_no, message_id=message_id, status=status)
            if 200 <= status < 300 or status == 410:
                return
