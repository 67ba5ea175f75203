"""What a service must have before it is ready: its database, its schema at head, its event log, its audit anchor."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy import text

from town_kit.audit.anchor import ALARM, anchor_age
from town_kit.db import migrations
from town_kit.messaging.connecting import reachable
from town_kit.service import Service


def checks(service: Service) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """The readiness checks by name; a check raises when it fails."""
    expected: list[str | None] = []

    async def database() -> None:
        async with service.database.begin() as session:
            await session.execute(text("SELECT 1"))

    async def migrations_at_head() -> None:
        if not expected:
            expected.append(await asyncio.to_thread(migrations.head, service.migrations))
        async with service.database.begin() as session:
            found = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
        if found != expected[0]:
            raise RuntimeError("the schema is not at head")

    async def event_log() -> None:
        await reachable(service.settings, service.zone)

    async def audit_anchor() -> None:
        if await anchor_age(service.database, service.name, service.clock.now()) > ALARM:
            raise RuntimeError("the audit chain has not been anchored for too long")

    anchored = {"audit_anchor": audit_anchor} if service.settings.audit_anchor else {}
    return {
        "database": database,
        "migrations": migrations_at_head,
        "event_log": event_log,
        **anchored,
        **service.alarms,
    }
