"""How a person is reached: targets, quiet hours, and the code that proves an e-mail address."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

from town_kit.clock import JST
from town_notifications.channels import Channel
from town_notifications.languages import Language

CODE_LIFETIME = timedelta(minutes=30)
CODE_ATTEMPTS = 5
CODES_A_DAY = 5
CONTACT_POINTS_A_PERSON = 3
DEVICES_A_PERSON = 20

# Deliberately narrower than RFC 5321: no quoted local parts, no address literals, nothing that is not ASCII.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])"
)


class Platform(StrEnum):
    """端末の種類 — what a device runs."""

    ANDROID = "android"
    IOS = "ios"
    WEB = "web"


class ContactPointState(StrEnum):
    """連絡先の状態 — whether an address may be used; one that was never confirmed gets nothing but its code."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True)
class Target:
    """One address of one channel: the registration token of a device or a confirmed e-mail address."""

    id: UUID
    channel: Channel


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of the day (Asia/Tokyo) in which a person wants to be left alone; they may pass midnight."""

    start: time
    end: time

    def until(self, moment: datetime) -> datetime | None:
        """When the quiet ends (UTC) if ``moment`` lies in it, else None."""
        local = moment.astimezone(JST)
        clock = local.time().replace(tzinfo=None)
        overnight = self.start > self.end
        inside = (clock >= self.start or clock < self.end) if overnight else self.start <= clock < self.end
        if not inside:
            return None
        day = local.date() + timedelta(days=1) if overnight and clock >= self.start else local.date()
        return datetime.combine(day, self.end, tzinfo=JST).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a person wants to be told what is ordinary: language, channels, quiet hours."""

    language: Language
    push: bool
    email: bool
    quiet: QuietHours | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How one person is reached now.

    Attributes:
        person_id: None for somebody who is not linked to a person yet; nothing reaches her.
        language: what she reads.
        quiet: her quiet hours.
        targets: addresses of the channels she wants, confirmed and in use.
    """

    person_id: UUID | None
    language: Language = Language.JA
    quiet: QuietHours | None = None
    targets: tuple[Target, ...] = ()


def normalized_address(address: str) -> str | None:
    """An e-mail address as it is kept (domain in small letters), or None when it is not one."""
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}" if len(local) <= 64 else None


def confirmation_code(key: bytes, contact_point_id: UUID, issue: int) -> str:
    """The six digits that prove an address; derived, so that no table holds them.

    Args:
        key: secret of this service.
        contact_point_id: whose code.
        issue: 1 for the first code of this address, 2 for the next.
    """
    digest = hmac.digest(key, f"contact-point:{contact_point_id}:{issue}".encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"
