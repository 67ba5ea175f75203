"""A consumer that comes late is told what every person is now."""

import json
from datetime import timedelta
from typing import Any

from town_kit.auth import Role
from town_kit.ids import new_id
from town_sandbox.jpki import DEMO_HOLDERS, VirtualCard, number_link_file


async def test_every_person_gets_one_snapshot_of_the_present_state(api: Any) -> None:
    holder = DEMO_HOLDERS["hanako"].but(addressee_number=new_id().hex[-15:])
    card = VirtualCard.issue(api.authority, holder, now=api.clock.now() - timedelta(days=1))
    signed = (await api.verify(api.sign(card))).json()["person_id"]
    provisional = (await api.log_in(card))["person_id"]
    headers = {**api.headers(Role.STAFF, "number-links:import"), "Content-Type": "text/csv"}
    content = number_link_file(api.authority, [card])
    previewed = await api.client.post("/v1/number-links", content=content, headers=headers)
    headers = {**api.headers(Role.STAFF, "number-links:import"), "If-Match": previewed.headers["etag"]}
    await api.client.post(f"/v1/number-links/{previewed.json()['id']}/apply", headers=headers)

    (people,) = await api.rows("SELECT count(*) FROM persons")
    assert await api.service.republish() == people[0]
    snapshots = await api.rows(
        "SELECT DISTINCT ON (key) key, data, sequence FROM outbox WHERE snapshot AND key IN (:a, :b)"
        " ORDER BY key, sequence DESC",
        a=signed,
        b=provisional,
    )
    told = {str(row.key): (row.sequence, json.loads(bytes(row.data))) for row in snapshots}
    assert told == {
        signed: (3, {"person_id": signed, "provisional": False}),
        provisional: (3, {"from_person_id": provisional, "to_person_id": signed}),
    }
