"""Table of used client assertions."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_identity.base import Base


class ClientAssertion(Base):
    """An assertion that was used: its ``jti`` never counts again."""

    __tablename__ = "client_assertions"

    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    jti: Mapped[str] = mapped_column(Text, primary_key=True)
    expires_at: Mapped[datetime]
