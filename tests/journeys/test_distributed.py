"""The distributed mode over Apache Kafka: a town that goes on serving, its topics, and its gateway away."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from tests.journeys.number_search import Search, my_numbers, sample, search_databases, search_files

from town_kit.messaging.kafka_node import LIBS, missing
from town_kit.testing import eventually
from town_kit.testing.kafka import absent, jars_folder
from town_onebox import testing
from town_onebox.journey.hops import DEVICE, FOLDER, Traveller, pull, status, submit
from town_onebox.testing import RunningTown

pytestmark = [
    pytest.mark.journey,
    pytest.mark.kafka,
    pytest.mark.timeout(420),
    pytest.mark.xdist_group("journey"),
]

RUN = ("-m", "town_onebox", "run", "--mode", "distributed", "--directory")
DOORS = ("gateway", "standardization")
PATIENCE = 120


@pytest.fixture(scope="module")
def town() -> Iterator[RunningTown]:
    """As `make run MODE=distributed` starts it: it serves on after its journey."""
    lack = missing()
    if lack and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        absent(lack)
    with testing.directory() as place:
        place.mkdir()
        (place / "town.yaml").write_text("connector: {poll_every: PT2S}\n")  # nobody tells the gateway to poll now
        running = RunningTown(place, {LIBS: str(jars_folder())}, program=RUN, doors=DOORS)
        try:
            yield running
        finally:
            code = running.stop()
        assert code == 0, testing.logs(place)


@pytest.fixture
async def outside(town: RunningTown) -> AsyncIterator[Traveller]:
    """Asks the outside world of the town, once its own journey is over."""
    journey = town.place.showcase / "journey.jsonl"

    async def has_ended() -> bool:
        return journey.exists() and '"end"' in journey.read_text()

    await eventually(has_ended, within=PATIENCE, every=0.5)
    assert json.loads(journey.read_text().splitlines()[-1])["ok"], testing.logs(town.place.directory)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        nobody: Any = None
        yield Traveller(town.town, client, town.town.sandbox_addresses(), nobody, nobody, nobody)


@pytest.mark.runbook("gateway")
async def test_without_the_gateway_the_portals_applications_go_all_their_way(
    town: RunningTown, outside: Traveller
) -> None:
    pushed = len([e for e in await outside.received("fcm", "message") if e["device"] == DEVICE])
    with town.paused("gateway-serve"):
        with pytest.raises(httpx.TimeoutException):
            await outside.client.get(f"{town.town.public_url}/livez", timeout=1)
        await submit(outside)

        async def fetched() -> bool:
            return any(e["receipt_no"] == outside.receipt_no for e in await outside.received("mynaportal", "fetched"))

        await eventually(fetched, within=PATIENCE, every=0.2)
        query = "SELECT reference FROM applications WHERE receipt_no = $1"

        async def stands() -> bool:
            return bool(await town.rows("procedures", query, outside.receipt_no))

        await eventually(stands, within=PATIENCE, every=0.2)
        (outside.reference,) = await town.rows("procedures", query, outside.receipt_no)
        await pull(outside)
        await status(outside)

        async def was_told() -> bool:
            found = [e for e in await outside.received("fcm", "message") if e["device"] == DEVICE]
            return len(found) >= pushed + 3  # arrived, accepted, approved

        await eventually(was_told, within=PATIENCE, every=0.2)

    async def answers() -> bool:
        try:
            return (await outside.client.get(f"{town.town.public_url}/readyz", timeout=2)).is_success
        except httpx.HTTPError:
            return False

    await eventually(answers, within=PATIENCE, every=0.2)


@pytest.mark.case("D-38")
async def test_no_my_number_stands_in_a_topic_or_a_table_of_the_distributed_town(
    town: RunningTown, outside: Traveller
) -> None:
    search = Search(sorted(my_numbers(sample(FOLDER))))
    for segment in town.place.kafka.rglob("*.log"):  # the rest of the broker's files are tables of positions
        search.look(f"topic:{segment.parent.name}", segment.read_bytes())
    search_files(search, town.place.logs)
    await search_databases(search, town)
    assert search.found == []
    assert any(size for sink, size in search.looked_at.items() if sink.startswith("topic:procedures.applications-"))
    assert search.looked_at.get("table:procedures.public.applications")
    assert search.looked_at.get("file:procedures-serve.log")
