"""A clerk sees a text before a resident does; a new procedure brings its own."""

from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.messaging.event import Received
from town_notifications.templates import TemplateInvalid
from town_notifications.templates.consumers import ProcedurePublished


async def publish(api: Any, code: str, texts: dict[str, Any], version: str = "2") -> None:
    (consumer,) = [c for c in api.service.consumers if c.name == "notifications.templates"]
    data = ProcedurePublished(
        procedure_code=code,
        version=version,
        title={"ja": "犬の登録", "en": "Dog registration"},
        messages={"version": version, "templates": texts},
    )
    event = Received(data=data, key=new_id(), sequence=1, id=new_id(), occurred_at=api.clock.now(), traceparent=None)
    async with api.service.database.begin() as session:
        await consumer.handlers[ProcedurePublished](session, event)


OWN = {"approved": {"ja": {"title": "犬の登録が終わりました", "body": "鑑札をお渡しします。{reference}"}}}


async def test_a_new_procedure_speaks_with_its_own_texts_and_changes_no_file_here(api: Any) -> None:
    await publish(api, "DG-01", OWN)
    (message,) = await api.messages(await api.hear("approved", procedure_code="DG-01"))
    assert message.title == "犬の登録が終わりました"
    assert message.reference in message.body
    assert message.template_version == "procedure:2"
    (other,) = await api.messages(await api.hear("submitted", procedure_code="DG-01"))
    assert other.title == "申請が届きました（犬の登録）"


async def test_a_text_that_breaks_a_rule_leaves_the_last_good_copy(api: Any) -> None:
    code = f"DG-{new_id()}"
    await publish(api, code, OWN)
    with pytest.raises(TemplateInvalid):
        await publish(api, code, {"approved": {"ja": {"title": "題", "body": "{name} 様"}}}, version="3")
    (message,) = await api.messages(await api.hear("approved", procedure_code=code))
    assert message.template_version == "procedure:2"


async def test_staff_preview_a_text_in_each_language(api: Any) -> None:
    await publish(api, "DG-02", OWN)
    answer = await api.client.get(
        "/v1/templates/application.approved/preview",
        params={"language": "ja", "procedure_code": "DG-02"},
        headers=api.officer(),
    )
    assert answer.json()["title"] == "犬の登録が終わりました"
    assert answer.json()["push_title"] == "【穴水町】お知らせがあります"
    english = await api.client.get(
        "/v1/templates/application.approved/preview", params={"language": "en"}, headers=api.officer()
    )
    assert "was approved" in english.json()["body"]


async def test_an_unknown_kind_is_not_found(api: Any) -> None:
    answer = await api.client.get("/v1/templates/application.exploded/preview", headers=api.officer())
    assert answer.status_code == 404


async def test_the_kinds_are_listed_with_what_happens_when_they_reach_nobody(api: Any) -> None:
    kinds = (await api.client.get("/v1/templates", headers=api.officer())).json()
    assert {k["kind"]: k["unreached"] for k in kinds}["application.correction_requested"] == "phone"
