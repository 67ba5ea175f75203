"""自動受付: only what the folder says, only what came by the portal, never before the signature's verdict."""

from typing import Any


async def test_a_claim_that_came_by_the_portal_is_accepted_as_its_folder_says(portal: Any, authority: Any) -> None:
    answer = await portal.received(portal.package(authority.card()))
    while await portal.accept():
        pass
    (row,) = await portal.applications()
    assert row.state == "accepted"
    assert await portal.events(answer["application_id"]) == ["application.submitted", "application.accepted"]
    (move,) = await portal.api.rows(
        "SELECT actor_role, actor_id FROM application_transitions WHERE application_id = :id AND to_state = 'accepted'",
        id=row.id,
    )
    assert tuple(move) == ("service", None)


async def test_a_procedure_whose_folder_says_otherwise_waits_for_a_clerk(portal: Any) -> None:
    package = portal.package(None, "LC-01")
    await portal.received(package, mynaportal_procedure_id="sandbox-yokaigo-nintei")
    while await portal.accept():
        pass
    (row,) = await portal.applications()
    assert row.state == "submitted"


async def test_a_number_in_free_text_waits_for_a_clerk(portal: Any, authority: Any) -> None:
    answers = portal.api.sample("CH-01") | {"remarks": "123456789018"}
    await portal.received(portal.package(authority.card(), answers=answers))
    while await portal.accept():
        pass
    (row,) = await portal.applications()
    assert row.state == "submitted"
