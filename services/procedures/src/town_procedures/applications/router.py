"""HTTP to use cases and back; scopes and problems are declared here, nothing is decided here."""

import base64
import binascii
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from fastapi import Response

from town_kit.auth import RESIDENT, SERVICE, STAFF, Principal, Role
from town_kit.clock import japan_date
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import (
    FieldError,
    JpkiExpired,
    JpkiRevoked,
    JpkiUntrusted,
    JpkiWeakAlgorithm,
    JpkiWrongPurpose,
    PreconditionFailed,
    SignatureInvalid,
    StateConflict,
    ValidationFailed,
)
from town_kit.routing import Actor, Audit, Begin, ExpectedVersion, TownRouter, Tx, etag
from town_kit.schemas import Page
from town_kit.writing import touch
from town_procedures import attachments
from town_procedures.applications import addresses, repository, service, submit
from town_procedures.applications.domain import Channel, State
from town_procedures.applications.errors import DecidedByCoreSystem, ProcedureUnknown, SameOfficer
from town_procedures.applications.models import Application
from town_procedures.applications.schemas import (
    ApplicationDetail,
    ApplicationView,
    DecideRequest,
    PartyView,
    SubmitRequest,
    TransitionView,
)
from town_procedures.catalogue import Procedure
from town_procedures.ports import Ports, Wired

SIGNATURE_PROBLEMS = (
    SignatureInvalid,
    JpkiUntrusted,
    JpkiExpired,
    JpkiRevoked,
    JpkiWrongPurpose,
    JpkiWeakAlgorithm,
)

router = TownRouter(prefix="/v1/applications", tags=["申請"])


@router.post(
    "",
    scope="applications:submit",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.submit", basis="行政手続法7条"),
    problems=(ProcedureUnknown, *SIGNATURE_PROBLEMS),
    status_code=201,
)
async def submit_application(
    body: SubmitRequest, begin: Begin, actor: Actor, wired: Wired, response: Response
) -> ApplicationView:
    """申請を提出する。署名の失効確認ができないときは「署名確認待ち」として受け取ります。"""
    received_at = wired.clock.now()
    _refuse_staff_fields(body, actor)
    procedure = wired.catalogue.get(body.procedure_code)
    if procedure is None:
        raise ProcedureUnknown("手続コードを確認してください。")
    documents = await _documents(body, actor, wired)
    submission = await _prepare(body, procedure, documents, actor, wired, received_at)
    tx = await begin()
    application = await submit.record(tx, submission, now=received_at, calendar=wired.calendar)
    response.headers["ETag"] = etag(application.version)
    response.headers["Location"] = f"/v1/applications/{application.id}"
    if application.state == State.PENDING_VERIFICATION:
        response.status_code = 202
    return ApplicationView.of(application)


async def _documents(body: SubmitRequest, actor: Principal, wired: Ports) -> list[submit.DocumentRef]:
    named = {attachment.id: attachment.sha256 for attachment in body.attachments}
    if not named:
        return []
    found = await attachments.find(wired.database, named, actor, key=wired.digest_key)
    return [submit.DocumentRef(a.kind, a.blob_id, a.media_type, a.size, named[a.id], attachment_id=a.id) for a in found]


async def _prepare(
    body: SubmitRequest,
    procedure: Procedure,
    documents: Sequence[submit.DocumentRef],
    actor: Principal,
    wired: Ports,
    received_at: datetime,
) -> submit.Submission:
    """Everything that can be repeated: the folder's checks, the signature, the encryption to the vault."""
    errors = procedure.validate(body.answers, attachments=[d.kind for d in documents], on=japan_date(received_at))
    if errors:
        raise ValidationFailed("入力内容を確認してください。", errors=errors)
    hashes = [d.sha256 for d in documents]
    facts = None
    if body.signature is not None:
        content = submit.signed_content(body.procedure_code, body.answers, hashes)
        facts = await wired.signatures.verify(
            digests=submit.digests(content), cms=_base64(body.signature), received_at=received_at
        )
    elif procedure.requires_signature and actor.role is Role.RESIDENT:
        raise SignatureInvalid("マイナンバーカードで署名してから送ってください。")
    answers, numbers = submit.seal_numbers(procedure, body.answers, wired.vault)
    return submit.Submission(
        procedure=procedure,
        answers=answers,
        my_numbers=numbers,
        parties=_parties(body, procedure, actor, facts, japan_date(received_at)),
        channel=body.channel or (Channel.APP if actor.role is Role.RESIDENT else Channel.COUNTER),
        source="app" if actor.role is Role.RESIDENT else "counter",
        receipt_no=None,
        received_at=body.received_at or received_at,
        documents=documents,
        signature=facts,
        content_digest=submit.content_digest(body.answers, hashes, wired.digest_key),
        filed_by=actor.id,
        actor_role=actor.role.value,
        client_id=actor.client_id if actor.role is Role.RESIDENT else None,
    )


def _parties(
    body: SubmitRequest, procedure: Procedure, actor: Principal, facts: submit.SignatureFacts | None, on: date
) -> list[submit.Party]:
    """Who is who: the folder's rules say which roles these answers name; the caller stands in the one that files."""
    if actor.role is Role.STAFF:
        return [submit.Party(p.role, p.person_id, p.protected) for p in body.parties]
    parties = submit.parties_of(procedure, body.answers, filer=actor.id, on=on)
    if facts is not None and facts.person_id != actor.id:
        parties.append(submit.Party(parties[0].role, facts.person_id))  # until 番号紐付 makes the two one
    return parties


def _refuse_staff_fields(body: SubmitRequest, actor: Principal) -> None:
    given = {"parties": bool(body.parties), "channel": body.channel is not None, "received_at": body.received_at}
    if actor.role is Role.RESIDENT:
        errors = [
            FieldError(f"/{name}", "staff-only", "この項目は職員だけが送れます。外してください。")
            for name, is_given in given.items()
            if is_given
        ]
    else:
        errors = [] if body.parties else [FieldError("/parties", "missing", "当事者を入力してください。")]
    if errors:
        raise ValidationFailed("入力内容を確認してください。", errors=errors)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SignatureInvalid("署名のデータを読めません。もう一度署名してください。") from None


@router.get(
    "",
    scope="applications:read",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.list", basis="行政手続法9条"),
)
async def list_applications(
    tx: Tx,
    actor: Actor,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    state: State | None = None,
    procedure_code: str | None = None,
) -> Page[ApplicationView]:
    """申請の一覧（新しい順）。住民には自分が当事者の申請だけが見えます。"""
    rows = await repository.page(
        tx,
        actor,
        after=decode(cursor, datetime, UUID),
        limit=limit,
        state=state.value if state else None,
        procedure_code=procedure_code,
    )
    shown = rows[:limit]
    touch(tx, subjects=[p for row in shown for p in service.persons(row)], fields=("state",))
    following = encode([shown[-1].received_at, shown[-1].id]) if len(rows) > limit else None
    return Page(items=[ApplicationView.of(row) for row in shown], next_cursor=following)


@router.get(
    "/{application_id}",
    scope="applications:read",
    roles=(RESIDENT, STAFF, SERVICE),
    audit=Audit("application.read", basis="行政手続法9条"),
)
async def read_application(application_id: UUID, tx: Tx, actor: Actor, response: Response) -> ApplicationView:
    """申請の状態を見る。次の手順と見込みの日が分かります。"""
    return _answer(await repository.one(tx, application_id, actor), tx, response)


@router.get(
    "/{application_id}/answers",
    scope="applications:read",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.read-answers", basis="行政手続法9条"),
)
async def read_answers(application_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> ApplicationDetail:
    """申請の内容を見る。支援措置の対象者がいる申請では、権限のない人に住所を示しません。"""
    application = await repository.one(tx, application_id, actor)
    hidden = addresses.are_hidden(application, actor)
    procedure = wired.catalogue.get(application.procedure_code)
    answers = addresses.without(application.answers, procedure) if hidden else application.answers
    touch(tx, subjects=service.persons(application), fields=("answers",))
    parties = [PartyView(role=p["role"], person_id=p["person_id"]) for p in application.party_refs]
    if actor.role is Role.RESIDENT:
        parties = [p for p in parties if p.person_id == actor.id]
    return ApplicationDetail(
        application=ApplicationView.of(application), parties=parties, answers=answers, address_hidden=hidden
    )


@router.get(
    "/{application_id}/timeline",
    scope="applications:read",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.timeline", basis="行政手続法9条"),
)
async def read_timeline(application_id: UUID, tx: Tx, actor: Actor) -> list[TransitionView]:
    """申請の経過を見る。"""
    application = await repository.one(tx, application_id, actor)
    touch(tx, subjects=service.persons(application), fields=("state",))
    return [TransitionView.of(move) for move in await repository.timeline(tx, application.id)]


@router.post(
    "/{application_id}/accept",
    scope="applications:accept",
    roles=(STAFF,),
    audit=Audit("application.accept", basis="行政手続法7条"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def accept_application(
    application_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> ApplicationView:
    """受付する。基幹業務システムが決定する手続きでは、標準レコードが用意されます。"""
    application = await service.accept(tx, application_id, actor, expected_version=version, at=wired.clock.now())
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/decide",
    scope="applications:decide",
    roles=(STAFF,),
    audit=Audit("application.decide", basis="行政手続法8条"),
    problems=(StateConflict, PreconditionFailed, DecidedByCoreSystem, SameOfficer),
    if_match=True,
)
async def decide_application(
    application_id: UUID,
    body: DecideRequest,
    tx: Tx,
    actor: Actor,
    wired: Wired,
    version: ExpectedVersion,
    response: Response,
) -> ApplicationView:
    """決定する（承認・却下）。却下には理由が必要です（行政手続法8条）。"""
    if (body.decision == "rejected") != (body.reason_code is not None):
        raise ValidationFailed(
            "却下には理由を付け、承認には付けないでください。",
            errors=[FieldError("/reason_code", "reason", "却下の理由を選んでください。")],
        )
    application = await service.decide(
        tx,
        application_id,
        actor,
        to=State(body.decision),
        reason_code=body.reason_code,
        expected_version=version,
        at=wired.clock.now(),
    )
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/complete",
    scope="applications:decide",
    roles=(STAFF,),
    audit=Audit("application.complete", basis="行政手続法8条"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def complete_application(
    application_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> ApplicationView:
    """完了にする。決定の通知と事務が終わった申請に使います。"""
    application = await service.complete(tx, application_id, actor, expected_version=version, at=wired.clock.now())
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/withdraw",
    scope="applications:withdraw",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.withdraw", basis="行政手続法7条"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def withdraw_application(
    application_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> ApplicationView:
    """取り下げる。決定の前だけできます。"""
    application = await service.withdraw(tx, application_id, actor, expected_version=version, at=wired.clock.now())
    return _answer(application, tx, response)


def _answer(application: Application, tx: Tx, response: Response) -> ApplicationView:
    touch(tx, subjects=service.persons(application), fields=("state",))
    response.headers["ETag"] = etag(application.version)
    return ApplicationView.of(application)
