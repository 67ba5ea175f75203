"""What procedures tells of quarantined packages."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received
from town_standardization.releases.models import Release


class PackageReleased(Reader):
    """隔離解除: a clerk wants the package judged again."""

    TYPE: ClassVar[str] = "town.procedures.quarantined-package.released.v1"
    TOPIC: ClassVar[str] = "procedures.quarantined-packages"

    quarantined_package_id: UUID
    raw_package_id: UUID
    application_id: UUID | None = None


def release_consumers(clock: Clock) -> list[Consumer]:
    """The consumers of this slice."""

    async def released(session: AsyncSession, event: Received[PackageReleased]) -> None:
        if event.data.application_id is not None:
            return  # it came again by itself and was taken
        query = select(Release).where(Release.id == event.data.quarantined_package_id).with_for_update()
        row = (await session.execute(query)).scalar_one_or_none()
        if row is None:
            row = Release(id=event.data.quarantined_package_id, revision=0)
            session.add(row)
        row.raw_package_id = event.data.raw_package_id
        row.state, row.reason, row.outcome, row.attempts = "waiting", None, None, 0
        row.revision += 1
        row.due_at, row.traceparent = clock.now(), event.traceparent
        await session.flush()

    return [Consumer(name="standardization.releases", service="standardization", handlers={PackageReleased: released})]
