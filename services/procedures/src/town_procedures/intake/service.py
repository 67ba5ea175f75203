"""Taking a delivery in one transaction: the raw package is kept, and an application or a quarantined package made."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.archives import Archive
from town_kit.blobs import Recipient
from town_kit.problems import JpkiStatusUnavailable, Problem
from town_kit.uploads import Upload
from town_procedures import applications, quarantined_packages, raw_packages
from town_procedures.applications import (
    BEFORE_ACCEPTANCE,
    Actor,
    Application,
    DocumentRef,
    RevisionNeedsClerk,
    State,
    Submission,
)
from town_procedures.intake import repository
from town_procedures.intake.prepare import Delivery, Prepared
from town_procedures.ports import Ports
from town_procedures.quarantined_packages import QuarantinedPackage
from town_procedures.raw_packages import RawPackage

BEFORE_THE_DECISION = BEFORE_ACCEPTANCE | {State.ACCEPTED, State.IN_REVIEW, State.CORRECTION_REQUESTED}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller is told; in each case the package is stored."""

    outcome: Literal["received", "pending", "quarantined", "already-received"]
    application_id: UUID | None = None
    quarantined_package_id: UUID | None = None
    reason: str | None = None


def already(application_id: UUID) -> Outcome:
    """The same was taken before."""
    return Outcome("already-received", application_id=application_id)


@dataclass(frozen=True, slots=True)
class Taken:
    """The application that came of a delivery."""

    application: Application
    known_already: bool = False

    @property
    def outcome(self) -> Outcome:
        """How that is told."""
        if self.known_already:
            return already(self.application.id)
        waits = self.application.state == State.PENDING_VERIFICATION
        return Outcome("pending" if waits else "received", application_id=self.application.id)


async def take(session: AsyncSession, delivery: Delivery, upload: Upload, prepared: Prepared, wired: Ports) -> Outcome:
    """Keep the raw package, and make of it what the verdict allows; the same package again changes nothing."""
    now = wired.clock.now()
    await repository.lock_receipt(session, delivery.source, delivery.receipt_no)
    raw = await raw_packages.find(session, delivery.source, delivery.receipt_no, upload.digest)
    if raw is not None and raw.application_id is not None:
        return already(raw.application_id)
    aside = await quarantined_packages.of_raw_package(session, raw.id) if raw is not None else None
    if raw is None:
        raw = await _keep(session, delivery, upload, prepared, wired, now)
    taken = await _record(session, raw, delivery, prepared, wired, BEFORE_ACCEPTANCE, now)
    if isinstance(taken, Taken):
        if aside is not None:
            quarantined_packages.recorded(session, aside, taken.application.id, at=now)
        return taken.outcome
    if aside is None:
        aside = await quarantined_packages.quarantine(
            session,
            raw,
            mynaportal_procedure_id=delivery.mynaportal_procedure_id,
            procedure_code=prepared.procedure_code,
            reason=taken.slug,
            errors=taken.errors,
            at=now,
        )
    return _aside(aside)


async def take_released(
    session: AsyncSession,
    package: QuarantinedPackage,
    delivery: Delivery,
    prepared: Prepared,
    wired: Ports,
) -> Outcome:
    """Record what the vault read out of a released package; what is still wrong waits for a clerk again."""
    now = wired.clock.now()
    await repository.lock_receipt(session, delivery.source, delivery.receipt_no)
    raw = await raw_packages.one(session, package.raw_package_id)
    if prepared.submission is not None:
        known = raw.content_digest or prepared.submission.content_digest
        prepared.submission = replace(prepared.submission, content_digest=known)
    taken = await _record(session, raw, delivery, prepared, wired, BEFORE_THE_DECISION, now)
    if isinstance(taken, Taken):
        quarantined_packages.recorded(session, package, taken.application.id, at=now)
        return taken.outcome
    package.procedure_code = prepared.procedure_code
    quarantined_packages.quarantine_again(session, package, reason=taken.slug, errors=taken.errors, at=now)
    return _aside(package)


async def _record(
    session: AsyncSession,
    raw: RawPackage,
    delivery: Delivery,
    prepared: Prepared,
    wired: Ports,
    replaceable: frozenset[State],
    now: datetime,
) -> "Taken | Problem":
    """The application that came of the delivery, or why none did."""
    submission = prepared.submission
    if submission is None:
        return prepared.problem or RevisionNeedsClerk()
    submission = await applications.resolved(session, submission)
    application = await applications.by_receipt(session, delivery.source, delivery.receipt_no)
    if application is not None and application.content_digest == submission.content_digest:
        raw.application_id = application.id
        return Taken(application, known_already=True)
    problem = _not_replaceable(application, submission, replaceable) if application is not None else None
    if problem is not None:
        return problem
    if prepared.archive is not None:
        documents = await _store_files(session, prepared.archive, prepared, submission, wired)
        submission = replace(submission, documents=documents)
    if application is None:
        application = await applications.record(session, submission, now=now, calendar=wired.calendar)
    else:
        await _replace_content(session, application, submission, wired, now)
    raw.application_id = application.id
    return Taken(application)


def _not_replaceable(application: Application, submission: Submission, replaceable: frozenset[State]) -> Problem | None:
    facts = submission.signature
    known = {p["person_id"] for p in application.party_refs} | {(application.signature or {}).get("person_id")}
    another = facts is not None and str(facts.person_id) not in known
    other_procedure = application.procedure_code != submission.procedure.code
    if application.state not in replaceable or another or other_procedure:
        return RevisionNeedsClerk()
    if application.state != State.PENDING_VERIFICATION and facts is not None and facts.revocation == "unknown":
        return JpkiStatusUnavailable()
    return None


async def _replace_content(
    session: AsyncSession, application: Application, submission: Submission, wired: Ports, now: datetime
) -> None:
    waited = application.state == State.PENDING_VERIFICATION
    for blob_id in await applications.revise(session, application, submission):
        if not await raw_packages.belongs_to(session, blob_id):
            await wired.blobs.remove(session, blob_id)
    facts = submission.signature
    if waited and (facts is None or facts.revocation == "good"):
        by = Actor(submission.actor_role, submission.filed_by)
        await applications.advance(session, application, State.SUBMITTED, at=now, by=by, calendar=wired.calendar)


async def _keep(
    session: AsyncSession, delivery: Delivery, upload: Upload, prepared: Prepared, wired: Ports, now: datetime
) -> RawPackage:
    return await raw_packages.keep(
        session,
        wired.blobs,
        upload.chunks(),
        source=delivery.source,
        receipt_no=delivery.receipt_no,
        digest=upload.digest,
        content_digest=prepared.content_digest,
        size=upload.size,
        received_at=delivery.received_at,
        now=now,
    )


async def _store_files(
    session: AsyncSession, archive: Archive, prepared: Prepared, submission: Submission, wired: Ports
) -> list[DocumentRef]:
    """Each attachment as a blob of its own: for the vault alone where a number may show, else for the town's staff."""
    for_vault = {rule.kind for rule in submission.procedure.attachments if rule.my_number_may_show}
    documents = []
    for file in prepared.files:
        recipient = Recipient.VAULT if file.kind in for_vault else Recipient.SERVICE
        blob_id = await wired.blobs.write(
            session, _pieces(archive, file.member), owner="documents", media_type=file.media_type, recipient=recipient
        )
        await wired.blobs.reference(session, blob_id)
        documents.append(DocumentRef(file.kind, blob_id, file.media_type, file.size, file.sha256))
    return documents


async def _pieces(archive: Archive, member: str) -> AsyncIterator[bytes]:
    for piece in archive.pieces(member):
        yield piece


def _aside(package: QuarantinedPackage) -> Outcome:
    return Outcome("quarantined", quarantined_package_id=package.id, reason=package.reason)
