"""Wire models of persons."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from town_identity.persons.models import Person
from town_kit.schemas import Output


class PersonView(Output):
    """本人。氏名・住所・個人番号は持ちません。"""

    id: UUID = Field(description="本人の識別子")
    addressee_number: str | None = Field(description="宛名番号。番号紐付の前は null")
    provisional: bool = Field(description="宛名番号がまだ分からない（仮登録）")
    merged_into: UUID | None = Field(description="番号紐付で同じ人と分かった本人の識別子")
    registered_at: datetime = Field(description="登録日時")

    @classmethod
    def of(cls, person: Person) -> Self:
        """The view of a person."""
        return cls(
            id=person.id,
            addressee_number=person.addressee_number,
            provisional=person.provisional,
            merged_into=person.merged_into,
            registered_at=person.registered_at,
        )
