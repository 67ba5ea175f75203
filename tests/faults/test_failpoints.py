"""Each place where a process may die: a kill there happens, and what was acknowledged is told once, in its order."""

from uuid import UUID

import httpx
import pytest

from town_kit.audit.verify import Verdict, verify
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.testing import eventually
from town_onebox.assembly import Process
from town_onebox.journey import people
from town_onebox.registry import BY_NAME
from town_onebox.testing import RunningTown

from .test_kills import logged, post, quiet, signed_in, told

pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(420),
    pytest.mark.xdist_group("journey"),
    pytest.mark.case("D-36"),
]

CONSUMER = "notifications.messages"
LEDGERS = {"push": ("fcm", "message"), "email": ("smtp", "message")}
# How often the event may stand in the log. Where a consumer or the chain dies, the relay in the same process dies with
# it, perhaps between produce and mark: then it is repeated, which is known by its id.
ONCE, REPEATED = (1,), (1, 2)
PLACES = {
    "after-outbox-read.procedures": ONCE,
    "after-produce-before-mark.procedures": (2,),
    "after-mark.procedures": ONCE,
    f"after-poll-before-tx.{CONSUMER}": REPEATED,
    f"after-effect-before-commit.{CONSUMER}": REPEATED,
    f"after-commit-before-offset.{CONSUMER}": REPEATED,
    "mid-audit-append.procedures": REPEATED,
}


@pytest.mark.parametrize(("place", "times"), PLACES.items())
async def test_a_worker_killed_there_loses_nothing_and_tells_it_once(
    running_town: RunningTown, place: str, times: tuple[int, ...]
) -> None:
    resident = await signed_in(running_town)
    await quiet(running_town)
    before = running_town.pid_of("worker")
    armed = running_town.arm(place)
    application = UUID((await post(running_town, resident.headers)).json()["id"])

    async def done() -> bool:
        return not armed.exists() and bool(await told(running_town, application))

    await eventually(done, within=40, every=0.1)
    await quiet(running_town)
    assert running_town.pid_of("worker") != before
    assert await told(running_town, application) == ["application.submitted"]
    assert (await logged(running_town))[application].count(1) in times
    for table in ("dead_letters", "parked_events"):
        assert await running_town.rows("notifications", f"SELECT count(*) FROM {table}") == [0], table
    assert (await chain_of(running_town, "procedures")).holds


async def chain_of(running: RunningTown, service: str) -> Verdict:
    """What the verifier says of a service's audit chain."""
    address = running.town.values(BY_NAME[service], Process.WEB)["database_url"]
    async with Database(address).running() as database:
        return await verify(database)


@pytest.mark.parametrize("channel", ["push", "email"])
async def test_a_sender_killed_before_its_mark_repeats_one_id_and_makes_no_second(
    running_town: RunningTown, channel: str
) -> None:
    device, address = f"device-{new_id()}", f"{new_id().hex}@example.jp"
    async with httpx.AsyncClient(base_url=running_town.town.public_url, trust_env=False) as client:
        resident = await people.resident(running_town.town, client, "fumi")
        mailbox = running_town.town.sandbox_addresses()["smtp_control"]
        await people.can_be_reached(client, resident, device=device, address=address, mailbox=mailbox)
    await quiet(running_town)
    armed = running_town.arm(f"after-send-before-mark.{channel}")
    application = UUID((await post(running_town, resident.headers)).json()["id"])

    async def held() -> list[str]:
        query = """SELECT d.id::text FROM deliveries d JOIN messages m ON m.id = d.message_id
            WHERE m.application_id = $1 AND d.channel = $2 AND d.state = 'sending'"""
        found = await running_town.rows("notifications", query, application, channel)
        return [] if armed.exists() else found

    deliveries = await eventually(held, within=40, every=0.1)
    # The lease is over.
    end = "UPDATE deliveries SET next_attempt_at = now() WHERE id::text = ANY($1)"
    await running_town.rows("notifications", end, deliveries)

    async def sent() -> bool:
        query = "SELECT bool_and(state = 'sent') FROM deliveries WHERE id::text = ANY($1)"
        return bool(await running_town.rows("notifications", query, deliveries) == [True])

    await eventually(sent, within=60, every=0.2)
    told_outside = [str(entry) for entry in running_town.ledger(*LEDGERS[channel])]
    times = {delivery: sum(delivery in entry for entry in told_outside) for delivery in deliveries}
    assert times == dict.fromkeys(deliveries, 2), "the kill was meant to hit between sending and marking"
