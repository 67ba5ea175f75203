"""Which version of each procedure folder was told to the other services."""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.db import Aggregate
from town_procedures.base import Base


class PublishedProcedure(Base, Aggregate):
    """手続の公開版."""

    __tablename__ = "published_procedures"

    code: Mapped[str] = mapped_column(Text, unique=True)
    published_version: Mapped[str] = mapped_column(Text)
