"""HTTP to use cases and back; scopes and problems are declared here, nothing is decided here."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse

from town_kit.auth import RESIDENT, SERVICE, STAFF, Role
from town_kit.blobs import Recipient
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
from town_procedures.applications import addresses, repository, service, submit
from town_procedures.applications.domain import State
from town_procedures.applications.errors import (
    DecidedByCoreSystem,
    DocumentForVault,
    DraftDiffers,
    DraftMissing,
    ProcedureUnknown,
    SameOfficer,
)
from town_procedures.applications.models import Application
from town_procedures.applications.prepare import prepare
from town_procedures.applications.schemas import (
    ApplicationDetail,
    ApplicationView,
    DecideRequest,
    DocumentView,
    DraftView,
    PartyView,
    SubmitRequest,
    TransitionView,
)
from town_procedures.ports import Wired

SIGNATURE_PROBLEMS = (
    SignatureInvalid,
    JpkiUntrusted,
    JpkiExpired,
    JpkiRevoked,
    JpkiWrongPurpose,
    JpkiWeakAlgorithm,
)

SUFFIXES = {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}

router = TownRouter(prefix="/v1/applications", tags=["申請"])


@router.post(
    "",
    scope="applications:submit",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.submit", basis="行政手続法7条", purpose="申請の受付"),
    problems=(ProcedureUnknown, *SIGNATURE_PROBLEMS),
    status_code=201,
)
async def submit_application(
    body: SubmitRequest, begin: Begin, actor: Actor, wired: Wired, response: Response
) -> ApplicationView:
    """申請を提出する。署名の失効確認ができないときは「署名確認待ち」として受け取ります。"""
    now = wired.clock.now()
    submission = await prepare(body.filing(), actor, wired, now)
    tx = await begin()
    application = await submit.record(tx, submission, now=now, calendar=wired.calendar)
    response.headers["ETag"] = etag(application.version)
    response.headers["Location"] = f"/v1/applications/{application.id}"
    if application.state == State.PENDING_VERIFICATION:
        response.status_code = 202
    return ApplicationView.of(application)


@router.get(
    "",
    scope="applications:read",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.list", basis="行政手続法9条", purpose="申請の状況の確認"),
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
    audit=Audit("application.read", basis="行政手続法9条", purpose="申請の状況の確認"),
)
async def read_application(application_id: UUID, tx: Tx, actor: Actor, response: Response) -> ApplicationView:
    """申請の状態を見る。次の手順と見込みの日が分かります。"""
    return _answer(await repository.one(tx, application_id, actor), tx, response)


@router.get(
    "/{application_id}/answers",
    scope="applications:read",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.read-answers", basis="行政手続法9条", purpose="申請内容の確認"),
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
        application=ApplicationView.of(application),
        parties=parties,
        answers=answers,
        documents=[DocumentView.of(document) for document in await repository.documents(tx, application.id)],
        address_hidden=hidden,
        draft=DraftView.of(application) if actor.role is Role.STAFF else None,
    )


@router.get(
    "/{application_id}/documents/{document_id}",
    scope="documents:read",
    roles=(STAFF,),
    audit=Audit("application.read-document", basis="行政手続法7条", purpose="申請の審査"),
    problems=(DocumentForVault,),
    response_class=StreamingResponse,
)
async def read_document(
    application_id: UUID, document_id: UUID, tx: Tx, actor: Actor, wired: Wired
) -> StreamingResponse:
    """添付書類を開く。個人番号が写ることのある書類は金庫だけが開けるため、ここでは開けません。"""
    application = await repository.one(tx, application_id, actor)
    document = await repository.document(tx, application.id, document_id)
    touch(tx, subjects=service.persons(application), fields=(f"documents/{document.kind}",))
    blob = await wired.blobs.info(tx, document.blob_id)
    if blob.recipient is not Recipient.SERVICE:
        raise DocumentForVault(
            "個人番号が写ることのある書類です。個人番号利用事務の担当に、個人番号利用事務系の端末での確認を頼んでください。"
        )
    suffix = SUFFIXES.get(document.media_type, "")
    begin = partial(wired.database.begin, role=actor.role.value, principal=actor.id)
    return StreamingResponse(
        wired.blobs.download(begin, blob),
        media_type=document.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{document.kind}-{document.id}{suffix}"',
            "Content-Length": str(blob.size),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


@router.get(
    "/{application_id}/timeline",
    scope="applications:read",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.timeline", basis="行政手続法9条", purpose="申請の経過の確認"),
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
    audit=Audit("application.accept", basis="行政手続法7条", purpose="申請の受理"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def accept_application(
    application_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> ApplicationView:
    """受付する。基幹業務システムが決定する手続きでは、標準レコードが用意されます。"""
    application = await service.accept(
        tx, application_id, actor, expected_version=version, at=wired.clock.now(), calendar=wired.calendar
    )
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/draft",
    scope="applications:draft",
    roles=(STAFF,),
    audit=Audit("application.draft", basis="行政手続法8条", purpose="申請に対する処分の起案"),
    problems=(StateConflict, PreconditionFailed, DecidedByCoreSystem),
    if_match=True,
)
async def draft_decision(
    application_id: UUID,
    body: DecideRequest,
    tx: Tx,
    actor: Actor,
    wired: Wired,
    version: ExpectedVersion,
    response: Response,
) -> ApplicationView:
    """決定を起案する。別の職員が決裁します。起案し直すと、前の起案に代わります。"""
    _refuse_unreasoned(body)
    application = await service.draft(
        tx,
        application_id,
        actor,
        to=State(body.decision),
        reason_code=body.reason_code,
        expected_version=version,
        at=wired.clock.now(),
        calendar=wired.calendar,
    )
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/decide",
    scope="applications:decide",
    roles=(STAFF,),
    audit=Audit("application.decide", basis="行政手続法8条", purpose="申請に対する処分の決定"),
    problems=(StateConflict, PreconditionFailed, DecidedByCoreSystem, DraftMissing, DraftDiffers, SameOfficer),
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
    """決定する（承認・却下）。却下には理由が必要です（行政手続法8条）。起案された申請では、別の職員の決裁です。"""
    _refuse_unreasoned(body)
    application = await service.decide(
        tx,
        application_id,
        actor,
        to=State(body.decision),
        reason_code=body.reason_code,
        expected_version=version,
        at=wired.clock.now(),
        calendar=wired.calendar,
    )
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/complete",
    scope="applications:decide",
    roles=(STAFF,),
    audit=Audit("application.complete", basis="行政手続法8条", purpose="申請の手続の完了"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def complete_application(
    application_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> ApplicationView:
    """完了にする。決定の通知と事務が終わった申請に使います。"""
    application = await service.complete(
        tx, application_id, actor, expected_version=version, at=wired.clock.now(), calendar=wired.calendar
    )
    return _answer(application, tx, response)


@router.post(
    "/{application_id}/withdraw",
    scope="applications:withdraw",
    roles=(RESIDENT, STAFF),
    audit=Audit("application.withdraw", basis="行政手続法7条", purpose="申請の取下げの受付"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def withdraw_application(
    application_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> ApplicationView:
    """取り下げる。決定の前だけできます。"""
    application = await service.withdraw(
        tx, application_id, actor, expected_version=version, at=wired.clock.now(), calendar=wired.calendar
    )
    return _answer(application, tx, response)


def _refuse_unreasoned(body: DecideRequest) -> None:
    if (body.decision == "rejected") != (body.reason_code is not None):
        raise ValidationFailed(
            "却下には理由を付け、承認には付けないでください。",
            errors=[FieldError("/reason_code", "reason", "却下の理由を選んでください。")],
        )


def _answer(application: Application, tx: Tx, response: Response) -> ApplicationView:
    touch(tx, subjects=service.persons(application), fields=("state",))
    response.headers["ETag"] = etag(application.version)
    return ApplicationView.of(application)
