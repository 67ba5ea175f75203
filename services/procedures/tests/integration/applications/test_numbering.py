"""収受番号: gapless within its 年度, given once, never to what waits for its signature."""

import asyncio
from typing import Any

from town_procedures.applications.numbering import number_batch


async def test_numbers_are_gapless_whatever_runs_at_once(api: Any) -> None:
    for _ in range(7):
        body = {"procedure_code": "LC-01", "answers": api.sample("LC-01")}
        assert (await api.client.post("/v1/applications", json=body, headers=api.resident())).status_code == 201
    await asyncio.gather(*(number_batch(api.service.database) for _ in range(4)))
    while await number_batch(api.service.database):
        pass
    rows = await api.rows("SELECT receipt_serial FROM applications WHERE receipt_fiscal_year = 2026 ORDER BY 1")
    assert [r[0] for r in rows] == list(range(1, len(rows) + 1))
    (own,) = await api.rows(
        "SELECT count(*) FROM applications WHERE filed_by = :me AND receipt_number LIKE '令和8年度-%'",
        me=api.resident_id,
    )
    assert own[0] == 7


async def test_numbering_does_not_move_the_version(api: Any) -> None:
    body = {"procedure_code": "LC-01", "answers": api.sample("LC-01")}
    view = (await api.client.post("/v1/applications", json=body, headers=api.resident())).json()
    while await number_batch(api.service.database):  # other tests have left some, which come before
        pass
    read = (await api.client.get(f"/v1/applications/{view['id']}", headers=api.resident())).json()
    assert read["version"] == 1
    assert read["receipt_number"] is not None
