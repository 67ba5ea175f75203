"""Keyset pages: a cursor names the last row seen, so a list never skips, repeats or counts."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from town_kit.problems import FieldError, ValidationFailed

DEFAULT_LIMIT = 50
_BIGINT = 2**63
Limit = Annotated[int, Query(ge=1, le=100, description="1ページの件数")]
Cursor = Annotated[str | None, Query(max_length=400, description="前のページの next_cursor")]


def encode(values: Sequence[datetime | UUID | int | str]) -> str:
    """An opaque cursor for the sort values of the last row of a page."""
    plain = [v.isoformat() if isinstance(v, datetime) else str(v) if isinstance(v, UUID) else v for v in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def decode(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The sort values in a cursor, read as ``types`` (datetime, UUID, int or str); None for the first page.

    Raises:
        ValidationFailed: the cursor was not made by :func:`encode` for this list.
    """
    if cursor is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(_read(value, kind) for value, kind in zip(values, types, strict=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise ValidationFailed(
            "一覧を最初から読み直してください。",
            errors=[FieldError("/cursor", "cursor", "このカーソルは使えません。")],
        ) from None


def _read(value: Any, kind: type) -> Any:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        return _read_text(value, kind)
    if kind is not int or not isinstance(value, int) or abs(value) >= _BIGINT:
        raise TypeError
    return value


def _read_text(value: str, kind: type) -> Any:
    """A moment with an offset, an id, or text that PostgreSQL has a value for: no NUL, no half a character."""
    if kind is UUID:
        return UUID(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not 1 < moment.year < 9999:  # at either end another offset has no date
            raise ValueError
        return moment
    if kind is not str or b"\x00" in value.encode():
        raise ValueError
    return value
