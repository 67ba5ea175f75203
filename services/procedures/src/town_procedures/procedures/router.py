"""The catalogue over HTTP; open to everyone, because a form is not a secret."""

from typing import Any

from town_kit.problems import NotFound
from town_kit.routing import TownRouter
from town_kit.schemas import Output
from town_procedures.catalogue import Procedure
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


class ProcedureDetail(ProcedureView):
    """手続と様式（JSON Schema）。"""

    form: dict[str, Any]


@router.get("", scope=None)
async def list_procedures(wired: Wired) -> list[ProcedureView]:
    """手続の一覧。"""
    return [ProcedureView(**_common(procedure, wired)) for procedure in wired.catalogue.values()]


@router.get("/{code}", scope=None)
async def read_procedure(code: str, wired: Wired) -> ProcedureDetail:
    """手続の様式。項目の順と日本語の名前が入っています。"""
    procedure = wired.catalogue.get(code)
    if procedure is None:
        raise NotFound("手続きが見つかりません。手続コードを確認してください。")
    return ProcedureDetail(**_common(procedure, wired), form=dict(procedure.form))


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
