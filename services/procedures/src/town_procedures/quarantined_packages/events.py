"""What is told about a quarantined package: ids and the reason, nothing of its content."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from town_kit.messaging.event import Event


class QuarantinedPackageEvent(Event):
    """Common to all: which package, of which receipt number, why."""

    TOPIC: ClassVar[str] = "procedures.quarantined-packages"

    quarantined_package_id: UUID
    raw_package_id: UUID
    source: str
    receipt_no: str
    procedure_code: str | None
    reason: str
    state: str
    received_at: datetime
    application_id: UUID | None


class QuarantinedPackageQuarantined(QuarantinedPackageEvent):
    """隔離: the package waits for a clerk."""

    TYPE: ClassVar[str] = "town.procedures.quarantined-package.quarantined.v1"


class QuarantinedPackageReleased(QuarantinedPackageEvent):
    """隔離解除: the vault opens the raw package and hands its content in again."""

    TYPE: ClassVar[str] = "town.procedures.quarantined-package.released.v1"


class QuarantinedPackageDiscarded(QuarantinedPackageEvent):
    """不受理の整理: nothing will come of the package; the raw package is kept."""

    TYPE: ClassVar[str] = "town.procedures.quarantined-package.discarded.v1"


PUBLISHED: tuple[type[QuarantinedPackageEvent], ...] = (
    QuarantinedPackageQuarantined,
    QuarantinedPackageReleased,
    QuarantinedPackageDiscarded,
)
