"""The whole service on one screen."""

from datetime import timedelta
from functools import partial
from pathlib import Path

from town_kit.clock import Clock, SystemClock
from town_kit.service import Job, Service
from town_kit.settings import Zone
from town_notifications import wiring
from town_notifications.channels import Channel, Lane
from town_notifications.deliveries import planned
from town_notifications.deliveries.send import hand_over_overdue, send_batch
from town_notifications.emergency_messages.fan_out import fan_out
from town_notifications.emergency_messages.router import router as emergency_messages
from town_notifications.messages import events
from town_notifications.messages.consumers import message_consumers
from town_notifications.messages.router import router as messages
from town_notifications.ports import Ports
from town_notifications.recipients.confirming import send_codes
from town_notifications.recipients.consumers import recipient_consumers
from town_notifications.recipients.router import contact_points, devices, preferences
from town_notifications.settings import NotificationsSettings
from town_notifications.templates.consumers import template_consumers
from town_notifications.templates.router import router as templates
from town_notifications.undelivered_messages.router import router as undelivered_messages

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SECOND = timedelta(seconds=1)


def create_service(settings: NotificationsSettings, *, clock: Clock | None = None) -> Service:
    """`notifications` (緊急情報・お知らせ) as its settings describe it."""
    clock = clock or SystemClock()
    database = wiring.database(settings)
    ports = wiring.ports(settings, database, clock)
    return Service(
        name="notifications",
        title="緊急情報・お知らせ",
        description="お知らせの受け取り方、アプリの受信箱、緊急情報の配信、届かなかったお知らせの一覧。",
        zone=Zone.INTERNET,
        settings=settings,
        database=database,
        verifier=wiring.verifier(settings, clock),
        migrations=MIGRATIONS,
        clock=clock,
        routers=(messages, devices, contact_points, preferences, emergency_messages, undelivered_messages, templates),
        consumers=(*message_consumers(ports, planned), *template_consumers(clock), *recipient_consumers()),
        jobs=(
            Job("emergency-messages.fan-out", SECOND / 2, partial(fan_out, ports), urgent=True),
            *_senders(ports, Lane.EMERGENCY, SECOND / 2),
            *_senders(ports, Lane.ORDINARY, SECOND),
            Job("contact-points.confirming", SECOND, partial(send_codes, ports)),
            Job("messages.handing-over", 30 * SECOND, partial(hand_over_overdue, ports)),
        ),
        events=events.PUBLISHED,
        resources=tuple(adapter.running for lane in ports.lanes.values() for adapter in lane.values()),
        extras={"ports": ports},
    )


def _senders(ports: Ports, lane: Lane, every: timedelta) -> list[Job]:
    """One job for each channel of a lane, so that a dead channel delays no other."""
    return [
        Job(
            f"deliveries.{lane.value}.{channel.value}",
            every,
            partial(send_batch, ports, lane, channel),
            urgent=lane is Lane.EMERGENCY,
        )
        for channel in (Channel.PUSH, Channel.EMAIL)
        if channel in ports.lanes[lane]
    ]
