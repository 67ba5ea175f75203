"""The gateway's own tables of a portal: its row, which is the aggregate of its events, and the webhooks taken."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_gateway.base import GatewayBase
from town_kit.db import Aggregate


class Portal(Aggregate, GatewayBase):
    """A portal that may send webhooks."""

    __tablename__ = "portals"

    name: Mapped[str] = mapped_column(Text, unique=True)


class WebhookMessage(GatewayBase):
    """A webhook that was taken; its id is not taken twice."""

    __tablename__ = "webhook_messages"

    portal: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime]
