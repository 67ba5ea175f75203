"""Revocation lists from a configured folder (CRL, RFC 5280 §5): checked once when read, then an index in memory.

A list counts when a pinned anchor signed it, it is a full list with number and next update, and its number is not
below one seen before, by this process or by any other that remembered it. A list past its next update says nothing.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
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


# the issuer's fingerprint, and the SHA-256 of the partition's names (empty: all certificates)
ListKey = tuple[str, bytes]


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

    @property
    def key(self) -> ListKey:
        """Which list this is one number of."""
        names = b"".join(sorted(self.partition or ()))
        return self.issuer, b"" if self.partition is None else hashlib.sha256(names).digest()

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
    """The lists of a folder: what has appeared or changed is read every ``interval`` seconds."""

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
        self._lists: dict[ListKey, CrlIndex] = {}
        self._read: dict[ListKey, CrlIndex] = {}
        self._next_look = float("-inf")
        self.refused: dict[str, str] = {}
        """Files that did not count when they were read last, and why; people should look at them."""

    def check(self, question: Question, at: datetime) -> Revocation:
        """The answer of the newest list that covers the certificate, by what was read and taken before."""
        now = self._clock.now()
        answers = [index.check(question, at, now) for index in self._lists.values() if index.covers(question)]
        revoked = [answer for answer in answers if answer.status is Status.REVOKED]
        good = [answer for answer in answers if answer.status is Status.GOOD]
        return next(iter(revoked or good), UNKNOWN)

    def due(self) -> bool:
        """Whether it is time to look at the folder again."""
        return self._monotonic() >= self._next_look

    def refresh(self) -> None:
        """Read what is new in the folder and go by it."""
        self.read({})
        self.take()

    def read(self, known: Mapping[ListKey, int]) -> dict[ListKey, int]:
        """Read what is new in the folder and answer the highest number of each list; :meth:`take` makes it count.

        ``known`` holds the highest numbers that were ever taken. A file that does not count is logged, and named in
        ``refused`` until it is replaced.
        """
        self._next_look = self._monotonic() + self._interval
        files = sorted(self._folder.glob("*.crl")) if self._folder.is_dir() else []
        self.refused = {name: why for name, why in self.refused.items() if self._folder / name in files}
        for path in files:
            try:
                stat = path.stat()
                if self._seen.get(path.name) == (stamp := (stat.st_mtime_ns, stat.st_size)):
                    continue
                self._compare(read_crl(path.read_bytes(), self._anchors, self._clock.now()), known)
                self._seen[path.name] = stamp
                self.refused.pop(path.name, None)
            except (OSError, CrlRefused) as error:
                self.refused[path.name] = str(error)
                log.warning("revocation list %s was not taken: %s", path.name, error)
        return {key: index.number for key, index in {**self._lists, **self._read}.items()}

    def take(self) -> None:
        """From now on the lists that were read are gone by."""
        self._lists, self._read = {**self._lists, **self._read}, {}

    def _compare(self, index: CrlIndex, known: Mapping[ListKey, int]) -> None:
        before = self._read.get(index.key) or self._lists.get(index.key)
        highest = max(known.get(index.key, -1), before.number if before else -1)
        if index.number < highest:
            raise CrlRefused(f"its number {index.number} is below {highest}, which was seen before")
        if before is None or index.number > before.number:
            self._read[index.key] = index


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
