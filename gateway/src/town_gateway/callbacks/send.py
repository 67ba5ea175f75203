"""Sending (Standard Webhooks): take a try, send, then mark; a kill in between repeats one id and loses nothing.

Every callback has a lane of its own, one delivery after the other: a receiver that hangs delays itself alone.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook

from town_gateway.callbacks import repository
from town_gateway.callbacks.destinations import Destination, DestinationRefused, Destinations, HostUnknown
from town_gateway.callbacks.domain import (
    KEEP_DELIVERED,
    LEASE,
    TIMEOUT_SECONDS,
    CallbackState,
    DeliveryState,
    pause_before,
)
from town_gateway.callbacks.models import Callback, CallbackAttempt, CallbackDelivery
from town_gateway.callbacks.schemas import webhook_id
from town_gateway.callbacks.service import signing_secrets
from town_kit import telemetry
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.failpoints import failpoint
from town_kit.sealing import ColumnSealer

log = structlog.get_logger(__name__)

LANES = 16
GONE = "410"


@dataclass(frozen=True, slots=True)
class Try:
    """One try that was taken: what is sent to whom, and the secrets that sign it."""

    delivery_id: UUID
    callback_id: UUID
    owner_id: UUID
    client_id: str
    url: str
    payload: str
    number: int
    tries: int
    secrets: Sequence[str]


class Sender:
    """Sends what is due.

    Args:
        database: the gateway's.
        destinations: judges each URL before each try.
        sealer: opens the secrets.
        clock: decides what is due.
        trust: authorities of receivers' certificates; by default those of this machine's library.
    """

    def __init__(
        self,
        database: Database,
        destinations: Destinations,
        sealer: ColumnSealer,
        clock: Clock,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.database = database
        self.destinations = destinations
        self.sealer = sealer
        self.clock = clock
        self._trust = trust
        self._lanes: dict[UUID, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Sender"]:
        """Stop what is being sent when the block ends; its try counts and the next follows."""
        try:
            yield self
        finally:
            lanes = list(self._lanes.values())
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def send_due(self) -> int:
        """Open a lane for each callback with something due and wait for none; answers 0: the next look comes soon."""
        free = LANES - len(self._lanes)
        if free < 1:
            return 0
        async with self.database.begin() as session:
            due = await repository.callbacks_due(session, self.clock.now(), but=list(self._lanes), limit=free)
        for callback_id in due:
            lane = self._lanes[callback_id] = asyncio.create_task(self._lane(callback_id), name=f"lane {callback_id}")
            lane.add_done_callback(partial(self._close_lane, callback_id))
        return 0

    def _close_lane(self, callback_id: UUID, _: asyncio.Task[None]) -> None:
        self._lanes.pop(callback_id, None)

    async def idle(self) -> None:
        """Wait until every open lane has come to its end."""
        while self._lanes:
            await asyncio.wait(list(self._lanes.values()))

    async def _lane(self, callback_id: UUID) -> None:
        try:
            while (taken := await self._take(callback_id)) is not None:
                began = time.perf_counter()
                result = await self._send(taken)
                failpoint("after-send-before-mark", "callback")
                await self._mark(taken, result, round((time.perf_counter() - began) * 1000))
        except Exception as error:  # the lane is opened again at the next look
            log.warning("callback_lane_failed", callback_id=str(callback_id), error=type(error).__name__)

    async def _take(self, callback_id: UUID) -> Try | None:
        """Count a try and lease it; what was lost with its last try is parked instead."""
        async with self.database.begin() as session:
            now = self.clock.now()
            while (delivery := await repository.take_due(session, callback_id, now)) is not None:
                tries = delivery.attempts - delivery.schedule_from
                if pause_before(tries) is not None:
                    break
                _park(delivery, now)
                await session.flush()
            if delivery is None:
                return None
            delivery.attempts += 1
            delivery.next_attempt_at = now + LEASE
            callback = await session.get_one(Callback, callback_id)
            return Try(
                delivery_id=delivery.id,
                callback_id=callback_id,
                owner_id=delivery.owner_id,
                client_id=callback.client_id,
                url=callback.url,
                payload=delivery.payload,
                number=delivery.attempts,
                tries=tries + 1,
                secrets=signing_secrets(callback, self.sealer, now),
            )

    async def _send(self, taken: Try) -> str:
        """The status that was answered as text, or ``refused``, ``unknown-host``, ``timeout``, ``connection``."""
        try:
            destination = await self.destinations.judge(taken.client_id, taken.url)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return str(await self._post(destination, taken))
        except DestinationRefused:
            return "refused"
        except HostUnknown:
            return "unknown-host"
        except (TimeoutError, httpx.TimeoutException):
            return "timeout"
        except httpx.TransportError:
            return "connection"

    async def _post(self, destination: Destination, taken: Try) -> int:
        """One POST to exactly the judged address; no redirect, no proxy, and the answer's body is not read."""
        transport = httpx.AsyncHTTPTransport(verify=self._trust or httpx.create_ssl_context(trust_env=False))
        async with httpx.AsyncClient(
            transport=transport, timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
        ) as client:
            request = client.build_request(
                "POST",
                destination.url,
                content=taken.payload.encode(),
                headers={**self._signed(taken), "Host": destination.authority},
                extensions={"sni_hostname": destination.host},
            )
            answer = await client.send(request, stream=True)
            await answer.aclose()
            return answer.status_code

    def _signed(self, taken: Try) -> dict[str, str]:
        now, message = self.clock.now(), webhook_id(taken.delivery_id)
        signatures = [Webhook(secret).sign(message, now, taken.payload) for secret in taken.secrets]
        return {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "town-callbacks/1",
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    async def _mark(self, taken: Try, result: str, milliseconds: int) -> None:
        async with self.database.begin() as session:
            now = self.clock.now()
            session.add(
                CallbackAttempt(
                    delivery_id=taken.delivery_id,
                    number=taken.number,
                    owner_id=taken.owner_id,
                    at=now,
                    result=result,
                    milliseconds=milliseconds,
                )
            )
            delivery = await session.get(CallbackDelivery, taken.delivery_id, with_for_update=True)
            if delivery is None:  # its owner removed the callback meanwhile
                session.expunge_all()
                return
            await self._settle(session, delivery, taken, result, now)
        outcome = "delivered" if _is_success(result) else "failed"
        telemetry.count("callback_attempts", outcome=outcome)
        if outcome == "failed":
            log.info("callback_try_failed", delivery_id=str(taken.delivery_id), number=taken.number, result=result)

    async def _settle(
        self, session: AsyncSession, delivery: CallbackDelivery, taken: Try, result: str, now: datetime
    ) -> None:
        if _is_success(result):
            delivery.state, delivery.settled_at = DeliveryState.DELIVERED, now
            return
        pause = pause_before(taken.tries)
        callback = await session.get_one(Callback, taken.callback_id)
        if result == GONE:
            _park(delivery, now)
            await session.flush()
            await repository.disable(session, taken.callback_id)
            log.warning("callback_disabled", callback_id=str(taken.callback_id))
        elif pause is None or callback.state != CallbackState.ACTIVE:
            _park(delivery, now)
            log.error("callback_delivery_parked", delivery_id=str(delivery.id), result=result)
        else:
            delivery.next_attempt_at = now + pause

    async def look_after(self) -> int:
        """Tell how many are parked, and forget what was delivered long ago."""
        async with self.database.begin() as session:
            telemetry.gauge("callbacks_parked", await repository.count_parked(session))
            return await repository.forget_delivered(session, self.clock.now() - KEEP_DELIVERED)


def _park(delivery: CallbackDelivery, now: datetime) -> None:
    delivery.state, delivery.settled_at = DeliveryState.PARKED, now


def _is_success(result: str) -> bool:
    return result.isdigit() and 200 <= int(result) < 300
