"""The table of My Numbers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_standardization.base import Base


class StoredNumber(Base):
    """A 個人番号, sealed. ``id`` is the reference others hold; one number, one row, one addressee."""

    __tablename__ = "my_numbers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    addressee_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    business_id: Mapped[str] = mapped_column(Text)
    legal_basis: Mapped[str] = mapped_column(Text)
    deposited_at: Mapped[datetime]
