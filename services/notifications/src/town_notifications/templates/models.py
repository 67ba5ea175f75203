"""Copies of what the procedure folders say, so that a new procedure changes nothing here."""

from datetime import datetime
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_notifications.base import Base


class ProcedureTexts(Base):
    """手続の文例: title and texts of one procedure as its folder last said."""

    __tablename__ = "procedure_texts"

    procedure_code: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    titles: Mapped[dict[str, Any]]
    texts: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
