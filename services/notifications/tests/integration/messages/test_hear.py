"""From a neighbour's event in the log to the phone, with the worker as it really runs."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from town_kit.clock import SystemClock
from town_kit.ids import new_id, reference
from town_kit.messaging.connecting import connect
from town_kit.messaging.event import Envelope, encode_headers, source
from town_kit.messaging.topics import specs
from town_kit.messaging.transport import Outgoing
from town_kit.settings import Zone
from town_kit.testing import eventually
from town_kit.worker import work

TOPICS = ("procedures.applications", "procedures.procedures", "identity.persons", "notifications.messages")


def event(topic: str, type_: str, key: Any, sequence: int, data: dict[str, Any]) -> Outgoing:
    envelope = Envelope(id=new_id(), type=type_, key=key, sequence=sequence, occurred_at=SystemClock().now())
    headers = encode_headers(envelope, source("174611", topic.split(".")[0]))
    return Outgoing(topic, str(key).encode(), headers, json.dumps(data).encode())


def application(person: Any, ref: str, sequence: int, fact: str) -> Outgoing:
    data = {
        "application_id": str(new_id()),
        "reference": ref,
        "procedure_code": "LC-77",
        "procedure_version": "1",
        "business_id": "023",
        "channel": "app",
        "receipt_no": None,
        "state": fact,
        "status_sequence": sequence,
        "received_at": "2027-01-12T01:00:00Z",
        "due_on": None,
        "parties": [{"role": "proxy", "person_id": str(person)}, {"role": "subject", "person_id": None}],
    }
    return event("procedures.applications", f"town.procedures.application.{fact}.v1", person, sequence, data)


async def test_an_event_in_the_log_reaches_the_phone_once(api: Any) -> None:
    token, ref = f"device-{new_id()}", reference("A")
    await api.register_device(token)
    log = connect(api.service.settings, Zone.INTERNET)
    await log.create_topics(specs(TOPICS))
    producer = await log.producer()
    published = {
        "procedure_code": "LC-77",
        "version": "1",
        "title": {"ja": "要介護認定"},
        "messages": {"version": "1", "templates": {}},
    }
    first = event("procedures.procedures", "town.procedures.procedure.published.v1", new_id(), 1, published)
    submitted = application(api.resident_id, ref, 1, "submitted")
    numbered = application(api.resident_id, ref, 2, "numbered")  # nobody is told, but the cursor moves
    accepted = application(api.resident_id, ref, 3, "accepted")
    assert not any(isinstance(r, Exception) for r in await producer.send([first]))
    assert not any(isinstance(r, Exception) for r in await producer.send([submitted, submitted, numbered, accepted]))
    worker = asyncio.create_task(work(api.service))
    try:
        await eventually(lambda: _pushed(api, token, 2), within=20)
        rows = await eventually(lambda: _delivered(api), within=10)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await producer.close()
        await log.close()
    assert [row.kind for row in rows] == ["application.submitted", "application.accepted"]
    ids = [p["message"]["data"]["delivery_id"] for p in api.outside.pushed(device=token)]
    assert len(ids) == len(set(ids)) == 2
    assert timedelta(0) <= rows[0].valid_until - rows[0].created_at


async def _pushed(api: Any, token: str, count: int) -> bool:
    return len(await asyncio.to_thread(api.outside.pushed, device=token)) >= count


async def _delivered(api: Any) -> Any:
    rows = await api.rows(
        """SELECT * FROM messages m WHERE person_id = :me AND state = 'delivered'
            ORDER BY (SELECT min(seq) FROM outbox WHERE key = m.id)""",
        me=api.resident_id,
    )
    return rows if len(rows) == 2 else None
