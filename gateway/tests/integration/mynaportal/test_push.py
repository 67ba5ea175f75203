"""Statuses are carried out in order, sent before they are marked, and a repeat is known as one."""

from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from sqlalchemy import text

from town_gateway.mynaportal import repository
from town_gateway.mynaportal.statuses import READERS, status_consumer
from town_kit.ids import new_id
from town_kit.messaging.event import Received

PACKAGE = b"PK\x03\x04 package"
AT = datetime.fromisoformat("2027-01-05T10:00:00+09:00")


async def hear(connected: Any, fact: str, receipt_no: str | None, sequence: int) -> None:
    """Run the consumer's handler of one event, in a transaction as the worker does."""
    consumer = status_consumer(connected.client.profile.statuses, connected.clock)
    reader = READERS[fact]
    data = reader(application_id=new_id(), receipt_no=receipt_no, status_sequence=sequence)
    event = Received(data=data, key=new_id(), sequence=sequence, id=new_id(), occurred_at=AT, traceparent=None)
    async with connected.database.begin() as session:
        await consumer.handlers[reader](session, event)


async def arrived(connected: Any) -> str:
    receipt_no = await connected.files(PACKAGE)
    await connected.poller.poll()
    await connected.poller.carry()
    return str(receipt_no)


async def settlements(connected: Any) -> list[tuple[int, str | None]]:
    async with connected.database.begin() as session:
        found = await session.execute(text("SELECT sequence, settlement FROM portal_statuses ORDER BY sequence"))
        return [(row.sequence, row.settlement) for row in found]


def told(connected: Any, kind: str = "status") -> list[tuple[int, str]]:
    return [(entry["sequence"], entry["code"]) for entry in connected.ledger(kind)]


async def test_statuses_reach_the_portal_in_order_and_in_its_codes(connected: Any) -> None:
    receipt_no = await arrived(connected)
    for sequence, fact in enumerate(("accepted", "review_started", "approved"), 1):
        await hear(connected, fact, receipt_no, sequence)

    pushed = [await connected.pusher.push() for _ in range(4)]

    assert pushed == [1, 1, 1, 0]
    assert told(connected) == [(0, "10"), (1, "20"), (2, "30"), (3, "60")]
    assert connected.ledger("status")[1]["occurred_at"] == "2027-01-05T10:00:00.000+09:00"


async def test_a_status_is_marked_only_after_the_portal_has_it(connected: Any) -> None:
    receipt_no = await arrived(connected)
    await hear(connected, "accepted", receipt_no, 1)
    await connected.fault("refuse", path="/jokyo")

    assert await connected.pusher.push() == 0
    assert await settlements(connected) == [(1, None)]
    connected.clock.advance(timedelta(minutes=20))
    assert await connected.pusher.push() == 1
    assert await settlements(connected) == [(1, "sent")]


async def test_a_lost_answer_repeats_the_same_status_and_never_another(connected: Any) -> None:
    receipt_no = await arrived(connected)
    await hear(connected, "accepted", receipt_no, 1)
    await connected.fault("drop_reply", path="/jokyo")

    await connected.pusher.push()
    connected.clock.advance(timedelta(minutes=20))
    await connected.pusher.push()

    assert told(connected, "status")[1:] == [(1, "20")]
    assert told(connected, "status_repeated") == [(1, "20")]
    assert told(connected, "status_conflict") == []


async def test_the_same_event_twice_is_one_status(connected: Any) -> None:
    receipt_no = await arrived(connected)
    await hear(connected, "accepted", receipt_no, 1)
    await hear(connected, "accepted", receipt_no, 1)

    assert await connected.pusher.push() == 1
    assert await connected.pusher.push() == 0


async def test_a_status_waits_until_the_portal_knows_the_application_arrived(connected: Any) -> None:
    receipt_no = await connected.files(PACKAGE)
    await connected.poller.poll()
    await hear(connected, "accepted", receipt_no, 1)

    assert await connected.pusher.push() == 0
    await connected.poller.carry()
    assert await connected.pusher.push() == 1
    assert [entry["late"] for entry in connected.ledger("status")] == [False, False]


async def test_what_the_portal_will_never_take_is_put_aside_and_the_next_goes_on(connected: Any) -> None:
    await hear(connected, "accepted", "unknown-number", 1)
    await hear(connected, "approved", "unknown-number", 2)

    assert [await connected.pusher.push() for _ in range(3)] == [1, 1, 0]
    assert await settlements(connected) == [(1, "refused:404"), (2, "refused:404")]


async def test_an_application_from_another_channel_is_not_told(connected: Any) -> None:
    await hear(connected, "accepted", None, 1)

    assert await settlements(connected) == []


async def test_the_id_of_a_status_follows_from_receipt_number_and_sequence(connected: Any) -> None:
    receipt_no = await arrived(connected)
    await hear(connected, "accepted", receipt_no, 1)
    async with connected.database.begin() as session:
        status_id = (await session.execute(text("SELECT id FROM portal_statuses"))).scalar_one()

    assert status_id == uuid5(uuid5(NAMESPACE_URL, "urn:town:connector:status"), f"{receipt_no}:1")


@pytest.mark.runbook("connector / マイナポータル")
async def test_what_did_not_reach_its_other_side_can_be_listed(connected: Any) -> None:
    receipt_no = await connected.files(PACKAGE)
    await connected.poller.poll()
    await hear(connected, "accepted", "unknown-number", 1)
    await connected.pusher.push()

    async with connected.database.begin() as session:
        rows = await repository.waiting(session)

    found = {(row.kind, row.receipt_no, row.settlement) for row in rows}
    assert found == {("application", receipt_no, None), ("status 1", "unknown-number", "refused:404")}
    await connected.poller.carry()
    async with connected.database.begin() as session:
        assert [row.kind for row in await repository.waiting(session)] == ["status 1"]
