"""The rules of callbacks as data: the tries, the life of a secret, what is told of an application."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

# Standard Webhooks, "deliverability and reliability": the pause before each try; 75 h 35 min 5 s in all.
PAUSES = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
TIMEOUT_SECONDS = 15.0
# How long a try belongs to whoever took it; longer than it can last, so that nobody else makes the same one meanwhile.
LEASE = timedelta(seconds=30)
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
PAYLOAD_LIMIT = 20_000
CALLBACKS_A_CLIENT = 10
KEEP_DELIVERED = timedelta(days=30)

FACTS = (
    "submitted",
    "pending_verification",
    "verified",
    "accepted",
    "review_started",
    "correction_requested",
    "correction_received",
    "postponed",
    "drafted",
    "approved",
    "rejected",
    "withdrawn",
    "completed",
    "decision_revised",
    "decision_revoked",
)


class CallbackState(StrEnum):
    """通知先に知らせるかどうか — whether a callback is told anything."""

    ACTIVE = "active"
    DISABLED = "disabled"  # its receiver answered 410 Gone


class DeliveryState(StrEnum):
    """通知がどこまで進んだか — where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    PARKED = "parked"  # all tries failed, or the callback is disabled: waits for its owner or an operator


def pause_before(tries: int) -> timedelta | None:
    """The pause before the next try after ``tries`` of them; None when there is none."""
    return PAUSES[tries] if tries < len(PAUSES) else None


def delivery_id(callback_id: UUID, event_id: UUID) -> UUID:
    """The id of the delivery of an event to a callback: the same one however often the event is heard."""
    return uuid5(callback_id, str(event_id))


def payload(fact: str, occurred_at: datetime, told: Mapping[str, Any]) -> str:
    """What is sent: type, time and facts, no name, no address, no answer; the same bytes at every try."""
    document = {
        "type": f"application.{fact}",
        "timestamp": occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": dict(told),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
