"""Table of the numbers of revocation lists."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import LargeBinary, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_identity.base import Base


class RevocationListNumber(Base):
    """The highest CRL number (RFC 5280 §5.2.3, up to 20 bytes) that was taken of one issuer and partition.

    ``partition`` is the SHA-256 of the partition's names, empty for a list of all certificates.
    """

    __tablename__ = "revocation_list_numbers"

    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    number: Mapped[Decimal] = mapped_column(Numeric(49, 0))
    taken_at: Mapped[datetime]
