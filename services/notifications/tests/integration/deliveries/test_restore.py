"""D-42: what a provider took before a restore is not sent again, and what is told again keeps its id."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import asyncpg
import pytest

from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_kit.messaging.notify import plain_dsn
from town_notifications.channels import Channel, Lane
from town_notifications.deliveries import repository
from town_notifications.restoring import RESTORING, missing, recognise

pytestmark = pytest.mark.case("D-42")


async def sent_ids(api: Any, token: str) -> list[str]:
    return [push["message"]["data"]["delivery_id"] for push in api.outside.pushed(device=token)]


@asynccontextmanager
async def as_owner(api: Any) -> AsyncIterator[Any]:
    owner = await asyncpg.connect(plain_dsn(api.service.database.url).replace("_app:", "_owner:"))
    try:
        await owner.execute("SELECT set_config('town.role', 'service', false)")
        yield owner
    finally:
        await owner.close()


async def forget(api: Any, event: Any) -> None:
    """What a backup from before the event does to it."""
    messages = "SELECT id FROM messages WHERE source_event_id = $1"
    async with as_owner(api) as owner:
        await owner.execute(f"DELETE FROM deliveries WHERE message_id IN ({messages})", event)
        await owner.execute(f"DELETE FROM outbox WHERE key IN ({messages})", event)
        await owner.execute("DELETE FROM messages WHERE source_event_id = $1", event)


async def test_a_move_that_is_told_again_after_a_restore_is_the_same_delivery(api: Any) -> None:
    token, facts = f"device-{new_id()}", {"application_id": new_id(), "status_sequence": 3}
    await api.register_device(token)
    event = await api.hear("approved", **facts)
    await api.send_all()
    await forget(api, event)

    again = await api.hear("approved", **facts)
    await api.send_all()

    first, second = await sent_ids(api, token)
    assert first == second
    assert len(await api.messages(again)) == 1


async def test_what_the_provider_lists_as_sent_is_marked_and_not_sent(api: Any) -> None:
    token, facts = f"device-{new_id()}", {"application_id": new_id(), "status_sequence": 3}
    await api.register_device(token)
    event = await api.hear("approved", **facts)
    await api.send_all()
    lists = {"deliveries": [{"delivery_id": one} for one in await sent_ids(api, token)]}
    await forget(api, event)
    async with api.service.database.begin() as session:
        assert [one.kind for one in await missing(session, lists)] == ["delivery"]
        assert await recognise(session, lists) == 1
        assert await recognise(session, lists) == 0

    again = await api.hear("approved", **facts)
    await api.send_all()

    assert len(await sent_ids(api, token)) == 1
    (message,) = await api.messages(again)
    assert message.state == "delivered"
    async with api.service.database.begin() as session:
        assert await missing(session, lists) == []


async def test_another_event_about_a_move_that_was_told_tells_nothing(api: Any) -> None:
    facts = {"application_id": new_id(), "status_sequence": 2}
    first = await api.hear("approved", **facts)
    second = await api.hear("approved", **facts)
    assert (len(await api.messages(first)), len(await api.messages(second))) == (1, 0)


async def test_the_next_move_of_the_same_kind_is_told(api: Any) -> None:
    application = new_id()
    first = await api.hear("correction_requested", application_id=application, status_sequence=3)
    second = await api.hear("correction_requested", application_id=application, status_sequence=5)
    assert (len(await api.messages(first)), len(await api.messages(second))) == (1, 1)


async def test_a_mail_with_a_code_is_known_by_its_address(api: Any) -> None:
    await api.confirm_address(f"{new_id()}@example.jp")
    mail = api.outside.mailed()[-1]
    lists = {"deliveries": [{"delivery_id": mail["message_id"].strip("<>").partition("@")[0]}]}
    async with api.service.database.begin() as session:
        assert await missing(session, lists) == []


async def test_what_a_lost_machine_was_sending_goes_out_at_once_under_its_id(api: Any) -> None:
    def to_the_present() -> datetime:  # as PostgreSQL's clock has it
        api.clock.advance(SystemClock().now() - api.clock.now())
        return cast("datetime", api.clock.now())

    token = f"device-{new_id()}"
    await api.register_device(token)
    await api.hear("approved")
    now = to_the_present()
    async with api.service.database.begin() as session:  # its worker takes it, and is gone
        (held,) = await repository.claim(session, lane=Lane.ORDINARY, channel=Channel.PUSH, limit=10, now=now)
    await api.send_all()
    assert await sent_ids(api, token) == []
    async with as_owner(api) as owner:
        (statement,) = RESTORING.claims
        assert [row[0] for row in await owner.fetch(statement)] == [held.id]
    to_the_present()
    await api.send_all()
    assert await sent_ids(api, token) == [str(held.id)]
