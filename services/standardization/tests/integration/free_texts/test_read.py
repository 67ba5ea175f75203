"""自由記述の確認: what a resident wrote around a My Number is read by its officers, masked, and never unaudited."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from town_kit.auth import Role
from town_kit.ids import new_id
from town_standardization.releases import hand_in_batch

MY_NUMBER = "123456789018"
REMARK = f"夫の番号は {MY_NUMBER} です。日中は電話に出られません。"
SHOWN = "夫の番号は ********9018 です。日中は電話に出られません。"
PATH = "/v1/free-text-readings"


@pytest.fixture
async def application_id(world: Any) -> UUID:
    """An application of the portal with a My Number in its remarks, which procedures holds encrypted."""
    answers = world.sample("LC-01")["answers"] | {"remarks": REMARK}
    view = await world.put_aside("LC-01", answers)
    await world.release(view)
    while await hand_in_batch(world.ports):
        pass
    async with world.procedures_service.database.begin() as session:
        query = (
            "SELECT a.id FROM applications a JOIN quarantined_packages q ON q.application_id = a.id WHERE q.id = :id"
        )
        return UUID(str((await session.execute(text(query), {"id": view["id"]})).scalar_one()))


def body(application_id: UUID, **changes: Any) -> dict[str, Any]:
    return {
        "application_id": str(application_id),
        "legal_basis": "番号法20条",
        "purpose": "要介護認定の受付",
        **changes,
    }


async def read(world: Any, asked: dict[str, Any], **headers: Any) -> Any:
    return await world.client.post(PATH, json=asked, headers=world.staff("free-texts:read", **headers))


async def audited(world: Any, application_id: UUID) -> list[tuple[str, str]]:
    query = "SELECT action, result FROM audit_records WHERE :id = ANY (fields) ORDER BY at, action DESC"
    return [(row.action, row.result) for row in await world.rows(query, id=str(application_id))]


async def test_the_text_is_shown_with_its_number_masked_and_audited_before_it_is_opened(
    world: Any, application_id: UUID
) -> None:
    answer = await read(world, body(application_id))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "application_id": str(application_id),
        "texts": [{"pointer": "/remarks", "text": SHOWN}],
    }
    assert await audited(world, application_id) == [("my-number.open", "begun"), ("free-text.read", "done")]
    query = "SELECT * FROM audit_records WHERE action = 'my-number.open' AND :id = ANY (fields)"
    [row] = await world.rows(query, id=str(application_id))
    assert (row.basis, row.purpose, row.role) == ("番号法20条", "023 要介護認定の受付", "staff")
    assert row.fields == [str(application_id), "/remarks"]
    kept = await world.rows("SELECT 1 FROM idempotency_keys WHERE convert_from(body, 'UTF8') LIKE '%日中は電話%'")
    assert kept == []


async def test_an_opening_that_fails_stands_in_the_audit_and_says_what_to_do(world: Any, application_id: UUID) -> None:
    change = """UPDATE applications SET my_numbers = replace(my_numbers::text, '"jwe": "', '"jwe": "x')::jsonb
        WHERE id = :id"""
    async with world.procedures_service.database.begin() as session:
        await session.execute(text(change), {"id": application_id})
    answer = await read(world, body(application_id))
    assert answer.status_code == 409
    assert "電話" in answer.json()["detail"]
    assert ("my-number.open", "begun") in await audited(world, application_id)


@pytest.mark.parametrize("left_out", ["legal_basis", "purpose"])
async def test_without_basis_or_purpose_nothing_is_opened(world: Any, application_id: UUID, left_out: str) -> None:
    asked = {name: value for name, value in body(application_id).items() if name != left_out}
    assert (await read(world, asked)).status_code == 422
    assert (await read(world, body(application_id, **{left_out: ""}))).status_code == 422
    assert await audited(world, application_id) == []


async def test_one_factor_or_another_office_is_not_enough(world: Any, application_id: UUID) -> None:
    assert (await read(world, body(application_id), amr=("pwd",))).status_code == 403
    others = world.staff("hand-overs:read my-numbers:search")
    assert (await world.client.post(PATH, json=body(application_id), headers=others)).status_code == 403
    resident = world.headers(Role.RESIDENT, "free-texts:read")
    assert (await world.client.post(PATH, json=body(application_id), headers=resident)).status_code == 403
    assert await audited(world, application_id) == []


async def test_an_application_without_such_a_text_is_not_found(world: Any) -> None:
    other = await world.accepted("LC-01")
    for unknown in (other, new_id()):
        answer = await read(world, body(unknown))
        assert answer.status_code == 404
        assert "自由記述はありません" in answer.json()["detail"]


async def test_only_the_vault_gets_the_encrypted_text(world: Any, application_id: UUID) -> None:
    path = f"/v1/applications/{application_id}/sealed-texts"
    vault = world.headers(Role.SERVICE, "applications:hand-over", amr=())
    [sealed] = (await world.procedures.get(path, headers=vault)).json()["texts"]
    assert world.ports.vault.open_text(sealed["jwe"]) == REMARK
    clerk = world.staff("applications:read applications:hand-over")
    assert (await world.procedures.get(path, headers=clerk)).status_code == 403
