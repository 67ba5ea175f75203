"""住登外者宛名番号付番 over HTTP, as the published specification describes it."""

import asyncio
from typing import Any

import pytest

from town_kit.auth import Role
from town_kit.ids import new_id

PATH = "/app_submit/v10/jutogaishaatenabangofuban"
SCOPE = "031:app_submit/v10/jutogaishaatenabangofuban:Create"


def fresh_name() -> str:
    """A full-width name nobody has."""
    return "見本　" + new_id().hex[-6:].translate({ord(c): 0xFF21 + i for i, c in enumerate("0123456789abcdef")})


def body(**changes: Any) -> dict[str, Any]:
    made = {
        "shorikubun": "0",
        "shikuchosonkodo": "174611",
        "shimei": fresh_name(),
        "seibetsu": "1",
        "seinengappi": "1964-07-01",
        "jusho_todofuken": "東京都",
        "jusho_shikugunchosonmei": "千代田区",
        "jusho_banchigohyoki": "１番６号",
        "nayosemotofuragu": "0",
        "tagyomusanshofukafuragu": "0",
        "sosashaid": "123456",
        "sosanengappi": "2026-10-05",
        "sosajikoku": "09:00:00",
    }
    return made | changes


async def ask(world: Any, request: Any, **headers: str) -> Any:
    sent = world.headers(Role.VENDOR, SCOPE, amr=()) | headers
    del sent["Idempotency-Key"]  # the specification knows none
    return await world.client.post(PATH, json=request, headers=sent)


async def test_a_person_gets_a_number(world: Any) -> None:
    answer = await ask(world, body())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["metadata"] == {"title": "住登外者宛名番号付番", "detail": "登録が完了しました。"}
    assert found["_links"] == {"self": {"href": PATH}}
    [row] = found["result"]
    assert (row["shikuchosonkodo"], row["rirekibango"], row["sosashaid"]) == ("174611", 1, "123456")
    assert len(row["atenabango"]) == 15
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"


async def test_the_same_person_keeps_her_number_and_new_facts_are_history(world: Any) -> None:
    request = body()
    first = (await ask(world, request)).json()["result"][0]
    same = (await ask(world, request)).json()["result"][0]
    moved = (await ask(world, request | {"shimei_furigana": "ミホン"})).json()["result"][0]
    assert (same["atenabango"], same["rirekibango"]) == (first["atenabango"], 1)
    assert (moved["atenabango"], moved["rirekibango"]) == (first["atenabango"], 2)


async def test_an_existing_number_is_kept(world: Any) -> None:
    given = str(new_id().int % 10**12).zfill(15)
    row = (await ask(world, body(shorikubun="1", atenabango=given))).json()["result"][0]
    assert row["atenabango"] == given


async def test_a_candidate_must_exist(world: Any) -> None:
    answer = await ask(world, body(shorikubun="2", atenabango="000000000000009"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "E0002"


async def test_a_number_given_twice_at_once_differs(world: Any) -> None:
    answers = await asyncio.gather(*(ask(world, body()) for _ in range(6)))
    numbers = [one.json()["result"][0]["atenabango"] for one in answers]
    assert len(set(numbers)) == 6


async def test_errors_have_the_form_of_the_specification(world: Any) -> None:
    answer = await ask(world, body(sosashaid=None, shimei="ｻﾄｳ"))
    assert answer.status_code == 400
    found = answer.json()
    assert found["detail"] == "エラーが発生しました。"
    assert [one["code"] for one in found["errors"]] == ["E0002", "E0001"]
    assert "ｻﾄｳ" not in answer.text


@pytest.mark.parametrize("token", ["", "Bearer wrong"])
async def test_a_missing_or_wrong_token_is_told_as_specified(world: Any, token: str) -> None:
    headers = {"Authorization": token} if token else {}
    answer = await world.client.post(PATH, json=body(), headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "title": "住登外者宛名番号付番",
        "detail": "アクセストークンが無効です。",
        "_links": {"self": {"href": PATH}},
    }


async def test_another_scope_is_refused(world: Any) -> None:
    answer = await world.client.post(PATH, json=body(), headers=world.vendor("027"))
    assert answer.status_code == 403


async def test_a_my_number_goes_to_the_vault_and_finds_its_person_again(world: Any) -> None:
    number = "999000000067"
    first = await ask(world, body(kojinbango=number))
    assert first.status_code == 200, first.text
    again = await ask(world, body(kojinbango=number))  # another name, the same number: the same person
    row, other = first.json()["result"][0], again.json()["result"][0]
    assert other["atenabango"] == row["atenabango"]
    for table in ("addressees", "addressee_histories", "my_numbers", "audit_records"):
        assert not [r for r in await world.rows(f"SELECT t::text AS line FROM {table} t") if number in r.line]
    searching = world.staff("my-numbers:search")
    search = {"my_number": number, "business_id": "027", "purpose": "児童手当の審査"}
    found = await world.client.post("/v1/my-number-searches", json=search, headers=searching)
    assert found.json() == {"addressee_number": row["atenabango"], "masked": "********0067"}
    [audit] = await world.rows(
        "SELECT purpose FROM audit_records WHERE action = 'my-number.open' AND purpose LIKE '%審査'"
        " ORDER BY at DESC LIMIT 1"
    )
    assert audit.purpose == "027 児童手当の審査"


async def test_a_search_needs_two_factors_and_an_exact_number(world: Any) -> None:
    search = {"my_number": "999000000075", "business_id": "027", "purpose": "審査"}
    one_factor = world.staff("my-numbers:search", amr=("pwd",))
    assert (await world.client.post("/v1/my-number-searches", json=search, headers=one_factor)).status_code == 403
    two = world.staff("my-numbers:search")
    assert (await world.client.post("/v1/my-number-searches", json=search, headers=two)).status_code == 404


async def test_linking_keeps_both_numbers(world: Any) -> None:
    target = (await ask(world, body())).json()["result"][0]["atenabango"]
    source = (await ask(world, body(nayosemotofuragu="1", nayosesakiatenabango=target))).json()["result"][0][
        "atenabango"
    ]
    [row] = await world.rows(
        "SELECT t.addressee_number FROM addressees s JOIN addressees t ON t.id = s.merged_into"
        " WHERE s.addressee_number = :number",
        number=source,
    )
    assert row.addressee_number == target != source


async def test_another_municipality_is_refused(world: Any) -> None:
    answer = await ask(world, body(shikuchosonkodo="131016"))
    assert answer.json()["errors"] == [
        {"code": "E0002", "message": "市区町村コードは本団体のコードで設定してください。"}
    ]
