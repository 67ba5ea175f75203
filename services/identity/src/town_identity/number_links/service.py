"""Use cases of the 番号紐付 file: preview says what applying would do; applying does it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity import persons, resident_sessions
from town_identity.number_links.models import NumberLink
from town_identity.number_links.read import LineError, LinkRow, first_of_each
from town_identity.persons import CertificateSerial, Person
from town_identity.sealing import Sealer
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.problems import NotFound, PreconditionFailed, StateConflict

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('number-links', 7461))")
BATCH = 1000
LISTED_ERRORS = 200


@dataclass(slots=True)
class Summary:
    """What a file does: counts, and the lines that cannot be used."""

    lines: int = 0
    persons_registered: int = 0
    persons_named: int = 0
    persons_linked: int = 0
    certificates_added: int = 0
    unchanged: int = 0
    errors: int = 0
    listed_errors: list[dict[str, object]] | None = None


async def apply_rows(
    session: AsyncSession, sealer: Sealer, rows: Sequence[LinkRow], errors: Sequence[LineError], at: datetime
) -> Summary:
    """Make persons and certificates say what the rows say.

    A certificate unknown so far is added to the person of its 宛名番号. One that was used before belongs to a
    provisional person: if the number has no person yet the provisional one gets it, else she is linked to that person.
    """
    await session.execute(_ONE_AT_A_TIME)
    found = list(errors)
    summary = Summary(lines=len(rows) + len(errors))
    wanted = first_of_each(rows)
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        by_number = await _persons(session, {row.addressee_number for row in batch})
        by_digest = await _certificates(session, [_digest(sealer, row) for row in batch])
        holders = await _holders(session, by_digest.values())
        for row in batch:
            error = await _apply(session, sealer, row, by_number, by_digest, holders, summary, at)
            found.extend([error] if error else [])
        await session.flush()  # persons first: certificates point to them
        session.add_all(by_digest.values())
        await session.flush()
    summary.errors = len(found)
    summary.listed_errors = [{"line": e.line, "code": e.code} for e in found[:LISTED_ERRORS]]
    return summary


class _UndoneError(Exception):
    """Takes back a trial."""


async def try_out(
    database: Database, sealer: Sealer, rows: Sequence[LinkRow], errors: Sequence[LineError], at: datetime
) -> Summary:
    """What applying would do, found out by doing it in a transaction that is taken back, events and all."""
    summary = Summary()
    with suppress(_UndoneError):
        async with database.begin() as session:
            summary = await apply_rows(session, sealer, rows, errors, at)
            await session.flush()
            raise _UndoneError
    return summary


async def _apply(
    session: AsyncSession,
    sealer: Sealer,
    row: LinkRow,
    by_number: dict[str, Person],
    by_digest: dict[bytes, CertificateSerial],
    holders: dict[UUID, Person],
    summary: Summary,
    at: datetime,
) -> LineError | None:
    person = by_number.get(row.addressee_number)
    certificate = by_digest.get(_digest(sealer, row))
    if certificate is None:
        if person is None:
            person = persons.register(session, at, row.addressee_number)
            by_number[row.addressee_number] = holders[person.id] = person
            summary.persons_registered += 1
        by_digest[_digest(sealer, row)] = _new(sealer, row, person, at)
        summary.certificates_added += 1
        return None
    holder = holders[certificate.person_id]
    if holder is person:
        summary.unchanged += 1
    elif not holder.provisional:
        return LineError(row.line, "other-person")
    elif person is None:
        persons.give_number(session, holder, row.addressee_number)
        by_number[row.addressee_number] = holder
        summary.persons_named += 1
    else:
        holders[person.id] = person
        await persons.merge(session, holder, person)
        await resident_sessions.follow_merge(session, holder.id, person.id)
        for other in by_digest.values():
            if other.person_id == holder.id:
                other.person_id = person.id
        summary.persons_linked += 1
    certificate.linked_at = certificate.linked_at or at
    certificate.valid_from, certificate.valid_until = row.valid_from, row.valid_until
    return None


async def preview(session: AsyncSession, found: NumberLink, summary: Summary) -> None:
    """Keep a file with what it would do."""
    found.summary = _plain(summary)
    session.add(found)
    await session.flush()


def new_import(content_sealed: bytes, import_id: UUID, by: UUID, at: datetime) -> NumberLink:
    """An import that waits for its application."""
    return NumberLink(
        id=import_id,
        version=1,
        state="previewed",
        uploaded_by=by,
        uploaded_at=at,
        applied_by=None,
        applied_at=None,
        summary={},
        content_sealed=content_sealed,
    )


async def locked(session: AsyncSession, import_id: UUID, expected_version: int) -> NumberLink:
    """An import to apply.

    Raises:
        NotFound: there is none.
        PreconditionFailed: it has another version.
        StateConflict: it was applied before.
    """
    query = select(NumberLink).where(NumberLink.id == import_id).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("取込みが見つかりません。識別子を確認してください。")
    if found.content_sealed is None:
        raise StateConflict("この取込みは適用済みです。新しいファイルは新しい取込みにしてください。")
    if found.version != expected_version:
        raise PreconditionFailed("画面を読み直してから適用してください。")
    return found


def applied(found: NumberLink, summary: Summary, by: UUID, at: datetime) -> None:
    """The file was applied: it is no longer kept."""
    found.summary = _plain(summary)
    found.state, found.applied_by, found.applied_at = "applied", by, at
    found.content_sealed = None
    found.version += 1


def new_import_id() -> UUID:
    """The id an import will have; its file is sealed under it."""
    return new_id()


def _plain(summary: Summary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in Summary.__slots__}


def _digest(sealer: Sealer, row: LinkRow) -> bytes:
    return persons.serial_digest(sealer, row.issuer, row.serial)


async def _persons(session: AsyncSession, numbers: set[str]) -> dict[str, Person]:
    query = select(Person).where(Person.addressee_number.in_(numbers)).order_by(Person.id).with_for_update()
    return {p.addressee_number: p for p in (await session.execute(query)).scalars() if p.addressee_number}


async def _certificates(session: AsyncSession, digests: list[bytes]) -> dict[bytes, CertificateSerial]:
    query = select(CertificateSerial).where(CertificateSerial.serial_digest.in_(digests))
    found = (await session.execute(query.order_by(CertificateSerial.id).with_for_update())).scalars()
    return {bytes(c.serial_digest): c for c in found}


async def _holders(session: AsyncSession, certificates: Iterable[CertificateSerial]) -> dict[UUID, Person]:
    query = select(Person).where(Person.id.in_({c.person_id for c in certificates})).order_by(Person.id)
    return {p.id: p for p in (await session.execute(query.with_for_update())).scalars()}


def _new(sealer: Sealer, row: LinkRow, person: Person, at: datetime) -> CertificateSerial:
    digest = _digest(sealer, row)
    return CertificateSerial(
        id=new_id(),
        person_id=person.id,
        issuer=row.issuer,
        generation=row.generation,
        purpose=row.purpose.value,
        serial_digest=digest,
        serial_sealed=persons.seal_serial(sealer, digest, row.serial),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        first_used_at=None,
        linked_at=at,
    )
