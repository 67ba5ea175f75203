"""The catalogue over HTTP; open to everyone, because a form is not a secret."""

from typing import Any

from pydantic import Field

from town_kit.problems import NotFound
from town_kit.routing import TownRouter
from town_kit.schemas import Output
from town_procedures.catalogue import AttachmentRule, Procedure
from town_procedures.ports import Ports, Wired

router = TownRouter(prefix="/v1/procedures", tags=["手続"])


class ProcedureView(Output):
    """手続。"""

    code: str
    version: str
    title: dict[str, str]
    requires_signature: bool
    standard_days: int | None
    decided_by: str
    mynaportal_procedure_ids: list[str]


class FeeView(Output):
    """手数料。"""

    amount_yen: int
    basis: str = Field(description="根拠")


class AttachmentRuleView(Output):
    """添付書類の決まり。"""

    kind: str
    title: dict[str, str]
    types: list[str] = Field(description="受け付けるファイルの種類（メディアタイプ）")
    max_bytes: int = Field(description="1ファイルの大きさの上限（バイト）")
    max_count: int
    required: bool = Field(description="いつも必要")
    required_on_condition: bool = Field(description="回答によって必要")
    my_number_may_show: bool = Field(description="個人番号が写ることがある")


class ProcedureDetail(ProcedureView):
    """手続と様式（JSON Schema）。"""

    channels: list[str] = Field(description="申請できる経路")
    fee: FeeView
    legal_basis: list[str] = Field(description="根拠法令")
    retention_years: int = Field(description="完了した年の終わりから保存する年数")
    attachments: list[AttachmentRuleView]
    form: dict[str, Any]


@router.get("", scope=None)
async def list_procedures(wired: Wired) -> list[ProcedureView]:
    """手続の一覧。"""
    return [ProcedureView(**_common(procedure, wired)) for procedure in wired.catalogue.values()]


@router.get("/{code}", scope=None)
async def read_procedure(code: str, wired: Wired) -> ProcedureDetail:
    """手続の様式と決まり。項目の順と日本語の名前、手数料、添付書類の種類と大きさが入っています。"""
    procedure = wired.catalogue.get(code)
    if procedure is None:
        raise NotFound("手続きが見つかりません。手続コードを確認してください。")
    return ProcedureDetail(
        **_common(procedure, wired),
        channels=list(procedure.channels),
        fee=FeeView(amount_yen=procedure.fee.amount_yen, basis=procedure.fee.basis),
        legal_basis=list(procedure.legal_basis),
        retention_years=procedure.retention.years,
        attachments=[_attachment(rule) for rule in procedure.attachments],
        form=dict(procedure.form),
    )


def _attachment(rule: AttachmentRule) -> AttachmentRuleView:
    return AttachmentRuleView(
        kind=rule.kind,
        title=dict[str, str](rule.title.items()),
        types=list(rule.types),
        max_bytes=rule.max_bytes,
        max_count=rule.max_count,
        required=rule.required,
        required_on_condition=bool(rule.required_if),
        my_number_may_show=rule.my_number_may_show,
    )


def _common(procedure: Procedure, wired: Ports) -> dict[str, Any]:
    return {
        "code": procedure.code,
        "version": procedure.version,
        "title": dict(procedure.title),
        "requires_signature": procedure.requires_signature,
        "standard_days": procedure.standard_days,
        "decided_by": procedure.decided_by,
        "mynaportal_procedure_ids": list(procedure.portal_ids(wired.packages.name)),
    }
