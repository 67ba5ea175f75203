"""Table of imported files."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_identity.base import Base


class NumberLink(Base):
    """番号紐付ファイルの取込み. ``content_sealed`` holds the file between preview and application, then nothing."""

    __tablename__ = "number_links"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    uploaded_by: Mapped[UUID]
    uploaded_at: Mapped[datetime]
    applied_by: Mapped[UUID | None]
    applied_at: Mapped[datetime | None]
    summary: Mapped[dict[str, Any]]
    content_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
