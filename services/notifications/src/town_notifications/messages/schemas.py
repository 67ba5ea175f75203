"""Wire models of messages."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from town_kit.schemas import Output
from town_notifications.messages.models import Message


class MessageView(Output):
    """お知らせ。"""

    id: UUID
    kind: str
    priority: str = Field(description="ordinary（通常）または emergency（緊急）")
    language: str
    title: str
    body: str
    reference: str | None = Field(description="申請の控え番号")
    application_id: UUID | None
    created_at: datetime
    valid_until: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, message: Message) -> "MessageView":
        """The view of a row."""
        return cls(
            id=message.id,
            kind=message.kind,
            priority=message.priority,
            language=message.language,
            title=message.title,
            body=message.body,
            reference=message.reference,
            application_id=message.application_id,
            created_at=message.created_at,
            valid_until=message.valid_until,
            read_at=message.read_at,
        )
