"""Revocation (失効情報): what configured lists say about a serial. Nothing is fetched because a certificate says so.

Only 署名検証者 and 利用者証明検証者 receive this data (公的個人認証法17条, 36条). "We do not know" is an answer of
its own; who asks decides whether that refuses (login) or waits (an application).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from town_identity.jpki.profile import Purpose


class Status(StrEnum):
    """What is known about a certificate at a moment."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Revocation:
    """The answer of a source.

    ``reason`` is the RFC 5280 name (``keyCompromise`` …); ``revoked_at`` is set for REVOKED and, beside GOOD, where
    the certificate was revoked after the moment asked about; ``source`` names the list and its number.
    """

    status: Status
    reason: str | None = None
    revoked_at: datetime | None = None
    this_update: datetime | None = None
    source: str = ""

    @property
    def revoked_later(self) -> bool:
        """Good at the moment asked about, revoked since (for instance by a 転出届): a flag, not a refusal."""
        return self.status is Status.GOOD and self.revoked_at is not None


@dataclass(frozen=True, slots=True)
class Question:
    """Which certificate: issuer (SHA-256 of the anchor), serial, purpose, list partitions, and until when it runs."""

    issuer: str
    serial: int
    purpose: Purpose
    partitions: frozenset[bytes]
    not_after: datetime


class RevocationSource(Protocol):
    """Something that knows about revocation: lists, a responder, an attesting portal."""

    def check(self, question: Question, at: datetime) -> Revocation:
        """What is known about the certificate at the moment ``at``; never raises."""
        ...


UNKNOWN = Revocation(Status.UNKNOWN)


class AnySource:
    """Several sources as one: whoever says revoked wins, then good, else unknown."""

    def __init__(self, sources: Sequence[RevocationSource]) -> None:
        self._sources = tuple(sources)

    def check(self, question: Question, at: datetime) -> Revocation:
        """The strictest answer of all sources."""
        answers = [source.check(question, at) for source in self._sources]
        order = {Status.REVOKED: 0, Status.GOOD: 1, Status.UNKNOWN: 2}
        return min(answers, key=lambda answer: (order[answer.status], not answer.revoked_later), default=UNKNOWN)
