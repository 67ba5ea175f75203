"""Wire models of quarantined packages."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from town_kit.schemas import FreeText, Input, Output
from town_procedures.quarantined_packages.domain import LABELS, State, explanation
from town_procedures.quarantined_packages.models import QuarantinedPackage

Note = Annotated[FreeText, Field(min_length=1)]


class DiscardRequest(Input):
    """破棄。理由は記録に残ります。"""

    note: Note = Field(description="破棄する理由（個人番号・氏名は書かない）")


class PackageError(Output):
    """合わない項目の場所と説明。書かれていた値は含みません。"""

    pointer: str
    code: str
    message: str


class QuarantinedPackageView(Output):
    """隔離された申請データ。"""

    id: UUID
    source: str
    receipt_no: str
    mynaportal_procedure_id: str
    procedure_code: str | None
    reason: str
    happened: str = Field(description="何が起きたか")
    next_step: str = Field(description="次にすること")
    on_release: str = Field(description="隔離を解除すると何をするか")
    errors: list[PackageError]
    state: str
    state_label: str
    received_at: datetime
    quarantined_at: datetime
    settled_at: datetime | None
    note: str | None
    application_id: UUID | None
    version: int

    @classmethod
    def of(cls, package: QuarantinedPackage) -> "QuarantinedPackageView":
        """The view of a quarantined package; its reason in words a clerk understands."""
        told = explanation(package.reason)
        return cls(
            id=package.id,
            source=package.source,
            receipt_no=package.receipt_no,
            mynaportal_procedure_id=package.mynaportal_procedure_id,
            procedure_code=package.procedure_code,
            reason=package.reason,
            happened=told.happened,
            next_step=told.next_step,
            on_release=told.on_release,
            errors=[PackageError(**error) for error in package.errors],
            state=package.state,
            state_label=LABELS[State(package.state)],
            received_at=package.received_at,
            quarantined_at=package.quarantined_at,
            settled_at=package.settled_at,
            note=package.note,
            application_id=package.application_id,
            version=package.version,
        )
