"""Submitting: one way in for both doors, the app's and the portal's.

What can be repeated is prepared before the transaction: the folder's checks, the signature's verdict, the encryption
of each My Number to the vault. What is left is :func:`record`, one short transaction.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import japan_date
from town_kit.idempotency import canonical
from town_kit.ids import new_id, reference
from town_kit.jp import BusinessDays, MyNumber
from town_kit.messaging import outbox
from town_kit.problems import FieldError, ValidationFailed
from town_kit.vaulting import VaultPublicKey, keyed_digest
from town_kit.writing import touch
from town_procedures import attachments
from town_procedures.applications import repository, signer
from town_procedures.applications.domain import Actor, Channel, Flag, PartyRole, State, deadline
from town_procedures.applications.models import Application, ApplicationDocument, ApplicationParty
from town_procedures.applications.signer import SignatureFacts
from town_procedures.catalogue import Procedure

MY_NUMBER_IN_TEXT = Flag.MY_NUMBER_IN_TEXT
"""The flag of an application in whose free text a number was found; a clerk looks before it is accepted."""
TEXT_ROLE = "free_text"
"""The role of a sealed number that is a whole text with a number somewhere in it."""


@dataclass(frozen=True, slots=True)
class Party:
    """A party as it is recorded."""

    role: PartyRole
    person_id: UUID | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A stored file that belongs to an application: kind, blob, and the SHA-256 the signature is bound to."""

    kind: str
    blob_id: UUID
    media_type: str
    size: int
    sha256: str
    attachment_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SealedNumber:
    """A My Number that only the vault can read, and the place in the answers it was taken from."""

    pointer: str
    role: str
    jwe: str


@dataclass(frozen=True, slots=True)
class Submission:
    """An application ready to be recorded; nothing in it can still be refused but by the database."""

    procedure: Procedure
    answers: Mapping[str, Any]
    my_numbers: Sequence[SealedNumber]
    parties: Sequence[Party]
    channel: Channel
    source: str
    receipt_no: str | None
    received_at: datetime
    documents: Sequence[DocumentRef]
    signature: SignatureFacts | None
    content_digest: bytes
    filed_by: UUID | None
    actor_role: str
    flags: Sequence[str] = ()
    client_id: str | None = None
    names: tuple[UUID, str] | None = None
    """Id and reference where they are not free: see :func:`names_of`."""


def names_of(source: str, receipt_no: str, key: bytes) -> tuple[UUID, str]:
    """Id and reference of what came under a portal's 受付番号: whoever takes it again after a restore finds the same.

    The core system, the resident's mail and the portal know the application by them, so a restore makes no second one.
    """
    digest = keyed_digest(key, f"application names\x1f{source}\x1f{receipt_no}".encode())
    return UUID(bytes=digest[:16], version=5), reference(seed=digest[16:])


def signed_content(procedure_code: str, answers: Mapping[str, Any], document_hashes: Sequence[str]) -> bytes:
    """The bytes a resident's card signs: JCS (RFC 8785) of procedure, answers and the sorted SHA-256 of the files."""
    return canonical(
        {"procedure_code": procedure_code, "answers": dict(answers), "attachments": sorted(document_hashes)}
    )


def content_digest(answers: Mapping[str, Any], document_hashes: Sequence[str], key: bytes) -> bytes:
    """What makes a revision another one: HMAC over the canonical answers and the sorted hashes of the files."""
    return keyed_digest(key, canonical({"answers": dict(answers), "documents": sorted(document_hashes)}))


def seal_numbers(
    procedure: Procedure, answers: Mapping[str, Any], vault: VaultPublicKey
) -> tuple[dict[str, Any], list[SealedNumber]]:
    """The answers without their My Numbers, and each number encrypted to the vault.

    Raises:
        ValidationFailed: a number's check digit is wrong; the value is not repeated.
    """
    clean = _copy(answers)
    sealed, wrong = [], []
    for pointer in procedure.my_number_pointers(answers):
        holder, name = _holder(clean, pointer)
        value = holder[name]
        if value in (None, ""):
            continue
        try:
            number = MyNumber.parse(str(value))
        except ValueError:
            wrong.append(
                FieldError(
                    f"/answers{pointer}",
                    "checksum",
                    "個人番号に誤りがあります。カードや通知を見て、12桁を確認してください。",
                )
            )
            continue
        holder[name] = None
        sealed.append(SealedNumber(pointer, pointer.split("/")[1], vault.encrypt(number.reveal().encode())))
    if wrong:
        raise ValidationFailed("個人番号を確認してください。", errors=wrong)
    return clean, sealed


def seal_texts(
    answers: Mapping[str, Any], pointers: Sequence[str], vault: VaultPublicKey
) -> tuple[dict[str, Any], list[SealedNumber]]:
    """The answers without the free texts at ``pointers``, and each whole text encrypted to the vault.

    Such a text holds what looks like a My Number; it came by the portal, where nothing can be refused.
    """
    clean = _copy(answers)
    sealed = []
    for pointer in pointers:
        holder, name = _holder(clean, pointer)
        sealed.append(SealedNumber(pointer, TEXT_ROLE, vault.encrypt(holder[name].encode())))
        holder[name] = ""
    return clean, sealed


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _holder(document: Any, pointer: str) -> tuple[Any, Any]:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document, int(last) if isinstance(document, list) else last


def parties_of(procedure: Procedure, answers: Mapping[str, Any], *, filer: UUID | None, on: date) -> list[Party]:
    """The parties the answers name, the one who files first: the proxy where there is one, else the applicant.

    Only the filer is known by her card or login; the others are linked later.
    """
    rules = procedure.parties(answers, on)
    roles = [PartyRole(rule.role) for rule in rules]
    files = PartyRole.PROXY if PartyRole.PROXY in roles else PartyRole.APPLICANT
    others = [Party(role) for role in roles if role is not files]
    return [Party(files, filer), *others]


async def resolved(session: AsyncSession, submission: Submission) -> Submission:
    """The submission with parties and signer as they are today; a token or a verdict in flight may be older (番号紐付).

    Call it before the row of an application is locked, as the consumer of links does.
    """
    signature = submission.signature
    named = {p.person_id for p in submission.parties if p.person_id} | ({signature.person_id} if signature else set())
    links = await repository.links_of(session, named)
    if not links:
        return submission
    if signature is not None:
        signature = replace(signature, person_id=links.get(signature.person_id, signature.person_id))
    return replace(submission, parties=united(submission.parties, links), signature=signature)


def united(parties: Iterable[Party], links: Mapping[UUID, UUID]) -> list[Party]:
    """The parties after the links: one for each known person and role, protected (支援措置) if either was."""
    found: dict[Any, Party] = {}
    for place, party in enumerate(parties):
        person_id = links.get(party.person_id, party.person_id) if party.person_id else None
        key = (party.role, person_id or place)
        known = found.get(key)
        protected = party.protected or (known is not None and known.protected)
        found[key] = replace(known or party, person_id=person_id, protected=protected)
    return list(found.values())


async def record(
    session: AsyncSession, submission: Submission, *, now: datetime, calendar: BusinessDays
) -> Application:
    """Write a submission down as an application, in the caller's transaction.

    The state is ``submitted``, or ``pending_verification`` while the certificate's revocation is unknown.

    Raises:
        ValidationFailed: another application has taken one of its files meanwhile.
    """
    submission = await resolved(session, submission)
    procedure, signature = submission.procedure, submission.signature
    due = deadline(
        japan_date(submission.received_at), procedure.standard_days, procedure.calendar_days_at_most, calendar
    )
    own_id, own_reference = submission.names or (new_id(), reference())
    waits = signature is not None and signature.revocation == "unknown"
    application = Application(
        id=own_id,
        version=1,
        event_sequence=0,
        # Waiting for the verdict takes the first number, whether it is waited for or not: the status after it has the
        # same number in a second life of the town, in which identity may answer at once.
        status_sequence=0 if waits else 1,
        revision=1,
        reference=own_reference,
        procedure_code=procedure.code,
        procedure_version=procedure.version,
        business_id=procedure.business_id,
        decided_by=procedure.decided_by,
        two_person_decision=procedure.two_person_decision,
        channel=submission.channel.value,
        source=submission.source,
        receipt_no=submission.receipt_no,
        received_at=submission.received_at,
        recorded_at=now,
        due_on=due.due_on,
        due_at_latest=due.at_latest,
        filed_by=submission.filed_by,
        client_id=submission.client_id,
        party_refs=party_refs(submission.parties),
        answers=dict(submission.answers),
        my_numbers=[asdict(number) for number in submission.my_numbers],
        signature=signer.kept(signature),
        content_digest=submission.content_digest,
        flags=flags_of(submission),
    )
    event = application.begin(
        State.PENDING_VERIFICATION if waits else State.SUBMITTED,
        at=now,
        by=Actor(submission.actor_role, submission.filed_by),
    )
    outbox.add(session, event, application)  # before the flush: a resident may not update the row until she is a party
    session.add(application)
    await session.flush()
    session.add_all(party_rows(application, submission.parties))
    session.add_all(document_rows(application.id, submission.documents))
    await attachments.mark_used(session, [d.attachment_id for d in submission.documents if d.attachment_id])
    session.add(application.new_transition)
    touch(session, subjects=[p.person_id for p in submission.parties if p.person_id], fields=("answers",))
    return application


def party_refs(parties: Sequence[Party]) -> list[dict[str, Any]]:
    """The parties as the application itself repeats them."""
    return [
        {"role": p.role.value, "person_id": str(p.person_id) if p.person_id else None, "protected": p.protected}
        for p in parties
    ]


def party_rows(application: Application, parties: Sequence[Party]) -> list[ApplicationParty]:
    """The rows row security goes through."""
    return [
        ApplicationParty(
            id=new_id(),
            application_id=application.id,
            role=p.role.value,
            person_id=p.person_id,
            protected=p.protected,
            received_at=application.received_at,
        )
        for p in parties
    ]


def document_rows(application_id: UUID, documents: Sequence[DocumentRef]) -> list[ApplicationDocument]:
    """The rows of an application's files."""
    return [
        ApplicationDocument(
            application_id=application_id, kind=d.kind, media_type=d.media_type, size=d.size, blob_id=d.blob_id
        )
        for d in documents
    ]


def flags_of(submission: Submission) -> list[str]:
    """What a clerk should look at."""
    on = japan_date(submission.received_at)
    flags = [*submission.flags, *signer.flags_of(submission.signature, submission.procedure, submission.answers, on)]
    if any(p.person_id is None for p in submission.parties):
        flags.append(Flag.PARTY_NOT_LINKED)
    return [str(flag) for flag in flags]


def digests(content: bytes) -> dict[str, bytes]:
    """The digests a card may have signed: SHA-256, and SHA-384 for cards with P-384."""
    return {name: hashlib.new(name, content).digest() for name in ("sha256", "sha384")}
