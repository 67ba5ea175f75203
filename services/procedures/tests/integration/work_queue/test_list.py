"""The work queue: filters, pages without gaps, counts that follow within a batch."""

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
