"""お知らせ — messages to persons, each of which ends delivered, expired or in human hands."""

from town_notifications.messages.domain import Handling, ListName, Reason, State
from town_notifications.messages.models import Message
from town_notifications.messages.repository import listed as find_listed
from town_notifications.messages.repository import locked, overdue, queued_of_emergency
from town_notifications.messages.repository import on_list as list_page
from town_notifications.messages.service import Notice, expire, hand_over, queue, settle

__all__ = [
    "Handling",
    "ListName",
    "Message",
    "Notice",
    "Reason",
    "State",
    "expire",
    "find_listed",
    "hand_over",
    "list_page",
    "locked",
    "overdue",
    "queue",
    "queued_of_emergency",
    "settle",
]
