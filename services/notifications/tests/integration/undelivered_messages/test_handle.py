"""Staff find what no channel brought, and write down what they did."""

import csv
import io
from typing import Any

from town_kit.clock import japan_date


async def listed(api: Any, name: str, **parameters: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"list": name, "limit": 100, **parameters} | ({"cursor": cursor} if cursor else {})
        page = (await api.client.get("/v1/undelivered-messages", params=query, headers=api.officer())).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


async def test_a_message_is_handled_once_with_who_and_when(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    (item,) = [i for i in await listed(api, "letters") if i["id"] == str(message.id)]
    assert (item["reason"], item["reference"]) == ("no_channel", message.reference)
    path = f"/v1/undelivered-messages/{message.id}/handle"
    body = {"handling": "posted", "note": "簡易書留"}
    done = await api.client.post(path, json=body, headers=api.officer(**{"If-Match": f'"{item["version"]}"'}))
    assert done.status_code == 200, done.text
    assert (done.json()["handling"], done.json()["handled_by"]) == ("posted", str(api.officer_id))
    assert str(message.id) not in [i["id"] for i in await listed(api, "letters")]
    assert str(message.id) in [i["id"] for i in await listed(api, "letters", handled=True)]
    again = await api.client.post(path, json=body, headers=api.officer(**{"If-Match": done.headers["etag"]}))
    assert again.status_code == 409


async def test_two_clerks_do_not_post_one_letter_twice(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    path = f"/v1/undelivered-messages/{message.id}/handle"
    body = {"handling": "posted", "note": None}
    answers = [await api.client.post(path, json=body, headers=api.officer(**{"If-Match": '"1"'})) for _ in range(2)]
    assert [a.status_code for a in answers] == [200, 412]


async def test_the_lists_are_apart_and_by_day(api: Any) -> None:
    (message,) = await api.messages(await api.hear("correction_requested"))
    today = japan_date(api.clock.now()).isoformat()
    assert str(message.id) in [i["id"] for i in await listed(api, "phone", day=today)]
    assert str(message.id) not in [i["id"] for i in await listed(api, "letters")]
    assert await listed(api, "phone", day="2001-01-01") == []


async def test_the_file_holds_the_list_and_leaves_a_record(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    answer = await api.client.get("/v1/undelivered-messages/file", params={"list": "letters"}, headers=api.officer())
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert message.reference in [row["控え番号"] for row in rows]
    records = await api.rows(
        "SELECT subjects FROM audit_records WHERE action = 'undelivered-message.export' AND principal = :me",
        me=api.officer_id,
    )
    assert api.resident_id in records[0].subjects


async def test_a_my_number_in_the_note_is_refused(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    body = {"handling": "posted", "note": "番号は 123456789018"}
    answer = await api.client.post(
        f"/v1/undelivered-messages/{message.id}/handle", json=body, headers=api.officer(**{"If-Match": '"1"'})
    )
    assert answer.status_code == 422
    assert "123456789018" not in answer.text


async def test_a_resident_sees_no_list(api: Any) -> None:
    answer = await api.client.get("/v1/undelivered-messages", params={"list": "letters"}, headers=api.resident())
    assert answer.status_code == 403
