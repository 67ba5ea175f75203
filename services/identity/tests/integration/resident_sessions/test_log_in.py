"""Logging in with a card: once per challenge, closed when in doubt, and the devices a resident can end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from town_kit.auth import Role
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard


async def sessions_of(api: Any, person_id: str) -> int:
    (row,) = await api.rows("SELECT count(*) FROM resident_sessions WHERE person_id = :id", id=person_id)
    return int(row[0])


async def refresh(api: Any, token: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await api.client.post("/v1/oauth/token", data=form)


async def test_a_card_opens_a_session_for_its_person(api: Any) -> None:
    card = api.card()
    session, again = await api.log_in(card), await api.log_in(card)
    assert session["person_id"] == again["person_id"]
    person = await api.client.get(f"/v1/persons/{session['person_id']}", headers=api.bearer(session["access_token"]))
    assert (person.status_code, person.json()["provisional"]) == (200, True)


@pytest.mark.case("D-09")
async def test_a_challenge_is_redeemed_once_in_series(api: Any) -> None:
    """The first answer is 201 where the case says 200, because it makes a session."""
    body = api.answer(await api.challenge(), api.card())
    first = await api.client.post("/v1/resident-sessions", json=body)
    second = await api.client.post("/v1/resident-sessions", json=body)
    assert first.status_code == 201
    assert (second.status_code, second.json()["type"]) == (409, "urn:town:problem:state-conflict")
    assert await sessions_of(api, first.json()["person_id"]) == 1


@pytest.mark.case("D-09")
async def test_twenty_answers_to_one_challenge_at_once_open_one_session(api: Any) -> None:
    """One is answered 201 where the case says 200, because it makes a session; nineteen are 409."""
    body = api.answer(await api.challenge(), api.card())
    before = len(await api.rows("SELECT id FROM resident_sessions"))
    answers = await asyncio.gather(*(api.client.post("/v1/resident-sessions", json=body) for _ in range(20)))
    good = [answer for answer in answers if answer.status_code == 201]
    assert len(good) == 1
    assert [a.json()["type"] for a in answers if a is not good[0]] == ["urn:town:problem:state-conflict"] * 19
    assert await sessions_of(api, good[0].json()["person_id"]) == 1
    assert len(await api.rows("SELECT id FROM resident_sessions")) == before + 1


async def test_a_wrong_answer_uses_the_challenge_up(api: Any) -> None:
    challenge, card = await api.challenge(), api.card()
    wrong = api.answer({**challenge, "to_be_signed": "YQ=="}, card)
    refused = await api.client.post("/v1/resident-sessions", json=wrong)
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:town:problem:signature-invalid")
    late = await api.client.post("/v1/resident-sessions", json=api.answer(challenge, card))
    assert late.status_code == 409


async def test_a_challenge_runs_out_after_five_minutes(api: Any) -> None:
    body = api.answer(await api.challenge(), api.card())
    api.clock.advance(timedelta(minutes=5))
    assert (await api.client.post("/v1/resident-sessions", json=body)).status_code == 409


async def test_a_challenge_of_an_unknown_app_is_refused(api: Any) -> None:
    answer = await api.client.post("/v1/login-challenges", json={"client_id": "somebody-else"})
    assert answer.json()["type"] == "urn:town:problem:validation-failed"


@pytest.mark.case("D-04")
@pytest.mark.runbook("失効リスト")
async def test_without_current_lists_a_login_is_refused(api: Any) -> None:
    card = api.card()
    api.clock.advance(timedelta(days=8))
    answer = await api.client.post("/v1/resident-sessions", json=api.answer(await api.challenge(), card))
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:town:problem:jpki-status-unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("spoil", "slug"),
    [
        ("foreign", "jpki-untrusted"),
        ("expired", "jpki-expired"),
        ("revoked", "jpki-revoked"),
        ("sign certificate", "jpki-wrong-purpose"),
        ("short key", "jpki-weak-algorithm"),
    ],
)
async def test_a_bad_card_is_refused_with_401(api: Any, spoil: str, slug: str) -> None:
    day = timedelta(days=1)
    card = api.card(**{"expired": {"lifetime": day / 2}, "short key": {"key": "rsa1024"}}.get(spoil, {}))
    if spoil == "foreign":
        stranger = JpkiTestAuthority.create(generations=["2024"])
        card = VirtualCard.issue(stranger, DEMO_HOLDERS["taro"], now=api.clock.now() - day)
    if spoil == "revoked":
        api.authority.revoke(card.auth_certificate, api.clock.now() - day / 24)
        api.publish_lists()
    if spoil == "sign certificate":
        card = VirtualCard(card.holder, card.auth_certificate, card.auth_key, card.sign_certificate, card.sign_key)
    answer = await api.client.post("/v1/resident-sessions", json=api.answer(await api.challenge(), card))
    assert (answer.status_code, answer.json()["type"]) == (401, f"urn:town:problem:{slug}")


async def test_a_refresh_token_works_once_and_gives_the_next(api: Any) -> None:
    session = await api.log_in(api.card())
    first = await refresh(api, session["refresh_token"])
    assert first.status_code == 200, first.text
    second = await refresh(api, first.json()["refresh_token"])
    assert second.status_code == 200
    devices = await api.client.get("/v1/devices", headers=api.bearer(second.json()["access_token"]))
    assert [(d["device_name"], d["current"]) for d in devices.json()] == [("花子のスマホ", True)]


async def test_a_refresh_token_used_twice_ends_the_session(api: Any) -> None:
    session = await api.log_in(api.card())
    following = (await refresh(api, session["refresh_token"])).json()
    copied = await refresh(api, session["refresh_token"])
    assert (copied.status_code, copied.json()) == (400, {"error": "invalid_grant"})
    assert (await refresh(api, following["refresh_token"])).status_code == 400
    devices = await api.client.get("/v1/devices", headers=api.bearer(session["access_token"]))
    assert devices.json() == []


async def test_a_refresh_token_runs_out(api: Any) -> None:
    session = await api.log_in(api.card())
    api.clock.advance(timedelta(days=30))
    assert (await refresh(api, session["refresh_token"])).json() == {"error": "invalid_grant"}


async def test_a_card_revoked_since_gets_no_further_tokens(api: Any) -> None:
    card = api.card()
    session = await api.log_in(card)
    api.authority.revoke(card.auth_certificate, api.clock.now())
    api.clock.advance(timedelta(minutes=1))
    api.publish_lists()
    assert (await refresh(api, session["refresh_token"])).json() == {"error": "invalid_grant"}


async def test_a_certificate_that_ran_out_gets_no_further_tokens_though_its_lists_are_fresh(api: Any) -> None:
    session = await api.log_in(api.card(lifetime=timedelta(days=3)))
    api.clock.advance(timedelta(days=2, seconds=1))
    api.publish_lists()
    assert (await refresh(api, session["refresh_token"])).json() == {"error": "invalid_grant"}
    (left,) = await api.rows("SELECT revoked_because FROM resident_sessions WHERE id = :id", id=session["session_id"])
    assert left[0] == "certificate ran out"


async def test_without_current_lists_a_refresh_waits_and_the_session_is_kept(api: Any) -> None:
    session = await api.log_in(api.card())
    api.clock.advance(timedelta(days=8))
    waiting = await refresh(api, session["refresh_token"])
    assert (waiting.status_code, waiting.json()["type"]) == (503, "urn:town:problem:jpki-status-unavailable")
    assert int(waiting.headers["retry-after"]) > 0
    api.publish_lists()
    assert (await refresh(api, session["refresh_token"])).status_code == 200


async def test_a_resident_ends_a_device_of_hers_and_nobody_elses(api: Any) -> None:
    hers, his = await api.log_in(api.card()), await api.log_in(api.card("taro"))
    strange = await api.client.delete(f"/v1/devices/{hers['session_id']}", headers=api.bearer(his["access_token"]))
    assert strange.status_code == 404
    assert (await refresh(api, hers["refresh_token"])).status_code == 200
    ended = await api.client.delete(f"/v1/devices/{hers['session_id']}", headers=api.bearer(hers["access_token"]))
    assert ended.status_code == 204
    (left,) = await api.rows("SELECT revoked_because FROM resident_sessions WHERE id = :id", id=hers["session_id"])
    assert left[0] == "revoked by the resident"


async def test_a_resident_sees_herself_alone(api: Any) -> None:
    hers, his = await api.log_in(api.card()), await api.log_in(api.card("taro"))
    theirs = await api.client.get(f"/v1/persons/{his['person_id']}", headers=api.bearer(hers["access_token"]))
    nobody = await api.client.get(
        "/v1/persons/00000000-0000-4000-8000-000000000000", headers=api.bearer(hers["access_token"])
    )
    assert theirs.status_code == nobody.status_code == 404
    strip = {"trace_id"}
    assert {k: v for k, v in theirs.json().items() if k not in strip} == {
        k: v for k, v in nobody.json().items() if k not in strip
    }


async def test_row_security_hides_other_residents_from_a_residents_transaction(api: Any) -> None:
    hers, his = await api.log_in(api.card()), await api.log_in(api.card("taro"))
    for table, column in (("persons", "id"), ("resident_sessions", "person_id"), ("certificate_serials", "person_id")):
        async with api.service.database.begin(role=Role.RESIDENT.value, principal=hers["person_id"]) as session:
            seen = {str(row[0]) for row in await session.execute(text(f"SELECT {column} FROM {table}"))}
        assert seen == {hers["person_id"]}
        assert his["person_id"] not in seen
