"""配信 — one row for each message and address, and the jobs that carry them out."""

from town_notifications.deliveries.domain import State
from town_notifications.deliveries.models import Delivery
from town_notifications.deliveries.plan import planned
from town_notifications.deliveries.repository import cancel_queued, counts_of_emergency

__all__ = ["Delivery", "State", "cancel_queued", "counts_of_emergency", "planned"]
