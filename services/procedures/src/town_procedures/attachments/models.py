"""The table of uploaded files; the bytes are blobs for the vault alone, because a My Number may show on them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_procedures.base import Base


class Attachment(Base):
    """添付書類. ``digest`` is an HMAC of the file's SHA-256; ``used_at`` is set when an application names it."""

    __tablename__ = "attachments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    uploaded_by: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    blob_id: Mapped[UUID]
    uploaded_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
