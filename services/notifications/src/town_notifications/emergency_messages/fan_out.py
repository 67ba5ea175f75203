"""Writing an emergency message to everybody, in batches, in the worker's urgent job."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.messaging import notify
from town_notifications.channels import Channel, Lane
from town_notifications.deliveries import State as DeliveryState
from town_notifications.deliveries import cancel_queued, planned
from town_notifications.emergency_messages import repository
from town_notifications.emergency_messages.domain import KIND, State, Status
from town_notifications.emergency_messages.models import EmergencyMessage
from town_notifications.languages import Language
from town_notifications.messages import Notice, expire, queue, queued_of_emergency
from town_notifications.ports import Ports
from town_notifications.recipients import Reach, counts, everyone_reachable
from town_notifications.templates import Rendered, Unreached

BATCH = 250


async def fan_out(wired: Ports) -> int:
    """The next batch of persons of the oldest emergency message; answers how much was done.

    Sending begins with the first batch, while the next one is written.
    """
    now = wired.clock.now()
    async with wired.database.begin() as session:
        message = await repository.next_to_work_on(session)
        if message is None:
            return 0
        if message.state == State.CANCELLED:
            return await _stop(session, message, now)
        if message.status != Status.ACTUAL:
            await _count_only(session, wired, message)
            return 1
        return await _write_batch(session, wired, message, now)


async def _write_batch(session: AsyncSession, wired: Ports, message: EmergencyMessage, now: datetime) -> int:
    everyone = await everyone_reachable(session, after=message.reached_to, limit=BATCH, channels=wired.channels)
    for reach in everyone:
        queue(session, _notice(message, reach), reach, planned, at=now)
    message.persons += len(everyone)
    if everyone and everyone[-1].person_id is not None:
        message.reached_to = everyone[-1].person_id
    if len(everyone) < BATCH:
        message.dispatch()
    notify.urgent(session)  # the senders of this lane have work
    return len(everyone) or 1


async def _count_only(session: AsyncSession, wired: Ports, message: EmergencyMessage) -> None:
    """A drill: whom it would have reached is written down, and nobody hears of it."""
    devices, addresses, persons = await counts(session)
    by_channel = {Channel.PUSH: devices, Channel.EMAIL: addresses}
    message.withheld = {c.value: n for c, n in by_channel.items() if c in wired.channels}
    message.persons = persons
    message.dispatch()


async def _stop(session: AsyncSession, message: EmergencyMessage, now: datetime) -> int:
    """A cancelled one: what is still on its way goes no further."""
    waiting = await queued_of_emergency(session, message.id, limit=BATCH)
    for one in waiting:
        expire(session, one, at=now)
    await cancel_queued(session, [one.id for one in waiting], DeliveryState.CANCELLED, at=now)
    message.settled = len(waiting) < BATCH
    return len(waiting) or 1


def _notice(message: EmergencyMessage, reach: Reach) -> Notice:
    language = reach.language if reach.language in message.texts else Language.JA
    text = message.texts[language.value]
    return Notice(
        kind=KIND,
        rendered=Rendered(language, text["title"], text["body"], version=f"emergency:{message.reference}"),
        unreached=Unreached.PHONE,
        valid_until=message.valid_until,
        priority=Lane.EMERGENCY.value,
        emergency_message_id=message.id,
    )
