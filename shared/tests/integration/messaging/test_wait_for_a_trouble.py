"""An event whose trouble may pass is tried again, set aside when it takes long, and holds up no other key."""

from typing import Any

from structlog.testing import capture_logs

from town_kit.ids import new_id
from town_kit.messaging.consumer import BATCH
from town_kit.problems import DependencyUnavailable
from town_kit.testing.auth import eventually

JOINED_SECONDS = 30.0  # a new group in Apache Kafka first agrees on who reads what
DONE_SECONDS = 5.0


async def test_an_error_that_passes_is_waited_for_and_other_keys_go_on(world: Any) -> None:
    key, other = new_id(), new_id()
    world.trouble["red"] = DependencyUnavailable("later")
    async with world.consuming():
        await world.send(world.message(key, 1, "red"))
        await eventually(lambda: world.parked(1), within=JOINED_SECONDS)  # tried for seconds, and set aside
        await world.send(world.message(key, 2, "green"), world.message(other, 1, "white"))
        await eventually(lambda: world.has(other, 1), within=DONE_SECONDS)
        await eventually(lambda: world.parked(2), within=DONE_SECONDS)
        assert await world.seen(key) == []
        world.trouble.clear()
        await eventually(lambda: world.has(key, 2), within=10)
    assert await world.seen(key) == [(1, "red"), (2, "green")]
    assert await world.count("dead_letters") + await world.count("parked_events") == 0


async def test_a_short_trouble_parks_nothing(world: Any) -> None:
    key, processing = new_id(), world.processing()
    world.trouble["red"] = DependencyUnavailable("later")
    with capture_logs() as logs:
        async with world.consuming(processing):
            await world.send(world.message(key, 1, "red"))
            await eventually(lambda: waited(logs), within=JOINED_SECONDS)
            world.trouble.clear()
            await eventually(lambda: world.has(key, 1), within=DONE_SECONDS)
            assert not processing.waiting.is_set()


async def waited(logs: list[Any]) -> bool:
    return any(line["event"] == "event_waits" for line in logs)


async def test_one_of_many_that_waits_holds_up_no_other_that_waits(world: Any) -> None:
    """Each parked event whose turn has come is tried, more of them than one batch holds."""
    keys = [new_id() for _ in range(BATCH + 20)]
    world.trouble["red"] = DependencyUnavailable("later")
    await world.send(*(world.message(key, 1, "red" if key != keys[-1] else "blue") for key in keys))
    world.trouble["blue"] = DependencyUnavailable("later")
    async with world.consuming():
        await eventually(lambda: world.parked(len(keys)), within=JOINED_SECONDS)
        del world.trouble["blue"]
        await eventually(lambda: world.has(keys[-1], 1), within=10)
    assert await world.count("effects") == 1


async def test_a_trouble_that_turns_out_not_to_pass_is_a_dead_letter(world: Any) -> None:
    key = new_id()
    world.trouble["red"] = DependencyUnavailable("later")
    async with world.consuming():
        await world.send(world.message(key, 1, "red"), world.message(key, 2, "green"))
        await eventually(lambda: world.parked(2), within=JOINED_SECONDS)
        world.trouble["red"] = ValueError("never")
        await eventually(lambda: buried(world), within=10)
    assert await world.seen(key) == []


async def buried(world: Any) -> bool:
    return await world.count("dead_letters") == 1
