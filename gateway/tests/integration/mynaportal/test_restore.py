"""D-42: the portal is not told again what it was told before a restore, and what differs has a name."""

from datetime import datetime
from typing import Any

import asyncpg
import pytest

from town_gateway.mynaportal import repository
from town_gateway.mynaportal.restoring import missing, recognise
from town_gateway.mynaportal.statuses import READERS, status_consumer
from town_kit.ids import new_id
from town_kit.messaging.event import Received
from town_kit.messaging.notify import plain_dsn

pytestmark = pytest.mark.case("D-42")
PACKAGE = b"PK\x03\x04 package"
BEFORE = datetime.fromisoformat("2027-01-04T15:00:00+09:00")
AFTER = datetime.fromisoformat("2027-01-05T10:00:00+09:00")


async def hear(connected: Any, fact: str, receipt_no: str, sequence: int, at: datetime) -> None:
    consumer = status_consumer(connected.client.profile.statuses, connected.clock)
    reader = READERS[fact]
    data = reader(application_id=new_id(), receipt_no=receipt_no, status_sequence=sequence)
    event = Received(data=data, key=new_id(), sequence=sequence, id=new_id(), occurred_at=at, traceparent=None)
    async with connected.database.begin() as session:
        await consumer.handlers[reader](session, event)


def as_listed(connected: Any) -> dict[str, Any]:
    """The portal's own lists."""
    return {
        "portal-applications": [{"receipt_no": one["receipt_no"]} for one in connected.ledger("application")],
        "portal-statuses": list(connected.ledger("status")),
    }


async def lived_and_lost(connected: Any, *facts: str) -> str:
    """An application whose statuses reached the portal after the backup, and a database from before it."""
    receipt_no = str(await connected.files(PACKAGE))
    await connected.poller.poll()
    await connected.poller.carry()
    for sequence, fact in enumerate(facts, 2):
        await hear(connected, fact, receipt_no, sequence, BEFORE)
        await connected.pusher.push()
    owner = await asyncpg.connect(plain_dsn(connected.database.url).replace("_app:", "_owner:"))
    await owner.execute("SELECT set_config('town.role', 'service', false)")
    await owner.execute("DELETE FROM portal_statuses; DELETE FROM portal_applications; DELETE FROM portals")
    await owner.close()
    return receipt_no


async def found(connected: Any) -> list[tuple[str, str]]:
    async with connected.database.begin() as session:
        return [(one.kind, one.name) for one in await missing(session, as_listed(connected))]


async def recognised(connected: Any) -> int:
    async with connected.database.begin() as session:
        return await recognise(session, as_listed(connected))


async def test_what_the_portal_was_told_before_is_not_told_again(connected: Any) -> None:
    receipt_no = await lived_and_lost(connected, "accepted", "approved")
    assert await recognised(connected) == 2
    assert await recognised(connected) == 0
    assert await found(connected) == [
        ("portal-application", receipt_no),
        ("portal-status", f"{receipt_no} の 2 番"),
        ("portal-status", f"{receipt_no} の 3 番"),
    ]

    while await connected.poller.poll():
        await connected.poller.carry()
    for sequence, fact in enumerate(("accepted", "approved"), 2):
        await hear(connected, fact, receipt_no, sequence, AFTER)
    while await connected.pusher.push():
        pass

    assert [one["sequence"] for one in connected.ledger("status")] == [0, 2, 3]
    assert connected.ledger("status_conflict") == []
    assert [one["sequence"] for one in connected.ledger("status_repeated")] == [0]
    assert await found(connected) == []


async def test_another_decision_than_the_portal_shows_is_named_for_a_person(connected: Any) -> None:
    receipt_no = await lived_and_lost(connected, "accepted", "approved")
    await recognised(connected)
    while await connected.poller.poll():
        await connected.poller.carry()
    await hear(connected, "accepted", receipt_no, 2, AFTER)
    await hear(connected, "rejected", receipt_no, 3, AFTER)

    assert await connected.pusher.push() == 0
    assert await found(connected) == [("portal-status", f"{receipt_no} の 3 番")]
    async with connected.database.begin() as session:
        assert [row.settlement for row in await repository.waiting(session)] == ["told-otherwise:70"]


async def test_a_status_that_waited_in_the_backup_and_arrived_since_is_not_sent(connected: Any) -> None:
    receipt_no = await lived_and_lost(connected, "accepted")
    while await connected.poller.poll():
        await connected.poller.carry()
    await hear(connected, "accepted", receipt_no, 2, BEFORE)
    assert await recognised(connected) == 1
    assert await connected.pusher.push() == 0
    assert connected.ledger("status_repeated")[1:] == []
