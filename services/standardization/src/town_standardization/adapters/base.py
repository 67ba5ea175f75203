"""What every adapter is: hand-over document in, standard record out; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from town_standardization.adapters.files import FileLayout
from town_standardization.adapters.items import Group


@dataclass(frozen=True, slots=True)
class Wrong:
    """What keeps a record from being made: the item's field, a stable code, a sentence for a clerk. Never the value."""

    field: str
    code: str
    message: str


class AdapterRefused(Exception):
    """An application does not give a whole record; a clerk has to look. ``wrong`` says where."""

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        super().__init__("no whole record")
        self.wrong = tuple(wrong)


class Party(BaseModel):
    """当事者 of an application; ``pointer`` says where the answers describe the person."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    person_id: UUID | None = None
    pointer: str | None = None


class HeldNumber(BaseModel):
    """A 個人番号 as procedures holds it: still encrypted to the vault, or already its reference.

    With the role ``free_text`` it is a text in which somebody wrote a number where none belongs: it is not collected.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pointer: str
    role: str = ""
    jwe: str | None = None
    reference: UUID | None = None

    @property
    def is_collected(self) -> bool:
        """Whether the vault takes it: a number in its own field, not yet taken."""
        return self.jwe is not None and self.role != "free_text"


class HandOver(BaseModel):
    """引渡し: an accepted application as procedures gives it; ``revision`` counts its contents."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    application_id: UUID
    revision: int = 1
    reference: str
    receipt_number: str | None = None
    procedure_code: str
    business_id: str
    adapter: str
    decided_by: str = "core"
    mapping: dict[str, Any]
    received_at: datetime
    parties: tuple[Party, ...]
    answers: dict[str, Any]
    my_numbers: tuple[HeldNumber, ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedRecord:
    """標準レコード: one value for each item, and one list for each repeated group."""

    values: Mapping[str, Any]


class Adapter(Protocol):
    """One business.

    Attributes:
        name: as procedure folders name it; also the adapter's folder.
        business_id: 業務ID, three digits.
        api_call: APIコール名 of its records; part of the scopes.
        legal_basis: on what the business uses a 個人番号 (番号法 第9条・別表).
        groups: the items, the main group first.
        file: layout of its files.
    """

    name: str
    business_id: str
    api_call: str
    legal_basis: str
    groups: tuple[Group, ...]
    file: FileLayout

    def prepare(self, hand_over: HandOver, addressees: Mapping[str, str]) -> PreparedRecord:
        """The standard record of an application.

        Args:
            hand_over: what procedures gives.
            addressees: pointer of each person in the answers → her 宛名番号.

        Raises:
            AdapterRefused: a required item is missing or a value does not fit its item.
        """
        ...
