"""Tables of persons and of the certificates they use."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_identity.base import Base
from town_identity.persons.events import PersonLinked, PersonRegistered
from town_kit.db import Aggregate
from town_kit.ids import new_id


class Person(Base, Aggregate):
    """本人. Provisional until a 宛名番号 is known; ``merged_into`` names who a provisional person turned out to be."""

    __tablename__ = "persons"

    addressee_number: Mapped[str | None] = mapped_column(Text, unique=True)
    merged_into: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    registered_at: Mapped[datetime]

    @property
    def provisional(self) -> bool:
        """Whether no 宛名番号 is known."""
        return self.addressee_number is None

    def registered(self) -> PersonRegistered:
        """The event that tells this person."""
        return PersonRegistered(person_id=self.id, provisional=self.provisional)

    def present(self) -> PersonRegistered | PersonLinked:
        """The event that tells what this person is now, for a consumer that comes late."""
        if self.merged_into is not None:
            return PersonLinked(from_person_id=self.id, to_person_id=self.merged_into)
        return self.registered()

    def name_by(self, addressee_number: str) -> PersonRegistered:
        """The 宛名番号 of a provisional person is known now."""
        self.addressee_number = addressee_number
        self.version += 1
        return self.registered()

    def merge_into(self, other: "Person") -> PersonLinked:
        """This provisional person is ``other``."""
        self.merged_into = other.id
        self.version += 1
        return PersonLinked(from_person_id=self.id, to_person_id=other.id)


class CertificateSerial(Base):
    """A certificate by issuer and serial number (発行番号), which is found by HMAC and kept sealed.

    A new card brings new serials, so a person has a history of them; signing and login certificates have different
    ones. ``linked_at`` is set once the 番号紐付 file has named the certificate.
    """

    __tablename__ = "certificate_serials"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    issuer: Mapped[str] = mapped_column(Text)
    generation: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    serial_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    serial_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    first_used_at: Mapped[datetime | None]
    linked_at: Mapped[datetime | None]
