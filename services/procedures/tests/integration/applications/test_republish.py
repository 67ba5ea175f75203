"""A consumer that comes late is told where every application stands, and what every procedure is called."""

import json
from typing import Any

from town_procedures.procedures.publish import publish_changed


async def test_every_application_and_every_procedure_gets_one_snapshot(api: Any) -> None:
    await publish_changed(api.service.database, api.service.extras["ports"].catalogue)
    body = {
        "procedure_code": "LC-01",
        "answers": api.sample("LC-01"),
        "parties": [{"role": "applicant", "person_id": str(api.resident_id)}],
    }
    view = (await api.client.post("/v1/applications", json=body, headers=api.officer())).json()
    headers = {**api.officer(), "If-Match": f'"{view["version"]}"'}
    view = (await api.client.post(f"/v1/applications/{view['id']}/accept", headers=headers)).json()
    [(expected,)] = await api.rows(
        "SELECT (SELECT count(*) FROM applications) + (SELECT count(*) FROM published_procedures)"
    )

    assert await api.service.republish() == expected

    [told] = await api.rows(
        "SELECT type, sequence, data FROM outbox WHERE snapshot AND key = cast(:id AS uuid)", id=view["id"]
    )
    data = json.loads(bytes(told.data))
    assert (told.type, told.sequence) == ("town.procedures.application.republished.v1", 3)
    assert (data["state"], data["decision"]) == ("accepted", None)
    assert data["parties"] == [{"role": "applicant", "person_id": str(api.resident_id)}]
    [after] = await api.rows("SELECT version FROM applications WHERE id = cast(:id AS uuid)", id=view["id"])
    assert after.version == view["version"]
    procedures = await api.rows("SELECT data FROM outbox WHERE snapshot AND topic = 'procedures.procedures'")
    assert {"CH-01", "LC-01"} <= {json.loads(bytes(row.data))["procedure_code"] for row in procedures}
