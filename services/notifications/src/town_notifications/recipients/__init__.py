"""受取人 — devices, contact points and preferences: how a person wants to be reached, as registered here only."""

from town_notifications.recipients.confirming import code_mail_id
from town_notifications.recipients.domain import QuietHours, Reach, Target
from town_notifications.recipients.repository import (
    counts,
    drop_target,
    everyone_reachable,
    reach,
)
from town_notifications.recipients.schemas import AudienceCount

__all__ = [
    "AudienceCount",
    "QuietHours",
    "Reach",
    "Target",
    "code_mail_id",
    "counts",
    "drop_target",
    "everyone_reachable",
    "reach",
]
