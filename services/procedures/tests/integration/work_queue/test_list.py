"""The work queue: filters, pages without gaps, counts that follow within a batch."""

from datetime import timedelta
from typing import Any

from town_procedures.work_queue.counting import count_batch


async def file(api: Any, count: int) -> list[str]:
    made = []
    for _ in range(count):
        body = {"procedure_code": "LC-01", "answers": api.sample("LC-01")}
        made.append((await api.client.post("/v1/applications", json=body, headers=api.resident())).json()["id"])
    return made


async def test_pages_hold_every_open_application_once(api: Any) -> None:
    made = await file(api, 5)
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, "procedure_code": "LC-01", "state": "submitted"} | ({"cursor": cursor} if cursor else {})
        page = (await api.client.get("/v1/work-queue", params=query, headers=api.officer())).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)


async def test_each_filter_leaves_out_what_it_does_not_name(api: Any) -> None:
    (ours,) = await file(api, 1)
    linked = {"role": "applicant", "person_id": str(api.resident_id)}
    body = {
        "procedure_code": "CH-01",
        "answers": api.sample("CH-01"),
        "parties": [linked],
        "channel": "paper",
        "attachments": [await api.attach(api.officer(), "bank_account_proof")],
        "received_at": (api.clock.now() - timedelta(days=60)).isoformat(),
    }
    answer = await api.client.post("/v1/applications", json=body, headers=api.officer())
    assert answer.status_code == 201, answer.text
    other = answer.json()["id"]
    press = {**api.officer(), "If-Match": answer.headers["etag"]}
    assert (await api.client.post(f"/v1/applications/{other}/accept", headers=press)).status_code == 200
    assert {ours, other} <= await api.queue()
    today = api.clock.now().date().isoformat()
    for query, only in (
        ({"procedure_code": "LC-01"}, ours),
        ({"procedure_code": "CH-01"}, other),
        ({"state": "submitted"}, ours),
        ({"state": "accepted"}, other),
        ({"channel": "app"}, ours),
        ({"channel": "paper"}, other),
        ({"flag": "party_not_linked"}, ours),
        ({"due_before": today}, other),
        ({"flag": "party_not_linked", "channel": "app", "state": "submitted", "procedure_code": "LC-01"}, ours),
    ):
        found = await api.queue(**query)
        assert found & {ours, other} == {only}, query
    assert await api.queue(flag="party_not_linked", channel="paper") & {ours, other} == set()


async def test_a_day_an_application_is_due_is_not_before_itself(api: Any) -> None:
    (made,) = await file(api, 1)
    (row,) = await api.rows("SELECT due_on FROM applications WHERE id = cast(:id AS uuid)", id=made)
    assert made not in await api.queue(due_before=row.due_on.isoformat())
    assert made in await api.queue(due_before=(row.due_on + timedelta(days=1)).isoformat())


async def test_a_flag_is_told_with_what_a_clerk_does_about_it(api: Any) -> None:
    (made,) = await file(api, 1)
    answer = await api.client.get("/v1/work-queue", params={"limit": 100}, headers=api.officer())
    (item,) = [item for item in answer.json()["items"] if item["id"] == made]
    assert item["flags"] == ["party_not_linked"]
    assert item["flag_labels"] == ["宛名番号と結び付いていない当事者がいます。本人を特定してください。"]


async def test_a_filter_nobody_knows_is_refused(api: Any) -> None:
    for query in ({"channel": "fax"}, {"flag": "red"}, {"due_before": "soon"}):
        answer = await api.client.get("/v1/work-queue", params=query, headers=api.officer())
        assert answer.status_code == 422, query


async def test_counts_follow_the_moves(api: Any) -> None:
    async def counted() -> int:
        while await count_batch(api.service.database):
            pass
        counts = (await api.client.get("/v1/work-queue/counts", headers=api.officer())).json()
        return sum(c["count"] for c in counts if (c["procedure_code"], c["state"]) == ("LC-01", "submitted"))

    before = await counted()
    await file(api, 3)
    assert await counted() == before + 3


async def test_a_cursor_made_for_another_list_is_refused(api: Any) -> None:
    answer = await api.client.get("/v1/work-queue", params={"cursor": "WzFd"}, headers=api.officer())
    assert answer.status_code == 422


async def test_residents_have_no_work_queue(api: Any) -> None:
    answer = await api.client.get("/v1/work-queue", headers=api.resident())
    assert answer.json()["type"] == "urn:town:problem:insufficient-scope"


async def test_a_nul_in_a_url_is_refused_before_it_comes_to_a_database(api: Any) -> None:
    for query in ("procedure_code=LC%00", "%00=1"):
        answer = await api.client.get(f"/v1/work-queue?{query}", headers=api.officer())
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:town:problem:validation-failed")
        assert answer.json()["errors"][0]["code"] == "nul"
    nobody = await api.client.get("/v1/procedures/LC-01%00")
    assert (nobody.status_code, nobody.json()["type"]) == (404, "urn:town:problem:not-found")
