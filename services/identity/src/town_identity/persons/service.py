"""Use cases of persons: find by certificate, register, merge."""

import base64
import json
from datetime import UTC, datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.jpki import Purpose, Question, VerifiedSigner
from town_identity.persons.models import CertificateSerial, Person
from town_identity.sealing import Sealer
from town_kit.ids import new_id
from town_kit.messaging import outbox

_LOCK = text("SELECT pg_advisory_xact_lock(:key)")


def serial_digest(sealer: Sealer, issuer: str, serial: int) -> bytes:
    """What a certificate is found by: never its names, which repeat."""
    return sealer.digest("certificate serial", f"{issuer}:{serial:x}")


def seal_serial(sealer: Sealer, digest: bytes, serial: int, partitions: frozenset[bytes] = frozenset()) -> bytes:
    """Serial and list partitions, as they are kept; ``digest`` binds them to their row."""
    names = sorted(base64.b64encode(name).decode() for name in partitions)
    return sealer.seal(json.dumps({"serial": f"{serial:x}", "partitions": names}).encode(), digest)


def question_of(sealer: Sealer, certificate: CertificateSerial) -> Question:
    """What to ask a revocation source about a certificate that was used before."""
    kept = json.loads(sealer.open(certificate.serial_sealed, certificate.serial_digest))
    return Question(
        issuer=certificate.issuer,
        serial=int(kept["serial"], 16),
        purpose=Purpose(certificate.purpose),
        partitions=frozenset(base64.b64decode(name) for name in kept["partitions"]),
        not_after=certificate.valid_until or datetime.max.replace(tzinfo=UTC),
    )


def register(session: AsyncSession, at: datetime, addressee_number: str | None = None) -> Person:
    """A new person, provisional without a 宛名番号; flush before anything points to her."""
    person = Person(
        id=new_id(), version=1, event_sequence=0, addressee_number=addressee_number, merged_into=None, registered_at=at
    )
    session.add(person)
    outbox.add(session, person.registered(), person)
    return person


async def find_or_register(
    session: AsyncSession, sealer: Sealer, signer: VerifiedSigner, at: datetime
) -> CertificateSerial:
    """The row of a verified certificate; its first use makes a provisional person."""
    digest = serial_digest(sealer, signer.issuer, signer.serial)
    query = select(CertificateSerial).where(CertificateSerial.serial_digest == digest)
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:  # two requests may bring a new card at once: one makes the row, the other finds it
        await session.execute(_LOCK, {"key": int.from_bytes(digest[:8], "big", signed=True)})
        found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        person = register(session, at)
        await session.flush()
        found = CertificateSerial(
            id=new_id(),
            person_id=person.id,
            issuer=signer.issuer,
            generation=signer.generation,
            purpose=signer.purpose.value,
            serial_digest=digest,
            serial_sealed=b"",
            linked_at=None,
        )
        session.add(found)
    if found.first_used_at is None:
        found.serial_sealed = seal_serial(sealer, digest, signer.serial, signer.partitions)
        found.valid_from, found.valid_until, found.first_used_at = signer.valid_from, signer.valid_until, at
        await session.flush()
    return found


def give_number(session: AsyncSession, provisional: Person, addressee_number: str) -> None:
    """A provisional person is the one of a 宛名番号 that had none; she keeps her id."""
    outbox.add(session, provisional.name_by(addressee_number), provisional)


async def merge(session: AsyncSession, provisional: Person, into: Person) -> None:
    """All certificates of a provisional person are those of ``into``; the event lets other services follow."""
    await session.flush()  # the rows of both must be there before any points to them
    query = update(CertificateSerial).where(CertificateSerial.person_id == provisional.id)
    await session.execute(query.values(person_id=into.id))
    outbox.add(session, provisional.merge_into(into), provisional)
