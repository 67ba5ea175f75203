"""The table of raw packages; the bytes are a blob for the vault alone, because they hold My Numbers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.ids import new_id
from town_procedures.base import Base


class RawPackage(Base):
    """原本. ``digest`` is an HMAC over the bytes as they came, ``content_digest`` over what they say where readable.

    Several packages can belong to one application: each revision brings its own.
    """

    __tablename__ = "raw_packages"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    source: Mapped[str] = mapped_column(Text)
    receipt_no: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    content_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    blob_id: Mapped[UUID]
    size: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    application_id: Mapped[UUID | None] = mapped_column(ForeignKey("applications.id"))
