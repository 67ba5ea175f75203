"""The last statement of a request: events, audit record and stored answer go in together, then COMMIT follows.

One round trip instead of three. The statement runs on the driver's connection inside the transaction the session
already began; a failure undoes the whole request.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from town_kit import telemetry
from town_kit.audit import record
from town_kit.idempotency import KEEP, kept_headers
from town_kit.messaging import outbox

if TYPE_CHECKING:
    from town_kit.routing import Handling

_ANSWER = """INSERT INTO idempotency_keys
  (scope_hash, principal, fingerprint, status, headers, body, stored_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""


async def finish(session: AsyncSession, now: "Handling", response: Response) -> None:
    """Write what the request leaves behind; called by the route when the use case has ended well."""
    await session.flush()
    events = outbox.take(session.info)
    audit = _audit_values(session, now)
    answer = _answer_values(now, response)
    if events or audit or answer:
        connection = await session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute(_statement(bool(events), bool(audit), bool(answer)), *events, *audit, *answer)


@cache
def _statement(events: bool, audit: bool, answer: bool) -> str:
    """One statement of several inserts; each part's parameters follow those of the part before it."""
    parts: list[str] = []
    taken = 0
    for wanted, statements, count in (
        (events, (outbox.INSERT,), 9),
        (audit, (record.INSERT_PENDING, record.INSERT_RECORD), len(record.COLUMNS)),
        (answer, (_ANSWER,), 8),
    ):
        if wanted:
            parts += [_shifted(statement, taken) for statement in statements]
            taken += count
    named = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts))
    return f"WITH {named} SELECT 1"


def _shifted(statement: str, by: int) -> str:
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + by}", statement)


def _audit_values(session: AsyncSession, now: "Handling") -> tuple[Any, ...]:
    if now.policy.audit is None:
        return ()
    row = record.audit_row(
        action=now.policy.audit.action,
        basis=now.policy.audit.basis,
        purpose=now.policy.audit.purpose,
        principal=now.principal,
        subjects=sorted(session.info.get("audit_subjects", ()), key=str),
        fields=sorted(session.info.get("audit_fields", ())),
        result="done",
        at=now.runtime.clock.now(),
        trace_id=telemetry.current_trace_id(),
    )
    return tuple(row[name] for name in record.COLUMNS)


def _answer_values(now: "Handling", response: Response) -> tuple[Any, ...]:
    if now.claim is None or not 200 <= response.status_code < 300:
        return ()
    at = now.runtime.clock.now()
    return (
        now.claim.scope_hash,
        now.principal.id if now.principal else None,
        now.claim.fingerprint,
        response.status_code,
        json.dumps(kept_headers(response)),
        bytes(response.body),
        at,
        at + KEEP,
    )


def touch(session: AsyncSession, *, subjects: Iterable[UUID], fields: Iterable[str] = ()) -> None:
    """Name the persons and fields a use case has read or changed; they stand in the request's audit record."""
    session.info.setdefault("audit_subjects", set()).update(subjects)
    session.info.setdefault("audit_fields", set()).update(fields)
