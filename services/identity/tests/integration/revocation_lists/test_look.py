"""An older revocation list is refused after a restart too, and people are told."""

from datetime import timedelta
from typing import Any

from town_kit.auth import Role

AN_OLDER_LIST = "sign-2024.crl"


async def verdict(api: Any, card: Any) -> str:
    answer = await api.verify(api.sign(card))
    return str(answer.json().get("type", answer.json().get("revocation")))


async def test_an_older_list_that_is_still_current_is_refused_after_a_restart(api: Any, serve: Any) -> None:
    card, key = api.card(), api.authority.key("sign")
    older = api.authority.crl(key, api.clock.now() - timedelta(hours=2))
    api.authority.revoke(card.sign_certificate, api.clock.now() - timedelta(hours=1))
    api.publish_lists()
    assert await verdict(api, card) == "urn:town:problem:jpki-revoked"
    assert (await api.client.get("/readyz")).json()["checks"]["revocation_lists"] == "ok"

    (api.lists / AN_OLDER_LIST).write_bytes(older)
    restarted = await serve()
    assert await verdict(restarted, restarted.card()) == "unknown"
    ready = await restarted.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["revocation_lists"]) == (200, "failed")

    api.publish_lists()
    again = await serve()
    assert await verdict(again, card) == "urn:town:problem:jpki-revoked"
    assert (await again.client.get("/readyz")).json()["checks"]["revocation_lists"] == "ok"


async def test_a_resident_reads_no_number(api: Any) -> None:
    await verdict(api, api.card())
    assert await api.rows("SELECT number FROM revocation_list_numbers") != []
    async with api.service.database.begin(role=Role.RESIDENT.value) as session:
        seen = await session.connection()
        assert (await seen.exec_driver_sql("SELECT count(*) FROM revocation_list_numbers")).scalar_one() == 0
