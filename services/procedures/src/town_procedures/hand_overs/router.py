"""The hand-over document and what else is for the vault, over HTTP; only standardization's own client may fetch it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from town_kit.auth import SERVICE
from town_kit.clock import japan_date
from town_kit.problems import NotFound
from town_kit.routing import Actor, Audit, TownRouter, Tx
from town_kit.schemas import Output
from town_kit.writing import touch
from town_procedures.applications import TEXT_ROLE, documents_of, find_one, persons
from town_procedures.catalogue import PartyRule
from town_procedures.ports import Wired

router = TownRouter(prefix="/v1/applications", tags=["引渡し"])


class HandOverParty(Output):
    """当事者。pointer は、その人について書かれた回答の場所です。"""

    role: str
    person_id: UUID | None
    pointer: str | None


class HandOverDocument(Output):
    """添付書類。"""

    kind: str
    media_type: str
    size: int


class HandOver(Output):
    """基幹業務システムへの引渡し。個人番号は暗号化されたまま渡します。"""

    application_id: UUID
    revision: int = Field(description="何番目の内容か（差替のたびに増える）")
    reference: str
    receipt_number: str | None
    procedure_code: str
    procedure_version: str
    business_id: str
    adapter: str
    decided_by: str
    mapping: dict[str, Any]
    received_at: datetime
    parties: list[HandOverParty]
    answers: dict[str, Any]
    my_numbers: list[dict[str, str]]
    documents: list[HandOverDocument]


class SealedText(Output):
    """保管庫あてに暗号化した自由記述。"""

    pointer: str
    jwe: str


class SealedTexts(Output):
    """個人番号らしい数字があった自由記述。保管庫だけが開けます。"""

    application_id: UUID
    business_id: str
    persons: list[UUID]
    texts: list[SealedText]


@router.get(
    "/{application_id}/hand-over",
    scope="applications:hand-over",
    roles=(SERVICE,),
    audit=Audit("application.hand-over", basis="番号法9条", purpose="基幹業務への引渡し"),
)
async def read_hand_over(application_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> HandOver:
    """受け付けた申請を標準レコードにするための内容を渡す。"""
    application = await find_one(tx, application_id, actor)
    procedure = wired.catalogue.get(application.procedure_code)
    if procedure is None:
        raise NotFound("手続きの様式が見つかりません。システム担当に連絡してください。")
    touch(tx, subjects=persons(application), fields=("answers", "my_numbers"))
    on = japan_date(application.received_at)
    return HandOver(
        application_id=application.id,
        revision=application.revision,
        reference=application.reference,
        receipt_number=application.receipt_number,
        procedure_code=application.procedure_code,
        procedure_version=application.procedure_version,
        business_id=application.business_id,
        adapter=procedure.adapter,
        decided_by=application.decided_by,
        mapping=dict(procedure.mapping),
        received_at=application.received_at,
        parties=_parties(application.party_refs, procedure.parties(application.answers, on)),
        answers=application.answers,
        my_numbers=[n for n in application.my_numbers if n["role"] != TEXT_ROLE],  # a text is no number to keep
        documents=[
            HandOverDocument(kind=d.kind, media_type=d.media_type, size=d.size)
            for d in await documents_of(tx, application.id)
        ],
    )


@router.get(
    "/{application_id}/sealed-texts",
    scope="applications:hand-over",
    roles=(SERVICE,),
    audit=Audit("application.sealed-texts", basis="番号法20条", purpose="自由記述の確認"),
)
async def read_sealed_texts(application_id: UUID, tx: Tx, actor: Actor) -> SealedTexts:
    """個人番号らしい数字があった自由記述を、保管庫だけが開ける形で渡す。"""
    application = await find_one(tx, application_id, actor)
    texts = [n for n in application.my_numbers if n["role"] == TEXT_ROLE]
    touch(tx, subjects=persons(application), fields=tuple(text["pointer"] for text in texts))
    return SealedTexts(
        application_id=application.id,
        business_id=application.business_id,
        persons=persons(application),
        texts=[SealedText(pointer=text["pointer"], jwe=text["jwe"]) for text in texts],
    )


def _parties(refs: list[Any], rules: Sequence[PartyRule]) -> list[HandOverParty]:
    """The parties with the places the folder's rules give their roles, in order; beyond them a place is unknown."""
    places: dict[str, list[str]] = {}
    for rule in rules:
        places.setdefault(rule.role, []).append(rule.pointer)
    return [
        HandOverParty(
            role=ref["role"],
            person_id=ref["person_id"],
            pointer=places[ref["role"]].pop(0) if places.get(ref["role"]) else None,
        )
        for ref in refs
    ]
