"""Revocation lists from a configured folder (CRL, RFC 5280 §5): checked once when read, then an index in memory.

A list counts when a pinned anchor signed it, it is a full list with number and next update, and its number is not
below one seen before. A list past its next update says nothing.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from town_identity.jpki.anchors import Anchor, TrustAnchors
from town_identity.jpki.certificate import STRONG_SIGNATURES, UNREADABLE
from town_identity.jpki.revocation import UNKNOWN, Question, Revocation, Status
from town_kit.clock import Clock

log = logging.getLogger(__name__)

MAX_CRL_BYTES = 256 * 1024 * 1024


class CrlRefused(ValueError):
    """A file in the folder is not a list that counts; the sentence says why."""


@dataclass(frozen=True, slots=True)
class CrlIndex:
    """One list: ``revoked`` maps a serial to (moment, reason); ``partition`` is None for a list of all certificates."""

    issuer: str
    partition: frozenset[bytes] | None
    number: int
    this_update: datetime
    next_update: datetime
    revoked: dict[int, tuple[datetime, str | None]]

    def covers(self, question: Question) -> bool:
        """Whether the list would name that certificate if it were revoked."""
        if self.issuer != question.issuer:
            return False
        return self.partition is None or bool(self.partition & question.partitions)

    def check(self, question: Question, at: datetime, now: datetime) -> Revocation:
        """What this list says; unknown when stale, or when it was made after the certificate ran out."""
        source = f"crl:{self.number}"
        entry = self.revoked.get(question.serial)
        if entry and entry[0] <= at:
            return Revocation(Status.REVOKED, entry[1], entry[0], self.this_update, source)
        if now > self.next_update or self.this_update > question.not_after:
            return UNKNOWN
        return Revocation(
            Status.GOOD, entry[1] if entry else None, entry[0] if entry else None, self.this_update, source
        )


class CrlFolder:
    """The lists of a folder, read again when a file appears or changes (looked at every ``interval`` seconds)."""

    def __init__(
        self,
        folder: Path,
        anchors: TrustAnchors,
        clock: Clock,
        interval: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._anchors, self._clock = folder, anchors, clock
        self._interval, self._monotonic = interval, monotonic
        self._seen: dict[str, tuple[int, int]] = {}
        self._lists: dict[tuple[str, frozenset[bytes] | None], CrlIndex] = {}
        self._next_look = float("-inf")

    def check(self, question: Question, at: datetime) -> Revocation:
        """The answer of the newest list that covers the certificate."""
        if self.due():
            self.refresh()
        now = self._clock.now()
        answers = [index.check(question, at, now) for index in self._lists.values() if index.covers(question)]
        revoked = [answer for answer in answers if answer.status is Status.REVOKED]
        good = [answer for answer in answers if answer.status is Status.GOOD]
        return next(iter(revoked or good), UNKNOWN)

    def due(self) -> bool:
        """Whether it is time to look at the folder again."""
        return self._monotonic() >= self._next_look

    def refresh(self) -> int:
        """Read what is new in the folder; returns how many lists were taken. A bad file is logged and skipped."""
        self._next_look = self._monotonic() + self._interval
        taken = 0
        for path in sorted(self._folder.glob("*.crl")) if self._folder.is_dir() else ():
            try:
                stat = path.stat()
                if self._seen.get(path.name) == (stamp := (stat.st_mtime_ns, stat.st_size)):
                    continue
                taken += self._take(read_crl(path.read_bytes(), self._anchors, self._clock.now()))
                self._seen[path.name] = stamp
            except (OSError, CrlRefused) as error:
                log.warning("revocation list %s was not taken: %s", path.name, error)
        return taken

    def _take(self, index: CrlIndex) -> bool:
        key = (index.issuer, index.partition)
        known = self._lists.get(key)
        if known is not None and known.number >= index.number:
            if known.number > index.number:
                raise CrlRefused("its number is below one seen before")
            return False
        self._lists = {**self._lists, key: index}
        return True


def read_crl(data: bytes, anchors: TrustAnchors, now: datetime) -> CrlIndex:
    """Check one list (DER or PEM) and index it; raises :class:`CrlRefused`."""
    if len(data) > MAX_CRL_BYTES:
        raise CrlRefused("it is too large")
    try:
        pem = data.startswith(b"-----BEGIN")
        crl = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        return _index(crl, anchors.signer_of(crl), now)
    except CrlRefused:
        raise
    except UNREADABLE as error:  # entries and extensions are read when they are asked for
        raise CrlRefused("it cannot be read") from error


def _index(crl: x509.CertificateRevocationList, anchor: Anchor | None, now: datetime) -> CrlIndex:
    if anchor is None or crl.signature_algorithm_oid not in STRONG_SIGNATURES:
        raise CrlRefused("no pinned anchor signed it")
    next_update = crl.next_update_utc
    if next_update is None or crl.last_update_utc > now:
        raise CrlRefused("it has no next update or comes from the future")
    number, partition = None, None
    for extension in crl.extensions:
        match extension.value:
            case x509.CRLNumber(crl_number=found):
                number = found
            case x509.IssuingDistributionPoint() as point:
                partition = _partition(point)
            case _ if extension.critical:
                raise CrlRefused("it carries a critical extension we do not understand")
    if number is None:
        raise CrlRefused("it has no number")
    revoked = {entry.serial_number: (entry.revocation_date_utc, _reason(entry)) for entry in crl}
    return CrlIndex(anchor.fingerprint, partition, number, crl.last_update_utc, next_update, revoked)


def _partition(point: x509.IssuingDistributionPoint) -> frozenset[bytes] | None:
    partial = (
        point.indirect_crl
        or point.only_some_reasons
        or point.only_contains_ca_certs
        or point.only_contains_attribute_certs
        or point.relative_name
    )
    if partial:
        raise CrlRefused("it is not a full list of holders' certificates")
    if not point.full_name:
        return None
    return frozenset(n.value.public_bytes() for n in point.full_name if isinstance(n, x509.DirectoryName))


def _reason(entry: x509.RevokedCertificate) -> str | None:
    if not len(entry.extensions):
        return None
    try:
        return str(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value)
    except x509.ExtensionNotFound:
        return None
