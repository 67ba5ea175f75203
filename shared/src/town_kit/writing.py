"""The last statement of a request: events, audit record and stored answer go in together, then COMMIT follows.

One round trip instead of three. The statement runs on the driver's connection inside the transaction the session
already began; a failure undoes the whole request.
"""

import json
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Table
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
    """Write what the request leaves behind; called by the route when the use case has ended well.

    New rows of tables marked ``__append_only__`` go in with the rest: they have all their values and nothing waits
    for them.
    """
    appended = [thing for thing in session.new if getattr(type(thing), "__append_only__", False)]
    for thing in appended:
        session.expunge(thing)
    await session.flush()
    parts: list[tuple[tuple[str, ...], tuple[Any, ...]]] = [
        ((_append(type(thing).__table__),), _append_values(thing)) for thing in appended
    ]
    if events := outbox.take(session.info):
        parts.append(((outbox.INSERT,), events))
    if audit := _audit_values(session, now):
        parts.append(((record.INSERT_PENDING, record.INSERT_RECORD), audit))
    if answer := _answer_values(now, response):
        parts.append(((_ANSWER,), answer))
    if parts:
        connection = await session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        statement = _statement(tuple((statements, len(values)) for statements, values in parts))
        await driver.execute(statement, *(value for _, values in parts for value in values))


@lru_cache(maxsize=256)
def _statement(parts: tuple[tuple[tuple[str, ...], int], ...]) -> str:
    """One statement of several inserts; each part's parameters follow those of the part before it."""
    shifted: list[str] = []
    taken = 0
    for statements, count in parts:
        shifted += [_shifted(statement, taken) for statement in statements]
        taken += count
    named = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(shifted))
    return f"WITH {named} SELECT 1"


@cache
def _append(table: Table) -> str:
    """The insert of one row of an append-only table; every column is given, no default is applied."""
    columns = ", ".join(column.name for column in table.columns)
    places = ", ".join(f"${number}" for number in range(1, len(table.columns) + 1))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({places})"  # noqa: S608 - names from our own models


def _append_values(thing: Any) -> tuple[Any, ...]:
    return tuple(getattr(thing, column.name) for column in type(thing).__table__.columns)


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
