"""Staff sign in through the directory: with two factors, once per code, with the scopes of their groups."""

from typing import Any

from town_kit.auth import Role
from town_kit.clock import SystemClock


async def signed_in(api: Any, directory: Any, person: str) -> Any:
    begun = await api.client.post("/v1/staff-authorizations", json={})
    assert begun.status_code == 201, begun.text
    back = directory.sign_in(begun.json()["authorization_url"], person)
    assert back["state"] == begun.json()["state"]
    return back, await api.client.post("/v1/staff-sessions", json=back)


async def test_a_clerk_gets_the_scopes_of_her_group_and_her_factors(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings())
    _, answer = await signed_in(api, directory, "clerk")
    assert answer.status_code == 201, answer.text
    principal = await api.service.verifier.verify(answer.json()["access_token"])
    assert (principal.role, principal.amr) == (Role.STAFF, ("pwd", "hwk", "mfa"))
    assert principal.may("applications:accept")
    assert not principal.may("number-links:import")
    _, again = await signed_in(api, directory, "clerk")
    assert again.json()["account_id"] == answer.json()["account_id"]


async def test_one_factor_is_not_enough(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings())
    _, answer = await signed_in(api, directory, "weak")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:town:problem:insufficient-scope")


async def test_a_sign_in_is_redeemed_once(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings())
    back, answer = await signed_in(api, directory, "approver")
    assert answer.status_code == 201
    again = await api.client.post("/v1/staff-sessions", json=back)
    assert again.json()["type"] == "urn:town:problem:state-conflict"


async def test_a_code_of_somebody_elses_sign_in_is_refused(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings())
    mine = (await api.client.post("/v1/staff-authorizations", json={})).json()
    theirs = (await api.client.post("/v1/staff-authorizations", json={})).json()
    code = directory.sign_in(theirs["authorization_url"], "clerk")["code"]
    answer = await api.client.post("/v1/staff-sessions", json={"code": code, "state": mine["state"]})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:town:problem:invalid-token")


async def test_a_closed_account_stays_out(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings())
    _, answer = await signed_in(api, directory, "administrator")
    await api.rows(
        "UPDATE staff_accounts SET disabled_at = now() WHERE id = :id RETURNING id", id=answer.json()["account_id"]
    )
    _, refused = await signed_in(api, directory, "administrator")
    assert refused.status_code == 403


async def test_without_a_directory_staff_are_told_so(api: Any) -> None:
    answer = await api.client.post("/v1/staff-authorizations", json={})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:town:problem:dependency-unavailable")


async def test_a_directory_that_is_away_is_told_so(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings(oidc_issuer="http://127.0.0.1:9"))
    answer = await api.client.post("/v1/staff-authorizations", json={})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:town:problem:dependency-unavailable")


async def test_one_failure_of_the_directory_is_not_seen_by_staff(serve: Any, directory: Any) -> None:
    api = await serve(SystemClock(), **directory.settings())
    directory.goes_away(path=".well-known", count=1)
    begun = await api.client.post("/v1/staff-authorizations", json={})
    assert begun.status_code == 201, begun.text
