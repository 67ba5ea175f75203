"""Tables of addressees and of what was known of them before."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.db import Aggregate
from town_standardization.base import Base


class Addressee(Base, Aggregate):
    """宛名. ``history_number`` 履歴番号 counts what was written about her; ``attributes`` is the newest of it.

    ``four_key`` folds 基本4情報 for matching; ``resident`` tells 住民 from 住登外者; ``merged_into`` is 名寄せ, which
    links and never renumbers; ``others_may_not_see`` is 他業務参照不可フラグ.
    """

    __tablename__ = "addressees"

    addressee_number: Mapped[str] = mapped_column(Text, unique=True)
    integrated_number: Mapped[str] = mapped_column(Text, unique=True)
    resident: Mapped[bool]
    person_id: Mapped[UUID | None] = mapped_column(unique=True)
    history_number: Mapped[int]
    attributes: Mapped[dict[str, Any]]
    four_key: Mapped[str | None] = mapped_column(Text)
    merged_into: Mapped[UUID | None] = mapped_column(ForeignKey("addressees.id"))
    others_may_not_see: Mapped[bool] = mapped_column(default=False)
    operated_at: Mapped[datetime]


class AddresseeHistory(Base):
    """履歴: what was known of an addressee at one 履歴番号, kept for ever and searched in matching."""

    __tablename__ = "addressee_histories"

    addressee_id: Mapped[UUID] = mapped_column(ForeignKey("addressees.id"), primary_key=True)
    history_number: Mapped[int] = mapped_column(primary_key=True)
    attributes: Mapped[dict[str, Any]]
    four_key: Mapped[str | None] = mapped_column(Text)
    operator_id: Mapped[str] = mapped_column(Text)
    operated_at: Mapped[datetime]
