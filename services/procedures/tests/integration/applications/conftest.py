"""Applications led to a state by real moves, one transaction each, through the table alone."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from town_kit.ids import new_id
from town_procedures.applications import service, submit
from town_procedures.applications.domain import TRANSITIONS, Actor, Channel, PartyRole, State
from town_procedures.applications.models import Application
from town_procedures.applications.signer import Holder, SignatureFacts

OFFICER = Actor("staff", new_id())
UNKNOWN_REVOCATION = SignatureFacts(
    person_id=new_id(),
    issuer="0" * 64,
    serial_reference=str(new_id()),
    generation="test",
    revocation="unknown",
    revoked_later=False,
    checked_at="2027-01-12T01:00:00+00:00",
    birth=date(1987, 5, 14),
    name_substitutes="00000",
    address_substitutes="",
    holder=Holder("能登　花子", "female", ""),
)


@dataclass
class Moves:
    """Leads applications through the table."""

    api: Any

    def way_to(self, state: State | None) -> list[State]:
        """The fewest moves from nothing to a state."""
        ways: dict[State | None, list[State]] = {None: []}
        ahead: deque[State | None] = deque([None])
        while state not in ways:
            here = ahead.popleft()
            for current, to in TRANSITIONS:
                if current is here and to not in ways:
                    ways[to] = [*ways[here], to]
                    ahead.append(to)
        return ways[state]

    async def filed(self, state: State, code: str = "LC-01") -> UUID:
        """An application as a door leaves it."""
        ports, now = self.api.service.extras["ports"], self.api.clock.now()
        procedure = ports.catalogue[code]
        answers, _ = submit.seal_numbers(procedure, self.api.sample(code), ports.vault)
        submission = submit.Submission(
            procedure=procedure,
            answers=answers,
            my_numbers=(),
            parties=[submit.Party(PartyRole.APPLICANT, self.api.resident_id)],
            channel=Channel.COUNTER,
            source="counter",
            receipt_no=None,
            received_at=now,
            documents=(),
            signature=UNKNOWN_REVOCATION if state is State.PENDING_VERIFICATION else None,
            content_digest=b"d" * 32,
            filed_by=self.api.officer_id,
            actor_role="staff",
        )
        async with self.api.service.database.begin() as session:
            application = await submit.record(session, submission, now=now, calendar=ports.calendar)
        assert application.state == state
        made: UUID = application.id
        return made

    async def make(
        self, application_id: UUID, to: State, *, by: Actor = OFFICER, reason_code: str | None = "incomplete"
    ) -> Application:
        """One move, as a use case makes it."""
        calendar, at = self.api.service.extras["ports"].calendar, self.api.clock.now()
        async with self.api.service.database.begin() as session:
            query = select(Application).where(Application.id == application_id).with_for_update()
            application: Application = (await session.execute(query)).scalar_one()
            await service.advance(session, application, to, at=at, by=by, calendar=calendar, reason_code=reason_code)
        return application

    async def walk(self, way: Sequence[State], code: str = "LC-01") -> UUID:
        """An application that has gone a way, from its filing on."""
        application_id = await self.filed(way[0], code)
        for to in way[1:]:
            await self.make(application_id, to)
        return application_id


@pytest.fixture
def moves(api: Any) -> Moves:
    return Moves(api)
