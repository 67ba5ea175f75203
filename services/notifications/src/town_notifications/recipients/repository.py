"""Every query of recipients."""

from collections.abc import Sequence
from datetime import time
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.problems import NotFound
from town_notifications.channels import Channel
from town_notifications.languages import Language
from town_notifications.recipients.domain import ContactPointState, QuietHours, Reach, Target
from town_notifications.recipients.models import ContactPoint, Device, Preference

# One round trip for all that is known of a person; a person linked to another is read as the other. Who that is, is
# found first and by itself: row security lets an index look for a column's value, but not for that of an expression.
_REACH = text(
    """WITH found AS MATERIALIZED (
         SELECT asked.id AS asked, coalesce(l.to_person_id, asked.id) AS person_id
           FROM unnest(cast(:ids AS uuid[])) AS asked (id)
           LEFT JOIN person_links l ON l.from_person_id = asked.id)
       SELECT found.asked, found.person_id, p.language, p.quiet_from, p.quiet_until,
              CASE WHEN coalesce(p.push, true) THEN ARRAY(
                SELECT d.id FROM devices d WHERE d.person_id = found.person_id) END AS devices,
              CASE WHEN coalesce(p.email, true) THEN ARRAY(
                SELECT c.id FROM contact_points c
                 WHERE c.person_id = found.person_id AND c.state = 'confirmed') END AS addresses
         FROM found LEFT JOIN preferences p ON p.person_id = found.person_id"""
)

# Everybody some channel can reach, in the order of their ids; an emergency asks for no preference but the language.
_EVERYONE = text(
    """SELECT r.person_id, p.language, r.devices, r.addresses
         FROM (SELECT person_id,
                      array_remove(array_agg(device), NULL) AS devices,
                      array_remove(array_agg(address), NULL) AS addresses
                 FROM (SELECT person_id, id AS device, NULL::uuid AS address FROM devices WHERE person_id > :after
                       UNION ALL
                       SELECT person_id, NULL, id FROM contact_points
                        WHERE state = 'confirmed' AND person_id > :after) AS targets
                GROUP BY person_id ORDER BY person_id LIMIT :limit) AS r
         LEFT JOIN preferences p ON p.person_id = r.person_id
        ORDER BY r.person_id"""
)

_COUNTS = text(
    """SELECT (SELECT count(*) FROM devices), (SELECT count(*) FROM contact_points WHERE state = 'confirmed'),
              (SELECT count(*) FROM (SELECT person_id FROM devices UNION
                SELECT person_id FROM contact_points WHERE state = 'confirmed') AS persons)"""
)

_RELEASE = text("DELETE FROM devices WHERE app = :app AND push_token = :token AND person_id <> :keep")
_AS = text("SELECT set_config('town.role', :role, true)")


async def reach(session: AsyncSession, person_ids: Sequence[UUID], channels: frozenset[Channel]) -> list[Reach]:
    """How each of these persons is reached by ``channels``, in their order; two ids of one person give one answer."""
    rows = (await session.execute(_REACH, {"ids": list(person_ids)})).all()
    by_asked = {row.asked: row for row in rows}
    found: dict[UUID, Reach] = {}
    for person_id in person_ids:
        row = by_asked[person_id]
        found.setdefault(
            row.person_id,
            Reach(
                person_id=row.person_id,
                language=Language(row.language or Language.JA),
                quiet=_quiet(row.quiet_from, row.quiet_until),
                targets=_targets(row.devices, row.addresses, channels),
            ),
        )
    return list(found.values())


async def everyone_reachable(
    session: AsyncSession, *, after: UUID, limit: int, channels: frozenset[Channel]
) -> list[Reach]:
    """The next persons with a device or a confirmed address, by id."""
    rows = (await session.execute(_EVERYONE, {"after": after, "limit": limit})).all()
    return [
        Reach(
            person_id=row.person_id,
            language=Language(row.language or Language.JA),
            targets=_targets(row.devices, row.addresses, channels),
        )
        for row in rows
    ]


async def counts(session: AsyncSession) -> tuple[int, int, int]:
    """Registered devices, confirmed addresses, and persons with at least one of them."""
    row = (await session.execute(_COUNTS)).one()
    return int(row[0]), int(row[1]), int(row[2])


async def drop_target(session: AsyncSession, target: Target) -> None:
    """Stop using an address the provider says is no more: a device is forgotten, an e-mail address marked."""
    if target.channel is Channel.PUSH:
        await session.execute(delete(Device).where(Device.id == target.id))
        return
    point = await session.get(ContactPoint, target.id)
    if point is not None:
        point.state = ContactPointState.BOUNCED


async def release_token(session: AsyncSession, *, app: str, token: str, keep: UUID, role: str) -> None:
    """Take a push token away from everybody but ``keep``: a phone that changed hands must not tell on its last owner.

    The one statement runs with the service's sight, because row security hides the other person's row.
    """
    await session.execute(_AS, {"role": "service"})
    await session.execute(_RELEASE, {"app": app, "token": token, "keep": keep})
    await session.execute(_AS, {"role": role})


async def devices_of(session: AsyncSession, person: Principal) -> list[Device]:
    """A person's devices, the newest first."""
    query = select(Device).where(Device.person_id == person.id).order_by(Device.registered_at.desc(), Device.id)
    return list((await session.execute(query)).scalars())


async def device_by_token(session: AsyncSession, person: Principal, *, app: str, token: str) -> Device | None:
    """A person's device by what its app calls it."""
    query = select(Device).where(Device.person_id == person.id, Device.app == app, Device.push_token == token)
    return (await session.execute(query.with_for_update())).scalar_one_or_none()


async def device(session: AsyncSession, person: Principal, device_id: UUID) -> Device:
    """One of a person's devices.

    Raises:
        NotFound: there is none, or it is another's.
    """
    query = select(Device).where(Device.person_id == person.id, Device.id == device_id).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("端末が見つかりません。一覧を読み直してください。")
    return found


async def contact_points_of(session: AsyncSession, person: Principal) -> list[ContactPoint]:
    """A person's contact points, oldest first."""
    query = select(ContactPoint).where(ContactPoint.person_id == person.id)
    return list((await session.execute(query.order_by(ContactPoint.registered_at, ContactPoint.id))).scalars())


async def contact_point(session: AsyncSession, person: Principal, contact_point_id: UUID) -> ContactPoint:
    """One of a person's contact points, locked.

    Raises:
        NotFound: there is none, or it is another's.
    """
    query = select(ContactPoint).where(ContactPoint.person_id == person.id, ContactPoint.id == contact_point_id)
    found = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if found is None:
        raise NotFound("連絡先が見つかりません。一覧を読み直してください。")
    return found


async def preference(session: AsyncSession, person: Principal, *, lock: bool = False) -> Preference | None:
    """A person's preferences, if she ever set any."""
    query = select(Preference).where(Preference.person_id == person.id)
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def count_of(session: AsyncSession, table: type[Device] | type[ContactPoint], person: Principal) -> int:
    """How many rows of ``table`` a person has."""
    query = select(func.count()).select_from(table).where(table.person_id == person.id)
    return int((await session.execute(query)).scalar_one())


def _quiet(start: time | None, end: time | None) -> QuietHours | None:
    return QuietHours(start, end) if start is not None and end is not None else None


def _targets(devices: Any, addresses: Any, channels: frozenset[Channel]) -> tuple[Target, ...]:
    found = [(Channel.PUSH, id_) for id_ in devices or ()] + [(Channel.EMAIL, id_) for id_ in addresses or ()]
    return tuple(Target(id_, channel) for channel, id_ in found if channel in channels)
