"""The declarative base of every table: naming convention, aware times, and the columns of an aggregate."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class UtcDateTime(TypeDecorator[datetime]):
    """``timestamptz`` that refuses naive values and always answers in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse a moment without an offset."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Answer in UTC whatever the session's time zone is."""
        return value.astimezone(UTC) if value is not None else None


class Base(DeclarativeBase):
    """Base of one service's tables; each service derives its own, with its own metadata."""

    __abstract__ = True
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy
        datetime: UtcDateTime,
        UUID: Uuid(as_uuid=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if Base in cls.__bases__ and "metadata" not in cls.__dict__:
            cls.metadata = MetaData(naming_convention=NAMING)
            cls.__abstract__ = True
        super().__init_subclass__(**kwargs)


class Aggregate:
    """Columns of a thing whose changes others hear about.

    ``version`` is the ETag: it moves with each change a person decides on. ``event_sequence`` counts the events
    published about it (1, 2, 3 …); the two are not the same, because bookkeeping never moves the version.
    """

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, default=1)
    event_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
