"""Push through Firebase Cloud Messaging, HTTP v1 (``POST /v1/projects/{project}/messages:send``).

Only Google's documented error codes decide: ``UNREGISTERED`` means that the app was removed from the device.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp

from town_kit.clock import Clock
from town_notifications.channels import Channel, Outcome, Outgoing, Verdict
from town_notifications.channels.service_account import AccessTokens, ServiceAccount, TokenUnavailable

LONGEST_TTL = timedelta(days=28)  # what FCM keeps a message at most
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
AT_ONCE = 100

# Google's error code → what becomes of the delivery; a code that is not here is judged by the status.
BY_CODE: Mapping[str, Verdict] = {
    "UNREGISTERED": Verdict.GONE,
    "SENDER_ID_MISMATCH": Verdict.GONE,
    "INVALID_ARGUMENT": Verdict.FAILED,
    "THIRD_PARTY_AUTH_ERROR": Verdict.RETRY,
    "QUOTA_EXCEEDED": Verdict.RETRY,
    "UNAVAILABLE": Verdict.RETRY,
    "INTERNAL": Verdict.RETRY,
}


class FcmChannel:
    """Sends to devices.

    Args:
        account: of the app's Firebase project.
        address: scheme and host of FCM.
        token_url: where the account's assertion is exchanged.
        clock: tells how long a message is still worth bringing.
        at_once: open connections.
    """

    channel = Channel.PUSH

    def __init__(
        self, account: ServiceAccount, *, address: str, token_url: str, clock: Clock, at_once: int = AT_ONCE
    ) -> None:
        self.url = f"{address.rstrip('/')}/v1/projects/{account.project_id}/messages:send"
        self.clock = clock
        self.at_once = at_once
        self._tokens = AccessTokens(account, token_url, clock)
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FcmChannel"]:
        """Open the connections while the block runs."""
        connector = aiohttp.TCPConnector(limit=self.at_once, keepalive_timeout=30)
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, trust_env=False) as session:
            self._session = session
            try:
                yield self
            finally:
                self._session = None

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Try once."""
        if self._session is None:
            raise RuntimeError("the channel is not running")
        try:
            token = await self._tokens.current(self._session)
        except TokenUnavailable as error:
            return Outcome(Verdict.RETRY, error.code)
        try:
            async with self._session.post(
                self.url,
                json={"message": self.message(outgoing)},
                headers={"Authorization": f"Bearer {token}"},
                allow_redirects=False,
            ) as answer:
                document = await _json(answer)
                if answer.status == 401:
                    self._tokens.forget(token)
                return _outcome(answer.status, document, answer.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Outcome(Verdict.RETRY, "unreachable")

    def message(self, outgoing: Outgoing) -> dict[str, Any]:
        """The message as FCM wants it.

        A device shows one notification for each tag, so a repeat of one delivery replaces itself.
        """
        tag = str(outgoing.delivery_id)
        left = min(max(outgoing.valid_until - self.clock.now(), timedelta(0)), LONGEST_TTL)
        seconds = int(left.total_seconds())
        expires = int(self.clock.now().timestamp()) + seconds
        opened = {"application_id": str(outgoing.application_id)} if outgoing.application_id else {}
        return {
            "token": outgoing.address,
            "notification": {"title": outgoing.title, "body": outgoing.body},
            "data": {
                "delivery_id": tag,
                "message_id": str(outgoing.message_id),
                "emergency": "true" if outgoing.urgent else "false",
                **opened,
            },
            "android": {
                "priority": "HIGH" if outgoing.urgent else "NORMAL",
                "ttl": f"{seconds}s",
                "notification": {"tag": tag, "channel_id": "emergency" if outgoing.urgent else "messages"},
            },
            "apns": {
                "headers": {
                    "apns-priority": "10" if outgoing.urgent else "5",
                    "apns-expiration": str(expires),
                    "apns-collapse-id": tag,
                },
                "payload": {"aps": {"interruption-level": "time-sensitive" if outgoing.urgent else "active"}},
            },
            "webpush": {"headers": {"TTL": str(seconds), "Urgency": "high" if outgoing.urgent else "normal"}},
        }


async def _json(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    try:
        document = await answer.json(content_type=None)
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def _outcome(status: int, document: Mapping[str, Any], retry_after: str | None) -> Outcome:
    if status == 200:
        return Outcome(Verdict.SENT, "200", provider_id=str(document.get("name", "")) or None)
    code = _error_code(document)
    fallback = Verdict.RETRY if status in (401, 429) or status >= 500 else Verdict.FAILED
    wait = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return Outcome(BY_CODE.get(code, fallback), code if code in BY_CODE else str(status), retry_after=wait)


def _error_code(document: Mapping[str, Any]) -> str:
    error = document.get("error")
    details = error.get("details") if isinstance(error, Mapping) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and "errorCode" in detail:
            return str(detail["errorCode"])
    return ""
