"""Ways to a person outside this service: each an adapter behind one small protocol, chosen in ``wiring.py``.

An adapter tries once and says how it went. It never marks anything and never tries again by itself: whoever calls it
keeps the state, and the same ``delivery_id`` goes out with every attempt, so that the other side can drop a repeat.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Channel(StrEnum):
    """A way to a person. What stands in the inbox is there when its row is; no adapter carries it."""

    PUSH = "push"
    EMAIL = "email"
    INBOX = "inbox"


class Lane(StrEnum):
    """Which way a delivery goes: an emergency never waits behind ordinary mail, nor for its connections."""

    ORDINARY = "ordinary"
    EMERGENCY = "emergency"


class Verdict(StrEnum):
    """How an attempt went: the provider took it; try again; it will never work; the address is no more."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attempt to bring one message to one address.

    Attributes:
        delivery_id: the same for each attempt; Message-ID of a mail, tag of a push notification.
        message_id: the message in the inbox that the app opens.
        address: the registration token of a device, or an e-mail address.
        title: one line.
        body: text; for push it says nothing about the person.
        valid_until: when bringing it makes no sense any more.
        urgent: an emergency message.
        application_id: what the app opens beside the message; never shown.
    """

    delivery_id: UUID
    message_id: UUID
    address: str
    title: str
    body: str
    valid_until: datetime
    urgent: bool
    application_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the provider answered.

    Attributes:
        verdict: what to do now.
        code: the provider's own code or status, for people; never text it wrote.
        provider_id: its name for what it took.
        retry_after: seconds it asked us to wait.
    """

    verdict: Verdict
    code: str
    provider_id: str | None = None
    retry_after: float | None = None


class ChannelAdapter(Protocol):
    """A provider that brings messages; it takes ``at_once`` of them at the same time."""

    channel: Channel
    at_once: int

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Try once. Network trouble is an outcome, not an exception."""
        ...

    def running(self) -> AbstractAsyncContextManager[object]:
        """Open connections while the block runs."""
        ...


__all__ = ["Channel", "ChannelAdapter", "Lane", "Outcome", "Outgoing", "Verdict"]
