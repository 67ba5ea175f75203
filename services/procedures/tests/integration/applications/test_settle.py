"""What waited for a revocation list is settled exactly once, by the certificate's status at the moment of receipt."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest


@pytest.mark.case("D-04")
async def test_an_application_waits_for_the_list_and_is_then_verified_once_by_ten_jobs_at_once(
    portal: Any, authority: Any
) -> None:
    card = authority.card()
    portal.lists_run_out()
    answer = await portal.received(portal.package(card))
    assert answer["outcome"] == "pending"
    assert await portal.settle() == 0
    await portal.accept()
    assert await portal.events(answer["application_id"]) == ["application.pending_verification"]
    authority.publish()
    assert sum(await asyncio.gather(*(portal.settle() for _ in range(10)))) >= 1
    (row,) = await portal.applications()
    assert (row.state, row.signature["revocation"]) == ("submitted", "good")
    assert await portal.events(answer["application_id"]) == [
        "application.pending_verification",
        "application.verified",
    ]


async def test_a_card_that_was_revoked_at_receipt_is_rejected_once(portal: Any, authority: Any) -> None:
    card = authority.card(now=portal.api.clock.now() - timedelta(days=10))
    portal.lists_run_out()
    answer = await portal.received(portal.package(card))
    authority.ca.revoke(card.sign_certificate, portal.api.clock.now() - timedelta(days=1))
    authority.publish()
    await asyncio.gather(*(portal.settle() for _ in range(10)))
    (row,) = await portal.applications()
    assert (row.state, row.decision, row.reason_code) == ("rejected", "rejected", "jpki-revoked")
    assert await portal.events(answer["application_id"]) == [
        "application.pending_verification",
        "application.rejected",
    ]


async def test_a_card_revoked_after_receipt_stays_good(portal: Any, authority: Any) -> None:
    card = authority.card()
    portal.lists_run_out()
    await portal.received(portal.package(card))
    assert "revoked_later" not in (await portal.applications())[0].flags
    authority.ca.revoke(card.sign_certificate, portal.api.clock.now() + timedelta(hours=1))
    portal.api.clock.advance(timedelta(hours=2))
    authority.publish()
    await portal.settle()
    (row,) = await portal.applications()
    assert row.state == "submitted"
    assert "revoked_later" in row.flags
    assert (row.signature["revocation"], row.signature["revoked_later"]) == ("good", True)
