"""After `run --once`: what stands at every counterpart and in every database, each thing once."""

import re
from typing import Any

import httpx
import pytest

from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.journey.hops import DEVICE, EMAIL, HOPS
from town_onebox.testing import RunningTown, logs

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]

TOLD = ["application.submitted", "application.accepted", "application.approved"]
FACTS = ["submitted", "accepted", "numbered", "approved", "completed"]


def receipt_of(journey: Any) -> str:
    found = re.search(r"受付番号 (\d+)", journey.done.stdout)
    assert found, journey.done.stdout
    return found[1]


async def application_of(journey: Any, running_town: RunningTown) -> tuple[Any, ...]:
    query = "SELECT id, reference, state, my_numbers::text FROM applications WHERE receipt_no = $1"
    (application,) = await running_town.rows("procedures", query, receipt_of(journey))
    return tuple(application)


def test_the_run_ends_well_and_prints_each_hop_with_its_time_and_its_place_in_the_log(journey: Any) -> None:
    assert journey.done.returncode == 0, journey.done.stdout + journey.done.stderr + logs(journey.directory)
    for number, hop in enumerate(HOPS, start=1):
        assert re.search(rf"✓ +{number} +\d+\.\d+ s  {re.escape(hop.title)}", journey.done.stdout), hop.name
    for fact in FACTS:
        printed = rf"procedures\.applications\[\d+\]@\d+  town\.procedures\.application\.{fact}\.v1"
        assert re.search(printed, journey.done.stdout), fact


def test_the_second_run_continues_where_the_first_ended(journey: Any) -> None:
    assert journey.again.returncode == 0, journey.again.stdout + journey.again.stderr + logs(journey.directory)
    assert journey.again.stdout.count("✓") == len(HOPS)
    number = re.search(r"収受番号 (\S+)", journey.again.stdout)
    assert number, journey.again.stdout
    assert number[1].endswith("-000002")


async def test_the_facts_of_an_application_stand_in_the_log_once_and_in_their_order(
    journey: Any, running_town: RunningTown
) -> None:
    application = await application_of(journey, running_town)
    rows = await running_town.rows(
        "procedures",
        "SELECT sequence, type, log_offset FROM outbox WHERE topic = 'procedures.applications' AND key = $1 ORDER BY 1",
        application[0],
    )
    logged = await running_town.rows(
        "events_internet",
        "SELECT record_offset FROM log_records r JOIN log_topics t ON t.id = r.topic_id"
        " WHERE t.name = 'procedures.applications' AND r.key = $1 ORDER BY 1",
        str(application[0]).encode(),
    )
    assert application[2] == "completed"
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    assert sorted(row[1].split(".")[3] for row in rows) == sorted(FACTS)
    assert [row[2] for row in rows] == logged


async def test_the_portal_heard_each_status_once_and_in_order(journey: Any, running_town: RunningTown) -> None:
    told = [e for e in running_town.ledger("mynaportal", "status") if e["receipt_no"] == receipt_of(journey)]
    assert [entry["code"] for entry in told] == ["10", "20", "60", "90"]
    assert [entry["sequence"] for entry in told] == sorted({entry["sequence"] for entry in told})
    assert not any(entry["late"] for entry in told)


async def test_the_core_system_took_one_record_and_sent_one_result(journey: Any, running_town: RunningTown) -> None:
    application = await application_of(journey, running_town)
    for kind in ("record", "acknowledged", "result_posted"):
        entries = [e for e in running_town.ledger("core_system", kind) if e["key"] == application[1]]
        assert [(entry["business_id"], entry["history_number"]) for entry in entries] == [("027", 1)], kind


async def test_each_message_reached_her_inbox_her_phone_and_her_mail_box_once(
    journey: Any, running_town: RunningTown
) -> None:
    application = await application_of(journey, running_town)
    messages = await running_town.rows(
        "notifications",
        "SELECT m.kind, m.id::text, m.state, d.id::text FROM messages m JOIN deliveries d ON d.message_id = m.id"
        " AND d.channel = 'email' WHERE application_id = $1 ORDER BY m.position",
        application[0],
    )
    assert [row[0] for row in messages] == TOLD
    pushed = [
        e["message"]["data"]["message_id"] for e in running_town.ledger("fcm", "message") if e["device"] == DEVICE
    ]
    mailed = [e["message_id"] for e in running_town.ledger("smtp", "message") if EMAIL in e["recipients"]]
    async with httpx.AsyncClient(base_url=running_town.town.public_url, trust_env=False) as client:
        resident = await people.resident(running_town.town, client, "hanako")
        page = people.told(
            await client.get("/notifications/v1/messages", headers=resident.headers, params={"limit": 100})
        )
    inbox = [item["id"] for item in page["items"]]
    for kind, message, state, delivery in messages:
        assert state == "delivered", kind
        assert (pushed.count(message), inbox.count(message)) == (1, 1), kind
        assert sum(delivery in identifier for identifier in mailed) == 1, kind


async def test_the_numbers_have_left_procedures_for_the_vault(journey: Any, running_town: RunningTown) -> None:
    application = await application_of(journey, running_town)
    assert "eyJ" not in application[3], "an encrypted number still stands in procedures"
    assert await running_town.rows("standardization", "SELECT count(*) FROM my_numbers") != [0]


async def test_every_audit_record_is_chained_within_seconds(journey: Any, running_town: RunningTown) -> None:
    query = """SELECT count(*) FROM audit_records r LEFT JOIN audit_chain c ON c.record_id = r.id
                WHERE c.record_id IS NULL AND r.at < now() - interval '1 second'"""
    for database in ("procedures", "identity", "standardization", "notifications"):
        assert await running_town.rows(database, "SELECT count(*) > 0 FROM audit_records") == [True], database

        async def none_is_left(database: str = database) -> bool:
            return await running_town.rows(database, query) == [0]

        await eventually(none_is_left)
