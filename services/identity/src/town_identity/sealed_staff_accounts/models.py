"""Tables of 封印アカウント."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_identity.base import Base


class SealedStaffAccount(Base):
    """封印アカウント: what stands in one pair of envelopes, and whether they were opened.

    ``password_hash`` is Argon2id in PHC form; ``otp_secret_sealed`` is readable with the service's own key;
    ``last_step`` is the newest time step whose code was used.
    """

    __tablename__ = "sealed_staff_accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    groups: Mapped[list[Any]]
    password_hash: Mapped[str] = mapped_column(Text)
    otp_secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger)
    sealed_at: Mapped[datetime]
    sealed_by: Mapped[str] = mapped_column(Text)
    broken_at: Mapped[datetime | None]
    opened_until: Mapped[datetime | None]
    opened_by: Mapped[str | None] = mapped_column(Text)
    withdrawn_at: Mapped[datetime | None]


class SealedStaffAccountUse(Base):
    """開封の記録: written before a token is issued, looked at by somebody else afterwards."""

    __tablename__ = "sealed_staff_account_uses"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    purpose: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    because: Mapped[str] = mapped_column(Text)
    intended_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


class SealedStaffAccountTry(Base):
    """Tries in a row with a user name, known or not: found by a keyed digest, so that both look the same."""

    __tablename__ = "sealed_staff_account_tries"

    username_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    tries: Mapped[int]
    tried_at: Mapped[datetime]
