"""Signatures at the app's door: what is wrong is refused and leaves nothing; what cannot be known yet is kept."""

import base64
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from town_procedures.applications import submit
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard

CLAIM = "CH-01"


async def claiming(api: Any, card: Any, sign: str = "sign", **options: Any) -> Any:
    """A child-allowance claim signed by the card, its file uploaded, ready to be sent."""
    answers = api.sample(CLAIM)
    file = await api.attach(api.resident(), "bank_account_proof")
    content = submit.signed_content(CLAIM, answers, [file["sha256"]])
    cms = getattr(card, sign)(content, api.clock.now(), **options)
    body = {
        "procedure_code": CLAIM,
        "answers": answers,
        "attachments": [file],
        "signature": base64.b64encode(cms).decode(),
    }
    return partial(api.client.post, "/v1/applications", json=body, headers=api.resident())


async def claim(api: Any, card: Any) -> Any:
    return await (await claiming(api, card))()


async def refused(api: Any, authority: Any, send: Any, slug: str) -> None:
    """S0: nothing is left, and a claim with a good card goes through."""
    then = await claiming(api, authority.card())
    await api.refuses(send, 422, slug, action="application.submit", then=then)


@pytest.mark.case("D-01")
async def test_a_card_of_another_authority_with_the_same_name_is_refused(api: Any, authority: Any) -> None:
    foreign = VirtualCard.issue(JpkiTestAuthority.create(), DEMO_HOLDERS["hanako"], now=api.clock.now())
    await refused(api, authority, await claiming(api, foreign), "jpki-untrusted")


@pytest.mark.case("D-02")
async def test_a_card_that_ran_out_the_day_before_is_refused(api: Any, authority: Any) -> None:
    card = authority.card(now=api.clock.now() - timedelta(days=100), lifetime=timedelta(days=99))
    await refused(api, authority, await claiming(api, card), "jpki-expired")


@pytest.mark.case("D-03")
async def test_a_revoked_card_is_refused(api: Any, authority: Any) -> None:
    card = authority.card(now=api.clock.now() - timedelta(days=10))
    authority.ca.revoke(card.sign_certificate, api.clock.now() - timedelta(days=1))
    authority.publish()
    await refused(api, authority, await claiming(api, card), "jpki-revoked")


@pytest.mark.case("D-05")
async def test_a_signature_by_the_login_key_is_refused(api: Any, authority: Any) -> None:
    await refused(api, authority, await claiming(api, authority.card(), "sign_with_auth"), "jpki-wrong-purpose")


@pytest.mark.case("D-06")
async def test_a_short_rsa_key_is_refused(api: Any, authority: Any) -> None:
    await refused(api, authority, await claiming(api, authority.card(key="rsa1024")), "jpki-weak-algorithm")


@pytest.mark.case("D-06")
@pytest.mark.parametrize("where", ["certificate", "message"])
async def test_sha1_is_refused(api: Any, authority: Any, where: str) -> None:
    if where == "certificate":
        send = await claiming(api, authority.card(sha1=True))
    else:
        send = await claiming(api, authority.card(), digest="sha1")
    await refused(api, authority, send, "jpki-weak-algorithm")


@pytest.mark.case("D-04")
@pytest.mark.runbook("失効リスト")
async def test_while_the_lists_are_out_an_application_is_kept_and_waits(api: Any, authority: Any, portal: Any) -> None:
    card = authority.card()
    portal.lists_run_out()
    answer = await claim(api, card)
    assert (answer.status_code, answer.json()["state"]) == (202, "pending_verification")
    key = answer.json()["id"]
    assert await portal.events(key) == ["application.pending_verification"]
    authority.publish()
    await portal.settle()
    await portal.settle()
    assert await portal.events(key) == ["application.pending_verification", "application.verified"]


@pytest.mark.case("D-10")
async def test_an_unknown_birth_date_and_substitute_characters_are_taken_with_a_flag(api: Any, authority: Any) -> None:
    holder = DEMO_HOLDERS["hanako"].but(birth="000000000", name_substitutes="01000")
    answer = await claim(api, VirtualCard.issue(authority.ca, holder, now=api.clock.now()))
    assert answer.status_code == 201
    assert {"birth_unknown", "name_substituted"} <= set(answer.json()["flags"])
    signature = await kept(api, answer)
    assert (signature["birth"], signature["name_substitutes"]) == (None, "01000")
    assert set(signature["address_substitutes"]) == {"0"}
    assert not any(word in str(signature) for word in (holder.name, holder.address, "female"))


async def test_a_card_that_says_what_the_claim_says_leaves_no_flag_but_of_whoever_is_not_linked(
    api: Any, authority: Any
) -> None:
    answer = await claim(api, authority.card())
    assert answer.json()["flags"] == ["party_not_linked"]
    assert (await kept(api, answer))["birth"] == "1987-05-14"


async def test_another_name_on_the_card_than_in_the_claim_is_taken_with_a_flag(api: Any, authority: Any) -> None:
    card = VirtualCard.issue(authority.ca, DEMO_HOLDERS["taro"], now=api.clock.now())
    answer = await claim(api, card)
    assert answer.status_code == 201
    assert {"name_differs", "birth_differs", "sex_differs"} <= set(answer.json()["flags"])
    assert "address_differs" not in answer.json()["flags"]


async def kept(api: Any, answer: Any) -> dict[str, Any]:
    """What the application keeps of its signature."""
    (row,) = await api.rows("SELECT signature FROM applications WHERE id = cast(:id AS uuid)", id=answer.json()["id"])
    document: dict[str, Any] = row.signature
    return document
