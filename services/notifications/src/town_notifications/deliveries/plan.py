"""Which deliveries a message gets."""

from datetime import datetime

from town_kit.ids import new_id, stable_id
from town_notifications.channels import Channel, Lane
from town_notifications.deliveries.domain import State
from town_notifications.deliveries.models import Delivery
from town_notifications.messages import Message
from town_notifications.recipients import Reach


def planned(message: Message, reach: Reach, at: datetime) -> list[Delivery]:
    """The delivery rows of a new message: the inbox, which has it at once, and each address the person wants.

    Quiet hours put off what is ordinary, as long as it is still valid then; an emergency knows none.
    """
    lane = Lane(message.priority)
    quiet_until = reach.quiet.until(at) if reach.quiet and lane is Lane.ORDINARY else None
    first = quiet_until if quiet_until is not None and quiet_until < message.hand_over_at else at
    rows = [
        Delivery(
            id=stable_id("delivery", str(message.id), target.channel.value, str(target.id)),
            message_id=message.id,
            person_id=reach.person_id,
            emergency_message_id=message.emergency_message_id,
            channel=target.channel.value,
            target_id=target.id,
            lane=lane.value,
            state=State.QUEUED.value,
            tries=0,
            next_attempt_at=first,
            created_at=at,
        )
        for target in reach.targets
    ]
    if reach.person_id is not None:
        rows.append(
            Delivery(
                id=new_id(),
                message_id=message.id,
                person_id=reach.person_id,
                emergency_message_id=message.emergency_message_id,
                channel=Channel.INBOX.value,
                lane=lane.value,
                state=State.SENT.value,
                tries=0,
                created_at=at,
                ended_at=at,
            )
        )
    return rows
