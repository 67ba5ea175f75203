"""Tables of staff sign-in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_identity.base import Base


class StaffAuthorization(Base):
    """A sign-in that was begun: found by the hash of ``state``, redeemed once."""

    __tablename__ = "staff_authorizations"

    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    nonce: Mapped[str] = mapped_column(Text)
    verifier_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class StaffDirectoryWatch(Base):
    """When the directory was last looked at, and since when it has been away."""

    __tablename__ = "staff_directory_watch"

    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    looked_at: Mapped[datetime]
    away_since: Mapped[datetime | None]


class StaffAccount(Base):
    """職員: the account behind a subject of the directory. Names stay in the directory."""

    __tablename__ = "staff_accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    groups: Mapped[list[Any]]
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
