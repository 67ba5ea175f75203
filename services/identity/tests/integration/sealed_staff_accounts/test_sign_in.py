"""封印アカウント: two factors, only while the directory is away, each use written down before a token is made."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

from town_identity.sealed_staff_accounts import credentials, envelopes, service
from town_identity.sealed_staff_accounts.credentials import Envelope
from town_kit import telemetry
from town_kit.auth import Role

PATH = "/v1/sealed-staff-sessions"
GAUGES = ("sealed_staff_accounts_broken", "sealed_staff_account_uses_unreviewed")
DAYS = count(1)
REASON = "職員認証が止まり、窓口の受付を続けるため"


@dataclass
class Desk:
    """The service with a directory that can go away, and one pair of envelopes."""

    api: Any
    envelope: Envelope
    began: datetime

    async def uses(self) -> list[Any]:
        """What its envelopes were opened for."""
        query = """SELECT u.* FROM sealed_staff_account_uses u JOIN sealed_staff_accounts a ON a.id = u.account_id
                    WHERE a.username = :username ORDER BY u.intended_at"""
        found: list[Any] = await self.api.rows(query, username=self.envelope.username)
        return found

    async def told(self) -> dict[str, Any]:
        """The audit records of this test's time, by action."""
        query = "SELECT *, principal::text AS who FROM audit_records WHERE at >= :since AND action LIKE 'sealed-%'"
        return {row.action: row for row in await self.api.rows(query, since=self.began)}

    @property
    def ports(self) -> Any:
        return self.api.service.extras["ports"]

    def body(self, **changes: Any) -> dict[str, Any]:
        given = {
            "username": self.envelope.username,
            "password": self.envelope.password,
            "code": credentials.code_of(self.envelope.secret, self.api.clock.now()),
            "purpose": "disaster-response",
            "reason": REASON,
        }
        return {**given, **changes}

    async def try_it(self, **changes: Any) -> Any:
        return await self.api.client.post(PATH, json=self.body(**changes))

    def passes(self, **time: float) -> None:
        self.api.clock.advance(timedelta(**time))

    async def away_for(self, directory: Any, seconds: float) -> None:
        """The directory goes away, and the worker looks all the while."""
        directory.goes_away()
        watch = next(job for job in self.api.service.jobs if job.name == "staff-directory.watch")
        await watch.run()
        while seconds > 0:
            self.passes(seconds=min(seconds, 300))
            await watch.run()
            seconds -= 300


async def desk_at(api: Any, group: str) -> Desk:
    """A desk on a day of its own: what is known of the directory is shared by all tests."""
    api.clock.advance(timedelta(days=next(DAYS)))
    sealed = await envelopes.seal(api.service.extras["ports"], "金庫 1", [group], "管理 次郎")
    return Desk(api, sealed, api.clock.now())


@pytest.fixture
async def desk(serve: Any, directory: Any) -> Desk:
    return await desk_at(await serve(**directory.settings()), "clerk")


def slug(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:town:problem:")


@pytest.mark.runbook("職員認証システム")
async def test_while_the_directory_is_away_the_envelopes_open_the_door_for_half_an_hour(
    desk: Desk, directory: Any
) -> None:
    await desk.away_for(directory, 121)
    with telemetry.recording() as recorded:
        await service.watch(desk.api.service.database, desk.api.clock.now())
        before = [recorded.metric(name)[0][1] for name in GAUGES]
        answer = await desk.try_it()
        await service.watch(desk.api.service.database, desk.api.clock.now())
        after = [recorded.metric(name)[0][1] for name in GAUGES]
    assert answer.status_code == 201, answer.text
    given = answer.json()
    assert "refresh_token" not in given
    assert given["expires_in"] == 1800
    assert answer.headers["cache-control"] == "no-store"
    principal = await desk.api.service.verifier.verify(given["access_token"])
    assert (principal.role, principal.amr, principal.client_id) == (Role.STAFF, ("pwd", "otp", "mfa"), "sealed-staff")
    assert principal.scopes == desk.ports.scopes.staff["clerk"]
    assert after == [one + 1 for one in before]
    assert recorded.metric("sealed_staff_sign_ins") == [({"outcome": "done"}, 1)]


async def test_each_use_is_written_down_with_what_it_was_for(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    given = (await desk.try_it()).json()
    (use,) = await desk.uses()
    assert (str(use.id), use.purpose, use.reason) == (given["use_id"], "disaster-response", REASON)
    assert use.because == "directory-away"
    assert use.issued_at is not None
    assert use.reviewed_at is None
    told = await desk.told()
    broken = told["sealed-staff-account.break"]
    assert (broken.purpose, broken.result, broken.who) == ("災害対応", "done", given["account_id"])
    assert (broken.role, broken.client_id) == ("staff", "sealed-staff")
    assert told["sealed-staff-account.log-in"].result == "done"
    assert told["sealed-staff-account.seal"].result == "done"


async def test_a_use_stands_there_even_if_the_token_was_never_made(
    desk: Desk, directory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.away_for(directory, 121)
    monkeypatch.setattr(desk.ports.tokens, "issue", lambda **_: 1 // 0)
    assert slug(await desk.try_it()) == (500, "internal-error")
    (use,) = await desk.uses()
    assert use.intended_at is not None
    assert use.issued_at is None
    assert "sealed-staff-account.break" in await desk.told()


async def test_while_the_directory_answers_staff_are_sent_there(desk: Desk) -> None:
    refused = await desk.try_it()
    assert slug(refused) == (403, "sealed-staff-account-closed")
    assert "いつもの職員ログイン" in refused.json()["detail"]
    assert await desk.uses() == []
    assert (await desk.told())["sealed-staff-account.log-in"].result == "refused:sealed-staff-account-closed"


async def test_a_directory_that_has_just_gone_is_waited_for(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 100)
    refused = await desk.try_it()
    assert slug(refused) == (403, "sealed-staff-account-closed")
    assert refused.headers["retry-after"] == "21"
    desk.passes(seconds=21)
    assert (await desk.try_it()).status_code == 201


@pytest.mark.parametrize("path", ["/token", "/jwks", "/.well-known/openid-configuration"])
async def test_a_directory_that_lacks_one_endpoint_is_away(desk: Desk, directory: Any, path: str) -> None:
    directory.goes_away(path)
    assert slug(await desk.try_it()) == (403, "sealed-staff-account-closed")
    desk.passes(seconds=121)
    assert (await desk.try_it()).status_code == 201


async def test_no_worker_is_needed_to_see_that_the_directory_is_back(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    assert (await desk.try_it()).status_code == 201
    directory.comes_back()
    desk.passes(seconds=31)
    assert slug(await desk.try_it()) == (403, "sealed-staff-account-closed")
    directory.goes_away()
    desk.passes(seconds=31)
    assert slug(await desk.try_it()) == (403, "sealed-staff-account-closed")


async def test_a_failure_of_long_ago_does_not_count_as_an_outage(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 0)
    desk.passes(hours=3)
    assert slug(await desk.try_it()) == (403, "sealed-staff-account-closed")


async def test_a_second_person_opens_an_account_while_the_directory_answers(desk: Desk) -> None:
    await envelopes.open_for(desk.ports, desk.envelope.username.lower(), timedelta(minutes=30), "総務 三郎")
    assert (await desk.try_it()).status_code == 201
    (use,) = await desk.uses()
    assert use.because == "opened"
    desk.passes(minutes=30)
    assert slug(await desk.try_it()) == (403, "sealed-staff-account-closed")
    with pytest.raises(envelopes.CannotSeal):
        await envelopes.open_for(desk.ports, desk.envelope.username, timedelta(hours=5), "総務 三郎")


async def test_a_code_signs_in_once_however_many_send_it(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    first = await asyncio.gather(*(desk.try_it() for _ in range(20)))
    codes = [answer.status_code for answer in first]
    assert codes.count(201) == 1
    assert set(codes) <= {201, 409, 429}
    assert len(await desk.uses()) == 1
    desk.passes(seconds=61)  # whoever had to wait has waited; this code and its neighbours are over
    assert (await desk.try_it()).status_code == 201


async def test_a_used_code_and_one_before_it_are_refused(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    before = credentials.code_of(desk.envelope.secret, desk.api.clock.now() - timedelta(seconds=30))
    assert (await desk.try_it()).status_code == 201
    assert slug(await desk.try_it()) == (409, "state-conflict")
    assert slug(await desk.try_it(code=before)) == (409, "state-conflict")


async def test_which_factor_was_wrong_is_not_told(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    old = credentials.code_of(desk.envelope.secret, desk.api.clock.now() - timedelta(seconds=90))
    other = credentials.new_envelope()
    answers = [
        await desk.try_it(username=other.username),
        await desk.try_it(password=other.password),
        await desk.try_it(code=old),
    ]
    assert {slug(answer) for answer in answers} == {(401, "invalid-token")}
    assert len({(answer.json()["detail"], answer.json()["title"]) for answer in answers}) == 1
    assert not any(other.password in answer.text or other.username in answer.text for answer in answers)
    assert await desk.uses() == []


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_tries_wait_longer_and_longer_until_somebody_unlocks(desk: Desk, directory: Any, known: bool) -> None:
    await desk.away_for(directory, 121)
    name = (desk.envelope if known else credentials.new_envelope()).username
    waits = []
    for _ in range(20):
        answer = await desk.try_it(username=name, password="wrong")
        if answer.status_code == 403:
            break
        if answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            await desk.away_for(directory, waits[-1])
        else:
            assert slug(answer) == (401, "invalid-token")
    assert slug(answer) == (403, "sealed-staff-account-locked")
    assert waits == [31, 61, 121, 241, 481, 961, 1921]
    assert slug(await desk.try_it(username=name)) == (403, "sealed-staff-account-locked")
    if known:
        await envelopes.unlock(desk.ports, name)
        assert (await desk.try_it()).status_code == 201


async def test_twenty_guesses_at_once_are_three_guesses(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    answers = await asyncio.gather(*(desk.try_it(code=f"{n:06}") for n in range(20)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(401), codes.count(429)) == (3, 17)


async def test_an_opened_envelope_is_good_for_a_working_day_and_then_sealed_anew(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    assert (await desk.try_it()).status_code == 201
    desk.passes(hours=8)
    await desk.away_for(directory, 121)
    assert slug(await desk.try_it()) == (409, "state-conflict")
    old, desk.envelope = desk.envelope, await envelopes.seal_again(desk.ports, desk.envelope.username, "管理 次郎")
    assert slug(await desk.try_it(password=old.password)) == (401, "invalid-token")
    code = credentials.code_of(old.secret, desk.api.clock.now())
    assert slug(await desk.try_it(code=code)) == (401, "invalid-token")
    assert (await desk.try_it()).status_code == 201


async def test_a_withdrawn_account_stays_out(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    await envelopes.withdraw(desk.ports, desk.envelope.username)
    assert slug(await desk.try_it()) == (401, "invalid-token")


async def test_a_password_is_read_as_it_is_typed_off_paper(desk: Desk, directory: Any) -> None:
    await desk.away_for(directory, 121)
    typed = desk.envelope.password.replace("-", " ").lower().replace("0", "o").replace("1", "l")
    assert (await desk.try_it(password=typed)).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"username": ""},
        {"username": "x" * 41},
        {"password": "SECRET" * 20},
        {"password": 12345},
        {"code": "12345"},
        {"code": "１２３４５６"},
        {"code": 123456},
        {"purpose": "curiosity"},
        {"reason": "急ぎ"},
        {"reason": "個人番号 123456789018 の方のため"},
        {"reason": None},
        {"scope": "number-links:import"},
    ],
    ids=str,
)
async def test_bad_input_is_refused_and_not_repeated(desk: Desk, directory: Any, change: dict[str, Any]) -> None:
    await desk.away_for(directory, 121)
    answer = await desk.try_it(**change)
    assert slug(answer) == (422, "validation-failed")
    value = str(next(iter(change.values())))
    assert len(value) < 5 or value not in answer.text
    assert await desk.uses() == []
    assert (await desk.try_it()).status_code == 201, "nothing was counted"


async def test_nothing_of_the_envelopes_can_be_read_in_the_database(desk: Desk) -> None:
    (row,) = await desk.api.rows(
        "SELECT password_hash, otp_secret_sealed FROM sealed_staff_accounts WHERE username = :username",
        username=desk.envelope.username,
    )
    assert row.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert desk.envelope.secret not in bytes(row.otp_secret_sealed)
    async with desk.api.service.database.begin(role="staff") as session:
        assert (await session.execute(text("SELECT count(*) FROM sealed_staff_accounts"))).scalar_one() == 0


async def test_without_a_directory_only_a_second_person_opens_the_door(serve: Any) -> None:
    desk = await desk_at(await serve(), "administrator")
    assert slug(await desk.try_it()) == (403, "sealed-staff-account-closed")
    await envelopes.open_for(desk.ports, desk.envelope.username, timedelta(minutes=5), "総務 三郎")
    given = await desk.try_it()
    assert "number-links:import" in given.json()["scope"]


async def test_a_group_nobody_knows_gets_no_envelope(desk: Desk) -> None:
    for groups in (["mayor"], []):
        with pytest.raises(envelopes.CannotSeal):
            await envelopes.seal(desk.ports, "金庫 3", groups, "管理 次郎")
