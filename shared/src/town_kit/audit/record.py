"""One audit record per request that touches a person's data, and one per refusal.

The record goes in with the work's own transaction and is not chained there: no request waits for the chain. Beside it
its id is put into ``audit_pending``, from where :mod:`town_kit.audit.chain` takes it; a record can thus never be
passed over because a younger one was committed first.

Source: 特定個人情報の適正な取扱いに関するガイドライン（行政機関等編）, 別添1 安全管理措置 (アクセス記録).
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth.principal import Principal
from town_kit.ids import new_id
from town_kit.settings import KEY_BYTES, ServiceSettings

DDL = (
    """CREATE TABLE audit_records (
         id uuid PRIMARY KEY, at timestamptz NOT NULL,
         principal uuid, role text, client_id text,
         purpose text NOT NULL, action text NOT NULL, basis text NOT NULL,
         subjects uuid[] NOT NULL, fields text[] NOT NULL, result text NOT NULL, trace_id text)""",
    "CREATE INDEX audit_records_subjects ON audit_records USING gin (subjects)",
    "CREATE TABLE audit_pending (record_id uuid PRIMARY KEY)",
)
COLUMNS = (
    "id",
    "at",
    "principal",
    "role",
    "client_id",
    "purpose",
    "action",
    "basis",
    "subjects",
    "fields",
    "result",
    "trace_id",
)
# Without RETURNING, because a resident may add a record but not read one.
INSERT_PENDING = "INSERT INTO audit_pending (record_id) VALUES ($1)"
INSERT_RECORD = f"""INSERT INTO audit_records ({", ".join(COLUMNS)})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"""  # noqa: S608 - constants
_INSERT = f"WITH pending AS ({INSERT_PENDING}) {INSERT_RECORD}"
_process_key = secrets.token_bytes(KEY_BYTES)


def audit_row(
    *,
    action: str,
    basis: str,
    purpose: str,
    principal: Principal | None,
    subjects: Iterable[UUID],
    fields: Iterable[str],
    result: str,
    at: datetime,
    trace_id: str | None,
) -> dict[str, Any]:
    """The row of one audit record.

    Args:
        action: what was done, e.g. ``application.accept``.
        basis: the legal basis (根拠法令).
        purpose: the business it was done for (事務).
        principal: who did it; None for a caller nobody knows.
        subjects: the persons whose data was touched.
        fields: which of their data, by name; never values.
        result: ``done`` or ``refused:<slug>``.
        at: when.
        trace_id: the request's trace.
    """
    return {
        "id": new_id(),
        "at": at,
        "principal": principal.id if principal else None,
        "role": principal.role.value if principal else None,
        "client_id": principal.client_id if principal else None,
        "purpose": purpose,
        "action": action,
        "basis": basis,
        "subjects": list(subjects),
        "fields": list(fields),
        "result": result,
        "trace_id": trace_id,
    }


async def insert(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in the session's transaction."""
    connection = await (await session.connection()).get_raw_connection()
    await connection.driver_connection.executemany(  # type: ignore[union-attr]  # asyncpg's, there while the session is
        _INSERT, [[row[name] for name in COLUMNS] for row in rows]
    )


def digest_key(settings: ServiceSettings) -> bytes:
    """The HMAC key of stored digests, 32 bytes.

    Without one in the settings a development process uses a key of its own, which ends with it.

    Raises:
        RuntimeError: the setting is missing in production, or is not base64 of 32 bytes.
    """
    if settings.digest_key is None and settings.environment != "production":
        return _process_key
    return settings.key("digest_key")
