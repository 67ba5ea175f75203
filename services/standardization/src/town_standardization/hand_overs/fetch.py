"""The job that turns accepted applications into standard records: claim → ask → announce → open → write.

No transaction spans a call. A claim is a lease: whoever dies in between leaves the row to be due again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit import telemetry
from town_kit.jp import MyNumber
from town_kit.messaging import outbox
from town_kit.problems import DependencyUnavailable
from town_standardization.adapters import Adapter, AdapterRefused, HandOver, Wrong, persons
from town_standardization.addressees import Described, find_or_number
from town_standardization.hand_overs.describe import attributes_of
from town_standardization.hand_overs.domain import LEASE, State, pause
from town_standardization.hand_overs.models import PendingHandOver
from town_standardization.my_numbers import (
    MyNumberDeposited,
    NumberConflict,
    NumberRefused,
    Opening,
    deposit,
    holder_of,
    note_openings,
)
from town_standardization.ports import Ports
from town_standardization.records import write

log = structlog.get_logger(__name__)
BATCH = 10
OPERATOR = "standard"
PURPOSE = "標準レコードの作成"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A hand-over this process may work on until its lease ends."""

    application_id: UUID
    revision: int
    attempts: int
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known before anything is opened: document, adapter, persons, and the 宛名番号 known of them."""

    document: HandOver
    adapter: Adapter
    people: Mapping[str, UUID]
    known: Mapping[str, str]

    @property
    def sealed(self) -> Mapping[str, str]:
        """The encrypted numbers by pointer."""
        return {held.pointer: held.jwe or "" for held in self.document.my_numbers if held.is_collected}

    def opening(self, *fields: str, subjects: Iterable[UUID] = ()) -> Opening:
        """What the audit says of an opening."""
        return Opening(self.adapter.business_id, self.adapter.legal_basis, PURPOSE, fields, tuple(subjects))


class Held(Exception):
    """A clerk has to look; ``wrong`` says at what."""

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        super().__init__("held")
        self.wrong = tuple(wrong)


async def fetch_batch(ports: Ports) -> int:
    """Work on what is due, at most 10; how many were settled.

    The documents are asked for side by side, because that is waiting; they are opened and written one after the other,
    because two of them may be about one person who has no 宛名番号 yet. Nothing is opened before all neighbours have
    answered and the audit says so.
    """
    due = await _claim(ports)
    answers = await asyncio.gather(*(_ask(ports, claimed) for claimed in due), return_exceptions=True)
    await _announce(ports, [answer for answer in answers if isinstance(answer, Asked)])
    settled = 0
    for claimed, answer in zip(due, answers, strict=True):
        with telemetry.span("hand_overs.fetch", parent=claimed.traceparent):
            settled += await _settle(ports, claimed, answer)
    return settled


async def _claim(ports: Ports) -> list[Claimed]:
    now = ports.clock.now()
    query = (
        select(PendingHandOver)
        .where(PendingHandOver.state == State.WAITING.value, PendingHandOver.due_at <= now)
        .order_by(PendingHandOver.due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    async with ports.database.begin() as session:
        rows = (await session.execute(query)).scalars().all()
        for row in rows:
            row.attempts += 1
            row.due_at = now + LEASE
        return [Claimed(row.id, row.revision, row.attempts, row.traceparent) for row in rows]


async def _ask(ports: Ports, claimed: Claimed) -> Asked | None:
    """What procedures and identity say, or None where there is no such application any more.

    Raises:
        Held: what procedures gives cannot be used.
        DependencyUnavailable: one of them does not answer.
    """
    found = await ports.applications.hand_over(claimed.application_id)
    if found is None:
        return None
    try:
        document = HandOver.model_validate(found)
    except ValidationError:
        raise Held([Wrong("", "document", "引渡しの内容を読めません。システム担当に連絡してください。")]) from None
    adapter = ports.adapters.named(document.adapter, document.business_id)
    if adapter is None:
        raise Held(
            [Wrong("", "no-adapter", "この業務のアダプターが使われていません。システム担当に連絡してください。")]
        )
    people = {party.pointer: party.person_id for party in document.parties if party.pointer and party.person_id}
    wanted = {pointer: person for pointer, person in people.items() if pointer in persons(document)}
    known = {pointer: await ports.persons.addressee_number(person) for pointer, person in wanted.items()}
    return Asked(document, adapter, wanted, {p: number for p, number in known.items() if number})


async def _announce(ports: Ports, asked: Sequence[Asked]) -> None:
    """Commit that these numbers are about to be opened: application, places, and the persons known so far."""
    openings = [
        one.opening(str(one.document.application_id), *one.sealed, subjects=dict.fromkeys(one.people.values()))
        for one in asked
        if one.sealed
    ]
    if openings:
        async with ports.database.begin() as session:
            at = ports.clock.now()
            await note_openings(session, openings, principal=ports.principal, at=at, result="begun")


async def _settle(ports: Ports, claimed: Claimed, answer: Asked | BaseException | None) -> int:
    try:
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            await _close(ports, claimed, State.DROPPED, ())
        else:
            await _write(ports, claimed, answer, _open(ports, answer))
    except DependencyUnavailable:
        await _postpone(ports, claimed)
        return 0
    except Held as held:
        await _close(ports, claimed, State.HELD, held.wrong)
    except AdapterRefused as refused:
        await _close(ports, claimed, State.HELD, refused.wrong)
    except NumberConflict:
        wrong = Wrong("my_number", "conflict", "個人番号と宛名番号の対応が一致しません。宛名を確認してください。")
        await _close(ports, claimed, State.HELD, [wrong])
    return 1


def _open(ports: Ports, asked: Asked) -> Mapping[str, MyNumber]:
    """The numbers by pointer.

    Raises:
        Held: one of them does not open.
    """
    numbers = {}
    for pointer, jwe in asked.sealed.items():
        try:
            numbers[pointer] = ports.vault.open(jwe)
        except NumberRefused:
            wrong = Wrong(pointer, "sealed", "個人番号を開けません。申請者に確認してください。")
            raise Held([wrong]) from None
    return numbers


async def _write(ports: Ports, claimed: Claimed, asked: Asked, numbers: Mapping[str, MyNumber]) -> None:
    now, document, adapter = ports.clock.now(), asked.document, asked.adapter
    async with ports.database.begin() as session:
        pending = await _still_ours(session, claimed)
        if pending is None:
            return
        addressees, subjects, references = {}, {}, {}
        for place in persons(document):
            pointer, number = _number_of(numbers, place)
            addressee = await find_or_number(
                session,
                Described(
                    person_id=asked.people.get(place),
                    addressee_number=asked.known.get(place),
                    holder=await holder_of(session, ports.vault, number) if number else None,
                    attributes=attributes_of(document.answers, place),
                ),
                policy=ports.numbering,
                operator_id=OPERATOR,
                at=now,
            )
            addressees[place] = addressee.addressee_number
            subjects[place] = addressee.person_id or addressee.id
            if pointer and number:
                reference = await deposit(
                    session,
                    ports.vault,
                    number,
                    addressee_id=addressee.id,
                    business_id=adapter.business_id,
                    legal_basis=adapter.legal_basis,
                    at=now,
                )
                references[pointer] = str(reference)
        record = adapter.prepare(document, addressees)
        await write(
            session,
            business_id=adapter.business_id,
            key=document.reference,
            application_id=document.application_id,
            decided_by=document.decided_by,
            subjects=list(subjects.values()),
            content=record.values,
            at=now,
        )
        if references:
            event = MyNumberDeposited(
                application_id=document.application_id, revision=document.revision, references=references
            )
            outbox.add(session, event, pending)
        openings = [asked.opening(pointer, subjects=_whose(pointer, subjects)) for pointer in numbers]
        await note_openings(session, openings, principal=ports.principal, at=now)
        pending.state, pending.wrong = State.DONE.value, []


def _whose(pointer: str, subjects: Mapping[str, UUID]) -> list[UUID]:
    """The person a number stands with."""
    owner = subjects.get(pointer.rsplit("/", 1)[0])
    return [owner] if owner else []


def _number_of(numbers: Mapping[str, MyNumber], place: str) -> tuple[str | None, MyNumber | None]:
    """Pointer and number of the person at a place of the answers."""
    for pointer, number in numbers.items():
        if pointer.rsplit("/", 1)[0] == place:
            return pointer, number
    return None, None


async def _close(ports: Ports, claimed: Claimed, state: State, wrong: Sequence[Wrong]) -> None:
    """Hold or drop."""
    async with ports.database.begin() as session:
        pending = await _still_ours(session, claimed)
        if pending is None:
            return
        pending.state = state.value
        pending.wrong = [{"field": one.field, "code": one.code, "message": one.message} for one in wrong]
    log.info("hand_over_settled", application_id=str(claimed.application_id), state=state.value, wrong=len(wrong))


async def _postpone(ports: Ports, claimed: Claimed) -> None:
    async with ports.database.begin() as session:
        pending = await _still_ours(session, claimed)
        if pending is not None:
            pending.due_at = ports.clock.now() + max(pause(claimed.attempts), timedelta(seconds=1))


async def _still_ours(session: AsyncSession, claimed: Claimed) -> PendingHandOver | None:
    """The row, locked, unless somebody settled it or it changed meanwhile."""
    query = select(PendingHandOver).where(PendingHandOver.id == claimed.application_id).with_for_update()
    row = (await session.execute(query)).scalar_one()
    return row if row.state == State.WAITING and row.revision == claimed.revision else None
