"""The last statement of a request: events, audit record and stored answer go in together, then COMMIT follows.

One round trip instead of three. The statement runs on the driver's connection inside the transaction the session
already began; a failure undoes the whole request.
"""

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from town_kit import telemetry
from town_kit.audit import record
from town_kit.idempotency import KEEP, kept_headers
from town_kit.messaging import outbox

if TYPE_CHECKING:
    from town_kit.routing import Handling

_ANSWER = """INSERT INTO idempotency_keys (scope_hash, principal, fingerprint, status, headers, body, stored_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""


async def finish(session: AsyncSession, request: Request, now: "Handling", response: Response) -> None:
    """Write what the request leaves behind; called by the route when the use case has ended well."""
    await session.flush()
    await outbox.flush_pending(session)
    connection = await _driver(session)
    at = now.runtime.clock.now()
    if now.policy.audit is not None:
        row = record.audit_row(
            action=now.policy.audit.action,
            basis=now.policy.audit.basis,
            purpose=now.policy.audit.purpose,
            principal=now.principal,
            subjects=sorted(session.info.get("audit_subjects", ()), key=str),
            fields=sorted(session.info.get("audit_fields", ())),
            result="done",
            at=at,
            trace_id=telemetry.current_trace_id(),
        )
        await record.insert_raw(connection, row)
    if now.claim is not None and 200 <= response.status_code < 300:
        await connection.execute(
            _ANSWER,
            now.claim.scope_hash,
            now.principal.id if now.principal else None,
            now.claim.fingerprint,
            response.status_code,
            json.dumps(kept_headers(response)),
            bytes(response.body),
            at,
            at + KEEP,
        )


async def _driver(session: AsyncSession) -> Any:
    """The asyncpg connection under the session, in whose transaction we are."""
    connection = await session.connection()
    return (await connection.get_raw_connection()).driver_connection


def touch(
    session: AsyncSession, *, subjects: "set[UUID] | list[UUID] | tuple[UUID, ...]", fields: tuple[str, ...] = ()
) -> None:
    """Name the persons and fields a use case has read or changed; they stand in the request's audit record."""
    session.info.setdefault("audit_subjects", set()).update(subjects)
    session.info.setdefault("audit_fields", set()).update(fields)
